"""What a witness answers, keeps and is asked over HTTP (rules T15 to T23, T26, T32)."""

import threading

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from tests.support.http import Answer, Server
from tests.support.refusals import refused

from counterseal.tlog.add_checkpoint import AddCheckpoint, origin_digest, parse_request
from counterseal.tlog.checkpoint import Checkpoint, verify_cosigned
from counterseal.tlog.cosigner import Cosigner, Response
from counterseal.tlog.errors import TlogError
from counterseal.tlog.log_signer import LogSigner
from counterseal.tlog.memory_tree import MemoryTree
from counterseal.tlog.note import ReceivedNote
from counterseal.tlog.prove import make_consistency
from counterseal.tlog.signers import WitnessSigner
from counterseal.tlog.tree import EMPTY_ROOT, leaf_hash
from counterseal.tlog.witness_client import WitnessClient
from counterseal.tlog.witness_state import FileWitnessStore
from counterseal.tlog.writing_errors import FatalLogError, WitnessConflict, WitnessUnavailable

ORIGIN = "chat.example.org/log"
TREE = MemoryTree(leaf_hash(b"%d" % i) for i in range(20))


def pair(seed):
    return Ed25519PrivateKey.from_private_bytes(
        bytes([seed]) * 32
    ), MLDSA44PrivateKey.from_seed_bytes(bytes([seed]) * 32)


LOG = LogSigner(ORIGIN, *pair(1))
STRANGER = LogSigner(ORIGIN, *pair(2))
SIGNER = WitnessSigner("witness.example", *pair(10))


def head(size, origin=ORIGIN):
    return Checkpoint(origin, size, MemoryTree(leaf_hash(b"%d" % i) for i in range(size)).root())


def request(old, new, signer=LOG, path=None, checkpoint=None):
    made = make_consistency(old, new, TREE).path if path is None else path
    return AddCheckpoint(old, made, signer.sign(checkpoint or head(new), 5)).format()


class Clock:
    now = 1000

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def witness(tmp_path, clock):
    return Cosigner(SIGNER, {ORIGIN: LOG.keys}, FileWitnessStore(tmp_path), clock)


def test_a_log_grows_under_a_witness(witness, clock):
    for old, new in [(0, 3), (3, 3), (3, 8), (8, 20)]:
        clock.now += 10
        answer = witness.add_checkpoint(request(old, new))
        assert answer.status == 200
        note = LOG.sign(head(new), 5).format() + answer.body
        assert verify_cosigned(note, LOG.keys, [SIGNER.keys], 1).time == clock.now
    state = witness.head(ORIGIN)
    assert (state.size, state.root, state.time) == (20, TREE.root(), clock.now)


def test_it_serves_what_it_last_cosigned(witness):
    path = f"/{origin_digest(ORIGIN)}/checkpoint"
    assert witness.handle("GET", path).status == 404
    assert witness.handle("POST", "/add-checkpoint", request(0, 3)).status == 200
    answer = witness.handle("GET", path)
    assert answer.status == 200
    assert verify_cosigned(answer.body, LOG.keys, [SIGNER.keys], 1).checkpoint == head(3)
    assert witness.handle("GET", "/" + "0" * 64 + "/checkpoint").status == 404
    assert witness.handle("GET", "/é/checkpoint").status == 404
    assert witness.handle("GET", "/add-checkpoint").status == 405
    assert witness.handle("PUT", "/elsewhere").status == 404


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"old 0\n",
        b"old 00\n\n" + LOG.sign(head(3), 5).format(),
        b"old x\n\n" + LOG.sign(head(3), 5).format(),
        b"new 0\n\n" + LOG.sign(head(3), 5).format(),
        b"old 0\nAAAA\n\n" + LOG.sign(head(3), 5).format(),
        b"old 0\n" + b"A" * 43 + b"=\nnot base64\n\n" + LOG.sign(head(3), 5).format(),
        b"old 0\n" + (b"A" * 43 + b"=\n") * 64 + b"\n" + LOG.sign(head(3), 5).format(),
        b"old 0\n\nno note",
        b"old 0\n\none line\n\n\xe2\x80\x94 name AAAAAAE=\n",
        b"old \xc2\xb2\n\n" + LOG.sign(head(3), 5).format(),
        b"old 0\n\n" + b"x" * 70_000,
    ],
)
def test_T15_no_request(witness, body):
    answer = witness.add_checkpoint(body)
    assert (answer.status, answer.rule) == (400, "T15")


