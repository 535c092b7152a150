"""Sealed files: what comes out is what went in, or nothing does."""

import hashlib
import io
import re
import stat

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.refusals import refused

from counterseal.client import sealed_files
from counterseal.client.file_names import free_path, safe_name
from counterseal.client.sealed_files import (
    CHUNK,
    open_chunks,
    open_file,
    seal_file,
    sealed_size,
)
from counterseal.protocol.errors import BadInput, Refused


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 2 * CHUNK + 7])
def test_round_trip(tmp_path, size):
    data = bytes(n & 0xFF for n in range(251)) * (size // 251 + 1)
    (tmp_path / "file.bin").write_bytes(data[:size])
    sealed, attachment = seal_file(tmp_path / "file.bin", tmp_path / "outgoing")
    blob = sealed.read_bytes()
    assert attachment.size == len(blob) == sealed_size(size)
    assert b"".join(open_chunks(io.BytesIO(blob), attachment.key, len(blob))) == data[:size]


def test_a_file_is_opened_whole_or_not_at_all(tmp_path):
    """M10."""
    (tmp_path / "file.bin").write_bytes(bytes(CHUNK + 5))
    sealed, attachment = seal_file(tmp_path / "file.bin", tmp_path / "outgoing")
    target = tmp_path / "opened"
    open_file(sealed, attachment, target)
    assert target.read_bytes() == bytes(CHUNK + 5)
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    with pytest.raises(BadInput, match="opened"):
        open_file(sealed, attachment, target)

    before = set(tmp_path.iterdir())
    sealed.write_bytes(sealed.read_bytes()[:-1])
    with refused("M10"):
        open_file(sealed, attachment, tmp_path / "again")
    other = msgspec.structs.replace(
        attachment,
        digest=hashlib.sha256(sealed.read_bytes()).digest(),
        size=sealed.stat().st_size,
    )
    with refused("M10"):  # the digest fits, the last chunk does not open
        open_file(sealed, other, tmp_path / "again")
    assert set(tmp_path.iterdir()) == before


def test_a_name_that_is_taken_gets_a_number(tmp_path):
    assert free_path(tmp_path / "plan.txt") == tmp_path / "plan.txt"
    (tmp_path / "plan.txt").touch()
    (tmp_path / "plan (2).txt").touch()
    assert free_path(tmp_path / "plan.txt") == tmp_path / "plan (3).txt"


def test_what_is_moved_cut_off_or_altered_does_not_open(tmp_path):
    """M10."""
    (tmp_path / "file").write_bytes(bytes(2 * CHUNK + 5))
    sealed, attachment = seal_file(tmp_path / "file", tmp_path / "outgoing")
    blob, step = sealed.read_bytes(), CHUNK + 16
    for bad in (
        blob[:-1],
        blob[: 2 * step],
        blob[step:],
        blob[step : 2 * step] + blob[:step] + blob[2 * step :],
        b"\1" + blob[1:],
    ):
        with pytest.raises(Refused, match="M10"):
            list(open_chunks(io.BytesIO(bad), attachment.key, len(bad)))


def test_a_file_that_is_too_large_or_not_there(tmp_path, monkeypatch):
    monkeypatch.setattr(sealed_files, "FILE_MAX", 3)
    (tmp_path / "file").write_bytes(b"four")
    with pytest.raises(BadInput, match="at most 3"):
        seal_file(tmp_path / "file", tmp_path / "outgoing")
    with pytest.raises(BadInput, match="There is no"):
        seal_file(tmp_path / "nothing", tmp_path / "outgoing")


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("../../etc/passwd", "passwd"),
        ("..\\..\\boot.ini", "boot.ini"),
        (".bashrc", "bashrc"),
        ("", "attachment"),
        ("...", "attachment"),
        ("cat\u202egpj.exe", "catgpj.exe"),
        ("a\x00b\nc.txt", "abc.txt"),
        ("  spaced   out .pdf ", "spaced out.pdf"),
        ("x" * 300 + ".tar", "x" * 116 + ".tar"),
        ('he said "hi" | rm?.sh', "he said hi rm.sh"),
        ("grüße.txt", "grüße.txt"),
    ],
)
def test_names(name, safe):
    assert safe_name(name) == safe


@given(st.text(max_size=400))
def test_no_name_leaves_the_folder(name):
    safe = safe_name(name)
    assert safe and not safe.startswith(".") and len(safe.encode()) <= 140
    assert not re.search(r"[/\\\x00-\x1f\x7f\u202a-\u202e\u2066-\u2069]", safe)
