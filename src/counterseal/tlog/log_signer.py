"""The private keys of a log, and what they sign."""

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from counterseal.protocol.vkey import LOG_ED25519
from counterseal.tlog.checkpoint import Checkpoint
from counterseal.tlog.note import ReceivedNote
from counterseal.tlog.signers import mldsa44_signature, public_pair, signature_lines


class LogSigner:
    """A log's two private keys. Whoever holds one signs only what the sequencer's row says."""

    def __init__(self, origin: str, ed25519: Ed25519PrivateKey, mldsa44: MLDSA44PrivateKey) -> None:
        self._ed25519, self._mldsa44 = ed25519, mldsa44
        self.keys = public_pair(origin, LOG_ED25519, ed25519, mldsa44)

    def sign(self, checkpoint: Checkpoint, time: int) -> ReceivedNote:
        """The checkpoint as a note with both signatures. `time` (Unix seconds, over 0) goes into
        the second.
        """
        first = self._ed25519.sign(checkpoint.text().encode())
        second = mldsa44_signature(self._mldsa44, self.keys.name, checkpoint, time)
        return ReceivedNote(checkpoint.text(), signature_lines(self.keys, first, second))
