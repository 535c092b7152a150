"""A pytest plugin: which tests are left out, and what that means.

`COUNTERSEAL_CI=1` makes a skipped test a failure, so that nobody takes "passed" for what was not
run. A test that needs a program which nobody has to install is marked `needs("go")`; without that
program it is left out, and the report says so.
"""

from __future__ import annotations

import os
import shutil

import pytest

STRICT = "COUNTERSEAL_CI"
_left_out = pytest.StashKey[dict[str, int]]()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "needs(program): is left out where this is not installed")
    config.stash[_left_out] = {}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    kept, gone = [], []
    for item in items:
        missing = [m.args[0] for m in item.iter_markers("needs") if not shutil.which(m.args[0])]
        (gone if missing else kept).append(item)
        for program in missing:
            counts = config.stash[_left_out]
            counts[program] = counts.get(program, 0) + 1
    if gone:
        config.hook.pytest_deselected(items=gone)
        items[:] = kept


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped") if reporter else None
    if skipped and os.environ.get(STRICT) and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    for program, count in config.stash[_left_out].items():
        terminalreporter.write_line(f"{count} left out: {program} is not installed")
    if os.environ.get(STRICT) and terminalreporter.stats.get("skipped"):
        terminalreporter.write_line(f"A skipped test is a failure where {STRICT} is set.", red=True)
