"""What people type: the commands of a member against the real service."""

import itertools
import json
import os
import signal
import subprocess
import sys
import time

import pytest
from tests.support import world

from counterseal.client.member_device import MemberDevice
from counterseal.protocol.keys import SealingKey, seal_to
from counterseal.protocol.notice import Notice, SealedNotice, pad_notice, seal_notice

pytestmark = pytest.mark.system
_number = itertools.count()
PROGRAM = [sys.executable, "-c", "from counterseal.cli.main import main; main()"]


class Person:
    """Somebody at a terminal, with a folder of their own."""

    def __init__(self, folder, name):
        self.home = folder / name
        self.handle = f"{name}-p{next(_number)}"
        self.folder = folder

    def run(self, *words, status=0, text=None):
        done = subprocess.run(
            [*PROGRAM, *words],
            env=self.environment,
            capture_output=True,
            text=True,
            input=text or "",
            cwd=self.folder,
            timeout=60,
        )
        assert done.returncode == status, done
        assert "Traceback" not in done.stderr
        return done.stdout + done.stderr

    @property
    def environment(self):
        return {**os.environ, "COUNTERSEAL_HOME": str(self.home)}

    def join(self, domain, *more):
        return self.run(
            "account",
            "create",
            self.handle,
            "--service",
            domain.url,
            "--demonstration",
            "--genesis",
            domain.genesis,
            *more,
        )


@pytest.fixture
def alice(domain, tmp_path):
    person = Person(tmp_path, "alice")
    person.join(domain)
    return person


@pytest.fixture
def bob(domain, tmp_path):
    person = Person(tmp_path, "bob")
    person.join(domain)
    return person


def test_accounts(domain, alice, tmp_path):
    assert "C17" in Person(tmp_path, "eve").run(
        "account", "create", "eve", "--service", domain.url, status=3
    )
    assert "M7" in Person(tmp_path, "eve").run(
        "account",
        "create",
        "eve",
        "--service",
        domain.url,
        "--demonstration",
        "--genesis",
        "00" * 32,
        status=3,
    )
    assert "already holds" in alice.run(
        "account", "create", "again", "--service", domain.url, "--demonstration", status=6
    )
    eve = Person(tmp_path, "eve")
    eve.handle = alice.handle
    assert "taken" in eve.run(
        "account", "create", eve.handle, "--service", domain.url, "--demonstration", status=6
    )
    assert "account create" in Person(tmp_path, "nobody").run("read", status=5)
    assert "https://" in eve.run(
        "account", "create", "x", "--service", "chat.example.org", "--home", "x", status=2
    )
    assert domain.genesis in alice.run("account", "show", "--json")


def test_a_conversation_from_terminal_to_terminal(alice, bob):
    alice.run("conversation", "new", bob.handle, "--name", "work")
    alice.run("send", "work", "hello \x1b[2Jbob\nsecond line")
    shown = bob.run("read")
    assert "hello <U+001B>[2Jbob\n    second line" in shown
    [talk] = json.loads(bob.run("conversation", "list", "--json"))
    assert talk["name"] == alice.handle
    bob.run("send", talk["conversation"][:6], "-", text="from a pipe")
    assert "from a pipe" in alice.run("read", "work")
    assert "from a pipe" in alice.run("read", "--search", "PIPE")
    assert "2 of 3 custodians" in alice.run("conversation", "show", "work")
    assert "There is no conversation" in alice.run("send", "play", "x", status=5)
    assert "nothing to send" in alice.run("send", "work", "  ", status=2)
    bob.run("conversation", "leave", talk["conversation"])
    assert f"{bob.handle} left." in alice.run("read", "work")
    assert "(left" in bob.run("conversation", "list") or "left" in bob.run("read")


def test_following_does_not_lock_out_sending(alice, bob):
    alice.run("conversation", "new", bob.handle, "--name", "work")
    bob.run("read")
    [talk] = json.loads(bob.run("conversation", "list", "--json"))
    follower = subprocess.Popen(
        [*PROGRAM, "read", "--follow"],
        env=bob.environment,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    )
    try:
        time.sleep(1.0)
        bob.run("send", talk["conversation"], "typed beside it")
        alice.run("send", "work", "and an answer")
        seen = ""
        end = time.monotonic() + 20
        while "and an answer" not in seen and time.monotonic() < end:
            seen += follower.stdout.readline()
        assert seen.index("typed beside it") < seen.index("and an answer")
    finally:
        follower.send_signal(signal.SIGINT)
        follower.wait(20)
        follower.stdout.close()


def test_files(domain, alice, bob, tmp_path):
    """M10: a file arrives as it was sent, under a name that stays in its folder; another one in its
    place is thrown away.
    """
    alice.run("conversation", "new", bob.handle, "--name", "work")
    (tmp_path / "plan.txt").write_bytes(b"x" * 2_500_000)
    alice.run("attach", "work", "plan.txt", "--text", "the plan")
    assert "saved" in bob.run("read", "--save", "saved")
    assert (tmp_path / "saved" / "plan.txt").read_bytes() == b"x" * 2_500_000
    bob.run("read", "--save", "saved")
    assert (tmp_path / "saved" / "plan (2).txt").exists()
    for blob in (domain.data / "blobs").rglob("*"):
        if blob.is_file():
            data = blob.read_bytes()
            blob.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    assert "M10" in bob.run("read", "--save", "elsewhere")
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert not list((alice.home / "outgoing").iterdir())


