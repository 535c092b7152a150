"""The corrupt parties as fixtures."""

from collections.abc import Iterator

import pytest
from tests.attacks.corrupt_service import CorruptService
from tests.support.domain import Domain


@pytest.fixture
def corrupt(domain: Domain) -> Iterator[CorruptService]:
    """A corrupt service before the honest one of `domain`."""
    made = CorruptService(domain.url)
    yield made
    made.close()
