"""Makes docs/files.md: every source file with the first sentence of what it says of itself.

    .venv/bin/python tools/make_file_map.py

A test compares the page with what this makes, so a new file, or a new docstring, takes this command
as well.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/files.md"
CRATES = ROOT / "crates"

HEAD = """# Map of files

Made by `tools/make_file_map.py` from the first sentence of each file. The rooms are explained in
[architecture.md](architecture.md); a room's own file, `__init__.py`, is the line under its name.
"""


def first_sentence(text: str) -> str:
    """The first sentence of a docstring, on one line."""
    paragraph = " ".join(text.split("\n\n")[0].split())
    return re.split(r"(?<=[.:!?])\s(?=[A-Z])", paragraph)[0].replace("|", "\\|")


def python_sentence(path: Path) -> str:
    """What a Python file says of itself."""
    return first_sentence(ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "")


def rust_sentence(path: Path) -> str:
    """What a Rust file says of itself."""
    lines = path.read_text(encoding="utf-8").split("\n")
    said = []
    for line in lines:
        if not line.startswith("//!"):
            break
        said.append(line[3:].strip())
    return first_sentence("\n".join(said))


def table(paths: list[Path], say: Callable[[Path], str]) -> list[str]:
    """A row for each file."""
    rows = [f"| [{path.name}](../{path.relative_to(ROOT)}) | {say(path)} |" for path in paths]
    return ["| file | what it is |", "| --- | --- |", *rows, ""]


def make() -> str:
    """The page."""
    parts = [HEAD]
    source = ROOT / "src/counterseal"
    folders = sorted({path.parent for path in source.rglob("*.py")})
    for folder in folders:
        name = folder.relative_to(ROOT / "src").as_posix()
        room = folder / "__init__.py"
        parts += [f"## {name}", "", python_sentence(room), ""] if room.exists() else [f"## {name}"]
        files = [path for path in sorted(folder.glob("*.py")) if path.name != "__init__.py"]
        if files:
            parts += table(files, python_sentence)
    for folder in sorted({path.parent for path in CRATES.glob("*/src/**/*.rs")}):
        parts += [f"## {folder.relative_to(ROOT).as_posix()}", ""]
        parts += table(sorted(folder.glob("*.rs")), rust_sentence)
    parts += ["## tools", "", *table(sorted((ROOT / "tools").glob("*.py")), python_sentence)]
    parts += ["## tests/support", ""]
    parts += table(sorted((ROOT / "tests/support").glob("*.py")), python_sentence)
    return "\n".join(parts).rstrip() + "\n"


if __name__ == "__main__":
    PAGE.write_text(make(), encoding="utf-8")
    print(f"{PAGE.relative_to(ROOT)} is made.")
