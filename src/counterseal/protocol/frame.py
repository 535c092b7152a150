"""A frame: one sealed message inside a window (section 5). MLS itself is the compiled core's, which
also raises the rules that are not raised here.

| rule | refuses |
| --- | --- |
| F1 | a PrivateMessage that MLS refuses, or that is not an application message |
| F2 | authenticated data or MLS content not as specified; a `prev` at the first frame, or none |
|    | later |
| F3 | a sender whose leaf, credential and device are not the label's; a device that is revoked |
| F4 | a label, rebuilt from the member's own view and this frame's K, that does not give |
|    | `window_id` |
| F5 | a remade counterseal that does not give `seal_digest` (S2) |
| F6 | a ciphertext that does not open, or padding that is not as specified |
| F7 | a content signature that does not verify, or content that is not as specified |
| F8 | a `seq` that was seen already (same frame again: dropped in silence) |
| F9 | a `prev` that does not fit the frame before (a missing frame before it is shown as a gap, |
|    | not refused) |
| F10 | `sent_at` outside `[opens, closes)` |
| F11 | a frame whose period is over by the member's clock, until its inclusion in the period root |
|     | is proved (pending, not refused) |
| F12 | a `serial` lower than one already seen from the device |
| V1 | a frame of a window whose counterseal is not stored |
| V2 | a `seq` that is not the next of its window (the same bytes again get the first stamp again) |
| V3 | a time outside `[opens, closes + 300)` |
| V4 | an epoch that is not the conversation's current one |
| V5 | a sender that is not the window's device |
| V6 | a body over 64 KiB |
"""

from __future__ import annotations

from typing import Annotated, ClassVar, NamedTuple, TypeVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from msgspec import Meta

from .cbor import H, encode, expand, tag
from .errors import Refused, refuse_as
from .record import Bytes16, Bytes32, Name, Part, Record, Uint
from .sign1 import ReceivedSign1
from .stamp import Stamp, message_digest
from .window import GRACE, Label

BODY_MAX = 65_536
"""Bytes that a posted PrivateMessage may have (V6)."""

R = TypeVar("R", bound=Record)


class Attachment(Part, frozen=True):
    """A sealed blob: digest of the ciphertext, its size in bytes, the key that opens it, and what
    to call it.
    """

    digest: Bytes32
    size: Uint
    key: Bytes32
    name: Annotated[str, Meta(max_length=255)]
    media_type: Annotated[str, Meta(max_length=127)]


class Content(Record, frozen=True, tag="counterseal/v1/content"):
    """What a person said. `sent_at_ms` is in milliseconds."""

    limit: ClassVar[int] = BODY_MAX
    sent_at_ms: Uint
    kind: Name
    text: str
    attachments: Annotated[tuple[Attachment, ...], Meta(max_length=32)]


class Authenticated(Record, frozen=True, tag="counterseal/v1/authenticated"):
    """The `authenticated_data` of one PrivateMessage: routing for the service, and the
    ciphertext.
    """

    limit: ClassVar[int] = BODY_MAX
    window_id: Bytes32
    seal_digest: Bytes32
    seq: Uint
    r: Bytes16
    prev: Bytes32 | None
    ct: Annotated[bytes, Meta(min_length=20, max_length=BODY_MAX)]

    @property
    def external(self) -> bytes:
        """Encoded `[tag("external"), window_id, seal_digest, seq, r, prev]`: AEAD's and COSE's
        associated data.
        """
        return encode(
            [tag("external"), self.window_id, self.seal_digest, self.seq, self.r, self.prev]
        )

    @property
    def ct_digest(self) -> bytes:
        """`H([tag("ct"), ct])`: the next frame's `prev`."""
        return H([tag("ct"), self.ct])


class Key(Record, frozen=True, tag="counterseal/v1/key"):
    """The MLS application data: all that a member lacks to rebuild the label."""

    limit: ClassVar[int] = 256
    key: Bytes32
    opens: Uint
    closes: Uint
    serial: Uint


class WindowPlace(NamedTuple):
    """What the service knows of the window that a frame claims: its label, the next `seq`, the
    conversation's epoch and next number.
    """

    label: Label
    next_seq: int
    epoch: int
    next_n: int


def received_part(kind: type[R], data: bytes) -> R:
    """Authenticated data or MLS content (`Authenticated` or `Key`) from its bytes. Raises `Refused`
    F2.
    """
    with refuse_as("F2", f"A frame's {kind.__name__} is not as specified:"):
        part = kind.decode(data)
    if isinstance(part, Authenticated) and (part.seq == 0) != (part.prev is None):
        raise Refused(
            "F2", "The first frame of a window has no predecessor, and every other names one."
        )
    return part