def test_T16_an_old_size_over_the_new_one(witness):
    answer = witness.add_checkpoint(request(9, 8, path=()))
    assert (answer.status, answer.rule) == (400, "T16")


def test_T17_an_unknown_log(witness):
    other = LogSigner("else.example/log", *pair(1))
    answer = witness.add_checkpoint(request(0, 3, other, checkpoint=head(3, "else.example/log")))
    assert (answer.status, answer.rule) == (404, "T17")


def test_T18_signatures_of_another_or_only_one(witness):
    answer = witness.add_checkpoint(request(0, 3, STRANGER))
    assert (answer.status, answer.rule) == (403, "T18")
    note = LOG.sign(head(3), 5)
    for line in note.signatures:
        half = AddCheckpoint(0, (), ReceivedNote(note.text, (line,))).format()
        assert witness.add_checkpoint(half).rule == "T18"
    crossed = AddCheckpoint(0, (), ReceivedNote(head(4).text(), note.signatures)).format()
    assert witness.add_checkpoint(crossed).rule == "T18"


def test_T19_a_witness_may_hold_back(tmp_path, clock):
    def gate(checkpoint):
        raise TlogError("T19", "A notice that is due was refused.")

    witness = Cosigner(SIGNER, {ORIGIN: LOG.keys}, FileWitnessStore(tmp_path), clock, gate)
    answer = witness.add_checkpoint(request(0, 3))
    assert (answer.status, answer.rule) == (403, "T19")
    assert witness.head(ORIGIN) is None


def test_T20_another_size_than_it_cosigned(witness):
    assert witness.add_checkpoint(request(0, 8)).status == 200
    for old in (0, 3, 9):
        answer = witness.add_checkpoint(request(old, 20))
        assert answer == Response(409, "text/x.tlog.size", b"8\n", "T20")


@pytest.mark.parametrize(
    "body",
    [
        request(8, 20, path=()),
        request(8, 20, path=(bytes(32),) * 3),
        request(8, 8, checkpoint=Checkpoint(ORIGIN, 8, bytes(32))),
        request(8, 8, path=(bytes(32),)),
        request(8, 20, checkpoint=Checkpoint(ORIGIN, 20, bytes(32))),
    ],
)
def test_T21_a_fork(witness, body):
    assert witness.add_checkpoint(request(0, 8)).status == 200
    answer = witness.add_checkpoint(body)
    assert (answer.status, answer.rule) == (422, "T21")
    state = witness.head(ORIGIN)
    assert state is not None
    assert state.size == 8


def test_T21_from_nothing(witness):
    assert witness.add_checkpoint(request(0, 8, path=(bytes(32),))).status == 422
    assert (
        witness.add_checkpoint(request(0, 0, checkpoint=Checkpoint(ORIGIN, 0, bytes(32)))).status
        == 422
    )
    assert (
        witness.add_checkpoint(request(0, 0, checkpoint=Checkpoint(ORIGIN, 0, EMPTY_ROOT))).status
        == 200
    )


def test_a_time_never_goes_back(witness, clock):
    witness.add_checkpoint(request(0, 3))
    clock.now = 10
    answer = witness.add_checkpoint(request(3, 8))
    note = LOG.sign(head(8), 5).format() + answer.body
    assert verify_cosigned(note, LOG.keys, [SIGNER.keys], 1).time == 1000


def test_state_outlives_a_restart(witness, tmp_path, clock):
    witness.add_checkpoint(request(0, 8))
    again = Cosigner(SIGNER, {ORIGIN: LOG.keys}, FileWitnessStore(tmp_path), clock)
    assert again.head(ORIGIN) == witness.head(ORIGIN)
    assert again.add_checkpoint(request(0, 8)).status == 409


def test_T32_a_damaged_state_is_fatal(witness, tmp_path):
    witness.add_checkpoint(request(0, 8))
    (file,) = tmp_path.iterdir()
    for damage in (
        b"",
        b"x\n",
        file.read_bytes()[:60],
        b"\xff" + file.read_bytes(),
        file.read_bytes().replace(b"/log", b"/lag"),
    ):
        file.write_bytes(damage)
        with refused("T32", kind=FatalLogError):
            witness.head(ORIGIN)