def test_devices(domain, alice, bob, tmp_path):
    alice.run("conversation", "new", bob.handle, "--name", "work")
    alice.run("send", "work", "old")
    code = alice.run("device", "invite").strip()
    phone = Person(tmp_path, "phone")
    key = (
        phone.run("device", "link", "--service", domain.url, "--account", code, "--demonstration")
        .split("key: ")[1]
        .strip()
    )
    asked = alice.run("device", "approve", "device.request", status=2)
    assert key in asked and "nothing older" in asked and "--yes" in asked
    assert key in alice.run("device", "approve", "device.request", "--yes")
    phone.run("device", "link", "--finish", "device.reply")
    alice.run("read")
    bob.run("read")
    bob.run("send", json.loads(bob.run("conversation", "list", "--json"))[0]["conversation"], "new")
    shown = phone.run("read")
    assert "new" in shown and "old" not in shown.replace("nothing older", "")
    listed = json.loads(alice.run("device", "list", "--json"))
    assert [device["this"] for device in listed] == [True, False]
    assert "--yes" in alice.run("device", "revoke", listed[1]["device"][:8], status=2)
    alice.run("device", "revoke", listed[1]["device"][:8], "--yes")
    assert "revoked" in phone.run("read")
    assert "revoked" in alice.run("device", "list")


async def test_notices(domain, tmp_path):
    """N3: a notice counts when the witness that it names signed it; what is for others, or signed
    by nobody, does not open or count.
    """
    number = next(_number)
    async with await MemberDevice.create_account(
        tmp_path / "alice",
        domain.url,
        f"alice-n{number}",
        demonstration=True,
        genesis=domain.genesis,
    ) as alice:
        with alice.session.store() as store:
            key = SealingKey(store.settings.notice_seed).public
        judge = domain.charters[-1]

        def notice(name, **changes):
            fields = {
                "domain": world.DOMAIN,
                "charter_digest": judge.digest,
                "warrant_digest": b"w" * 32,
                "account_id": alice.account,
                "start": world.T0,
                "until": world.T0 + world.DAY,
                "direction": "sent",
                "ground": "fraud",
                "reference": "case 7",
                "requester": "Prosecutor",
                "approver": "Judge",
                "position": world.ALL_HOLDERS.index(name),
                "issued": 5,
                "due": 10,
            }
            return Notice(**{**fields, **changes})

        def seal(name, to=key, **changes):
            return seal_notice(world.signer(name), notice(name, **changes), to).encode()

        unsigned = SealedNotice(
            seal_to(key, [_tag(), world.DOMAIN], pad_notice(b"not a statement"))
        ).encode()
        posted = [
            seal("University"),
            seal("University", to=world.sealing("somebody else").public),
            seal("Amaro"),  # a custodian is no witness
            seal("Gazette", account_id=bytes(32)),
            unsigned,
            seal("University"),
        ]
        domain.witnesses[0].notices = list(enumerate(posted, 1))
        domain.witnesses[1].notices = [(1, seal("Gazette"))]
        [told] = await alice.notices()
        assert told.witnesses == ("Gazette", "University")
        assert told.notice.reference == "case 7"
        assert await alice.notices() == [told]
    person = Person(tmp_path, "alice")
    shown = person.run("notices", "--proofs", "proofs")
    assert (
        "case 7" in shown
        and "Prosecutor asked and Judge approved" in shown
        and "Gazette, University" in shown
    )
    assert len(list((tmp_path / "proofs").iterdir())) == 2


def _tag():
    from counterseal.protocol.cbor import tag

    return tag("notice-seal")


def test_several_programs_of_one_device_at_once(alice, bob):
    """Nothing is lost, said twice or broken, and each program waits for its turn."""
    alice.run("conversation", "new", bob.handle, "--name", "work")
    bob.run("read")
    [talk] = json.loads(bob.run("conversation", "list", "--json"))
    programs = [
        subprocess.Popen(
            [*PROGRAM, "send", "work", f"from program {number}"], env=alice.environment
        )
        for number in range(5)
    ] + [
        subprocess.Popen([*PROGRAM, "read"], env=alice.environment, stdout=subprocess.DEVNULL)
        for _ in range(2)
    ]
    bob.run("send", talk["conversation"], "meanwhile")
    assert [program.wait(60) for program in programs] == [0] * 7
    texts = [
        json.loads(line)["text"]
        for line in bob.run("read", "--json").splitlines()
        if '"kind":"text"' in line
    ]
    assert sorted(texts) == [*(f"from program {number}" for number in range(5)), "meanwhile"]
    assert "refused" not in alice.run("read") + bob.run("read")