def pad(data: bytes) -> bytes:
    """Length (uint32, big-endian), the bytes, zeros up to Padme's length of both."""
    length = 4 + len(data)
    return len(data).to_bytes(4, "big") + data + bytes(_padme(length) - length)


def unpad(padded: bytes) -> bytes:
    """What was padded. Raises `Refused` F6 for any padding but the one `pad` makes."""
    data = padded[4 : 4 + int.from_bytes(padded[:4], "big")]
    if pad(data) != padded:
        raise Refused("F6", "The plaintext is not padded as specified.")
    return data


def _padme(length: int) -> int:
    """The least length that keeps only as many leading bits as log2(log2(length)) needs: under 12 %
    more.
    """
    exponent = length.bit_length() - 1
    free = (1 << (exponent - exponent.bit_length())) - 1
    return length + free & ~free


def open_frame(prk: bytes, authenticated: Authenticated) -> bytes:
    """The COSE_Sign1 inside a frame. Raises `Refused` F6."""
    key = expand(prk, [tag("frame"), authenticated.seq, authenticated.r], 32)
    try:
        padded = ChaCha20Poly1305(key).decrypt(bytes(12), authenticated.ct, authenticated.external)
    except InvalidTag:
        raise Refused(
            "F6", f"Frame {authenticated.seq} does not open under its window's key."
        ) from None
    return unpad(padded)


def seal_frame(prk: bytes, authenticated: Authenticated, signed_content: bytes) -> Authenticated:
    """The frame with `signed_content` sealed in it; its `ct` before plays no part. The reference
    for the compiled core.
    """
    key = expand(prk, [tag("frame"), authenticated.seq, authenticated.r], 32)
    ct = ChaCha20Poly1305(key).encrypt(bytes(12), pad(signed_content), authenticated.external)
    head = (
        authenticated.window_id,
        authenticated.seal_digest,
        authenticated.seq,
        authenticated.r,
        authenticated.prev,
    )
    return Authenticated(*head, ct)


def verify_content(signed: bytes, authenticated: Authenticated, device_key: bytes) -> Content:
    """The content, signed by the window's device for this very place. Raises `Refused` F7."""
    with refuse_as("F7", f"The content of frame {authenticated.seq} is not its device's:"):
        received = ReceivedSign1.decode(signed, BODY_MAX)
        return Content.decode(received.verify(device_key, authenticated.external))


def check_prev(authenticated: Authenticated, before: Authenticated | None) -> Authenticated:
    """The frame again, if it follows `before` (None: the frame with the seq before is missing).
    Raises `Refused` F9.
    """
    if (
        before is not None
        and before.seq + 1 == authenticated.seq
        and authenticated.prev != before.ct_digest
    ):
        raise Refused(
            "F9", f"Frame {authenticated.seq} names another predecessor than frame {before.seq}."
        )
    return authenticated


def check_sent_at(content: Content, label: Label) -> Content:
    """The content again. Raises `Refused` F10."""
    if not label.opens * 1000 <= content.sent_at_ms < label.closes * 1000:
        raise Refused(
            "F10", f"The content's time {content.sent_at_ms} ms lies outside its window's period."
        )
    return content


def check_posting(
    authenticated: Authenticated,
    body: bytes,
    place: WindowPlace | None,
    sender: bytes,
    epoch: int,
    now: int,
) -> Stamp:
    """The stamp of a PrivateMessage `body` posted by device `sender` in MLS `epoch` at `now`
    (seconds).

    `place` is None when no counterseal of that window is stored. The same bytes again are the
    caller's to know: they get the first stamp again. Raises `Refused` V1 to V6.
    """
    if len(body) > BODY_MAX:
        raise Refused(
            "V6",
            f"The message has {len(body)} bytes where {BODY_MAX} are allowed; send a blob instead.",
        )
    if place is None:
        raise Refused("V1", "No counterseal is stored for this frame's window; upload it first.")
    if place.label.device_key != sender:
        raise Refused("V5", "This frame's window belongs to another device.")
    if authenticated.seq != place.next_seq:
        raise Refused(
            "V2", f"The frame's seq is {authenticated.seq} where {place.next_seq} is next."
        )
    if not place.label.opens <= now < place.label.closes + GRACE:
        raise Refused(
            "V3",
            f"The window takes frames from {place.label.opens} until {place.label.closes + GRACE}.",
        )
    if epoch != place.epoch:
        raise Refused(
            "V4",
            f"The frame is of epoch {epoch}, the conversation in {place.epoch}; process its "
            "commits.",
        )

    return Stamp(message_digest(body), place.next_n, now)
