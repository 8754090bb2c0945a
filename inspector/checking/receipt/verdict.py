"""What the strengths of all matrices, and what is left over, come to: one verdict and one sentence."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import sqrt
from typing import Literal

from inspector.checking.receipt.changes import Change
from inspector.checking.receipt.combined import SAME, Strength, combined, groups, near, ratios
from inspector.checking.receipt.places import Place
from inspector.checking.receipt.strength import Fit
from inspector.checking.receipt.words import where
from inspector.common.text import count, plain, some

Verdict = Literal["contained", "scaled", "partial", "absent", "other_base", "other_adapter", "unclear"]
_FAR = 0.5
"""‖W − W₀‖ / ‖W₀‖ from which two models are taken for strangers: vectors of equal length 29° apart."""
_MORE = 0.02
"""Share of ‖αΔW‖ from which what else was changed is reported."""
_LOW_RANK = 0.5
"""Participation of a change, of that of Gaussian noise, below which it is called of low rank."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """The answer. `modules`: each matrix with what was found of it, or why nothing was."""

    verdict: Verdict
    strength: Strength
    sentence: str
    modules: Sequence[tuple[Place, Fit | None]] = ()


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that was measured. The calls measure more, if the verdict depends on it."""

    name: str
    """The adapter, or adapters, in a sentence."""
    asked: float
    found: Sequence[tuple[Place, Fit | None]]
    changes: Sequence[Change]
    each: Mapping[str, float]
    """The strengths of the adapters of a sum, if they differ; 0 of those that are not in it."""
    scale: float
    """s of most modules, and their rank."""
    rank: int
    spread_inside: Callable[[Sequence[int]], float]
    """The participation of what is left over in matrices of `found`."""
    spread_outside: Callable[[Sequence[str]], float]
    """That of the change of other matrices."""
    nearest: Callable[[], str]
    """Which of the other adapters that the user named it is, in words, or nothing."""


def decided(known: Evidence) -> Receipt:
    """The verdict."""
    return replace(_Reading(known).receipt(), modules=known.found)


