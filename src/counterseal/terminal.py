"""A program at its terminal: its streams, its exit status, and text of other people made safe.

`run` is the one place that catches what went wrong. Whatever that was, a person sees a sentence or
two that say what, where and what to do about it, and never a trace:

| what happened | exit status |
| --- | --- |
| nothing was wrong | 0, or what the program says |
| `CountersealError` | as protocol/errors.py says |
| a file or the system's network failed | as `error_from_os` says: 2 or 7 |
| bytes that are no text, or a nesting too deep | 2 |
| too little memory | 7 |
| Ctrl-C | 130 |
| `FatalError`, or a bug of this program | 70 |

A reader that closes its end of a pipe is no fault: the rest of the output goes nowhere, and the
program ends with the status it would have had. With COUNTERSEAL_TRACE=1 the trace is printed too;
it may hold what a person wrote.
"""

from __future__ import annotations

import io
import os
import signal
import sys
import traceback
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from counterseal.protocol.errors import (
    BadInput,
    CountersealError,
    FatalError,
    Unavailable,
)
from counterseal.protocol.os_errors import error_from_os

INTERRUPTED = 130
"""Exit status of a command that a person stopped with Ctrl-C."""

TRACE = "COUNTERSEAL_TRACE"
"""The environment variable that asks for the trace of an error."""

_BIDI = {
    "\u061c",
    "\u200e",
    "\u200f",
    *map(chr, range(0x202A, 0x202F)),
    *map(chr, range(0x2066, 0x206A)),
}
# needed by scripts and emoji; they move nothing
_JOINERS = {"\u200c", "\u200d"}


def run(program: Callable[[], int | None]) -> int:
    """Runs a program and returns its exit status; says on the error stream what went wrong.

    Every exception ends here, so it is for a process's main function alone.
    """
    output = _prepare_streams()
    try:
        status = program() or 0
        sys.stdout.flush()
    except SystemExit as asked:
        status = _flush(_status_of(asked))
    except KeyboardInterrupt as error:
        _say("Stopped.", error)
        status = INTERRUPTED
    except BaseException as error:
        status = _complain(_explain(error), error)

    output.give_up()
    return status


@contextmanager
def until_stopped() -> Iterator[None]:
    """Runs what goes on until somebody stops it: Ctrl-C and SIGTERM end the block, and neither is a
    fault. Both are heard also where a shell's background job has inherited that Ctrl-C is ignored.
    """
    before = {
        signal.SIGINT: signal.signal(signal.SIGINT, signal.default_int_handler),
        signal.SIGTERM: signal.signal(signal.SIGTERM, _interrupt),
    }
    try:
        yield
    except KeyboardInterrupt:
        pass
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    signal.raise_signal(signal.SIGINT)


def output_is_closed() -> bool:
    """Whether whoever read this program's output has closed the pipe: what runs until it is stopped
    stops then.
    """
    return _output is not None and _output.closed_by_reader


def safe(text: str, *, lines: bool = False) -> str:
    """`text` with every control, direction mark and unassigned character shown as its code,
    `<U+001B>`: nothing in a message or a name may move the cursor, colour or hide anything. `lines`
    keeps line ends.
    """
    return "".join(
        c if _harmless(c) or (lines and c == "\n") else f"<U+{ord(c):04X}>" for c in text
    )


def _harmless(c: str) -> bool:
    if c in _BIDI:
        return False
    return c in _JOINERS or (
        unicodedata.category(c)[0] != "C" and unicodedata.category(c) not in ("Zl", "Zp")
    )


class _Output(io.RawIOBase):
    """Standard output, whose reader may go away without disturbing the program."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.closed_by_reader = False

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def write(self, data: object) -> int:
        """See `RawIOBase`. After the reader went away everything is taken and dropped."""
        assert isinstance(data, bytes | bytearray | memoryview)
        try:
            return os.write(self._descriptor, data)
        except BrokenPipeError:
            self.closed_by_reader = True
            self.give_up()
            return len(data)
        except OSError as error:
            error.filename = "the standard output"
            raise

    def give_up(self) -> None:
        """From now on what is written goes nowhere, as does what Python still holds at the end."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._descriptor)
        os.close(nowhere)


_output: _Output | None = None


def _prepare_streams() -> _Output:
    """Makes the three streams usable: one that is closed leads nowhere, so that no file takes its
    number; output in an encoding that lacks a character shows its code.
    """
    global _output
    for descriptor, flags in ((0, os.O_RDONLY), (1, os.O_WRONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(descriptor)
        except OSError:
            # the lowest free number, which is this one
            os.open(os.devnull, flags)

    _output = _Output(1)
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    sys.stdout = io.TextIOWrapper(
        io.BufferedWriter(_output),
        encoding=encoding,
        errors="backslashreplace",
        line_buffering=_output.isatty(),
    )
    if getattr(sys, "stdin", None) is None:
        sys.stdin = open(0, encoding="utf-8")  # noqa: SIM115 - as long as the program
    if getattr(sys, "stderr", None) is None:
        sys.stderr = open(2, "w", encoding="utf-8")  # noqa: SIM115 - as long as the program
    return _output


def _status_of(asked: SystemExit) -> int:
    if asked.code is None or isinstance(asked.code, int):
        return asked.code or 0
    _write_error(str(asked.code))
    return 1


def _flush(status: int) -> int:
    """The status, or that of an output that cannot be written."""
    try:
        sys.stdout.flush()
    except OSError as error:
        return status or _complain(error_from_os(error), error)
    return status


def _explain(error: BaseException) -> CountersealError | FatalError:
    """The error that stands for whatever was raised."""
    match error:
        case CountersealError() | FatalError():
            return error
        case OSError():
            return error_from_os(error)
        case UnicodeError():
            return BadInput(
                "Something that was given is no text in UTF-8; look for a file or a word in another"
                " encoding.",
                code="not-text",
            )
        case RecursionError():
            return BadInput(
                "What was given is nested too deeply to be read; it was not made by this program.",
                code="nested",
            )
        case MemoryError():
            return Unavailable("There is not enough memory for what was given.", code="memory")
        case _:
            return FatalError(
                f"This program has a bug: {type(error).__name__} in {_place(error)}. Please report"
                f" that, with the command; {TRACE}=1 shows more, which may be private.",
                code="bug",
            )


def _place(error: BaseException) -> str:
    """The file and line of ours in which an exception was raised. Its text is left out, which could
    hold what a person wrote.
    """
    here = Path(__file__).parent
    ours = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename).is_relative_to(here)
    ]
    if not ours:
        return "the interpreter"
    return f"{Path(ours[-1].filename).relative_to(here)} line {ours[-1].lineno}"


def _complain(meant: CountersealError | FatalError, error: BaseException) -> int:
    _say(f"{meant.code}: {meant.message}", error)
    return meant.exit_status


def _say(sentence: str, error: BaseException) -> None:
    if os.environ.get(TRACE):
        sentence = "".join(traceback.format_exception(error)) + sentence
    _write_error(sentence)


def _write_error(sentence: str) -> None:
    try:
        sys.stdout.flush()
    except OSError:
        pass
    try:
        sys.stderr.write(safe(sentence, lines=True) + "\n")
        sys.stderr.flush()
    except OSError:
        # nobody is there to be told
        pass
