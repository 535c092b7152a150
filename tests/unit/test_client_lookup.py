"""What a device believes of the directory."""

import asyncio
import time
from types import SimpleNamespace

import pytest
from tests.support.refusals import refused

from counterseal.client.lookup import ROOT_MAX_AGE, AccountLookup
from counterseal.protocol.directory_root import DirectoryRoot
from counterseal.tlog.directory import DirectoryEntry, DirectoryMap
from counterseal.wire.accounts import HANDLE, HandleFound, ShownAccount

DOMAIN, HANDLE_OF_ALICE = "chat.example.org", "@alice:chat.example.org"
ALICE, HEAD = b"A" * 32, b"H" * 32


class Service:
    """Answers where Alice's handle points, under a root that is as old as it is told."""

    def __init__(self, age):
        self.age = age

    async def call(self, endpoint, **parts):
        assert (endpoint, parts) == (HANDLE, {"handle": HANDLE_OF_ALICE})
        directory = DirectoryMap([DirectoryEntry(HANDLE_OF_ALICE, ALICE, HEAD)])
        root = DirectoryRoot(DOMAIN, 5, int(time.time()) - self.age, directory.root)
        proof = directory.prove(HANDLE_OF_ALICE).encode()
        return HandleFound(ALICE, proof, root.encode(), 5)


class Log:
    """Takes every statement for logged."""

    async def prove_statement(self, statement, index):
        assert index == 5


def prove(age):
    home = SimpleNamespace(pins=SimpleNamespace(domain=DOMAIN))
    lookup = AccountLookup(home, Service(age), Log())
    answer = ShownAccount(HANDLE_OF_ALICE, "Alice", ())
    chain = SimpleNamespace(account_id=ALICE)
    return asyncio.run(lookup._prove_handle(answer, chain, [HEAD]))


def test_a_root_of_today_says_where_a_handle_points():
    assert prove(ROOT_MAX_AGE - 60) == HANDLE_OF_ALICE


@pytest.mark.parametrize("more", [60, 24 * 3600])
def test_m9_an_old_root_says_nothing(more):
    with refused("M9"):
        prove(ROOT_MAX_AGE + more)
