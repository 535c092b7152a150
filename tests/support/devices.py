"""Devices with fixed names and one keyset, for the tests of the compiled floor."""

import hashlib
import os
from functools import cache
from pathlib import Path

from counterseal.core import DEFAULT_SUITE, Commit, Device, Sealed, Window
from counterseal.protocol.cbor import encode, tag
from counterseal.protocol.keys import SealingKey

DOMAIN = "chat.example.org"
CONVERSATION = bytes(range(16))
CHARTER, KEYSET = b"c" * 32, b"k" * 32
QUARTER = 4 * 2026 + 3
CONTEXT = (CHARTER, QUARTER, KEYSET)
HOUR = 3600
OPENS = 500_000 * HOUR
TREE = encode([[2, [[1, 1], [2, 3], [2, 3]]], [2, 4]])
HOLDERS = 11


def digest(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()


@cache
def sealing_key(position: int) -> SealingKey:
    return SealingKey(digest(f"holder {position}"))


def keys() -> list[bytes | None]:
    return [sealing_key(i).public for i in range(HOLDERS)]


def register(device: Device, charter: bytes = CHARTER, keyset: bytes = KEYSET) -> None:
    device.register_keyset(DOMAIN, charter, keyset, TREE, keys(), HOUR)


def make_device(folder: Path, name: str) -> Device:
    device = Device.create(str(folder / f"{name}.db"), digest(name + "'s key"))
    device.set_identity(digest(name), digest(name + "'s seed"))
    register(device)
    return device


def open_device(folder: Path, name: str) -> Device:
    return Device.open(str(folder / f"{name}.db"), digest(name + "'s key"))


def me(device: Device) -> tuple[bytes, bytes]:
    identity = device.identity()
    assert identity is not None
    return identity


def package(device: Device) -> bytes:
    return device.key_packages(1, False, DEFAULT_SUITE)[0]


def create(device: Device) -> bytes:
    return device.group_create(CONVERSATION, DEFAULT_SUITE, CHARTER, QUARTER, KEYSET)


def join(commit: Commit, *joiners: Device) -> None:
    for joiner in joiners:
        assert commit.welcome is not None
        joiner.group_join(commit.welcome, commit.tree)
        joiner.group_accept(CONVERSATION)


def follow(commit: Commit, *others: Device) -> None:
    for other in others:
        other.group_stage(CONVERSATION, commit.message)
        other.group_accept(CONVERSATION)


def conversation(folder: Path, *names: str) -> list[Device]:
    """Devices in one conversation that the first of them made."""
    devices = [make_device(folder, name) for name in names]
    create(devices[0])
    commit = devices[0].group_commit(CONVERSATION, [package(d) for d in devices[1:]], [], None)
    devices[0].group_merge(CONVERSATION)
    join(commit, *devices[1:])
    return devices


def content(text: str = "hello", sent_at_ms: int = OPENS * 1000) -> bytes:
    return encode([tag("content"), sent_at_ms, "text", text, []])


def send(device: Device, window: Window, text: str = "hello") -> Sealed:
    return device.frame_seal(window.window_id, content(text))


def random_id() -> bytes:
    return os.urandom(32)
