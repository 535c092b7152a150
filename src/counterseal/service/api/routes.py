"""Every route of docs/reference/api.md, the busiest first."""

from __future__ import annotations

from starlette.routing import BaseRoute, WebSocketRoute

from counterseal.service.api import (
    access,
    accounts,
    blobs,
    charters,
    conversations,
    frames,
    key_packages,
    ledger,
    notices,
    operator,
    periods,
    public,
    socket,
    windows,
)
from counterseal.service.api.http import KIB, anybody, by_device, by_institution

_CONVERSATION = "/v1/conversations/{id}"
_WARRANT = "/v1/warrants/{digest}"


def routes() -> list[BaseRoute]:
    """The routes in order of matching."""
    return [*_devices(), *_anybody(), *_institutions(), *_operator()]


def _devices() -> list[BaseRoute]:
    return [
        by_device(_CONVERSATION + "/frames", frames.post, method="POST", limit=frames.LIMIT),
        by_device(_CONVERSATION + "/events", conversations.events),
        by_device("/v1/windows", windows.post, method="POST", limit=windows.LIMIT),
        by_device(
            _CONVERSATION + "/commits",
            conversations.commit,
            method="POST",
            limit=conversations.LIMIT,
        ),
        by_device(
            _CONVERSATION + "/proposals",
            conversations.propose,
            method="POST",
            limit=conversations.LIMIT,
        ),
        by_device(_CONVERSATION + "/inclusion/{window}/{seq}", periods.inclusion),
        by_device(
            "/v1/conversations", conversations.create, method="POST", limit=conversations.LIMIT
        ),
        by_device("/v1/conversations", conversations.mine),
        by_device("/v1/inbox", conversations.inbox),
        by_device("/v1/key-packages", key_packages.post, method="POST", limit=key_packages.LIMIT),
        by_device("/v1/key-packages", key_packages.held),
        by_device("/v1/key-packages/claim", key_packages.claim, method="POST", limit=32 * KIB),
        by_device(
            "/v1/accounts", accounts.create, method="POST", limit=accounts.LIMIT, known=False
        ),
        by_device(
            "/v1/accounts/{id}/statements",
            accounts.extend,
            method="POST",
            limit=accounts.LIMIT,
            known=False,
        ),
        by_device("/v1/accounts/{id}/profile", accounts.put_profile, method="PUT", limit=KIB),
        by_device("/v1/accounts/{id}", accounts.get),
        by_device("/v1/handles/{handle}", accounts.look_up),
        by_device("/v1/blobs", blobs.begin, method="POST", limit=KIB),
        by_device("/v1/blobs/{digest}", blobs.append, method="PATCH", limit=blobs.LIMIT),
        by_device("/v1/blobs/{digest}", blobs.get),
        WebSocketRoute("/v1/ws", socket.serve),
    ]


def _anybody() -> list[BaseRoute]:
    return [
        anybody("/v1/health", public.health),
        anybody("/v1/identity", public.identity),
        anybody("/v1/clock", public.clock_now),
        anybody("/v1/charter", public.charter),
        anybody("/v1/charters", public.charters),
        anybody("/v1/charters", charters.post_charter, method="POST", limit=charters.LIMIT),
        anybody("/v1/charters/{digest}", public.charter_by_digest),
        anybody("/v1/keysets/draft/{quarter}", charters.draft),
        anybody("/v1/keysets/holder-keys", charters.post_holder_key, method="POST", limit=64 * KIB),
        anybody("/v1/keysets", charters.post_keyset, method="POST", limit=charters.LIMIT),
        anybody("/v1/keysets/{charter_digest}", public.keysets),
        anybody("/v1/revocations", public.revocations),
        anybody("/v1/revocations", charters.post_revocation, method="POST", limit=charters.LIMIT),
        anybody("/v1/ledger", ledger.post, method="POST", limit=charters.LIMIT),
        anybody("/v1/ledger/status", ledger.status),
        anybody("/v1/log/proof/{entry}", public.log_proof),
        anybody("/v1/ledger/proof/{index}", public.ledger_proof),
        anybody("/v1/{name}/consistency", public.consistency),
        anybody("/v1/statements/{entry}", public.statement),
        anybody("/v1/notices", notices.after),
        anybody("/v1/periods", periods.after),
        anybody("/ledger/chunk/{n}", ledger.chunk),
        anybody("/log/{path:path}", public.log_file),
        anybody("/ledger/{path:path}", public.ledger_file),
    ]


def _institutions() -> list[BaseRoute]:
    return [
        by_institution(_WARRANT + "/listings", access.listings),
        by_institution(_WARRANT + "/listings/{n}/holder/{position}", access.for_holder),
        by_institution(_WARRANT + "/listings/{n}/material", access.material),
        anybody(_WARRANT + "/shares", access.post_shares, method="POST", limit=charters.LIMIT),
        by_institution(_WARRANT + "/shares", access.shares),
        by_institution("/v1/accounts/{id}/notice-key", accounts.notice_key),
        by_institution("/v1/accounts/{id}/chain", accounts.get),
        by_institution("/v1/notices", notices.post, method="POST", limit=64 * KIB),
    ]


def _operator() -> list[BaseRoute]:
    return [
        anybody("/v1/operator/clock", operator.step, method="POST", limit=KIB),
        anybody("/v1/operator/drained", operator.drained),
    ]
