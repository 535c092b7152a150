"""One family of errors, and the one table of their statuses.

| error | exit status | HTTP status | code |
| --- | --- | --- | --- |
| `CountersealError` | 1 | 400 | `error` |
| `BadInput` | 2 | 400 | `bad-input` |
| `TooLarge` | 2 | 413 | `too-large` |
| `Refused` | 3 | 422 | a rule's number |
| `NotAuthorised` | 4 | 403 | `not-authorised` |
| `NotAuthenticated` | 4 | 401 | `not-authenticated` |
| `NotFound` | 5 | 404 | `not-found` |
| `Conflict` | 6 | 409 | `conflict` |
| `EpochConflict` | 6 | 409 | `epoch` |
| `Unavailable` | 7 | 503 | `unavailable` |
| `TooMany` | 7 | 429 | `too-many` |
| `FatalError` | 70 | 500 | `fatal` |

Every error has a `code` that never changes (a rule of docs/protocol.md such as "W7", or a word such
as "not-found") and a `message`: a sentence or two that say what is wrong, where, and what to do
about it. Other modules derive errors from these and give them codes of their own; the statuses are
set here alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

_CODE_MAX = 64
_MESSAGE_MAX = 2000


class _Coded(Exception):
    """An error with a code that never changes and a sentence about it."""

    default_code: ClassVar[str] = "error"

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        self.code = code or self.default_code
        self.message = message

    def __str__(self) -> str:
        return f"{self.message} [{self.code}]"


class CountersealError(_Coded):
    """Root of what can go wrong through no fault of this program; catching it never hides a
    `FatalError`.
    """

    exit_status: ClassVar[int] = 1
    http_status: ClassVar[int] = 400


class BadInput(CountersealError):
    """What the caller gave cannot be meant: a missing argument, a wrong file, a number out of
    range.
    """

    exit_status = 2
    http_status = 400
    default_code = "bad-input"


class TooLarge(BadInput):
    """A body, a batch, a blob or a file is over its limit."""

    http_status = 413
    default_code = "too-large"


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
        # so that it crosses process borders whole
        return (type(self), (self.rule, self.message))


@contextmanager
def refuse_as(rule: str, said: str, kind: type[Refused] = Refused) -> Iterator[None]:
    """What any rule refuses inside is refused by `rule`, with `said` before the reason."""
    try:
        yield
    except Refused as error:
        raise kind(rule, f"{said} {error.message}") from error


class NotAuthorised(CountersealError):
    """The caller is not, or has not proved to be, somebody who may do this."""

    exit_status = 4
    http_status = 403
    default_code = "not-authorised"


class NotAuthenticated(NotAuthorised):
    """The request is not signed as docs/reference/api.md says, or its signature does not verify."""

    http_status = 401
    default_code = "not-authenticated"


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


class EpochConflict(Conflict):
    """Another commit took the epoch's only place. `epoch` is the conversation's current one, None
    where the service did not say.
    """

    default_code = "epoch"

    def __init__(self, message: str, *, code: str | None = None, epoch: int | None = None) -> None:
        super().__init__(message, code=code)
        self.epoch = epoch


class Unavailable(CountersealError):
    """Something this depends on does not answer now; the same call may succeed later. Whether it
    was carried out is not known.
    """

    exit_status = 7
    http_status = 503
    default_code = "unavailable"


class TooMany(Unavailable):
    """Over the rate that the service allows one device or address; the same request passes a little
    later.
    """

    http_status = 429
    default_code = "too-many"


class FatalError(_Coded):
    """A disk that lies or a bug of our own. It is not a `CountersealError`: nothing may catch it
    and carry on.
    """

    exit_status: ClassVar[int] = 70
    http_status: ClassVar[int] = 500
    default_code = "fatal"


_ANSWERS: dict[int, type[CountersealError]] = {
    401: NotAuthenticated,
    403: NotAuthorised,
    404: NotFound,
    405: NotFound,
    409: Conflict,
    413: TooLarge,
    429: TooMany,
}


def error_from_status(
    status: int, code: str | None = None, message: str | None = None
) -> CountersealError:
    """The error that an HTTP answer means: its class by the status, its code and sentence as
    given, cut to a bounded length.

    Statuses from 500 mean `Unavailable`; 422 means `Refused` by the rule that `code` names; any
    other status, a redirect among them, means `BadInput`.
    """
    code = code[:_CODE_MAX] if code else None
    message = message[:_MESSAGE_MAX] if message else f"The service answered with status {status}."

    if status == 422:
        return Refused(code or Refused.default_code, message)
    if status == 409 and code == EpochConflict.default_code:
        return EpochConflict(message)

    kind = _ANSWERS.get(status, Unavailable if status >= 500 else BadInput)
    return kind(message, code=code)
