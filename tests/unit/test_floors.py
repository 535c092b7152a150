"""What import-linter cannot say: a list of what may be imported, rather than of what may not."""

import subprocess
import sys

import pytest

OUTSIDE = {"counterseal", "cryptography", "msgspec"}
THEIRS = {"_cffi_backend", "_openssl", "typing_extensions"}  # loaded by cryptography and msgspec
INSIDE = tuple(
    f"counterseal.{room}"
    for room in ("access.common", "access.holders", "describe", "files", "protocol", "tlog", "wire")
)
LIST_MODULES = (
    "import sys; before = set(sys.modules); import {}; print(*sorted(set(sys.modules) - before))"
)


@pytest.mark.parametrize(
    "module", ["counterseal.access.holders.custodian", "counterseal.access.holders.witness"]
)
def test_can_be_read_in_an_afternoon(module):
    listed = subprocess.run(
        [sys.executable, "-c", LIST_MODULES.format(module)],
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = listed.stdout.split()
    outside = (
        {name.partition(".")[0] for name in loaded} - sys.stdlib_module_names - OUTSIDE - THEIRS
    )
    inside = [
        name
        for name in loaded
        if name.startswith("counterseal.")
        and name != "counterseal.access"
        and not name.startswith(INSIDE)
    ]
    assert not outside
    assert not inside
