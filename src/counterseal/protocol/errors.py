"""One family of errors, with one table of exit and HTTP statuses that command line and service
share.

Every error has a `code` that never changes (a rule of docs/protocol.md such as "W7", or a word such
as "not-found") and a `message`: a sentence or two that say what is wrong, where, and what to do
about it. Errors for people are sentences, not traces.
"""

from __future__ import annotations

from typing import ClassVar


class CountersealError(Exception):
    """Root of what can go wrong through no fault of this program; catching it never hides a
    `FatalError`.
    """

    exit_status: ClassVar[int] = 1
    http_status: ClassVar[int] = 400
    default_code: ClassVar[str] = "error"

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        self.code = code or self.default_code
        self.message = message

    def __str__(self) -> str:
        return f"{self.message} [{self.code}]"


class BadInput(CountersealError):
    """What the caller gave cannot be meant: a missing argument, a wrong file, a number out of
    range.
    """

    exit_status = 2
    http_status = 400
    default_code = "bad-input"


class Refused(CountersealError):
    """A numbered rule refuses what came from outside. `rule` and `code` are the number, as in
    docs/protocol.md.
    """

    exit_status = 3
    http_status = 422
    default_code = "refused"

    def __init__(self, rule: str, message: str) -> None:
        super().__init__(message, code=rule)
        self.rule = rule

    def __reduce__(self) -> tuple[type[Refused], tuple[str, str]]:
        return (type(self), (self.rule, self.message))  # so that it crosses process borders whole


class NotAuthorised(CountersealError):
    """The caller is not, or has not proved to be, somebody who may do this."""

    exit_status = 4
    http_status = 403
    default_code = "not-authorised"


class NotFound(CountersealError):
    """The thing named is not here."""

    exit_status = 5
    http_status = 404
    default_code = "not-found"


class Conflict(CountersealError):
    """Somebody else was first, or what is held differs from what was given: read again, then
    decide.
    """

    exit_status = 6
    http_status = 409
    default_code = "conflict"


class Unavailable(CountersealError):
    """Something this depends on does not answer now; the same call may succeed later."""

    exit_status = 7
    http_status = 503
    default_code = "unavailable"


class FatalError(Exception):
    """A disk that lies or a bug of our own. Stands apart from `CountersealError`: nothing may catch
    it and carry on.
    """

    exit_status: ClassVar[int] = 70
    http_status: ClassVar[int] = 500

    def __init__(self, message: str, *, code: str = "fatal") -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return f"{self.message} [{self.code}]"


STATUSES: dict[type[CountersealError] | type[FatalError], tuple[int, int]] = {
    kind: (kind.exit_status, kind.http_status)
    for kind in (
        CountersealError,
        BadInput,
        Refused,
        NotAuthorised,
        NotFound,
        Conflict,
        Unavailable,
        FatalError,
    )
}
"""Class to (exit status, HTTP status)."""
