"""Files are whole or not there, whatever fails, and nobody's file is overwritten unasked."""

import errno
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from counterseal import files, state_files
from counterseal.protocol.errors import BadInput, FatalError, TooLarge


def names(folder):
    return sorted(inner.name for inner in folder.iterdir())


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def failing(number):
    def fail(*_args, **_options):
        raise OSError(number, os.strerror(number))

    return fail


def test_a_new_file_is_written_for_its_owner_alone(tmp_path):
    files.write_whole(tmp_path / "out", b"bytes")
    assert (tmp_path / "out").read_bytes() == b"bytes"
    assert mode(tmp_path / "out") == 0o600
    assert names(tmp_path) == ["out"]


@pytest.mark.parametrize(("asked", "given"), [(0o644, 0o644), (None, 0o640)])
def test_permissions_are_exact_or_the_users_own(tmp_path, asked, given):
    before = os.umask(0o027)
    try:
        files.write_whole(tmp_path / "out", b"bytes", mode=asked)
    finally:
        os.umask(before)
    assert mode(tmp_path / "out") == given


def test_what_is_there_is_not_overwritten_and_is_named(tmp_path):
    place = tmp_path / "warrant.cose"
    place.write_bytes(b"nine signatures")
    with pytest.raises(files.FileExists) as refused:
        files.write_whole(place, b"new")
    assert (refused.value.exit_status, refused.value.code) == (2, "file-exists")
    assert str(place) in refused.value.message
    assert place.read_bytes() == b"nine signatures"
    assert names(tmp_path) == ["warrant.cose"]


def test_what_is_there_gives_way_when_told(tmp_path):
    (tmp_path / "out").write_bytes(b"old")
    files.write_whole(tmp_path / "out", b"new", replace=True)
    assert (tmp_path / "out").read_bytes() == b"new"
    assert names(tmp_path) == ["out"]


@pytest.mark.parametrize("replace", [False, True])
def test_a_link_is_not_followed(tmp_path, replace):
    (tmp_path / "theirs").write_bytes(b"theirs")
    (tmp_path / "out").symlink_to(tmp_path / "theirs")
    if replace:
        files.write_whole(tmp_path / "out", b"new", replace=True)
    else:
        with pytest.raises(files.FileExists):
            files.write_whole(tmp_path / "out", b"new")
    assert (tmp_path / "theirs").read_bytes() == b"theirs"


def test_a_link_to_nothing_is_not_written_through(tmp_path):
    (tmp_path / "out").symlink_to(tmp_path / "nothing")
    with pytest.raises(files.FileExists):
        files.write_whole(tmp_path / "out", b"new")
    assert not (tmp_path / "nothing").exists()


@pytest.mark.parametrize("replace", [False, True])
def test_a_folder_is_not_a_file(tmp_path, replace):
    with pytest.raises(BadInput) as refused:
        files.write_whole(tmp_path, b"new", replace=replace)
    assert str(tmp_path) in refused.value.message


def test_the_folder_must_be_there(tmp_path):
    with pytest.raises(BadInput) as refused:
        files.write_whole(tmp_path / "none" / "out", b"new")
    assert str(tmp_path / "none") in refused.value.message


def test_devices_and_pipes_are_written_to(tmp_path):
    files.write_whole(Path("/dev/null"), b"bytes")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    heard = []
    reader = threading.Thread(target=lambda: heard.append(pipe.read_bytes()))
    reader.start()
    files.write_whole(pipe, b"bytes" * 100_000)
    reader.join()
    assert heard == [b"bytes" * 100_000]
    assert names(tmp_path) == ["pipe"]


def test_a_full_device_is_an_error_that_names_it():
    with pytest.raises(OSError) as full:
        files.write_whole(Path("/dev/full"), b"bytes")
    assert (full.value.errno, full.value.filename) == (errno.ENOSPC, "/dev/full")


@pytest.mark.parametrize(
    ("step", "replace"),
    [
        ("open", False),
        ("fsync", False),
        ("link", False),
        ("open", True),
        ("fsync", True),
        ("replace", True),
    ],
)
def test_a_failure_names_the_file_and_leaves_what_was_there(tmp_path, monkeypatch, step, replace):
    place = tmp_path / "out"
    if replace:
        place.write_bytes(b"old")
    monkeypatch.setattr(os, step, failing(errno.EIO))
    with pytest.raises(OSError) as failed:
        files.write_whole(place, b"new", replace=replace)
    assert failed.value.filename == str(place)
    monkeypatch.undo()
    assert names(tmp_path) == (["out"] if replace else [])
    assert not replace or place.read_bytes() == b"old"


def test_a_memory_stick_without_hard_links_is_written_to(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "link", failing(errno.EPERM))
    files.write_whole(tmp_path / "out", b"bytes")
    with pytest.raises(files.FileExists):
        files.write_whole(tmp_path / "out", b"other")
    assert (tmp_path / "out").read_bytes() == b"bytes"
    assert names(tmp_path) == ["out"]


