"""Draws docs/architecture.svg: the journeys of a message and of a warrant, and the code's floors.

    .venv/bin/python tools/draw_architecture.py

The floors come from the import contract in pyproject.toml and the rooms' docstrings, the journeys
from the two lists below. A test compares the picture with what this draws.
"""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path
from typing import NamedTuple
from xml.sax.saxutils import escape

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs/architecture.svg"

WIDTH, MARGIN, ROW = 980, 24, 30

STYLE = """
  .paper { fill: #ffffff } .head { fill: #1f2933 } .text { fill: #1f2933 } .quiet { fill: #5b6772 }
  .line { stroke: #c4ccd4 } .box { fill: #eef2f6; stroke: #9aa7b4 }
  .message { stroke: #1f6feb; fill: #1f6feb } .warrant { stroke: #b4480f; fill: #b4480f }
  text { font-family: "DejaVu Sans", Verdana, sans-serif; font-size: 13px; stroke: none }
  .head { font-size: 17px; font-weight: bold } .name { font-weight: bold }
  .over { paint-order: stroke; stroke: #ffffff; stroke-width: 5px }
  @media (prefers-color-scheme: dark) {
    .paper { fill: #12171d } .head, .text { fill: #e6ebf0 } .quiet { fill: #9aa7b4 }
    .line { stroke: #3a4550 } .box { fill: #1d252e; stroke: #5b6772 }
    .message { stroke: #6cb0ff; fill: #6cb0ff } .warrant { stroke: #ff9a62; fill: #ff9a62 }
    .over { stroke: #12171d }
  }
"""

PARTIES = (
    "Alice's device",
    "Bob's device",
    "Service",
    "Log, ledger",
    "Witnesses",
    "Custodians",
    "Opener",
    "Issuers",
)
ALICE, BOB, SERVICE, LOG, WITNESSES, CUSTODIANS, OPENER, ISSUERS = range(len(PARTIES))


class Step(NamedTuple):
    """Something that one party gives another; both the same: something it does by itself."""

    giver: int
    taker: int
    what: str


MESSAGE = (
    Step(ALICE, SERVICE, "1  a window: its label, and its key in shares sealed to each holder"),
    Step(ALICE, SERVICE, "2  a frame: one ciphertext, signed by the device inside"),
    Step(SERVICE, BOB, "3  the frame, with a stamp"),
    Step(BOB, BOB, "4  seals the window again and compares; shows nothing that differs"),
    Step(SERVICE, LOG, "5  each hour: one root over every window and frame"),
    Step(LOG, WITNESSES, "6  a checkpoint, cosigned if it only adds"),
    Step(LOG, BOB, "7  the proof that the frame is under the cosigned root"),
)
WARRANT = (
    Step(ISSUERS, LOG, "1  a warrant, and the approval of another body, into the ledger"),
    Step(SERVICE, LOG, "2  the listing: which windows are in its scope"),
    Step(LOG, CUSTODIANS, "3  the whole ledger and each window, checked; people decide"),
    Step(CUSTODIANS, LOG, "4  releases, signed, for everybody who reads the ledger"),
    Step(LOG, WITNESSES, "5  the custodians' quorum is in the ledger: then, and only then"),
    Step(CUSTODIANS, OPENER, "6  shares, sealed to the opener"),
    Step(WITNESSES, OPENER, "7  shares, sealed to the opener"),
    Step(SERVICE, OPENER, "8  the frames of the windows; each key is proved by its label"),
    Step(OPENER, LOG, "9  the report; the evidence anybody can verify"),
    Step(WITNESSES, ALICE, "10  the notice, when it is due"),
)


class Canvas:
    """Shapes, from top to bottom."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.y = MARGIN

    def text(self, x: float, words: str, kind: str = "text", anchor: str = "start") -> None:
        """Words whose foot is at the present height."""
        self.parts.append(
            f'<text x="{x:.0f}" y="{self.y:.0f}" class="{kind}" '
            f'text-anchor="{anchor}">{escape(words)}</text>'
        )

    def line(self, x: float, until: float, kind: str, *, below: float = 0) -> None:
        """A line from the present height, straight down or to the side."""
        self.parts.append(
            f'<line x1="{x:.0f}" y1="{self.y:.0f}" x2="{until:.0f}" y2="{self.y + below:.0f}" '
            f'class="{kind}" stroke-width="1.6"/>'
        )


def column(party: int) -> float:
    """The middle of a party's column."""
    return MARGIN + (WIDTH - 2 * MARGIN) * (party + 0.5) / len(PARTIES)