class Failing(FileWitnessStore):
    def __init__(self, directory, persists):
        super().__init__(directory)
        self.persists, self.broken = persists, False

    def save(self, state):
        if not self.broken or self.persists:
            super().save(state)
        if self.broken:
            raise OSError("the disk is gone")


@pytest.mark.parametrize("persists", [False, True])
def test_T26_no_signature_leaves_before_its_state_is_durable(tmp_path, clock, persists):
    store = Failing(tmp_path, persists)
    witness = Cosigner(SIGNER, {ORIGIN: LOG.keys}, store, clock)
    assert witness.add_checkpoint(request(0, 3)).status == 200
    store.broken = True
    for _ in range(2):
        with refused("T26", kind=FatalLogError):
            witness.add_checkpoint(request(3, 8))
        # even if the disk comes back, this process no longer knows what is on it
        store.broken = False
    state = Cosigner(SIGNER, {ORIGIN: LOG.keys}, store, clock).head(ORIGIN)
    assert state is not None
    assert state.size == (8 if persists else 3)


def test_of_two_requests_at_once_one_wins(witness):
    statuses = []
    threads = [
        threading.Thread(
            target=lambda new=new: statuses.append(witness.add_checkpoint(request(0, new)).status)
        )
        for new in (3, 8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200, 409]


def test_requests_come_back_byte_for_byte():
    body = request(3, 20)
    assert parse_request(body).format() == body


@pytest.fixture
def serve():
    """Serves a function `(method, path, body) -> Response` and returns its address."""
    servers = []

    def start(handle):
        def answer(request):
            response = handle(request.method, request.path, request.body)
            return Answer(response.status, response.body, response.content_type)

        servers.append(Server(answer))
        return servers[-1].url + "/"

    yield start
    for server in servers:
        server.close()


def test_over_http(witness, serve):
    client = WitnessClient(serve(witness.handle), SIGNER.keys)
    assert client.latest(ORIGIN) is None
    note = client.add_checkpoint(parse_request(request(0, 8)))
    assert verify_cosigned(note, LOG.keys, [SIGNER.keys], 1).checkpoint.size == 8
    assert client.latest(ORIGIN) == note.format()
    with pytest.raises(WitnessConflict) as conflict:
        client.add_checkpoint(parse_request(request(0, 8)))
    assert conflict.value.size == 8
    for body, rule in [
        (request(8, 20, path=()), "T21"),
        (request(9, 8, path=()), "T15"),
        (request(8, 20, STRANGER), "T18"),
    ]:
        with refused(rule):
            client.add_checkpoint(parse_request(body))


@pytest.mark.parametrize(
    "answer",
    [
        Response(500, "text/plain", b"broken"),
        Response(302, "text/plain", b"elsewhere"),
        Response(200, "text/plain", b"\xff\xff"),
        Response(200, "text/plain", b""),
        Response(200, "text/plain", b"x" * 1_100_000),
        Response(409, "text/plain", b"8\n"),
        Response(409, "text/x.tlog.size", b"many\n"),
        Response(409, "text/x.tlog.size", b"\xff"),
    ],
)
def test_T22_no_usable_answer(serve, answer):
    with pytest.raises(WitnessUnavailable) as caught:
        WitnessClient(serve(lambda *_: answer), SIGNER.keys).add_checkpoint(
            parse_request(request(0, 8))
        )
    assert caught.value.code == "T22"


def test_T23_an_answer_by_another_witness(serve):
    other = WitnessSigner("other.example", *pair(11))
    body = "".join(line.format() for line in other.sign(head(8), 9)).encode()
    client = WitnessClient(serve(lambda *_: Response(200, "text/plain", body)), SIGNER.keys)
    with refused("T23"):
        client.add_checkpoint(parse_request(request(0, 8)))


def test_a_witness_that_is_slow_or_gone(serve):
    event = threading.Event()

    def slow(*_):
        event.wait(5)
        return Response(200, "text/plain", b"")

    with pytest.raises(WitnessUnavailable):
        WitnessClient(serve(slow), SIGNER.keys, timeout=0.2).add_checkpoint(
            parse_request(request(0, 8))
        )
    event.set()
    with pytest.raises(WitnessUnavailable):
        WitnessClient("http://127.0.0.1:9", SIGNER.keys, timeout=0.2).latest(ORIGIN)
    for url in ("ftp://witness.example", "witness.example", "http://"):
        with pytest.raises(TlogError):
            WitnessClient(url, SIGNER.keys)
