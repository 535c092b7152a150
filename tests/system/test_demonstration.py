"""`counterseal demo` and `evidence verify` as a program outside the project calls them: real
processes, a real conversation, a real opening.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.system

# A quarter ends in between, so that the keyset changes; some times are equal, so that only the
# log's own order can tell.
CHAT = [
    ("2024-03-31T23:10:00Z", "Zoë O'Hara", "first\nwith a second line"),
    ("2024-03-31T23:10:00Z", "bo", " spaces kept "),
    ("2024-03-31T23:10:00Z", "Zoë O'Hara", "\u202eright to left\u202c and \x00 \x1b[31m"),
    ("2024-03-31T23:59:59Z", "bo", ""),
    ("2024-03-31T23:59:59Z", "stranger", "speaks once and is left out"),
    ("2024-04-01T00:00:00Z", "cy", "a new quarter"),
    ("2024-04-01T00:00:00.250Z", "bo", "שלום 👋"),
    ("2024-04-01T13:00:00Z", "Zoë O'Hara", "x" * 5000),
    ("2024-04-01T13:00:00Z", "cy", "later the same day"),
    ("2024-04-02T08:00:00Z", "bo", "the day after"),
    ("2024-04-02T08:00:01Z", "Zoë O'Hara", "last"),
]


def counterseal(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "counterseal", *arguments],
        capture_output=True,
        text=True,
        timeout=240,
    )


def milliseconds(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def opened(evidence: Path) -> list[tuple[int, str, str]]:
    lines = (evidence / "data" / "messages.jsonl").read_text(encoding="utf-8").splitlines()
    messages = [json.loads(line) for line in lines]
    return [
        (milliseconds(message["sent_at"]), message["sender"], message["text"])
        for message in messages
    ]


def written(*senders: str, days: str = "2024-0") -> list[tuple[int, str, str]]:
    return [
        (milliseconds(at), who, text)
        for at, who, text in CHAT
        if who in senders and at.startswith(days)
    ]


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("demonstration")
    chat = folder / "chat.jsonl"
    rows = [
        json.dumps({"sent_at": at, "sender": who, "text": text}, ensure_ascii=False)
        for at, who, text in CHAT
    ]
    chat.write_text("\n".join(rows), encoding="utf-8")
    done = counterseal(
        "demo",
        "--headless",
        "--json",
        "--chat",
        str(chat),
        "--members",
        "3",
        "--out",
        str(folder / "out"),
    )
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def keys(shown: dict[str, Any]) -> list[str]:
    return [*shown["log"]["keys"], *shown["ledger"]["keys"], *shown["log"]["witnesses"]]


def test_every_message_arrives_and_none_is_refused(shown: dict[str, Any]) -> None:
    assert (shown["messages_sent"], shown["messages_shown"], shown["messages_refused"]) == (
        10,
        20,
        0,
    )
    assert shown["accounts"] == 3
    assert shown["windows"] == 8  # one for each sender in each period in which it wrote


def test_the_warrant_opens_the_target_s_messages_to_the_letter(shown: dict[str, Any]) -> None:
    # bo and Zoë wrote four each; Zoë spoke first, so bo is the second most active.
    assert opened(Path(shown["evidence"])) == written("bo")
    assert shown["warrant"] | {"account": ""} == {
        "account": "",
        "from": "2024-03-31",
        "until": "2024-04-02",
        "direction": "sent",
        "windows_opened": 3,
        "frames_opened": 4,
    }


def test_the_folders_and_the_trees_are_where_it_says(shown: dict[str, Any]) -> None:
    folders = shown["folders"]
    assert set(folders["members"]) == {"Zoë O'Hara", "bo", "cy"}
    assert (len(folders["custodians"]), len(folders["witnesses"]), len(folders["issuers"])) == (
        7,
        4,
        2,
    )
    for group in ("members", "custodians", "witnesses", "issuers"):
        assert all(Path(place).is_dir() for place in folders[group].values())
    for name in ("log", "ledger"):
        tree = Path(shown[name]["directory"])
        assert int((tree / "checkpoint").read_text().split("\n")[1]) == shown[name]["size"]
        assert any((tree / "tile" / "0").iterdir())
        assert any((tree / "tile" / "entries").iterdir())


def test_the_evidence_holds_by_the_keys_alone_and_not_without(shown: dict[str, Any]) -> None:
    done = counterseal("evidence", "verify", shown["evidence"], "--key", *keys(shown))
    assert done.returncode == 0, done.stdout + done.stderr
    assert counterseal("evidence", "verify", shown["evidence"]).returncode not in (0, 1)
    too_few = keys(shown)[:-4]  # two witnesses of four, where three are needed
    assert counterseal(
        "evidence", "verify", shown["evidence"], "--key", *too_few
    ).returncode not in (0,)


def test_one_letter_changed_is_found(shown: dict[str, Any], tmp_path: Path) -> None:
    bag = tmp_path / "bag"
    shutil.copytree(shown["evidence"], bag)
    messages = bag / "data" / "messages.jsonl"
    messages.write_text(
        messages.read_text(encoding="utf-8").replace("the day after", "the day before"),
        encoding="utf-8",
    )
    done = counterseal("evidence", "verify", str(bag), "--key", *keys(shown))
    assert done.returncode == 1
    assert "messages.jsonl" in done.stdout + done.stderr


def test_a_conversation_on_one_day_is_opened_in_the_order_it_was_said(tmp_path: Path) -> None:
    chat = tmp_path / "chat.txt"
    chat.write_text(
        "31/03/2024, 23:10 - Ana: before\n"
        "01/04/2024, 09:00 - Ana: one\n01/04/2024, 09:00 - Bo: two\n"
        "01/04/2024, 09:00 - Ana: three\nand a half\n02/04/2024, 09:00 - Bo: after\n",
        encoding="utf-8",
    )
    done = counterseal(
        *(
            "demo",
            "--headless",
            "--json",
            "--chat",
            str(chat),
            "--target",
            "Ana",
            "--from",
            "2024-04-01",
        ),
        *("--until", "2024-04-01", "--direction", "conversation", "--out", str(tmp_path / "out")),
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    at = milliseconds("2024-04-01T09:00:00Z")
    assert opened(Path(report["evidence"])) == [
        (at, "Ana", "one"),
        (at, "Bo", "two"),
        (at, "Ana", "three\nand a half"),
    ]
    assert report["warrant"]["frames_opened"] == 3
    assert (
        counterseal("evidence", "verify", report["evidence"], "--key", *keys(report)).returncode
        == 0
    )


def test_what_is_asked_wrongly_gets_a_sentence(tmp_path: Path) -> None:
    done = counterseal(
        "demo", "--headless", "--out", str(tmp_path), "--chat", str(tmp_path / "none")
    )
    assert done.returncode == 2
    assert "There is no" in done.stderr
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    done = counterseal("demo", "--headless", "--out", str(tmp_path / "full"))
    assert done.returncode == 2
    assert "not empty" in done.stderr
    assert "Traceback" not in done.stderr
