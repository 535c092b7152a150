"""The service as a holder or an issuer sees it: GET and POST of CBOR arrays over plain
`http.client` (docs/reference/api.md).

Nothing that comes back is believed here; whoever asked verifies. No redirect is followed, no proxy
taken from the environment.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import os
import ssl
import time
from typing import Any
from urllib.parse import urlsplit

from counterseal.protocol import cbor
from counterseal.protocol.errors import (
    BadInput,
    CountersealError,
    Refused,
    Unavailable,
    error_from_status,
)
from counterseal.protocol.keys import InstitutionSigner

from .sources import ANSWER_MAX

_TIMEOUT = 120.0  # a large listing's page takes the service a while


class InstitutionClient:
    """A service (or a witness) at an address such as `https://chat.example.org`."""

    def __init__(
        self,
        url: str,
        domain: str = "",
        signer: InstitutionSigner | None = None,
        timeout: float = _TIMEOUT,
    ) -> None:
        """`domain` and `signer` are for what only an institution may ask. Raises `BadInput` for an
        address of another form.
        """
        parts = urlsplit(url)
        if (
            parts.scheme not in ("http", "https")
            or not parts.hostname
            or parts.query
            or parts.fragment
        ):
            raise BadInput(
                f"{url!r} is not an address of the form https://HOST or http://HOST:PORT."
            )
        self.url, self._parts = url.rstrip("/"), parts
        self._domain, self._signer, self._timeout = domain, signer, timeout

    def get(self, path: str, *, signed: bool = False) -> bytes:
        """See `Source`."""
        return self._ask("GET", path, b"", signed)

    def post(self, path: str, value: Any, *, signed: bool = False) -> tuple[Any, ...]:
        """Posts an array and gives the array answered."""
        answer = cbor.decode(self._ask("POST", path, cbor.encode(value), signed), ANSWER_MAX)
        if type(answer) is not tuple:
            raise Refused("E6", f"The answer to {path} is not an array.")
        return answer

    def post_raw(self, path: str, body: bytes) -> tuple[int, bytes]:
        """Status and body of a POST whose answer is not CBOR (the tlog-witness interface). Raises
        `Unavailable`.
        """
        return self._send("POST", path, body, {"Content-Type": "text/plain"})

    def _ask(self, method: str, path: str, body: bytes, signed: bool) -> bytes:
        headers = {"Content-Type": "application/cbor"} if body else {}
        if signed:
            headers["Authorization"] = self._authorise(method, path, body)
        status, answer = self._send(method, path, body, headers)
        if status != 200:
            raise _refusal(status, answer, path)
        return answer

    def _authorise(self, method: str, path: str, body: bytes) -> str:
        if self._signer is None:
            raise BadInput(
                f"{path} is for institutions; name the --home whose key signs the request."
            )
        moment, nonce = int(time.time() * 1000), os.urandom(16)
        message = cbor.encode(
            (
                cbor.tag("institution-request"),
                self._domain,
                method,
                path,
                moment,
                nonce,
                hashlib.sha256(body).digest(),
            )
        )
        ed25519, mldsa65 = self._signer.sign(message, message)
        return f"Counterseal-Institution {_text(self._signer.kid)}.{moment}.{_text(nonce)}.{_text(ed25519)}.{_text(mldsa65)}"

    def _send(
        self, method: str, path: str, body: bytes, headers: dict[str, str]
    ) -> tuple[int, bytes]:
        connection = self._connect()
        try:
            connection.request(method, self._parts.path.rstrip("/") + path, body or None, headers)
            response = connection.getresponse()
            answer = response.read(ANSWER_MAX + 1)
        except (OSError, http.client.HTTPException) as error:
            raise Unavailable(
                f"{self.url} does not answer ({type(error).__name__}: {error}); try again later."
            ) from None
        finally:
            connection.close()
        if len(answer) > ANSWER_MAX:
            raise Refused("E4", f"The answer to {path} is over {ANSWER_MAX >> 20} MiB.")
        return response.status, answer

    def _connect(self) -> http.client.HTTPConnection:
        assert self._parts.hostname is not None  # __init__ refuses an address without one
        if self._parts.scheme == "https":
            context = ssl.create_default_context()
            return http.client.HTTPSConnection(
                self._parts.hostname, self._parts.port, timeout=self._timeout, context=context
            )
        return http.client.HTTPConnection(
            self._parts.hostname, self._parts.port, timeout=self._timeout
        )


def post_statement(service: InstitutionClient, statement: bytes) -> None:
    """Queues a statement for the ledger; durable when this returns, of effect when its leaf is
    cosigned.
    """
    service.post("/v1/ledger", (statement,))


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _refusal(status: int, answer: bytes, path: str) -> CountersealError:
    try:
        said = json.loads(answer[:65_536])
        code, message = str(said["code"])[:64], str(said["message"])[:2000]
    except (ValueError, KeyError, TypeError):
        code, message = "service", f"the service answered {status} to {path}"
    return error_from_status(status, code, message)
