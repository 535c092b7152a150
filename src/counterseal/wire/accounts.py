"""Accounts: their chains of statements, handles and profiles."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from counterseal.protocol.account_chain import CHAIN_MAX
from counterseal.protocol.directory_root import HANDLE_MAX, DirectoryRoot
from counterseal.protocol.record import Bytes32, Part, Signature, Uint

from .body import KIB, MIB, Done
from .endpoint import Authentication, Endpoint, ErrorCode, Otherwise
from .notice_key import NO_ACCOUNT, AccountCose

LOOKUP_PROOF_MAX = 16_384
"""Bytes of an encoded lookup-proof (docs/tlog.md)."""
ChainKind = Annotated[str, Meta(min_length=1, max_length=32)]
DisplayName = Annotated[str, Meta(max_length=200)]
LookupProofBytes = Annotated[bytes, Meta(min_length=1, max_length=LOOKUP_PROOF_MAX)]
DirectoryRootBytes = Annotated[bytes, Meta(min_length=1, max_length=DirectoryRoot.limit)]


class NewDevice(Part, frozen=True):
    """A device statement (COSE_Sign1) and the device key's proof of possession."""

    statement: AccountCose
    possession: Signature


class PostAccount(Part, frozen=True):
    """A new account: its handle, its first statement and its first device's."""

    handle: Annotated[str, Meta(max_length=400)]
    account: AccountCose
    device: NewDevice


class AccountPosted(Part, frozen=True):
    """The account's id, and the place of the device statement in the log; the account's own
    statement is one before it.
    """

    account_id: Bytes32
    log_index: Uint


class PostChainStatement(Part, frozen=True):
    """The next statement of an account's chain: `device`, `device-revoked` or `account-key`."""

    kind: ChainKind
    statement: AccountCose
    possession: Signature | None


class ChainStatementPosted(Part, frozen=True):
    """The statement's place in the log."""

    log_index: Uint


class ShownChainStatement(Part, frozen=True):
    """A statement of an account's chain, as the service shows it."""

    kind: ChainKind
    statement: AccountCose
    possession: Signature | None
    log_index: Uint


class ShownAccount(Part, frozen=True):
    """An account's handle, display name and chain, as the service shows them."""

    handle: Annotated[str, Meta(max_length=HANDLE_MAX)]
    display: DisplayName
    chain: Annotated[tuple[ShownChainStatement, ...], Meta(max_length=CHAIN_MAX + 1)]


class HandleFound(Part, frozen=True):
    """Where a handle points: the account, the proof of it (an encoded lookup-proof) and the logged
    directory root that the proof is under.
    """

    account_id: Bytes32
    proof: LookupProofBytes
    root: DirectoryRootBytes
    log_index: Uint


class HandleAbsent(Part, frozen=True):
    """That the directory root has no such handle, proved likewise."""

    account_id: None
    proof: LookupProofBytes
    root: DirectoryRootBytes
    log_index: Uint


class PutProfile(Part, frozen=True):
    """The display name that others are shown: at most 200 bytes."""

    display: DisplayName


_OTHERS = ErrorCode(403, "other-account", "the account is not the caller's own")
_HANDLE_FORM = ErrorCode(400, "handle-form", "the handle is of another form")
_CHAIN_RULES = ErrorCode(422, "A1 to A9", "the chain is refused")

ACCOUNT_POST: Endpoint[PostAccount, AccountPosted] = Endpoint(
    method="POST",
    path="/v1/accounts",
    authentication=Authentication.NEW_DEVICE,
    summary="Makes an account with its first device, which signs the request.",
    notes=(
        "The same bytes again get the same answer. A handle is the part before the domain: 1 to "
        "64 of `a-z 0-9 . _ -`, a letter or digit first and last; `@handle:domain` means the same."
    ),
    request=PostAccount,
    answer=AccountPosted,
    errors=(
        _HANDLE_FORM,
        ErrorCode(403, "first-device", "the caller is not the account's first device"),
        ErrorCode(409, "handle", "the handle is taken"),
        ErrorCode(409, "account", "the account has another handle"),
        ErrorCode(409, "device", "the device key is another account's"),
        _CHAIN_RULES,
    ),
    request_max=16 * KIB,
    repeatable=True,
)
CHAIN_POST: Endpoint[PostChainStatement, ChainStatementPosted] = Endpoint(
    method="POST",
    path="/v1/accounts/{account}/statements",
    authentication=Authentication.NEW_DEVICE,
    summary="Adds the next statement to an account's chain.",
    notes=(
        "From any device of the account, a new one included: the account key's signature decides."
    ),
    request=PostChainStatement,
    answer=ChainStatementPosted,
    errors=(
        ErrorCode(400, "kind", "the statement is of another kind"),
        _OTHERS,
        NO_ACCOUNT,
        ErrorCode(409, "chain", "another statement came first"),
        ErrorCode(409, "device", "the device key is another account's"),
        _CHAIN_RULES,
    ),
    request_max=16 * KIB,
)
ACCOUNT: Endpoint[None, ShownAccount] = Endpoint(
    method="GET",
    path="/v1/accounts/{account}",
    authentication=Authentication.DEVICE,
    summary="An account's handle, display name and chain.",
    answer=ShownAccount,
    errors=(NO_ACCOUNT,),
    answer_max=5 * MIB,
)
ACCOUNT_CHAIN: Endpoint[None, ShownAccount] = Endpoint(
    method="GET",
    path="/v1/accounts/{account}/chain",
    authentication=Authentication.INSTITUTION,
    summary="The same for institutions, whose evidence needs the senders' keys.",
    answer=ShownAccount,
    errors=(NO_ACCOUNT,),
    answer_max=5 * MIB,
)
HANDLE: Endpoint[None, HandleFound] = Endpoint(
    method="GET",
    path="/v1/handles/{handle}",
    authentication=Authentication.DEVICE,
    summary="The account that a handle points to, with the proof.",
    notes=(
        "Status 404 with an array proves that there is no such handle. A root follows a change "
        "within a minute, in a demonstration within about a second."
    ),
    answer=HandleFound,
    otherwise=(Otherwise(404, HandleAbsent),),
    errors=(_HANDLE_FORM, ErrorCode(503, "no-root", "no directory root is logged yet")),
)
PROFILE_PUT: Endpoint[PutProfile, Done] = Endpoint(
    method="PUT",
    path="/v1/accounts/{account}/profile",
    authentication=Authentication.DEVICE,
    summary="Sets the caller's display name.",
    request=PutProfile,
    answer=Done,
    errors=(
        ErrorCode(400, "display-name", "the name is over 200 bytes"),
        _OTHERS,
    ),
    repeatable=True,
)
