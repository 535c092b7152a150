"""Who is shown an account's chain without a device of it."""

from tests.support.refusals import refused

from counterseal.client import recovery_phrase
from counterseal.protocol import account_recovery

DOMAIN = "chat.example.org"


def test_only_the_account_key_of_now_asks_for_recovery():
    """A10: and in the same words whatever is wrong."""
    key, other = (recovery_phrase.account_key(bytes(32), DOMAIN, n) for n in (0, 1))
    public = key.public_key().public_bytes_raw()
    good = account_recovery.sign_recovery(key, DOMAIN, "alice", 1_000)
    assert account_recovery.check_recovery(good, DOMAIN, "alice", public, 1_300).time == 1_000
    sentences = set()
    for statement, domain, handle, account_key, now in (
        (good, DOMAIN, "alice", public, 1_301),
        (good, DOMAIN, "alice", public, 699),
        (good, DOMAIN, "bob", public, 1_000),
        (good, "other.example.org", "alice", public, 1_000),
        (good, DOMAIN, "alice", None, 1_000),
        (
            account_recovery.sign_recovery(other, DOMAIN, "alice", 1_000),
            DOMAIN,
            "alice",
            public,
            1_000,
        ),
    ):
        with refused("A10") as error:
            account_recovery.check_recovery(statement, domain, handle, account_key, now)
        sentences.add(error.value.message)
    assert len(sentences) == 1
