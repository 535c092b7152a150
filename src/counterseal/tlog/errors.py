"""Errors of the log, the ledger, the period roots and the directory. Each carries the number of the
rule that refused. Those of a log's writers are in `writing_errors.py`.
"""

from counterseal.protocol.errors import Refused


class TlogError(Refused):
    """A log, checkpoint, witness or proof that is refused (T rules, docs/tlog.md)."""


class LedgerError(Refused):
    """A ledger, chunk, opening or ledger key that is refused (G rules). A holder that meets one
    releases nothing.
    """


class PeriodError(Refused):
    """A period root, or a proof under one, that is refused (P rules)."""


class DirectoryError(Refused):
    """A key chain, a directory root or a look-up proof that is refused (D rules)."""
