"""Somebody with one device who talks to the service request by request, without the member's
program.

What it signs and posts is written out here by hand, so that a mistake in the program's own making
of requests does not hide one in the service.
"""

from __future__ import annotations

import base64
import hashlib
import os
import time
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.support.http import Http
from tests.support.served import ServedDomain
from tests.support.world import DOMAIN

from counterseal.core import _core
from counterseal.protocol import account, account_chain, cbor
from counterseal.protocol.cbor import tag
from counterseal.protocol.keys import SealingKey
from counterseal.protocol.sign1 import sign1


def b64(data: bytes) -> str:
    """base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Person:
    """An account with one device, its groups in a real encrypted database."""

    def __init__(self, domain: ServedDomain, handle: str, *, register: bool = True) -> None:
        self.domain = domain
        self.handle = handle
        self.account_key, seed = Ed25519PrivateKey.generate(), os.urandom(32)
        self.device_private = Ed25519PrivateKey.from_private_bytes(seed)
        self.device = self.device_private.public_key().public_bytes_raw()
        self.notice = SealingKey.generate()
        record = account.Account(
            DOMAIN,
            self.account_key.public_key().public_bytes_raw(),
            self.notice.public,
            os.urandom(16),
            int(time.time()),
        )
        self.account = record.digest()
        self.account_statement = sign1(self.account_key, record.encode())
        first = account_chain.Device(self.account, self.account, 1, self.device, int(time.time()))
        self.device_statement: Any = cbor.decode(
            account_chain.sign_link(self.account_key, first, self.device_private), 8192
        )
        self.head, self.number = first.digest(), 1
        self.http = Http(domain.url)
        domain.people.append(self)
        self.core = _core.Device.create(str(domain.folder / f"{handle}.db"), os.urandom(32))
        self.core.set_identity(self.account, seed)
        if register:
            self.register()

    def authorization(
        self,
        method: str,
        path: str,
        data: bytes,
        moment: int | None = None,
        nonce: bytes | None = None,
    ) -> str:
        """The header of one request."""
        moment, nonce = moment or int(time.time() * 1000), nonce or os.urandom(16)
        signed = cbor.encode(
            [tag("request"), DOMAIN, method, path, moment, nonce, hashlib.sha256(data).digest()]
        )
        signature = self.device_private.sign(signed)
        words = (b64(self.account), b64(self.device), str(moment), b64(nonce), b64(signature))
        return f"Counterseal-Device {'.'.join(words)}"

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """A request signed by the device."""
        data = b"" if body is None else cbor.encode(body)
        return self.http.array(
            method, path, body, {"Authorization": self.authorization(method, path, data)}
        )

    def register(self) -> int:
        """Makes the account; returns the log index."""
        body = [self.handle, self.account_statement, list(self.device_statement)]
        got, index = self.call("POST", "/v1/accounts", body)
        assert got == self.account
        return int(index)

    def use_keyset(self) -> None:
        """Tells the core of the charter and the keyset that are in force."""
        charter, keyset = self.domain.in_force()
        self.core.register_keyset(
            DOMAIN,
            charter.digest,
            keyset.digest,
            charter.tree.encode(),
            list(keyset.keys),
            charter.charter.period_length,
        )

    def packages(self, count: int = 5) -> None:
        """Uploads key packages."""
        made = self.core.key_packages(count, False, _core.DEFAULT_SUITE)
        made += self.core.key_packages(1, True, _core.DEFAULT_SUITE)
        self.call("POST", "/v1/key-packages", [made])

    def create(self) -> bytes:
        """A conversation of one; returns its id."""
        self.use_keyset()
        charter, keyset = self.domain.in_force()
        conversation = os.urandom(16)
        info = self.core.group_create(
            conversation,
            _core.DEFAULT_SUITE,
            charter.digest,
            keyset.keyset.quarter,
            keyset.digest,
        )
        tree = self.core.group_tree(conversation)
        assert self.call("POST", "/v1/conversations", [info, tree]) == (conversation,)
        return conversation

    def add(self, conversation: bytes, *others: Person) -> int:
        """Adds others' devices; returns the commit's n."""
        claimed = self.call("POST", "/v1/key-packages/claim", [[other.device for other in others]])
        commit = self.core.group_commit(conversation, [package for _, package in claimed], [], None)
        welcome = [[other.device for other in others], commit.welcome, commit.tree]
        [n] = self.call(
            "POST",
            f"/v1/conversations/{conversation.hex()}/commits",
            [commit.epoch, commit.message, welcome],
        )
        self.core.group_merge(conversation)
        return int(n)

    def join(self, after: int = 0) -> tuple[bytes, int]:
        """Takes the newest Welcome; returns the conversation and the commit's n."""
        self.use_keyset()
        *_, (_, _, conversation, welcome, tree, n) = self.call("GET", f"/v1/inbox?after={after}")[0]
        self.core.group_join(welcome, tree)
        self.core.group_accept(conversation)
        return conversation, n

    def open_window(self, conversation: bytes, serial: int = 1) -> Any:
        """Opens a window of the present period and uploads it."""
        now, length = self.domain.now(), self.domain.in_force()[0].charter.period_length
        window = self.core.window_open(conversation, now - now % length, serial)
        parts = [window.label, window.roster, window.counterseal]
        assert self.call("POST", "/v1/windows", parts) == (window.window_id,)
        return window

    def seal(self, window: Any, text: str) -> bytes:
        """One sealed frame."""
        now = self.domain.now()
        content = cbor.encode([tag("content"), now * 1000, "text", text, []])
        return self.core.frame_seal(window.window_id, content).message

    def send(self, conversation: bytes, *messages: bytes) -> Any:
        """Posts frames."""
        return self.call("POST", f"/v1/conversations/{conversation.hex()}/frames", [list(messages)])

    def events(self, conversation: bytes, after: int = 0) -> Any:
        """A page of events."""
        return self.call(
            "GET", f"/v1/conversations/{conversation.hex()}/events?after={after}&limit=500"
        )
