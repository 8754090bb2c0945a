"""What has gone wrong in a training, from its weights: nan, spike, collapse, dead. Each by one fixed rule. No torch.

nan: the factors of a module hold NaN or Inf, or a logged loss is.
spike: σ₁ of a module grew by half or more from one record to the next, and by more than five times what it grew in any
interval before, per step and learning rate; judged once it has grown in two intervals.
collapse: ‖ΔW‖ of a module passed half of ‖W₀‖, the weight that it adapts; or the effective rank fell below half of its
highest.
dead: a trained module whose ΔW is 0, or whose factors did not move in the last two intervals (in the only one, where
there is one), the learning rate being above 0; or no module is trained at all.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from inspector.common.text import count, some
from inspector.trajectory.weights_log import Record, WeightsLog

SPIKE_GROWTH, SPIKE_TIMES, SPIKE_AFTER = 1.5, 5.0, 2
MOST_OF_BASE, LEAST_RANK = 0.5, 0.5
STILL_FOR = 2


@dataclass(frozen=True, slots=True)
class Alarm:
    """What was found, and at which step; `text` ends a sentence."""

    kind: str
    step: int
    text: str

    def __str__(self) -> str:
        return f"{self.kind} at step {self.step}: {self.text}"


def alarms(log: WeightsLog, kinds: Sequence[str]) -> list[Alarm]:
    """The first finding of each kind asked for, by step."""
    found = (next(KINDS[kind](log), None) for kind in dict.fromkeys(kinds))
    return sorted((alarm for alarm in found if alarm is not None), key=lambda alarm: alarm.step)


def _nan(log: WeightsLog) -> Iterator[Alarm]:
    odd = [(r.step, f"NaN or Inf in the factors of {_modules(log, r.broken)}.") for r in log.records if r.broken]
    odd += [(step, "the loss is not finite.") for step, loss in log.losses if not math.isfinite(loss)]
    yield from (Alarm("nan", *found) for found in sorted(odd))


def _spike(log: WeightsLog) -> Iterator[Alarm]:
    most, times = [0.0] * len(log.header.modules), [0] * len(log.header.modules)
    for before, now in pairwise(log.records):
        rate = _weight(before, now)
        for m, (old, new) in enumerate(zip(before.module_sigma1, now.module_sigma1, strict=True)):
            growth = (new - old) / rate if rate > 0 and m not in {*before.broken, *now.broken} else 0.0
            if growth <= 0:
                continue
            if times[m] >= SPIKE_AFTER and new > SPIKE_GROWTH * old and growth > SPIKE_TIMES * most[m]:
                path = log.header.modules[m]
                yield Alarm("spike", now.step, f"σ₁ of {path} went from {old:.3g} to {new:.3g} since {before.step}.")
            most[m], times[m] = max(most[m], growth), times[m] + 1


def _weight(before: Record, now: Record) -> float:
    """How far an interval can move the weights: its steps, by their mean learning rate where it is known."""
    return (now.step - before.step) * (now.learning_rate if math.isfinite(now.learning_rate) else 1.0)


def _collapse(log: WeightsLog) -> Iterator[Alarm]:
    highest = (math.nan, 0)
    for record in log.records:
        ratios = [norm / base for norm, base in zip(record.module_norm, log.header.base_norm, strict=False) if base > 0]
        if ratios and (most := max(ratios)) > MOST_OF_BASE:
            text = f"‖ΔW‖ of a module reached {most:.2g} times the weight that it adapts: the rate is too high."
            yield Alarm("collapse", record.step, text)
        if record.effective_rank < LEAST_RANK * highest[0]:
            text = f"the effective rank fell to {record.effective_rank:.1f} from {highest[0]:.1f} at step {highest[1]}."
            yield Alarm("collapse", record.step, text)
        if not record.effective_rank <= highest[0]:
            highest = max(highest, (record.effective_rank, record.step), key=lambda at: (not math.isnan(at[0]), at[0]))


def _dead(log: WeightsLog) -> Iterator[Alarm]:
    if not log.header.modules:
        yield Alarm("dead", 0, "no LoRA module of the model is trained: the adapter is not attached, or frozen.")
    if not log.records or not log.records[-1].step or log.records[-1].learning_rate == 0:
        return
    now = log.records[-1]
    zero = [m for m, norm in enumerate(now.module_norm) if norm == 0 and m not in now.broken]
    moving = [record for record in log.records[1:] if record.learning_rate != 0][-STILL_FOR:]
    still = set.intersection(*(set(record.still) for record in moving)) if moving else set()
    if zero:
        yield Alarm("dead", now.step, f"ΔW is still 0 in {_modules(log, zero)}.")
    if rest := sorted(still - {*zero, *now.broken}):
        yield Alarm("dead", now.step, f"nothing has moved lately in {_modules(log, rest)}.")


def _modules(log: WeightsLog, indices: Sequence[int]) -> str:
    """`3 of 24 modules (a, b, c)`."""
    names = some([log.header.modules[m] for m in indices])
    return f"{len(indices)} of {count(len(log.header.modules), 'module')} ({names})"


KINDS: dict[str, Callable[[WeightsLog], Iterator[Alarm]]] = {
    "nan": _nan,
    "spike": _spike,
    "collapse": _collapse,
    "dead": _dead,
}
