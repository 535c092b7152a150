"""Encrypted attachments: announced, uploaded in parts, read by whoever knows the digest."""

from __future__ import annotations

import asyncio

from starlette.responses import FileResponse

from counterseal.service import clock
from counterseal.service.api.gate import DeviceCall, Gate, ServedEndpoint
from counterseal.service.blobs import BlobFiles, UploadLocks
from counterseal.service.decisions import blobs
from counterseal.service.store.interface import Store
from counterseal.wire.blobs import BLOB, BLOB_PATCH, BLOB_POST, BlobOffset, PostBlob
from counterseal.wire.endpoint import OCTETS


class BlobRoutes:
    """Uploading and reading blobs."""

    def __init__(self, store: Store, files: BlobFiles) -> None:
        self._store = store
        self._files = files
        self._locks = UploadLocks()

    def routes(self, gate: Gate) -> list[ServedEndpoint]:
        """What is served here."""
        return [
            gate.device(BLOB_POST, self.begin),
            gate.device(BLOB_PATCH, self.append),
            gate.device(BLOB, self.get),
        ]

    async def begin(self, call: DeviceCall[PostBlob]) -> BlobOffset:
        """An announcement; the answer says where the upload goes on."""
        digest, size, device = call.request.digest, call.request.size, call.caller.device
        offset = await asyncio.to_thread(self._files.begin, digest, size)
        announced = await self._store.write(
            "blob", lambda tables: blobs.announce(tables, digest, size, device, clock.real())
        )
        blobs.check_size(announced, size)
        return BlobOffset(offset)

    async def append(self, call: DeviceCall[bytes]) -> BlobOffset:
        """The next part of an upload."""
        digest, offset, device = call.parts["digest"], call.number("offset"), call.caller.device
        size = await self._store.read(
            lambda snapshot: blobs.get_size(snapshot.blobs, digest, device)
        )
        async with self._locks.of(digest):
            held = await asyncio.to_thread(self._files.append, digest, offset, call.request, size)
        return BlobOffset(held)

    async def get(self, call: DeviceCall[None]) -> FileResponse:
        """A blob's bytes; `Range` is honoured."""
        path = await asyncio.to_thread(self._files.path, call.parts["digest"])
        headers = {"Cache-Control": "private, immutable", "X-Content-Type-Options": "nosniff"}
        return FileResponse(path, media_type=OCTETS, headers=headers)
