"""Accounts: their chains of statements, handles and profiles."""

from __future__ import annotations

from starlette.responses import Response

from counterseal.protocol.account_chain import DeviceRevoked
from counterseal.service import clock
from counterseal.service.api.gate import DeviceCall, Gate, InstitutionCall, ServedEndpoint
from counterseal.service.decisions import accounts
from counterseal.service.decisions.accounts import NextStatement
from counterseal.service.delivery import Hub
from counterseal.service.devices import KnownDevices
from counterseal.service.directory import DirectoryRoots
from counterseal.service.store.interface import Store
from counterseal.wire.accounts import (
    ACCOUNT,
    ACCOUNT_CHAIN,
    ACCOUNT_POST,
    CHAIN_POST,
    HANDLE,
    PROFILE_PUT,
    AccountPosted,
    ChainStatementPosted,
    HandleAbsent,
    HandleFound,
    PostAccount,
    PostChainStatement,
    PutProfile,
    ShownAccount,
)
from counterseal.wire.body import Done, encode_body
from counterseal.wire.endpoint import CBOR
from counterseal.wire.notice_key import NOTICE_KEY, AccountFirst


class AccountRoutes:
    """Making, changing and reading accounts."""

    def __init__(
        self,
        domain: str,
        store: Store,
        devices: KnownDevices,
        directory: DirectoryRoots,
        hub: Hub,
    ) -> None:
        self._domain = domain
        self._store = store
        self._devices = devices
        self._directory = directory
        self._hub = hub

    def routes(self, gate: Gate) -> list[ServedEndpoint]:
        """What is served here."""
        return [
            gate.device(ACCOUNT_POST, self.create),
            gate.device(CHAIN_POST, self.extend),
            gate.device(PROFILE_PUT, self.put_profile),
            gate.device(ACCOUNT, self.get),
            gate.institution(ACCOUNT_CHAIN, self.get_for_institution),
            gate.institution(NOTICE_KEY, self.notice_key),
            gate.device(HANDLE, self.look_up),
        ]

    async def create(self, call: DeviceCall[PostAccount]) -> AccountPosted:
        """An account with its first device."""
        new = call.request
        first = accounts.check_first(
            new.handle,
            new.account,
            new.device.statement,
            new.device.possession,
            call.caller,
            self._domain,
        )
        index = await self._store.write(
            "account",
            lambda tables: accounts.create(tables, first, clock.real()),
            lambda _: self._directory.changed(),
        )
        return AccountPosted(first.chain.account_id, index)

    async def extend(self, call: DeviceCall[PostChainStatement]) -> ChainStatementPosted:
        """The next statement of a chain."""
        posted, account = call.request, call.parts["account"]
        record = accounts.read_next(posted.kind, posted.statement, posted.possession)
        chain = await self._store.read(
            lambda snapshot: accounts.get_chain(snapshot.accounts, account, self._domain)
        )
        chain = chain.extend(accounts.link_statement(posted.statement, posted.possession))
        accounts.check_own(account, call.caller)
        following = NextStatement(posted.kind, posted.statement, posted.possession, record, chain)

        def after(_: int) -> None:
            self._directory.changed()
            if isinstance(record, DeviceRevoked):
                self._devices.revoked(account, record.device_key)
                self._hub.revoke(record.device_key)

        index = await self._store.write(
            "statement",
            lambda tables: accounts.extend(tables, account, following, clock.real()),
            after,
        )
        return ChainStatementPosted(index)

    async def get(self, call: DeviceCall[None]) -> ShownAccount:
        """An account, for devices."""
        return await self._shown(call.parts["account"])

    async def get_for_institution(self, call: InstitutionCall[None]) -> ShownAccount:
        """The same for institutions, whose evidence needs the senders' keys."""
        return await self._shown(call.parts["account"])

    async def put_profile(self, call: DeviceCall[PutProfile]) -> Done:
        """The name that an account shows."""
        account, display = call.parts["account"], call.request.display
        accounts.check_profile(account, display, call.caller)
        await self._store.write(
            "profile", lambda tables: tables.accounts.set_display(account, display)
        )
        return Done()

    async def look_up(self, call: DeviceCall[None]) -> HandleFound | Response:
        """The account of a handle, with a proof of presence or of absence."""
        handle = accounts.local_handle(call.parts["handle"], self._domain)
        found = self._directory.look_up(handle)
        if found.account is None:
            absent = HandleAbsent(None, found.proof, found.record, found.log_index)
            return Response(encode_body(absent), 404, media_type=CBOR)
        return HandleFound(found.account, found.proof, found.record, found.log_index)

    async def notice_key(self, call: InstitutionCall[None]) -> AccountFirst:
        """The account's first statement, which names its notice key."""
        shown = await self._shown(call.parts["account"])
        return AccountFirst(shown.chain[0].statement)

    async def _shown(self, account: bytes) -> ShownAccount:
        return await self._store.read(lambda snapshot: accounts.show(snapshot.accounts, account))
