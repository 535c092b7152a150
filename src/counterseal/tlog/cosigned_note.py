"""A note with more signatures: those of witnesses, out of their answers.

| rule | refuses |
| --- | --- |
| T23 | a witness's answer without its two cosignatures |
"""

from collections.abc import Iterable, Sequence

from counterseal.tlog.checkpoint import Checkpoint, KeyPair, pair_time
from counterseal.tlog.errors import TlogError
from counterseal.tlog.note import ReceivedNote, SignatureLine


def add_signatures(note: ReceivedNote, lines: Iterable[SignatureLine]) -> ReceivedNote:
    """The note with more signature lines; a line whose key signed it already is left out."""
    merged = list(note.signatures)
    seen = {(line.name, line.key_id) for line in merged}
    for line in lines:
        if (line.name, line.key_id) not in seen:
            merged.append(line)
            seen.add((line.name, line.key_id))
    return ReceivedNote(note.text, tuple(merged))


def cosign_note(
    note: ReceivedNote, checkpoint: Checkpoint, witness: KeyPair, lines: Sequence[SignatureLine]
) -> ReceivedNote:
    """The note with a witness's two cosignatures out of its answer. Raises `TlogError` T4, T7, or
    T23 if one is missing.
    """
    answer = ReceivedNote(note.text, tuple(lines))
    if pair_time(answer, checkpoint, witness) is None:
        raise TlogError("T23", f"The answer of {witness.name!r} lacks one of its two cosignatures.")
    own = [
        line
        for key in (witness.ed25519, witness.mldsa44)
        if (line := answer.line_of(key)) is not None
    ]
    stale = {(line.name, line.key_id) for line in own}
    kept = tuple(line for line in note.signatures if (line.name, line.key_id) not in stale)
    return add_signatures(ReceivedNote(note.text, kept), own)