def test_who_comes_first_between_look_and_link_wins(tmp_path, monkeypatch):
    link = os.link

    def late(source, target, **options):
        (tmp_path / "out").write_bytes(b"first")
        link(source, target, **options)

    monkeypatch.setattr(os, "link", late)
    with pytest.raises(files.FileExists):
        files.write_whole(tmp_path / "out", b"second")
    assert (tmp_path / "out").read_bytes() == b"first"
    assert names(tmp_path) == ["out"]


@pytest.mark.parametrize("stopped", [ValueError, KeyboardInterrupt])
def test_a_file_that_is_given_up_leaves_nothing(tmp_path, stopped):
    with pytest.raises(stopped), files.open_whole(tmp_path / "out") as file:
        file.write(b"half")
        raise stopped
    assert names(tmp_path) == []


def test_an_error_of_another_file_keeps_its_name(tmp_path):
    other = tmp_path / "other"
    with pytest.raises(FileNotFoundError) as missing, files.open_whole(tmp_path / "out"):
        other.read_bytes()
    assert missing.value.filename == str(other)


KILLED = """
import os, signal, sys
from pathlib import Path
from counterseal import files, state_files
step, place = sys.argv[1], Path(sys.argv[4])
after, replace = sys.argv[2] == "after", sys.argv[3] == "replace"
real = getattr(os, step)
def deadly(*args, **options):
    if not after:
        os.kill(os.getpid(), signal.SIGKILL)
    real(*args, **options)
    os.kill(os.getpid(), signal.SIGKILL)
setattr(os, step, deadly)
files.write_whole(place, b"new" * 100_000, replace=replace)
"""


@pytest.mark.parametrize("after", ["before", "after"])
@pytest.mark.parametrize(
    ("step", "replace"),
    [("fsync", "new"), ("link", "new"), ("fsync", "replace"), ("replace", "replace")],
)
def test_killed_at_any_step_the_file_is_whole_or_the_old_one(tmp_path, step, after, replace):
    place = tmp_path / "out"
    if replace == "replace":
        place.write_bytes(b"old")

    command = [sys.executable, "-c", KILLED, step, after, replace, str(place)]
    assert subprocess.run(command, check=False).returncode == -9
    held = place.read_bytes() if place.exists() else None
    placed = step != "fsync" and after == "after"
    assert held == (b"new" * 100_000 if placed else b"old" if replace == "replace" else None)

    # and it can be done again
    files.write_whole(place, b"again", replace=held is not None)
    assert place.read_bytes() == b"again"


def test_a_file_that_was_read_keeps_its_permissions(tmp_path):
    place = tmp_path / "charter"
    place.write_bytes(b"one signature")
    place.chmod(0o640)
    files.rewrite(place, b"two signatures")
    assert (place.read_bytes(), mode(place)) == (b"two signatures", 0o640)


def test_state_makes_its_folder_and_is_replaced(tmp_path):
    place = tmp_path / "deep" / "er" / "head"
    state_files.write_state(place, b"one")
    state_files.write_state(place, b"two")
    assert (place.read_bytes(), mode(place.parent)) == (b"two", 0o700)


@pytest.mark.parametrize("step", ["fsync", "open"])
def test_a_disk_that_fails_under_state_is_fatal(tmp_path, monkeypatch, step):
    state_files.write_state(tmp_path / "head", b"old")
    monkeypatch.setattr(os, step, failing(errno.EIO))
    with pytest.raises(FatalError) as fatal:
        state_files.write_state(tmp_path / "head", b"new")
    assert fatal.value.code == "disk"
    monkeypatch.undo()
    assert (tmp_path / "head").read_bytes() == b"old"


def test_a_folder_that_cannot_be_made_is_the_callers_mistake(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(BadInput):
        state_files.write_state(tmp_path / "file" / "deep" / "head", b"new")


def test_the_first_write_counts(tmp_path):
    assert state_files.write_first(tmp_path / "key", b"first")
    assert not state_files.write_first(tmp_path / "key", b"second")
    assert (tmp_path / "key").read_bytes() == b"first"
    assert names(tmp_path) == ["key"]


def test_reading_is_bounded_and_names_what_was_looked_for(tmp_path):
    (tmp_path / "in").write_bytes(bytes(100))
    assert files.read_whole(tmp_path / "in", "warrant", limit=100) == bytes(100)
    with pytest.raises(TooLarge) as large:
        files.read_whole(Path("/dev/zero"), "warrant", limit=100)
    assert large.value.message == "/dev/zero is over 100 bytes, so it is no warrant."
    for wrong in (tmp_path, tmp_path / "none"):
        with pytest.raises(BadInput) as refused:
            files.read_whole(wrong, "warrant", limit=100)
        assert str(wrong) in refused.value.message
