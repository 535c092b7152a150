"""Whatever is given to any command, a person sees a sentence and never a trace.

Every command is run as a process of its own: forked from one that has loaded them all, for speed.
"""

import itertools
import json
import os
import re
import subprocess
import sys

import click
import pytest

from counterseal.cli.main import program

DRIVER = r"""
import gc, json, os, signal, sys, traceback
import counterseal.cli.main as cli
for name in list(cli._COMMANDS):
    cli.program.get_command(None, name)

def child(order):
    os.environ.update(order["environment"])
    os.chdir(order["folder"])
    signal.alarm(30)
    for descriptor, name in ((1, "out"), (2, "err")):
        handle = os.open(os.path.join(order["folder"], name), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(handle, descriptor)
        os.close(handle)
    nowhere = os.open("/dev/null", os.O_RDONLY)
    os.dup2(nowhere, 0)
    os.close(nowhere)
    if order["stdout"] == "closed":
        os.close(1)
        sys.stdout = None
    elif order["stdout"] == "full":
        os.dup2(os.open("/dev/full", os.O_WRONLY), 1)
    elif order["stdout"] == "gone":
        reader, writer = os.pipe()
        os.dup2(writer, 1)
        os.close(reader)
        os.close(writer)
    sys.argv = ["counterseal", *order["words"]]
    try:
        cli.main()
    except SystemExit as end:
        status = end.code
    # as the interpreter does at its end
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)

gc.disable()
gc.freeze()
answers = os.fdopen(os.dup(1), "w")
for line in sys.stdin:
    order = json.loads(line)
    pid = os.fork()
    if pid == 0:
        try:
            child(order)
        except BaseException:
            traceback.print_exc()
            os._exit(99)
    answers.write(f"{os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])}\n")
    answers.flush()
"""


class Done:
    """What a command said, and its exit status."""

    def __init__(self, words, status, out, err):
        self.words, self.status, self.out, self.err = words, status, out, err

    def __repr__(self):
        return f"{' '.join(self.words)} -> {self.status}\n{self.out}{self.err}"


class Driver:
    """Runs commands in a folder."""

    def __init__(self, folder):
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, "-c", DRIVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def run(self, *words, stdout="file", **environment):
        order = {
            "words": [str(word) for word in words],
            "folder": str(self.folder),
            "stdout": stdout,
            "environment": {"COUNTERSEAL_HOME": str(self.folder / "nobody"), **environment},
        }
        self.process.stdin.write(json.dumps(order).encode() + b"\n")
        self.process.stdin.flush()
        status = int(self.process.stdout.readline())
        out, err = ((self.folder / name).read_bytes() for name in ("out", "err"))
        return Done(order["words"], status, out.decode(), err.decode())

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()


@pytest.fixture(scope="module")
def cli(tmp_path_factory):
    """A driver; its folder has an issuer's home and wrong things of every kind."""
    folder = tmp_path_factory.mktemp("cli")
    (folder / "folder").mkdir()
    (folder / "random").write_bytes(bytes(range(255, -1, -1)) * 40)
    (folder / "deep").write_bytes(b"\x81" * 100_000)
    (folder / "empty").write_bytes(b"")
    for name, file in (("institution", "keys"), ("device", "pins"), ("service", "service.key")):
        (folder / f"random-{name}").mkdir()
        (folder / f"random-{name}" / file).write_bytes(os.urandom(300))
    driver = Driver(folder)
    made = driver.run(
        "issuer", "keygen", "--home", "home", "--name", "I", "--body", "B", "--no-lock"
    )
    assert made.status == 0, made
    yield driver
    driver.close()


def commands(group=program, path=()):
    for name in group.list_commands(None):
        command = group.get_command(None, name)
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


ALL = dict(commands())
GROUPS = [(), *dict.fromkeys(path[:1] for path in ALL if len(path) > 1)]
PLACES = ("out", "proofs", "save")
"""Parameters that name what is to be made."""


def is_path(parameter):
    return isinstance(parameter.type, click.Path) or parameter.name in ("home", "directory")


def find_inputs():
    for path, command in ALL.items():
        for parameter in command.params:
            if is_path(parameter) and parameter.name not in PLACES:
                yield path, parameter.name


INPUTS = [pytest.param(*pair, id=f"{' '.join(pair[0])}-{pair[1]}") for pair in find_inputs()]


def line(path, **given):
    """A command line on which everything required is given, and what is in `given`."""
    words = list(path)
    arguments = []
    for parameter in ALL[path].params:
        value = given.get(parameter.name)
        if value is None and path == ("custodian", "release") and "bundle" in given:
            value = VALUES.get(parameter.name)
        if value is None and parameter.required:
            value = VALUES.get(parameter.name, "2026-11-01")
        if value is None:
            continue
        if isinstance(parameter, click.Argument):
            arguments.append(value)
        else:
            words += [parameter.opts[0], value]
    if path == ("demo",):
        words += ["--headless", "--out", "demo-out"]
    return [*words, *(("--yes",) if takes(path, "yes") else ()), "--", *arguments]


def takes(path, name):
    return any(parameter.name == name for parameter in ALL[path].params)


