"""Names of files that other people chose, made safe to write under."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

from counterseal.protocol.errors import BadInput

_NAME_MAX = 120  # bytes
_ENDING_MAX = 16


def safe_name(name: str) -> str:
    """A name that stays in its folder and says what it is: no separators, controls, direction
    marks, leading dots; at most 120 bytes.
    """
    plain = unicodedata.normalize("NFC", name.replace("\\", "/")).rsplit("/", 1)[-1]
    plain = "".join(c for c in plain if unicodedata.category(c)[0] != "C" and c not in '<>:"|?*')
    plain = re.sub(r"\s+", " ", plain).strip(" .")
    stem, dot, ending = plain.rpartition(".")
    if not dot or len(ending) > _ENDING_MAX:
        stem, dot, ending = plain, "", ""
    room = _NAME_MAX - len((dot + ending).encode())
    stem = stem.encode()[:room].decode(errors="ignore").strip(" .")
    return (stem or "attachment") + dot + ending


def free_path(path: Path) -> Path:
    """The path, or one beside it that does not exist yet: `plan (2).txt`. Raises `BadInput` after a
    thousand.
    """
    for number in range(2, 1000):
        if not path.exists():
            return path
        stem = re.sub(r" \(\d+\)$", "", path.stem)
        path = path.with_name(f"{stem} ({number}){path.suffix}")
    raise BadInput(
        f"There are a thousand files named like {path.name} already; choose another folder.",
        code="file-exists",
    )
