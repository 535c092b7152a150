"""Whole systems: a domain that every test of a file shares."""

import pytest
from tests.system.domain import Domain


@pytest.fixture(scope="module")
def domain(tmp_path_factory):
    """A demonstration's domain, its clock at the beginning of a period."""
    made = Domain(tmp_path_factory.mktemp("domain"))
    made.start()
    yield made
    made.stop()
