"""Encrypted attachments: announced by digest and size, uploaded from wherever the upload stands,
read by whoever knows the digest.
"""

from __future__ import annotations

import asyncio

import apsw
from starlette.responses import FileResponse

from counterseal.protocol.errors import Conflict, NotAuthorised
from counterseal.protocol.record import Bytes32, Part, Uint
from counterseal.service import clock
from counterseal.service.api.http import MIB, Answer, DeviceCall
from counterseal.service.store import blobs

LIMIT = 4 * MIB
"""Bytes of one PATCH."""


class Announced(Part, frozen=True):
    """`[digest, size]`."""

    digest: Bytes32
    size: Uint


async def begin(call: DeviceCall) -> Answer:
    """`POST /v1/blobs`."""
    service, posted = call.service, call.decode(Announced)
    offset = await asyncio.to_thread(service.blobs.begin, posted.digest, posted.size)

    def job(db: apsw.Connection) -> int:
        return blobs.announce(db, posted.digest, posted.size, call.caller.device, clock.real())

    size = await service.store.write("blob", job)
    if size != posted.size:
        raise Conflict(f"This digest was announced with {size} bytes.", code="blob-size")
    return [offset]


async def append(call: DeviceCall) -> Answer:
    """`PATCH /v1/blobs/{digest}?offset=N`."""
    service, digest, offset = call.service, call.hex("digest"), call.integer("offset")
    announced = blobs.get(service.store.reader, digest)
    if announced.uploader != call.caller.device:
        raise NotAuthorised(
            "Another device is uploading this blob; announce it anew once that is over.",
            code="other-device",
        )
    async with service.blob_lock(digest):
        return [
            await asyncio.to_thread(service.blobs.append, digest, offset, call.body, announced.size)
        ]


async def get(call: DeviceCall) -> Answer:
    """`GET /v1/blobs/{digest}`; `Range` is honoured."""
    path = await asyncio.to_thread(call.service.blobs.path, call.hex("digest"))
    headers = {"Cache-Control": "private, immutable", "X-Content-Type-Options": "nosniff"}
    return FileResponse(path, media_type="application/octet-stream", headers=headers)