def draw_journey(canvas: Canvas, title: str, steps: tuple[Step, ...], kind: str) -> None:
    """A journey: a column for each party, a row for each step."""
    canvas.y += 20
    canvas.text(MARGIN, title, "head")
    canvas.y += 26
    for party, name in enumerate(PARTIES):
        canvas.text(column(party), name, "text name", "middle")
    canvas.y += 8
    for party in range(len(PARTIES)):
        canvas.line(column(party), column(party), "line", below=len(steps) * ROW + 8)
    for step in steps:
        canvas.y += ROW
        draw_step(canvas, step, kind)
    canvas.y += 26


def draw_step(canvas: Canvas, step: Step, kind: str) -> None:
    """An arrow, and above it what it carries."""
    begin, end = column(step.giver), column(step.taker)
    left = min(begin, end)
    room = len(step.what) * 7.4
    x = min(left + 6, WIDTH - MARGIN - room)
    canvas.y -= 6
    canvas.text(x, step.what, "text over")
    canvas.y += 6
    if step.giver == step.taker:
        canvas.parts.append(
            f'<circle cx="{begin:.0f}" cy="{canvas.y:.0f}" r="5" class="{kind}" stroke="none"/>'
        )
        return
    canvas.line(begin, end, kind)
    back = 8 if end > begin else -8
    canvas.parts.append(
        f'<path d="M{end:.0f} {canvas.y:.0f} l{-back} -4 v8 z" class="{kind}" stroke="none"/>'
    )


def floors() -> list[list[str]]:
    """The rooms that exist, a list a floor, from the top down, as the import contract has them."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contract = settings["tool"]["importlinter"]["contracts"][0]
    found = []
    for floor in contract["layers"]:
        names = floor.replace("(", "").replace(")", "").replace(":", "|").split("|")
        found.append([name.strip() for name in names if doc(name.strip())])
    return [floor for floor in found if floor]


def doc(room: str) -> str:
    """What a room says of itself, in its first sentence; nothing if there is no such room."""
    base = ROOT / "src/counterseal" / room
    place = base / "__init__.py" if base.is_dir() else base.with_suffix(".py")
    if not place.exists():
        return ""
    text = ast.get_docstring(ast.parse(place.read_text(encoding="utf-8"))) or ""
    return " ".join(text.split("\n\n")[0].split()).replace("`", "").partition(". ")[0].rstrip(".")


def draw_floors(canvas: Canvas) -> None:
    """The code's rooms: each knows only those below it."""
    canvas.y += 20
    canvas.text(MARGIN, "The code: each room knows only the rooms below it", "head")
    canvas.y += 14
    for floor in floors():
        width = (WIDTH - 2 * MARGIN - 8 * (len(floor) - 1)) / len(floor)
        lines = [wrap(doc(room), int((width - 20) / 7.3)) for room in floor]
        height = 26 + 17 * max(map(len, lines))
        top = canvas.y
        for place, (room, text) in enumerate(zip(floor, lines, strict=True)):
            x = MARGIN + place * (width + 8)
            canvas.parts.append(
                f'<rect x="{x:.0f}" y="{top}" width="{width:.0f}" height="{height}" rx="4" '
                'class="box"/>'
            )
            canvas.y = top + 19
            canvas.text(x + 10, room, "text name")
            for words in text:
                canvas.y += 17
                canvas.text(x + 10, words, "quiet")
        canvas.y = top + height + 7


def wrap(text: str, width: int) -> list[str]:
    """The text in lines of at most `width` characters."""
    lines = [""]
    for word in text.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines


def draw() -> str:
    """The picture, as SVG."""
    canvas = Canvas()
    draw_journey(canvas, "A message", MESSAGE, "message")
    draw_journey(canvas, "A warrant", WARRANT, "warrant")
    draw_floors(canvas)
    height = canvas.y + MARGIN
    shapes = "\n".join(canvas.parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" '
        f'width="{WIDTH}" height="{height:.0f}" role="img" '
        'aria-label="The journeys of a message and of a warrant, and the rooms of the code">\n'
        f"<style>{STYLE}</style>\n"
        f'<rect width="{WIDTH}" height="{height:.0f}" class="paper"/>\n{shapes}\n</svg>\n'
    )


if __name__ == "__main__":
    PICTURE.write_text(draw(), encoding="utf-8")
    print(f"{PICTURE.relative_to(ROOT)} is drawn.")
