"""The claims that the open adapters are checked against, and the one under the cursor. No widgets, no torch."""

from __future__ import annotations

from dataclasses import dataclass, field

from inspector.claims.model import ClaimSet
from inspector.claims.verdicts import Outcome, evaluate
from inspector.study.study import Study


@dataclass(frozen=True, slots=True)
class Published:
    """What is looked at beside the adapters: claims, and whose adapters yours are compared with."""

    claims: str = ""
    show: bool = False
    """Whether the claims are the first view."""
    reference: ClaimSet | None = None


NOTHING = Published()


@dataclass
class Judged:
    """A set of claims under the name it was asked for; its outcomes are worked out once for each study."""

    name: str
    claims: ClaimSet
    row: int = 0
    _of: Study | None = field(default=None, repr=False)
    _outcomes: list[Outcome] = field(default_factory=list, repr=False)

    def outcomes(self, study: Study) -> list[Outcome]:
        """Every claim against these numbers."""
        if self._of is not study:
            self._of, self._outcomes = study, evaluate(self.claims, [study], remedy="p runs it")
        return self._outcomes

    def found(self, wanted: str) -> list[int]:
        """The claims that have a text in their name or sentence, by their numbers."""
        wanted = wanted.casefold()
        return [n for n, one in enumerate(self.claims.claims) if wanted in f"{one.id} {one.statement}".casefold()]

    def move(self, step: int, wanted: str = "") -> None:
        """So many rows among those that are found."""
        if found := self.found(wanted):
            at = sum(n < self.row for n in found)
            self.row = found[min(max(at + step, 0), len(found) - 1)]
