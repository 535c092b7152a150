"""What a test says when it means that something is refused."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from tests.support.http import HttpRefusal

from counterseal.core import CoreError
from counterseal.protocol.errors import FatalError, Refused


@contextmanager
def refused(*rules: str, kind: type[Refused] = Refused) -> Iterator[pytest.ExceptionInfo[Refused]]:
    """The block is refused by this numbered rule, or by one of these; gives what pytest caught, so
    that a test may look at `.value`.
    """
    with pytest.raises(kind) as caught:
        yield caught
    assert caught.value.rule in rules, f"refused by another rule: {caught.value}"
    assert caught.value.code == caught.value.rule


@contextmanager
def refused_by_core(code: str) -> Iterator[pytest.ExceptionInfo[CoreError]]:
    """The block is refused by the compiled core with this code: a rule, or a word such as "mls"."""
    with pytest.raises(CoreError) as caught:
        yield caught
    assert caught.value.code == code, f"refused with another code: {caught.value}"
    assert caught.value.message and str(caught.value) == f"{code}: {caught.value.message}"


@contextmanager
def refused_by_service(
    status: int | None, *codes: str
) -> Iterator[pytest.ExceptionInfo[HttpRefusal]]:
    """The block's request is answered with this status and, where any are given, one of these
    codes. None: any status that is an error.
    """
    with pytest.raises(HttpRefusal) as caught:
        yield caught
    answer = caught.value
    assert status in (None, answer.status), f"refused with another status: {answer}"
    assert not codes or answer.code in codes, f"refused with another code: {answer}"


@contextmanager
def fatal(rule: str) -> Iterator[pytest.ExceptionInfo[FatalError]]:
    """The block ends with an error that nobody may catch and carry on."""
    with pytest.raises(FatalError) as caught:
        yield caught
    assert caught.value.code == rule, f"fatal for another reason: {caught.value}"
