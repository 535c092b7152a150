"""A witness killed with -9 at each durable write, before and after it: whatever it gave out before,
it never cosigns another history.
"""

import subprocess
import sys
import time
from contextlib import suppress

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from tests.support.processes import free_port

from counterseal.access.authorities import ceremony, charter_draft, charter_file
from counterseal.access.common.new_home import create_home
from counterseal.access.holders import witness
from counterseal.protocol.errors import CountersealError
from counterseal.tlog.add_checkpoint import AddCheckpoint
from counterseal.tlog.checkpoint import Checkpoint, witness_keys
from counterseal.tlog.log_signer import LogSigner
from counterseal.tlog.memory_tree import MemoryTree
from counterseal.tlog.prove import make_consistency
from counterseal.tlog.tree import leaf_hash
from counterseal.tlog.witness_client import WitnessClient
from counterseal.tlog.writing_errors import WitnessConflict, WitnessUnavailable
from counterseal.wire.domain import ServiceIdentity

pytestmark = pytest.mark.system

# The program as it is, but killed by the kernel at its Nth durable write: before anything of it is
# done, or when all of it is.
PROGRAM = """
import os, signal, sys
from counterseal import state_files
from counterseal.access.holders import witness
from counterseal.access.common.home import InstitutionHome
from pathlib import Path
home, number, after = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "after"
count = 0
def deadly(write):
    def wrapped(*args, **kwargs):
        global count
        count += 1
        if count == number and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        done = write(*args, **kwargs)
        if count == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return done
    return wrapped
opened = InstitutionHome.open(home)
state_files.write_state = deadly(state_files.write_state)
witness.run(opened, service_url="http://127.0.0.1:9")
"""


def log_signer(name):
    return LogSigner(
        f"chat.example.org/{name}", Ed25519PrivateKey.generate(), MLDSA44PrivateKey.generate()
    )


@pytest.fixture
def setup(tmp_path):
    """A witness's home that trusts a charter, and the log's own key: the test is the log, and it
    lies.
    """
    log, ledger = log_signer("log"), log_signer("ledger")
    homes = [create_home(tmp_path / "homes" / name, "custodian", name) for name in ("ann", "bob")]
    homes += [create_home(tmp_path / "homes" / name, "issuer", name) for name in ("asks", "agrees")]
    create_home(tmp_path / "homes" / "opener", "opener", "opener")
    made = witness.create(tmp_path / "homes" / "ivy", "ivy", f"127.0.0.1:{free_port()}")
    service = ServiceIdentity(
        "chat.example.org",
        log.keys.name,
        log.keys.texts(),
        ledger.keys.name,
        ledger.keys.texts(),
    )
    rules = charter_file.parse(
        {
            "issuer": [
                {"name": "asks", "roles": ["requester"]},
                {"name": "agrees", "roles": ["approver"]},
            ],
            "ground": [{"name": "homicide"}],
        }
    )
    draft = charter_draft.draft(rules, charter_draft.gather([tmp_path / "homes"]), service)
    ceremony.sign_charter(made, draft.encode())
    return made, log


def start(home, number, when):
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(home.path), str(number), when], stdout=-3, stderr=-3
    )
    client = WitnessClient(home.card.url, witness_keys(home.card.cosigner), timeout=5.0)
    for _ in range(100):
        try:
            client.latest("anything")
            break
        except WitnessUnavailable:
            time.sleep(0.05)
    return process, client


def stop(process):
    process.kill()
    process.wait()


def history(name, size):
    tree = MemoryTree()
    for number in range(size):
        tree.append(leaf_hash(b"common" if number == 0 else f"{name} {number}".encode()))
    return tree


def ask(client, log, name, old, size):
    """The root that the witness cosigned at `size`, going on from `old`."""
    tree = history(name, size)
    note = log.sign(Checkpoint(log.keys.name, size, tree.root()), int(time.time()))
    client.add_checkpoint(AddCheckpoint(old, make_consistency(old, size, tree).path, note))
    return tree.root()


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_killed_at_each_durable_write_it_never_cosigns_two_histories(setup, number, when):
    home, log = setup
    process, client = start(home, number, when)
    given: dict[int, tuple[bytes, ...]] = {}
    old = 0
    try:
        for size in (1, 2, 5, 9):
            given[size] = (ask(client, log, "true", old, size),)
            old = size
        pytest.fail("the witness was to die on the way")
    except WitnessUnavailable:
        pass
    finally:
        stop(process)
    # it answers only after the write: the one it died at was never given out
    assert len(given) == number - 1

    process, client = start(home, 0, "never")
    try:
        kept = head(client, log)
        assert kept >= max(given, default=0)  # what it gave out, it remembers
        if kept:
            # durable, so it counts as given
            given.setdefault(kept, (history("true", kept).root(),))
        # the log tries another history, from every size it might hope for
        for size in (2, 5, 9, 12):
            for claimed in (0, 1, *given, kept):
                with suppress(CountersealError):
                    given[size] = (ask(client, log, "false", claimed, size), *given.get(size, ()))
    finally:
        stop(process)
    names = {
        name
        for size, roots in given.items()
        if size > 1
        for name in ("true", "false")
        if history(name, size).root() in roots
    }
    assert len(names) == 1  # one history, whichever was there first
    # and the other one only if nothing of the first was ever cosigned
    assert kept <= 1 or names == {"true"}


def head(client, log):
    """The size that a witness says it has cosigned."""
    note = client.latest(log.keys.name)
    return int(note.split(b"\n")[1]) if note else 0


def test_after_a_kill_it_goes_on_from_where_it_was(setup):
    home, log = setup
    process, client = start(home, 2, "after")
    ask(client, log, "true", 0, 1)
    with pytest.raises(WitnessUnavailable):
        ask(client, log, "true", 1, 2)
    stop(process)
    process, client = start(home, 0, "never")
    try:
        # the log, too, learns where the witness is
        with pytest.raises(WitnessConflict) as conflict:
            ask(client, log, "true", 1, 3)
        assert conflict.value.size == 2
        ask(client, log, "true", 2, 3)
    finally:
        stop(process)
