"""What the service refuses beyond the protocol's rules. Codes are stable words; statuses are
HTTP's.
"""

from __future__ import annotations

from counterseal.protocol.errors import BadInput, Conflict, CountersealError, NotAuthorised


class NotAuthenticated(NotAuthorised):
    """The request is not signed as docs/reference/api.md says, or its signature does not verify."""

    http_status = 401
    default_code = "not-authenticated"


class TooLarge(BadInput):
    """A body, a batch or a blob is over its limit."""

    http_status = 413
    default_code = "too-large"


class TooMany(CountersealError):
    """Over the rate that the service allows one device or address; the same request passes a little
    later.
    """

    http_status = 429
    default_code = "too-many"


class EpochConflict(Conflict):
    """Another commit took the epoch's only place. `epoch` is the conversation's current one."""

    default_code = "epoch"

    def __init__(self, epoch: int) -> None:
        super().__init__(
            f"The conversation is at epoch {epoch}; fetch its events and build the commit anew."
        )
        self.epoch = epoch
