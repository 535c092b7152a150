"""The one place that catches: exit statuses, sentences, and streams that fail."""

import os
import signal
import subprocess
import sys

import pytest

from counterseal.terminal import safe


def run(code, *, stdout=subprocess.PIPE, **environment):
    program = (
        f"import sys\nfrom counterseal import terminal\n{code}\nsys.exit(terminal.run(program))"
    )
    return subprocess.run(
        [sys.executable, "-c", program],
        stdout=stdout,
        stderr=subprocess.PIPE,
        env={**os.environ, **environment},
        check=False,
    )


def raising(what):
    return (
        "from counterseal.protocol.errors import *\n"
        "def deep(): return deep()\n"
        f"def program():\n print('so far')\n {what}"
    )


@pytest.mark.parametrize(
    ("what", "status", "said"),
    [
        ("return None", 0, ""),
        ("return 1", 1, ""),
        ("sys.exit(4)", 4, ""),
        ("sys.exit()", 0, ""),
        ("sys.exit('gone')", 1, "gone\n"),
        ("raise BadInput('No.')", 2, "bad-input: No.\n"),
        ("raise Refused('W7', 'No.')", 3, "W7: No.\n"),
        ("raise Conflict('No.')", 6, "conflict: No.\n"),
        ("raise FatalError('The disk lies.')", 70, "fatal: The disk lies.\n"),
        ("raise BadInput('\\x1b[2J')", 2, "bad-input: <U+001B>[2J\n"),
        ("open('/no/file')", 2, "file: There is no /no/file; check the name, and the folder"),
        ("raise OSError(28, 'No space left on device')", 7, "system: The system refused: No "),
        ("raise ConnectionResetError(104, 'Connection reset by peer')", 7, "network: "),
        ("raise BrokenPipeError(32, 'Broken pipe')", 7, "network: "),
        ("b'\\xff'.decode()", 2, "not-text: "),
        ("'\\udcff'.encode()", 2, "not-text: "),
        ("deep()", 2, "nested: "),
        ("raise MemoryError", 7, "memory: "),
        ("raise KeyboardInterrupt", 130, "Stopped.\n"),
        ("1 / 0", 70, "bug: This program has a bug: ZeroDivisionError in terminal.py line "),
    ],
)
def test_every_end_has_its_status_and_a_sentence(what, status, said):
    done = run(raising(what))
    assert (done.returncode, done.stdout) == (status, b"so far\n")
    assert done.stderr.decode().startswith(said)
    assert bool(done.stderr) == bool(said)
    assert b"Traceback" not in done.stderr
    assert done.stderr.count(b"\n") <= 1


def test_a_bug_names_its_place_and_not_what_somebody_wrote():
    done = run(raising("from counterseal.protocol import cbor; cbor.decode(7, 10)"))
    assert done.returncode == 70
    assert b" in protocol/cbor.py line " in done.stderr
    secret = run(raising("raise KeyError('what somebody wrote')"))
    assert b"KeyError" in secret.stderr
    assert b"what somebody wrote" not in secret.stderr


def test_a_trace_is_shown_when_it_is_asked_for():
    done = run(raising("1 / 0"), COUNTERSEAL_TRACE="1")
    assert done.returncode == 70
    assert b"Traceback" in done.stderr
    assert done.stderr.rstrip().endswith(b"may be private.")


@pytest.mark.parametrize("end", ["return 0", "return 1", "raise BadInput('No.')"])
def test_a_reader_that_goes_away_changes_no_status(end):
    reader, writer = os.pipe()
    os.close(reader)
    code = f" for _ in range(100): print('x' * 10_000)\n assert terminal.output_is_closed()\n {end}"
    done = run(raising("pass\n" + code), stdout=writer)
    os.close(writer)
    wanted = {"return 0": (0, b""), "return 1": (1, b"")}
    assert (done.returncode, done.stderr) == wanted.get(end, (2, b"bad-input: No.\n"))


@pytest.mark.parametrize(("end", "status"), [("return 0", 7), ("return 1", 1)])
def test_an_output_that_is_full_is_said_once(end, status):
    with open("/dev/full", "wb") as full:
        done = run(raising(end.replace("return", "sys.exit(") + ")"), stdout=full)
    assert done.returncode == status
    assert done.stderr.count(b"\n") == (1 if status == 7 else 0)


@pytest.mark.parametrize("streams", ["0<&-", "1>&-", "2>&-", "0<&- 1>&- 2>&-"])
def test_a_closed_stream_gives_its_number_to_no_file(streams, tmp_path):
    program = (
        "import sys, os\nfrom counterseal import terminal\n"
        "def program():\n"
        f" handle = os.open({str(tmp_path / 'file')!r}, os.O_WRONLY | os.O_CREAT)\n"
        " print('text'); sys.stdin.read(); print('text', file=sys.stderr)\n"
        " return 0 if handle > 2 else 9\n"
        "sys.exit(terminal.run(program))"
    )
    command = f'"{sys.executable}" -c "$PROGRAM" {streams} </dev/null'
    if "0<&-" in streams:
        command = command.removesuffix(" </dev/null")
    done = subprocess.run(
        ["/bin/sh", "-c", command], env={**os.environ, "PROGRAM": program}, capture_output=True
    )
    assert done.returncode == 0, done
    assert (tmp_path / "file").read_bytes() == b""


def test_a_terminal_of_another_encoding_shows_the_code():
    done = run(raising("print('\\u05d0')"), PYTHONIOENCODING="latin-1")
    assert (done.returncode, done.stdout) == (0, b"so far\n\\u05d0\n")


WAITING = """
import signal, sys, time
from counterseal import terminal
signal.signal(signal.SIGINT, {before})
def program():
    {block}:
        print("waiting", flush=True)
        time.sleep(60)
    return 5
sys.exit(terminal.run(program))
"""


@pytest.mark.parametrize(
    ("before", "block", "number", "status", "said"),
    [
        ("signal.default_int_handler", "if True", signal.SIGINT, 130, b"Stopped.\n"),
        ("signal.default_int_handler", "with terminal.until_stopped()", signal.SIGINT, 5, b""),
        ("signal.SIG_IGN", "with terminal.until_stopped()", signal.SIGINT, 5, b""),
        ("signal.SIG_IGN", "with terminal.until_stopped()", signal.SIGTERM, 5, b""),
    ],
)
def test_a_program_that_waits_is_stopped(before, block, number, status, said):
    with subprocess.Popen(
        [sys.executable, "-c", WAITING.format(before=before, block=block)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout.readline() == b"waiting\n"
        process.send_signal(number)
        _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (status, said)


@pytest.mark.parametrize(
    ("text", "lines", "shown"),
    [
        ("plain \u05d0\u200d\U0001f600", False, "plain \u05d0\u200d\U0001f600"),
        ("\x1b[2J\r\x07", False, "<U+001B>[2J<U+000D><U+0007>"),
        ("one\ntwo", False, "one<U+000A>two"),
        ("one\ntwo", True, "one\ntwo"),
        ("\u202eabc\u2066\u200f", False, "<U+202E>abc<U+2066><U+200F>"),
        ("\u2028\u2029", True, "<U+2028><U+2029>"),
        ("\udcff", False, "<U+DCFF>"),
    ],
)
def test_text_of_others_moves_nothing(text, lines, shown):
    assert safe(text, lines=lines) == shown