VALUES = {
    "home": "home",
    "service_url": "http://127.0.0.1:9",
    "service": "http://127.0.0.1:9",
    "source": "charter.toml",
    "cards": "home/card",
    "file": "random",
    "places": "random",
    "request": "random",
    "out": "made",
    "accounts": "00" * 32,
    "positions": "0",
    "charter_text": "00" * 32,
    "warrant": "00" * 32,
    "folder": "folder",
    "directory": "nowhere",
    "domain": "chat.example.org",
}


def makes_it(path, parameter):
    """Whether the command makes what the parameter names, so that it need not be there."""
    makers = ("keygen", "init", "create", "link", "recover")
    return parameter in ("home", "directory") and path[-1] in makers


def says(done, *statuses):
    """The command ended with one of the statuses and a sentence."""
    assert done.status in statuses, done
    assert re.fullmatch(r"[A-Za-z0-9-]+: .+[.)]\n", done.err), done


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_without_arguments(cli, path):
    if path == ("demo",):
        # needs no arguments
        return
    done = cli.run(*path)
    if any(parameter.required for parameter in ALL[path].params):
        says(done, 2)
        assert "--help" in done.err
    else:
        says(done, 2, 5)


@pytest.mark.parametrize("path", GROUPS, ids=lambda path: " ".join(path) or "counterseal")
def test_a_group_alone_shows_its_commands(cli, path):
    done = cli.run(*path)
    assert done.status == 2
    assert done.err.startswith("Usage: counterseal")


WRONG = {
    "missing": "no/such/thing",
    "folder": "folder",
    "random": "random",
    "deep": "deep",
    "empty": "empty",
    "unreadable": "/proc/self/mem",
    "endless": "/dev/zero",
    "not-text": "bytes-\udcff",
    "random-home": "random-institution",
    "random-device": "random-device",
    "random-service": "random-service",
}


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize(("path", "parameter"), INPUTS)
def test_a_file_that_is_not_what_it_should_be(cli, path, parameter, wrong):
    if makes_it(path, parameter) and wrong not in ("random", "unreadable", "endless"):
        return
    done = cli.run(*line(path, **{parameter: WRONG[wrong]}))
    # 2: no such file, or nothing in it that could be meant; 3: a rule refuses what is in it; 5: no
    # such home; 7: the service was asked first
    says(done, 2, 3, 5, 7)


@pytest.mark.parametrize(("path", "parameter"), INPUTS)
def test_a_missing_file_is_named(cli, path, parameter):
    if makes_it(path, parameter) or (path == ("demo",) and parameter == "out"):
        return
    done = cli.run(*line(path, **{parameter: "no-such-thing"}))
    says(done, 2, 3, 5)
    # a command that takes a home and a file looks at the file first
    assert "no-such-thing" in done.err or (parameter == "home" and "random" in done.err)


WRITERS = [path for path in ALL if takes(path, "out") and takes(path, "replace")]


def test_every_command_that_writes_a_file_can_be_told_to_replace_it():
    assert [path for path in ALL if takes(path, "out") and not takes(path, "replace")] == [
        ("custodian", "fetch"),
        ("demo",),
        ("open",),
    ]


@pytest.mark.parametrize("path", WRITERS, ids=" ".join)
def test_a_file_that_is_there_is_not_overwritten(cli, path):
    (cli.folder / "taken").write_bytes(b"nine signatures")
    done = cli.run(*line(path, out="taken", **BEFORE_OUT.get(path, {})))
    says(done, 2)
    assert done.err.startswith("file-exists: There is a file at taken already")
    assert (cli.folder / "taken").read_bytes() == b"nine signatures"
    # told to replace it, the command goes on to what is wrong next, and leaves the file alone
    words = line(path, out="taken", **BEFORE_OUT.get(path, {}))
    at = words.index("--")
    done = cli.run(*words[:at], "--replace", *words[at:])
    if path == ("custodian", "seen"):
        assert done.status == 5, done
    assert not done.err.startswith("file-exists")
    assert (cli.folder / "taken").read_bytes() == b"nine signatures"


BEFORE_OUT = {
    ("custodian", "release"): {"bundle": "folder"},
    ("device", "link"): {"service": "http://127.0.0.1:9", "code": "x"},
}


@pytest.mark.parametrize("stdout", ["closed", "gone", "full"])
@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_an_output_that_cannot_be_written(cli, path, stdout):
    done = cli.run(*path, "--help", stdout=stdout)
    if stdout == "full":
        says(done, 7)
        assert "standard output" in done.err
    else:
        assert (done.status, done.err) == (0, "")


@pytest.mark.parametrize("stdout", ["closed", "gone"])
def test_a_closed_pipe_keeps_the_status(cli, stdout):
    number = next(_number)
    words = ["issuer", "keygen", "--home", f"home{number}", "--name", "I", "--body", "B"]
    assert cli.run(*words, "--no-lock", stdout=stdout).status == 0
    assert (cli.folder / f"home{number}" / "keys").exists()
    assert cli.run(*words, "--no-lock", stdout=stdout).status == 6
    assert cli.run("evidence", "verify", "folder", "--key", "x", stdout=stdout).status == 2


_number = itertools.count()
