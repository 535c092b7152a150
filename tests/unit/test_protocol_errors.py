"""The one table of errors: its words, what an answer means, sentences for the system's errors."""

import errno
import importlib
import os
import pickle
import pkgutil
import re
import socket
import ssl

import pytest

import counterseal
from counterseal.protocol import errors
from counterseal.protocol.errors import Refused, error_from_status
from counterseal.protocol.os_errors import describe_os_error, error_from_os


def family(root):
    for kind in root.__subclasses__():
        yield kind
        yield from family(kind)


ERRORS = [kind for kind in vars(errors).values() if hasattr(kind, "exit_status")]


def load_everything():
    for module in pkgutil.walk_packages(counterseal.__path__, "counterseal."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)


def test_the_table_in_words_is_the_table_in_code():
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \| (\d+) \| (.+) \|$", errors.__doc__, re.MULTILINE)
    assert rows == [
        (
            kind.__name__,
            str(kind.exit_status),
            str(kind.http_status),
            "a rule's number" if kind is Refused else f"`{kind.default_code}`",
        )
        for kind in ERRORS
    ]


def test_no_other_module_sets_a_status():
    load_everything()
    elsewhere = [
        kind
        for root in (errors.CountersealError, errors.FatalError)
        for kind in family(root)
        if kind not in ERRORS
    ]
    assert elsewhere
    for kind in elsewhere:
        assert not {"exit_status", "http_status"} & set(vars(kind)), kind


def test_errors_cross_process_borders_whole():
    for kind in ERRORS:
        made = kind("W7", "No.") if kind is Refused else kind("No.", code="W7")
        again = pickle.loads(pickle.dumps(made))  # noqa: S301 - made here
        assert (type(again), again.code, again.message) == (kind, "W7", "No.")


@pytest.mark.parametrize("kind", [kind for kind in ERRORS if kind.http_status not in (500,)])
def test_an_answer_means_the_error_that_was_raised(kind):
    if kind is errors.CountersealError:
        return
    sent = kind("W7", "No.") if kind is Refused else kind("No.")
    received = error_from_status(sent.http_status, sent.code, sent.message)
    assert (type(received), received.code, received.message) == (kind, sent.code, "No.")


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (302, errors.BadInput, "bad-input"),
        (400, errors.BadInput, "bad-input"),
        (405, errors.NotFound, "not-found"),
        (418, errors.BadInput, "bad-input"),
        (422, Refused, "refused"),
        (500, errors.Unavailable, "unavailable"),
        (502, errors.Unavailable, "unavailable"),
    ],
)
def test_an_answer_without_words_means_an_error_all_the_same(status, kind, code):
    error = error_from_status(status)
    assert (type(error), error.code) == (kind, code)
    assert str(status) in error.message


def test_an_answers_words_are_bounded():
    error = error_from_status(400, "c" * 10_000, "m" * 10_000)
    assert (len(error.code), len(error.message)) == (64, 2000)


@pytest.mark.parametrize(
    ("number", "kind", "words"),
    [
        (errno.ENOENT, errors.BadInput, "There is no /a/file; "),
        (errno.EISDIR, errors.BadInput, "/a/file is a folder; "),
        (errno.ENOTDIR, errors.BadInput, "/a/file leads through a file; "),
        (errno.EACCES, errors.BadInput, "/a/file may not be used by this user; "),
        (errno.EEXIST, errors.BadInput, "/a/file exists already; "),
        (errno.EROFS, errors.BadInput, "/a/file is on a disk that cannot be written; "),
        (errno.ENAMETOOLONG, errors.BadInput, "The name /a/file is too long; "),
        (errno.ENOSPC, errors.Unavailable, "There is no space left for /a/file; "),
        (errno.EIO, errors.Unavailable, "The disk failed at /a/file; "),
        (errno.EMFILE, errors.Unavailable, "/a/file cannot be opened: too many files are open; "),
        (errno.EXDEV, errors.BadInput, "/a/file cannot be used: Invalid cross-device link."),
    ],
)
def test_a_file_that_fails_is_named_in_a_sentence(number, kind, words):
    error = error_from_os(OSError(number, os.strerror(number), "/a/file"))
    assert type(error) is kind
    assert error.message.startswith(words)
    assert error.message.endswith(".")
    unnamed = OSError(number, os.strerror(number))
    assert describe_os_error(unnamed, "/a/file") == error.message
    assert "/a/file" not in describe_os_error(unnamed)


@pytest.mark.parametrize(
    "error",
    [
        ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"),
        ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"),
        TimeoutError("timed out"),
        TimeoutError(),
        socket.gaierror(-2, "Name or service not known"),
        ssl.SSLError(1, "certificate verify failed"),
        OSError(errno.EADDRINUSE, "Address already in use"),
        OSError(errno.ENETUNREACH, "Network is unreachable"),
    ],
)
def test_a_network_that_fails_may_be_asked_again(error):
    found = error_from_os(error)
    assert (type(found), found.code) == (errors.Unavailable, "network")
    assert re.fullmatch(
        r"The (network failed: .+|address .+); .+\.", found.message.replace("program", "")
    )


@pytest.mark.parametrize("name", [b"/a/\xff", "/a/\udcff", 7])
def test_any_name_can_be_said(name):
    assert describe_os_error(OSError(errno.ENOENT, "No such file or directory", name))
