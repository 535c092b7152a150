"""Errors of those who write a log and who cosign it.

| rule | refuses |
| --- | --- |
| T20 | an old size that is not the one the witness last cosigned (409, body: that size, type |
|     | `text/x.tlog.size`) |
| T22 | a witness that cannot be reached, is too slow, or gives something that is no answer |
"""

from counterseal.protocol.errors import FatalError, Unavailable
from counterseal.tlog.errors import TlogError


class WitnessConflict(TlogError):
    """The witness's latest cosigned size is not the one the request named (T20, HTTP 409). `size`
    is the witness's, in leaves.
    """

    def __init__(self, size: int) -> None:
        super().__init__("T20", f"The witness has cosigned size {size}; send a proof from there.")
        self.size = size

    # copied and pickled with its own argument, which is another than the base's
    def __reduce__(self) -> tuple[type["WitnessConflict"], tuple[int]]:  # type: ignore[override]
        return (type(self), (self.size,))


class WitnessUnavailable(Unavailable):
    """A witness that cannot be reached, answers too slowly, or with something that is no answer
    (T22). Ask it again later.
    """

    default_code = "T22"


class NotPublished(Unavailable):
    """Too few witnesses cosigned (T8): the entries are in the log, the checkpoint is not out.
    Publish again later.
    """

    default_code = "T8"


class FatalLogError(FatalError):
    """The log must not go on writing (T24 to T28). A person has to find out why before the
    sequencer is started again.
    """

    def __init__(self, rule: str, message: str) -> None:
        super().__init__(message, code=rule)
        self.rule = rule

    def __reduce__(self) -> tuple[type["FatalLogError"], tuple[str, str]]:
        return (type(self), (self.rule, self.message))
