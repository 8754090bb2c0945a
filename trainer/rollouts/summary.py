"""What a set of rollouts holds: rewards, groups, lengths, pairs. No torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from inspector.common.text import count, plain
from trainer.rollouts.reasoning import LEARNED, WRAP, parts
from trainer.rollouts.schema import TRAIN, Rollout


@dataclass(frozen=True, slots=True)
class Spread:
    """Of the numbers that are known: how many, their mean, median, 95th percentile (nearest rank) and largest."""

    count: int
    mean: float
    median: float
    p95: int
    largest: int


@dataclass(frozen=True, slots=True)
class Summary:
    """A group is all completions of one prompt."""

    rows: int
    groups: int
    smallest_group: int
    largest_group: int
    mean_reward: float
    right: int
    """Rows with a reward above 0."""
    mixed: int
    """Groups whose rewards are not all equal: one DPO pair each."""
    all_right: int
    """Groups of one reward, above 0."""
    all_wrong: int
    """Groups of one reward, 0 or less."""
    all_pairs: int
    """Σ over groups of the pairs of completions with different rewards."""
    repeated: int
    """Rows whose text another row of their group has before them."""
    reasoned: int
    """Rows with a teacher's reasoning."""
    hidden: int
    """Rows whose reasoning the server kept to itself."""
    weighted: int
    """Rows of another weight than 1."""
    splits: tuple[tuple[str, int], ...]
    statuses: tuple[tuple[str, int], ...]
    finishes: tuple[tuple[str, int], ...]
    prompt_tokens: Spread | None
    completion_tokens: Spread | None
    teachers: tuple[tuple[str, int], ...]
    sources: tuple[tuple[str, int], ...]


def summarise(rollouts: Sequence[Rollout]) -> Summary:
    """The summary of at least one rollout."""
    groups = [tuple(group) for group in grouped(rollouts)]
    rewards = [[r.reward for r in group] for group in groups]
    equal = [values for values in rewards if len(set(values)) == 1]
    return Summary(
        rows=len(rollouts),
        groups=len(groups),
        smallest_group=min(map(len, groups)),
        largest_group=max(map(len, groups)),
        mean_reward=sum(r.reward for r in rollouts) / len(rollouts),
        right=sum(r.reward > 0 for r in rollouts),
        mixed=len(groups) - len(equal),
        all_right=sum(values[0] > 0 for values in equal),
        all_wrong=sum(values[0] <= 0 for values in equal),
        all_pairs=sum(map(pairs, rewards)),
        repeated=sum(len(group) - len({r.text for r in group}) for group in groups),
        reasoned=sum(bool(parts(r)[0]) for r in rollouts),
        hidden=sum(r.hidden for r in rollouts),
        weighted=sum(r.weight != 1 for r in rollouts),
        splits=_counted(r.split for r in rollouts),
        statuses=_counted(r.reward_status for r in rollouts),
        finishes=_counted(r.finish_reason or "unknown" for r in rollouts),
        prompt_tokens=spread([r.prompt_tokens for r in rollouts if r.prompt_tokens >= 0]),
        completion_tokens=spread([r.completion_tokens for r in rollouts if r.completion_tokens >= 0]),
        teachers=_counted(r.teacher or "unknown" for r in rollouts),
        sources=_counted(r.source or "unknown" for r in rollouts),
    )


def grouped(rollouts: Iterable[Rollout]) -> Iterator[list[Rollout]]:
    """The rollouts of each group, groups in the order of their first."""
    order: dict[str, list[Rollout]] = {}
    for rollout in rollouts:
        order.setdefault(rollout.group_id, []).append(rollout)
    yield from order.values()


def pairs(rewards: Sequence[float]) -> int:
    """How many pairs have different rewards: (n² − Σ n_v²) / 2 over the values v; right × wrong for two values."""
    return (len(rewards) ** 2 - sum(n * n for n in Counter(rewards).values())) // 2


def spread(values: Sequence[int]) -> Spread | None:
    """None of no numbers."""
    if not values:
        return None
    ranked, n = sorted(values), len(values)
    median = (ranked[(n - 1) // 2] + ranked[n // 2]) / 2
    return Spread(n, sum(values) / n, median, ranked[-(-95 * n // 100) - 1], ranked[-1])


def lines(summary: Summary) -> list[str]:
    """The summary as people read it."""
    s = summary
    size = f"{s.smallest_group}" if s.smallest_group == s.largest_group else f"{s.smallest_group}-{s.largest_group}"
    wrong = ", ".join(f"{n} {name.replace('_', ' ')}" for name, n in s.statuses if name != "ok")
    table = [
        ("rollouts", f"{s.rows} of {count(s.groups, 'prompt')}, {size} each{_named(' from ', s.sources)}"),
        ("teacher", ", ".join(f"{plain(name, 60)} ({n})" for name, n in s.teachers)),
        ("right", f"{_share(s.right, s.rows)}, mean reward {s.mean_reward:.4f}"),
        ("mixed groups", _share(s.mixed, s.groups)),
        ("all right", _share(s.all_right, s.groups)),
        ("all wrong", _share(s.all_wrong, s.groups)),
        ("DPO pairs", f"{s.mixed} (one a mixed group), {s.all_pairs} (all)"),
        ("completion", _lengths(s.completion_tokens)),
        ("prompt", _lengths(s.prompt_tokens)),
        ("finished", ", ".join(f"{plain(name, 40)} {_share(n, s.rows)}" for name, n in s.finishes)),
        ("not graded", wrong or "none"),
        ("repeated", f"{_share(s.repeated, s.rows)}: the text of an earlier one of its group"),
    ]
    return [f"{name:<13} {text}" for name, text in [*table, *_rare(s)]]


def _rare(s: Summary) -> list[tuple[str, str]]:
    """What most files do not have."""
    held = ", ".join(f"{plain(name, 40)} {_share(n, s.rows)}" for name, n in s.splits if name != TRAIN)
    told = {
        "reasoning": f"{_share(s.reasoned, s.rows)}, {LEARNED[WRAP]} unless train's --reasoning says otherwise",
        "not sent": f"{_share(s.hidden, s.rows)} have more tokens than their text can hold: reasoning left out",
        "weighted": f"{_share(s.weighted, s.rows)} count otherwise than 1, in the methods that weigh rows",
        "held out": f"{held}: scored at checkpoints, not learned",
    }
    there = (s.reasoned, s.hidden, s.weighted, held)
    return [line for line, shown in zip(told.items(), there, strict=True) if shown]


def _named(before: str, names: Sequence[tuple[str, int]]) -> str:
    known = [plain(name, 60) for name, _ in names if name != "unknown"]
    return before + ", ".join(known) if known else ""


def _share(part: int, whole: int) -> str:
    return f"{part} ({100 * part / whole:.1f} %)"


def _lengths(found: Spread | None) -> str:
    if found is None:
        return "lengths unknown"
    return f"{found.mean:.1f} tokens, median {found.median:g}, 95 % up to {found.p95}, longest {found.largest}"


def _counted(values: Iterable[str]) -> tuple[tuple[str, int], ...]:
    """(value, how often), the most frequent first, then by name."""
    return tuple(sorted(Counter(values).items(), key=lambda item: (-item[1], item[0])))
