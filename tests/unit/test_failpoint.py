"""Where a test may kill the process."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import counterseal
from counterseal import failpoint

PROGRAM = """
from counterseal.failpoint import reach
for number in range(3):
    print(number, flush=True)
    reach("queue.after")
    reach("blob.append", "before")
    reach("blob.append", "after")
print("end")
"""


@pytest.mark.parametrize(
    ("setting", "reached"),
    [
        (None, ["0", "1", "2", "end"]),
        ("", ["0", "1", "2", "end"]),
        ("queue.after", ["0"]),
        ("queue.after:2", ["0", "1"]),
        ("queue.after:9", ["0", "1", "2", "end"]),
        ("blob.append", ["0", "1", "2", "end"]),
        ("blob.append:after", ["0"]),
        ("blob.append:before:3", ["0", "1", "2"]),
    ],
)
def test_the_process_dies_there_and_nowhere_else(setting, reached):
    environment = {**os.environ}
    environment.pop(failpoint.VARIABLE, None)
    if setting is not None:
        environment[failpoint.VARIABLE] = setting
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True
    )
    assert ended.stdout.split() == reached
    assert ended.returncode == (0 if "end" in reached else -9)


def test_every_step_of_a_device_is_marked_in_its_code():
    root = Path(counterseal.__file__).parent / "client"
    code = "".join(file.read_text() for file in root.rglob("*.py"))
    for step in failpoint.DEVICE_STEPS:
        assert f'failpoint.reach("{step}")' in code
