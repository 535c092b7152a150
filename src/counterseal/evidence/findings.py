"""What a check of a bag has to say: faults, each with its rule and its sentence, and remarks that
are no fault.

The rules, B1 to B19, are in docs/reference/evidence.md. A check goes on after a fault: whoever
receives evidence wants to know everything that is wrong with it, not the first thing.
"""

from __future__ import annotations

from types import TracebackType

import msgspec

from counterseal.protocol.errors import CountersealError


class Finding(msgspec.Struct, frozen=True):
    """One thing that is wrong: the `rule` (B1 to B19), `where` in the bag, and a sentence that says
    what.
    """

    rule: str
    where: str
    sentence: str

    def __str__(self) -> str:
        return f"{self.rule} {self.where}: {self.sentence}"


class Findings:
    """The faults and the remarks of one check, in the order in which they were met."""

    def __init__(self) -> None:
        self.faults: list[Finding] = []
        self.remarks: list[str] = []

    def fault(self, rule: str, where: str, sentence: str) -> None:
        """Something is wrong. The same fault is reported once."""
        finding = Finding(rule, where, sentence)
        if finding not in self.faults:
            self.faults.append(finding)

    def remark(self, sentence: str) -> None:
        """Something the reader should know, which is as it should be (a false share that was named,
        for one).
        """
        if sentence not in self.remarks:
            self.remarks.append(sentence)

    def under(self, rule: str, where: str) -> Under:
        """A context that turns a refusal by any lower rule into a fault of `rule`; the lower rule's
        number stays in the sentence.
        """
        return Under(self, rule, where)


class Under:
    """See `Findings.under`. What comes after the context runs whether or not something was refused
    inside.
    """

    def __init__(self, findings: Findings, rule: str, where: str) -> None:
        self._findings, self._rule, self._where = findings, rule, where

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        if not isinstance(error, CountersealError):
            return False
        self._findings.fault(self._rule, self._where, f"{error.message} [{error.code}]")
        return True
