"""That period roots follow one another.

| rule | refuses |
| --- | --- |
| P5 | a period root that does not follow the one before |
"""

from counterseal.protocol.period import PeriodRoot
from counterseal.tlog.errors import PeriodError


def check_period_root(
    root: PeriodRoot, domain: str, length: int, before: PeriodRoot | None
) -> PeriodRoot:
    """The record again, if it is this domain's, of one period of `length` seconds, and next after
    `before`. Raises `PeriodError` P1, P5 or P6.
    """
    if root.domain != domain:
        raise PeriodError("P6", f"This is a period root of {root.domain!r}, not of {domain!r}.")
    if root.opens % length or root.closes != root.opens + length:
        raise PeriodError("P1", f"[{root.opens}, {root.closes}) is no period of {length} s.")

    follows = root.previous == (before.digest() if before else None)
    if not follows or (before and before.closes > root.opens):
        raise PeriodError(
            "P5", f"The period root of {root.opens} does not follow the one before it."
        )
    return root
