"""What the compiled core refuses, as the one family of errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from counterseal.core._core import CoreError
from counterseal.protocol.errors import (
    BadInput,
    CountersealError,
    FatalError,
    Refused,
    Unavailable,
)


@contextmanager
def core_errors() -> Iterator[None]:
    """Raises what the block's calls of the core raise as an error of the one family."""
    try:
        yield
    except CoreError as error:
        raise from_core(error) from None


def from_core(error: CoreError) -> CountersealError | FatalError:
    """A core's error as one of the one family: numbered rules and "mls" are `Refused`."""
    code, message = error.code, error.message
    match code:
        case "fatal":
            return FatalError(message)
        case "busy":
            return Unavailable(
                "Another program has this device open; try again when it is done.", code=code
            )
        case "store":
            return Unavailable(
                f"The device's database cannot be read or written: {message}", code=code
            )
        case "usage":
            return BadInput(message, code=code)
        case _:
            return Refused(code, message)
