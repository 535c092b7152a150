import os
import stat

import pytest
from tests.support.refusals import refused

from counterseal.access.common import store
from counterseal.protocol.errors import BadInput, FatalError, NotFound


def test_a_write_replaces_the_file_and_is_for_its_owner_alone(tmp_path):
    place = tmp_path / "deep" / "keys"
    store.write(place, b"one")
    store.write(place, b"two")
    assert store.read(place, "secret") == b"two"
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    assert [inner.name for inner in place.parent.iterdir()] == ["keys"]


def test_public_files_are_readable(tmp_path):
    store.write(tmp_path / "card", b"x", private=False)
    assert stat.S_IMODE((tmp_path / "card").stat().st_mode) & 0o444


def test_who_writes_first_counts(tmp_path):
    place = tmp_path / "key"
    assert store.write_new(place, b"first")
    assert not store.write_new(place, b"second")
    assert store.read(place, "key") == b"first"
    assert [inner.name for inner in tmp_path.iterdir()] == ["key"]


@pytest.mark.parametrize("step", ["fsync", "write"])
def test_a_disk_that_fails_is_fatal_and_leaves_the_old_bytes(tmp_path, monkeypatch, step):
    place = tmp_path / "head"
    store.write(place, b"old")

    def fail(*_):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(FatalError):
        store.write(place, b"new")
    monkeypatch.undo()
    assert store.read(place, "head") == b"old"


def test_a_locked_secret_opens_with_its_passphrase_alone():
    data = store.lock_secret(b"secret", b"correct horse")
    assert b"secret" not in data[20:] or store.is_locked(data)
    assert store.is_locked(data)
    assert store.open_secret(data, b"correct horse") == b"secret"
    for wrong in (b"Correct horse", None):
        with pytest.raises(BadInput):
            store.open_secret(data, wrong)


def test_a_secret_that_is_not_locked_needs_none():
    data = store.lock_secret(b"secret", None)
    assert not store.is_locked(data)
    assert store.open_secret(data, None) == b"secret"


def test_other_bytes_are_no_secret():
    with refused("E5"):
        store.open_secret(b"\x80", None)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(NotFound) as missing:
        store.read(tmp_path / "none", "pin")
    assert "no pin at" in missing.value.message


def test_a_huge_file_is_something_else(tmp_path):
    (tmp_path / "big").write_bytes(bytes((1 << 20) + 1))
    with pytest.raises(BadInput):
        store.read(tmp_path / "big", "card")


def test_an_erased_secret_is_gone(tmp_path):
    store.write(tmp_path / "key", b"secret")
    store.erase(tmp_path / "key")
    assert not (tmp_path / "key").exists()
    store.erase(tmp_path / "key")  # again is no error
