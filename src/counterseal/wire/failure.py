"""How a failure is answered: `{"code": ..., "message": ...}` in JSON.

The code is the number of a rule ("V2") or a stable word ("not-found"); the message is a sentence
for people.
"""

from __future__ import annotations

import msgspec

JSON = "application/json"
CODE_MAX = 64
MESSAGE_MAX = 2_000


class Failure(msgspec.Struct, frozen=True):
    """An error answer's body."""

    code: str
    message: str

    def encode(self) -> bytes:
        """The JSON of the answer's body."""
        return msgspec.json.encode(self)

    @classmethod
    def decode(cls, data: bytes) -> Failure | None:
        """The failure that a body states, cut to 64 and 2,000 characters; None for a body of
        another form, such as a proxy's page.
        """
        try:
            failure = msgspec.json.decode(data, type=cls)
        except (msgspec.DecodeError, RecursionError):
            return None
        return cls(failure.code[:CODE_MAX], failure.message[:MESSAGE_MAX])
