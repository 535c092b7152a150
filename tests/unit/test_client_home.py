"""A member's folder: its key, its pins, its lock, its transactions."""

import multiprocessing
import stat
import time

import pytest

from counterseal.client import home as module
from counterseal.client.home import DeviceHome, Pins
from counterseal.protocol.errors import BadInput, Conflict, NotFound, Refused, Unavailable

PINS = Pins(
    "http://127.0.0.1:1",
    "chat.example.org",
    "ab" * 32,
    False,
    ("a", "b"),
    ("c", "d"),
    (("W", "", ("e", "f")),),
)
TALK = bytes(16)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "member"


def test_made_once_and_found_again(folder):
    made = DeviceHome.create(folder, PINS)
    with made.store() as store, store.transaction():
        store.settings.handle = "alice"
    found = DeviceHome.load(folder)
    assert found.pins == PINS
    with found.store() as store:
        assert store.settings.handle == "alice"
    with pytest.raises(Conflict, match="already holds"):
        DeviceHome.create(folder, PINS)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "key").stat().st_mode) == 0o600
    assert b"alice" not in (folder / "device.db").read_bytes()


def test_a_passphrase_and_no_other(folder, tmp_path, monkeypatch):
    DeviceHome.create(folder, PINS, "correct horse")
    assert "correct" not in (folder / "key").read_text()
    file = tmp_path / "passphrase"
    monkeypatch.setenv(module.PASSPHRASE_FILE, str(file))
    with pytest.raises(BadInput, match="cannot be read"):
        DeviceHome.load(folder)
    file.write_text("correct horse\nnot this line\n")
    with DeviceHome.load(folder).store() as store:
        assert store.settings.handle is None
    file.write_text("wrong horse\n")
    with pytest.raises(Unavailable, match="does not open"), DeviceHome.load(folder).store():
        pass
    monkeypatch.delenv(module.PASSPHRASE_FILE)
    with DeviceHome.load(folder, lambda: "correct horse").store():
        pass
    with pytest.raises(BadInput, match=module.PASSPHRASE_FILE):
        DeviceHome.load(folder)


@pytest.mark.parametrize(
    "text", ["", "key 00", "argon2id zz 3 4 65536", "plain text", "key " + "g" * 64]
)
def test_a_key_file_that_was_damaged(folder, text):
    DeviceHome.create(folder, PINS)
    (folder / "key").write_text(text)
    with pytest.raises(BadInput, match="key file"):
        DeviceHome.load(folder)


def test_nothing_there(folder):
    with pytest.raises(NotFound, match="account create"):
        DeviceHome.load(folder)


def test_a_transaction_is_all_or_nothing(folder):
    with DeviceHome.create(folder, PINS).store() as store:
        with store.transaction():
            store.settings.put("kept", 1)
        with pytest.raises(ZeroDivisionError), store.transaction():
            store.settings.put("lost", 1)
            with store.transaction():
                store.settings.put("lost too", 1)
            raise ZeroDivisionError
        assert (
            store.settings.get("kept"),
            store.settings.get("lost"),
            store.settings.get("lost too"),
        ) == (1, None, None)
        with pytest.raises(Refused, match="T1"), store.transaction():
            store.settings.put("lost", 1)
            raise Refused("T1", "No.")
        assert store.settings.get("lost") is None


def _hold(path, ready, seconds):
    with DeviceHome.load(path).hold():
        ready.set()
        time.sleep(seconds)


def test_another_process_is_waited_for(folder):
    DeviceHome.create(folder, PINS)
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    holder = context.Process(target=_hold, args=(folder, ready, 1.0))
    holder.start()
    assert ready.wait(20)
    begun = time.monotonic()
    with DeviceHome.load(folder).store() as store:
        assert store.settings.handle is None
    assert 0.2 < time.monotonic() - begun < 10
    holder.join()