class _Reading:
    def __init__(self, known: Evidence) -> None:
        self.known = known
        self.fits = [(n, fit) for n, (_, fit) in enumerate(known.found) if fit is not None and fit.size]
        self.by_index = dict(self.fits)
        found = groups(self.fits, known.asked)
        self.at, self.without, self.apart, self.untold, self.centre = found
        self.changed = [change for change in known.changes if change.changed]
        self.faulty = [place for place, fit in known.found if fit is None]
        told = self.at or self.without or [n for n, _ in self.fits]
        self.strength = combined([self.by_index[n] for n in told])

    def receipt(self) -> Receipt:  # noqa: PLR0911 - the order of the questions
        if not self.fits:
            return self._unfit()
        if self._strangers():
            return self._made("other_base", "{} is another model than the base: their weights are unrelated")
        if not self.at and not self.apart:
            return self._nowhere()
        more = self._more()
        if more and (odd := self._otherwise(more)):
            return odd
        if self.without or self.faulty or 0.0 in self.known.each.values():
            return self._partial()
        if self.changed:
            return self._made("unclear", f"contains {{}} at strength {self._value}, but {self._outside()}")
        if self.known.each:
            told = ", ".join(f"{plain(name)} at {value:.2f}" for name, value in self.known.each.items())
            return self._made("scaled", f"contains {{}} at different strengths: {told}")
        return self._scaled() if self.apart or not self.strength.holds(self.known.asked) else self._contained()

    def _unfit(self) -> Receipt:
        what = self.faulty[0]
        text = f"{count(len(self.faulty), 'module')} cannot be compared, such as {plain(what.id)}: {what.fault}"
        shape = any(place.merged is not None for place in self.faulty) or bool(self._far())
        return (
            self._made("other_base", f"the merged model is not of this base: {text}")
            if shape
            else self._made("unclear", text)
        )

    def _far(self) -> bool:
        return _share((c.size for c in self.known.changes), (c.weight for c in self.known.changes)) > _FAR

    def _strangers(self) -> bool:
        """Whether most of what no adapter changes is far from the base; if there is none, of what adapters change."""
        if self.known.changes:
            return self._far()
        fits = self.by_index.values()
        far = _share((fit.left_over for fit in fits), (fit.weight for fit in fits)) > _FAR
        return far and self.known.spread_inside(self._worst()) > _LOW_RANK

    def _nowhere(self) -> Receipt:
        grid = next(iter(self.by_index.values())).grid
        if all(fit.equal for fit in self.by_index.values()) and not self.changed:
            lost = f"; {grid} rounds the whole update away" if not self.without else ""
            matrices = count(len(self.fits) + len(self.known.changes), "matrix").replace("matrixs", "matrices")
            return self._made("absent", f"is the base: none of {matrices} differs{lost}")
        odd = [n for n, fit in self.fits if fit.unexplained]
        if odd or self.changed:
            if self._low_rank(odd):
                return self._another()
            if self.changed:
                return self._made("other_base", f"does not contain {{}}: {self._outside()}, so it is another base")
            return self._made("absent", f"does not contain {{}}, and {_matrices(odd)} hold another change of high rank")
        if not self.without:
            return self._made("unclear", f"cannot be told: {grid} rounds more than the whole update of {{}} away")
        return self._made("absent", "does not contain {}: what differs from the base is rounding")

    def _more(self) -> list[int]:
        """The matrices with more left over than is explained, if that is worth a word."""
        odd = [n for n, fit in self.fits if fit.unexplained > _MORE * abs(fit.strength) * fit.size]
        extra = sqrt(sum(self.by_index[n].unexplained ** 2 for n in odd))
        update = sqrt(sum((fit.strength * fit.size) ** 2 for _, fit in self.fits))
        return odd if extra > _MORE * update else []

    def _otherwise(self, more: Sequence[int]) -> Receipt | None:
        """What holds if something else than the update was added to its matrices."""
        low = self.known.spread_inside(self._worst(more)) < _LOW_RANK
        whole = combined([fit for _, fit in self.fits])
        evenly = sum(near(fit, whole.value, self.known.asked) for _, fit in self.fits) >= 0.9 * len(self.fits)
        if low and not (evenly and whole.holds(self.known.asked)):
            return self._another()
        far = sum(self.by_index[n].unexplained ** 2 for n in more)
        size = sum(fit.expected**2 for _, fit in self.fits)
        grid = next(iter(self.by_index.values())).grid
        times = f"{sqrt((far + size) / size):.2g} times what {grid} explains" if size else "more"
        what = "of low rank, as of another adapter" if low else "of high rank, as of further training or another base"
        where = f" and {self._outside()}" if self.changed else ""
        told = (
            f"contains {{}} at strength {self._value}, but {times} is left over in {_matrices(more)}: a change {what}"
        )
        return self._made("unclear", told + where)

    def _low_rank(self, odd: Sequence[int]) -> bool:
        """Whether all that was changed is of low rank, as far as samples of it show."""
        inside = not odd or self.known.spread_inside(self._worst(odd)) < _LOW_RANK
        names = [change.name for change in sorted(self.changed, key=lambda c: -c.size)]
        return inside and (not names or self.known.spread_outside(names[:3]) < _LOW_RANK)

    def _worst(self, among: Sequence[int] = ()) -> list[int]:
        indices = among or [n for n, _ in self.fits]
        return sorted(indices, key=lambda n: -self.by_index[n].unexplained)[:3]

    def _another(self) -> Receipt:
        named = self.known.nearest()
        return self._made("other_adapter", f"does not contain {{}}, but {named or 'another update of low rank'}")

    def _partial(self) -> Receipt:
        fault = f" ({self.faulty[0].fault})" if self.faulty and not self.without else ""
        if missing := [name for name, value in self.known.each.items() if not value]:
            there = ", ".join(f"{plain(name)} at strength {x:.2f}" for name, x in self.known.each.items() if x)
            return self._made("partial", f"contains {there} in {self._counted}, not {some(missing)}{fault}")
        ids = [self.known.found[n][0].id for n in self.without] + [place.id for place in self.faulty]
        lacking = f"{where(ids, [place.id for place, _ in self.known.found])} lack it{fault}"
        return self._made("partial", f"contains {{}} at strength {self._value} in {self._counted}, but {lacking}")

    def _scaled(self) -> Receipt:
        if self.apart:
            fits = [self.by_index[n] for n in (*self.at, *self.apart)]
            low, high = min(fit.low for fit in fits), max(fit.high for fit in fits)
            self.strength = Strength(self.strength.value, low, high)
            values = [fit.strength for fit in fits]
            return self._made(
                "scaled",
                f"contains {{}} at strengths from {min(values):.2f} to {max(values):.2f} that differ by module",
            )
        why = ratios(lambda ratio: self._is(ratio * self.known.asked), self.known.scale, self.known.rank)
        told = f" ({why})" if why else ""
        return self._made("scaled", f"contains {{}} at strength {self._value}, not {self.known.asked:g}{told}")

    def _is(self, strength: float) -> bool:
        slack = SAME * strength
        return self.strength.low - slack <= strength <= self.strength.high + slack

    def _contained(self) -> Receipt:
        fits = [fit for _, fit in self.fits]
        kept = sqrt(sum((fit.kept * fit.size) ** 2 for fit in fits) / sum(fit.size**2 for fit in fits))
        lossy = f"; rounding to {fits[0].grid} leaves it a cosine of {kept:.2f} to ΔW" if kept < 0.9 else ""
        return self._made("contained", f"contains {{}} at strength {self._value} in {self._counted}{lossy}")

    @property
    def _value(self) -> str:
        return f"{self.strength.value:.2f}"

    @property
    def _counted(self) -> str:
        total = len(self.known.found) - len(self.untold)
        hidden = f" ({len(self.untold)} more are rounded away)" if self.untold else ""
        return f"{len(self.at)} of {count(total, 'module')}{hidden}"

    def _outside(self) -> str:
        names = [change.name.removesuffix(".weight") for change in self.changed]
        return f"{len(names)} of {len(self.known.changes)} matrices without a module of it differ from the base"

    def _made(self, verdict: Verdict, text: str) -> Receipt:
        text = text.replace("{}", plain(self.known.name))
        return Receipt(verdict, self.strength, f"{text[0].upper()}{text[1:]}.")


def _share(sizes: object, weights: object) -> float:
    """√(Σ size² / Σ weight²)."""
    whole = sum(weight**2 for weight in weights)  # type: ignore[attr-defined]
    return sqrt(sum(size**2 for size in sizes) / whole) if whole else 0.0  # type: ignore[attr-defined]


def _matrices(indices: Sequence[int]) -> str:
    return "1 module" if len(indices) == 1 else f"{len(indices)} modules"
