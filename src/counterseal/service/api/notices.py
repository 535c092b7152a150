"""Notices: published by witnesses; every app tries each with its own key."""

from __future__ import annotations

from counterseal.service import clock
from counterseal.service.api.gate import Call, Gate, InstitutionCall, ServedEndpoint
from counterseal.service.decisions import notices
from counterseal.service.delivery import Hub
from counterseal.service.store.interface import Store
from counterseal.service.trust import DomainRules
from counterseal.wire.notices import (
    NOTICE_POST,
    NOTICES,
    NOTICES_PAGE,
    NoticePosted,
    PostNotice,
    ShownNotice,
    ShownNotices,
)
from counterseal.wire.socket import NoticePushed


class NoticeRoutes:
    """Publishing and reading notices."""

    def __init__(self, store: Store, trust: DomainRules, hub: Hub) -> None:
        self._store = store
        self._trust = trust
        self._hub = hub

    def routes(self, gate: Gate) -> list[ServedEndpoint]:
        """What is served here."""
        return [gate.anybody(NOTICES, self.after), gate.institution(NOTICE_POST, self.post)]

    async def after(self, call: Call[None]) -> ShownNotices:
        """A page of notices."""
        index = call.number("after")
        rows = await self._store.read(
            lambda snapshot: snapshot.releases.notices(index, NOTICES_PAGE)
        )
        return ShownNotices(tuple(ShownNotice(row.index, row.sealed) for row in rows))

    async def post(self, call: InstitutionCall[PostNotice]) -> NoticePosted:
        """A notice by a witness."""
        sealed, position = call.request.sealed, call.request.position
        charters = [one.charter for one in self._trust.rules.charters]
        notices.check_posted(sealed, position, call.caller, charters)
        index = await self._store.write(
            "notice",
            lambda tables: notices.add(tables, sealed, position, clock.real()),
            lambda index: self._hub.notify_all(NoticePushed(index)),
        )
        return NoticePosted(index)
