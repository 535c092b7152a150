"""What is not run is not taken for what passed."""

import subprocess
import sys

import pytest

INNER = """
import pytest

def test_passes():
    pass

@pytest.mark.skipif({skip}, reason="told to")
def test_may_be_skipped():
    pass

@pytest.mark.needs("a-program-that-nobody-has")
def test_is_left_out():
    raise AssertionError
"""


def run_inner(folder, root, skip, strict):
    (folder / "test_inner.py").write_text(INNER.format(skip=skip))
    (folder / "pytest.ini").write_text("[pytest]\n")
    command = [sys.executable, "-m", "pytest", "-p", "tests.support.strict", "-p", "no:xdist", "-q"]
    environment = {"PYTHONPATH": str(root), "PATH": ""} | (
        {"COUNTERSEAL_CI": "1"} if strict else {}
    )
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("skip", "strict", "status"), [(True, True, 1), (True, False, 0), (False, True, 0)]
)
def test_a_skipped_test_fails_the_whole_where_that_is_asked(tmp_path, root, skip, strict, status):
    done = run_inner(tmp_path, root, skip, strict)
    assert done.returncode == status, done.stdout + done.stderr
    assert ("A skipped test is a failure" in done.stdout) == (status == 1)


def test_a_test_that_needs_a_program_is_left_out_and_that_is_said(tmp_path, root):
    done = run_inner(tmp_path, root, False, True)
    assert "1 left out: a-program-that-nobody-has is not installed" in done.stdout
    assert "2 passed, 1 deselected" in done.stdout.splitlines()[-1]
