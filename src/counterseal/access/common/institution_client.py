"""The service (or a witness) as an institution sees it: the endpoints of `wire` over plain
`http.client`.

Nothing that comes back is believed here; whoever asked verifies. No redirect is followed, no proxy
taken from the environment.
"""

from __future__ import annotations

import http.client
import os
import ssl
import time
from typing import TypeVar
from urllib.parse import urlsplit

from counterseal.protocol.errors import BadInput, Refused, Unavailable, error_from_status
from counterseal.protocol.keys import InstitutionSigner
from counterseal.wire.authentication import NONCE_BYTES, SignedRequest, sign_as_institution
from counterseal.wire.endpoint import CBOR, Authentication, Endpoint
from counterseal.wire.failure import Failure
from counterseal.wire.ledger import LEDGER_POST, PostStatement

ANSWER_MAX = 256 << 20
"""Bytes that one answer may have."""
_TIMEOUT = 120.0  # a large listing's page takes the service a while

Q = TypeVar("Q")
A = TypeVar("A")


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
        wrong = parts.scheme not in ("http", "https") or not parts.hostname
        if wrong or parts.query or parts.fragment:
            raise BadInput(
                f"{url!r} is not an address of the form https://HOST or http://HOST:PORT."
            )
        self.url, self._parts = url.rstrip("/"), parts
        self._domain, self._signer, self._timeout = domain, signer, timeout

    def get(self, path: str, *, signed: bool = False) -> bytes:
        """See `Source`."""
        return self._ask("GET", path, b"", signed)

    def post(
        self,
        endpoint: Endpoint[Q, A],
        request: Q,
        *,
        token: str | None = None,
        **parts: bytes | int | str,
    ) -> A:
        """Posts a request to a route; returns the answer, right in form. `token` is the operator's.
        Raises `Refused` or another `CountersealError`, as the service says.
        """
        signed = endpoint.authentication is Authentication.INSTITUTION
        body = endpoint.encode_request(request)
        return endpoint.decode_answer(self._ask("POST", endpoint.at(**parts), body, signed, token))

    def _ask(
        self, method: str, path: str, body: bytes, signed: bool, token: str | None = None
    ) -> bytes:
        headers = {"Content-Type": CBOR} if body else {}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        if signed:
            headers["Authorization"] = self._authorise(method, path, body)
        status, answer = self._send(method, path, body, headers)
        if status != 200:
            failure = Failure.decode(answer[:65_536])
            if failure is None:
                said = f"the service answered {status} to {path}"
                raise error_from_status(status, "service", said)
            raise error_from_status(status, failure.code, failure.message)
        return answer

    def _authorise(self, method: str, path: str, body: bytes) -> str:
        if self._signer is None:
            raise BadInput(
                f"{path} is for institutions; name the --home whose key signs the request."
            )
        request = SignedRequest(self._domain, method, path, body)
        moment, nonce = int(time.time() * 1000), os.urandom(NONCE_BYTES)
        return sign_as_institution(request, self._signer, moment, nonce)

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
        host, port, timeout = self._parts.hostname, self._parts.port, self._timeout
        if self._parts.scheme == "http":
            return http.client.HTTPConnection(host, port, timeout=timeout)
        context = ssl.create_default_context()
        return http.client.HTTPSConnection(host, port, timeout=timeout, context=context)


def post_statement(service: InstitutionClient, statement: bytes) -> None:
    """Queues a statement for the ledger; durable when this returns, of effect when its leaf is
    cosigned.
    """
    service.post(LEDGER_POST, PostStatement(statement))
