"""Kill -9 while a domain's rules are made (its charter, its keyset, the revocation of an issuer)
and while shares are handed over: each is there once, or can be given again."""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.support import world
from tests.support.domain import Domain, unopened
from tests.support.waiting import until
from tests.support.world import DOMAIN
from tests.system.test_service_access import approve, hand_over, release, tell

from counterseal.protocol import keyset
from counterseal.protocol.approval import Revocation
from counterseal.protocol.cbor import H, tag
from counterseal.protocol.cose import sign
from counterseal.protocol.keys import SealingKey

pytestmark = [pytest.mark.system, pytest.mark.slow]


def charter(domain: Domain) -> tuple[str, bytes]:
    return "/v1/charters", sign(domain.holders, domain.make_charter().encode())


def keys(domain: Domain) -> tuple[str, bytes]:
    domain.publish_charter()
    for position, holder in enumerate(domain.holders):
        key = keyset.HolderKey(
            DOMAIN, domain.charter.digest, domain.quarter, position, SealingKey.generate().public
        )
        domain.http.array("POST", "/v1/keysets/holder-keys", [sign([holder], key.encode())])
    [payload] = domain.http.array("GET", f"/v1/keysets/draft/{domain.quarter}")
    return "/v1/keysets", sign(domain.holders, payload)


def revocation(domain: Domain) -> tuple[str, bytes]:
    digest, now = domain.publish_charter().digest, int(time.time())
    record = Revocation(DOMAIN, digest, domain.requester.kid, now, now)
    return "/v1/revocations", sign(domain.holders[: len(world.CUSTODIANS)], record.encode())


def post(domain: Domain, path: str, statement: bytes) -> Any:
    """Posts it as the operator: a first charter needs the token, the others do not mind."""
    return domain.http.array("POST", path, [statement], {"Authorization": f"Bearer {domain.token}"})


def shown(domain: Domain, path: str) -> list[bytes]:
    where = path if path != "/v1/keysets" else f"{path}/{domain.charter.digest.hex()}"
    return [row[-2] for row in domain.http.array("GET", where)]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    ("name", "prepare"), [("charter", charter), ("keyset", keys), ("revocation", revocation)]
)
def test_killed_at(
    tmp_path: Path, name: str, prepare: Callable[[Domain], tuple[str, bytes]], when: str
) -> None:
    with unopened(tmp_path) as domain:
        path, statement = prepare(domain)
        domain.process.stop()
        domain.restart(f"{name}:{when}")
        with pytest.raises((OSError, http.client.HTTPException)):
            post(domain, path, statement)
        assert domain.process.ended() == -9
        domain.restart()
        assert shown(domain, path) == ([] if when == "before" else [statement])
        answer = post(domain, path, statement)
        assert shown(domain, path) == [statement]
        proof = f"/v1/log/proof/{H([tag('entry'), statement]).hex()}"
        assert until(partial(domain.http.array, "GET", proof))[0] == answer[-1]


@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_while_shares_are_handed_over(tmp_path: Path, when: str) -> None:
    with unopened(tmp_path) as domain:
        domain.open()
        story = tell(domain)
        approve(domain, story.warrant)
        [(_, listing, _)] = story.listings(1)
        release(story, 0, listing)
        domain.process.stop()
        domain.restart(f"shares:{when}")
        with pytest.raises((OSError, http.client.HTTPException)):
            until(partial(hand_over, story, 0, listing))
        assert domain.process.ended() == -9
        domain.restart()
        held = until(partial(domain.institution, domain.opener, "GET", story.path + "/shares"))
        assert len(held[0]) == (when == "after")
        # a holder that got no answer gives them again
        assert until(partial(hand_over, story, 0, listing))
        assert len(domain.institution(domain.opener, "GET", story.path + "/shares")[0]) == 1
