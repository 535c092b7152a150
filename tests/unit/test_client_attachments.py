"""Sealed files: what comes out is what went in, or nothing does."""

import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from counterseal.client import attachments
from counterseal.client.attachments import CHUNK, open_chunks, safe_name, seal_file, sealed_size
from counterseal.protocol.errors import BadInput, Refused


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 2 * CHUNK + 7])
def test_round_trip(tmp_path, size):
    data = bytes(n & 0xFF for n in range(251)) * (size // 251 + 1)
    (tmp_path / "file.bin").write_bytes(data[:size])
    sealed, attachment = seal_file(tmp_path / "file.bin", tmp_path / "outgoing")
    blob = sealed.read_bytes()
    assert attachment.size == len(blob) == sealed_size(size)
    assert b"".join(open_chunks(io.BytesIO(blob), attachment.key, len(blob))) == data[:size]


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
    monkeypatch.setattr(attachments, "FILE_MAX", 3)
    (tmp_path / "file").write_bytes(b"four")
    with pytest.raises(BadInput, match="at most 3"):
        seal_file(tmp_path / "file", tmp_path / "outgoing")
    with pytest.raises(BadInput, match="cannot be read"):
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
