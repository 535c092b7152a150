"""Faults need whole systems."""

from tests.system.conftest import domain  # noqa: F401 - a fixture
