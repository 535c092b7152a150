import pytest
from tests.support.refusals import refused

from counterseal.access.common import store
from counterseal.protocol.errors import BadInput, NotFound
from counterseal.state_files import write_state


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
    write_state(tmp_path / "key", b"secret")
    store.erase(tmp_path / "key")
    assert not (tmp_path / "key").exists()
    store.erase(tmp_path / "key")  # again is no error
