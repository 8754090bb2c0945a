"""Groups of fresh completions: which are drawn, which are kept, and from which random streams."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier
from typing import ClassVar

import numpy as np
import pytest

from inspector.base_model.generation import Answer
from trainer.objectives.groups import Groups, Place
from trainer.rollouts.rows import Prompt

PROMPTS = [Prompt((n,), str(n), "") for n in range(20)]


class Numbered(Groups):
    """Knows which of its group's answers a stream is of."""

    numbers: ClassVar[dict[int, int]] = {}

    def _stream(self, *where):
        stream = super()._stream(*where)
        self.numbers[stream] = where[-1]
        return stream


def groups(right, *, redraws=0, seed=42, asked=None, gather=list):
    """`right(prompt, k)` says whether answer k of a prompt is right; `asked` collects every draw."""

    def sample(draws):
        if asked is not None:
            asked.extend(draws)
        texts = ["right" if right(prompt.ids[0], Numbered.numbers[stream]) else "wrong" for prompt, stream in draws]
        return [Answer(n, text, 1, "stop", ids=(1,)) for n, text in enumerate(texts)]

    return Numbered(PROMPTS, sample, lambda text, _gold: float(text == "right"), 4, seed, redraws, gather)


def repeated(*prompts):
    """As TRL gives them."""
    return [prompt for prompt in prompts for _ in range(4)]


def learned(one):
    """What is learned from; an answer's index is its place among those drawn at once."""
    return one.prompt, one.answer.text, one.reward


def prompts_of(found):
    return [one.prompt.ids[0] for one in found.completions]


def test_grpo_keeps_every_group():
    found = groups(lambda n, k: n == 3 and k < 2).round(repeated(3, 5), Place(0))
    assert prompts_of(found) == repeated(3, 5)
    assert [one.reward for one in found.completions] == [1, 1, 0, 0, 0, 0, 0, 0]
    assert (found.learned, found.drawn, found.first_reward) == (8, 8, 0.25)


def test_dapo_replaces_groups_of_equal_rewards_by_other_prompts():
    """Even prompts are mixed, odd ones all right: as many as asked for come back, all of them mixed, none twice."""
    asked = []
    made = groups(lambda n, k: n % 2 == 1 or k == 0, redraws=9, asked=asked)
    found, pool, lacking = made.round(repeated(1, 2, 3, 5), Place(0)), made._pool([1, 2, 3, 5], Place(0)), 3
    drawn = [1, 2, 3, 5]
    while lacking:
        drawn, more, pool = drawn + pool[:lacking], pool[:lacking], pool[lacking:]
        lacking -= sum(n % 2 == 0 for n in more)
    assert list(dict.fromkeys(prompt.ids[0] for prompt, _ in asked)) == drawn
    assert found.drawn == 4 * len(drawn)
    assert found.learned == 16
    assert [one.reward for one in found.completions] == [1, 0, 0, 0] * 4
    assert prompts_of(found) == repeated(*prompts_of(found)[::4])
    assert prompts_of(found)[0] == 2
    assert len(set(prompts_of(found))) == 4
    assert found.first_reward == (1 + 0.25 + 1 + 1) / 4


def test_dapo_stops_drawing_and_fills_up():
    """Nothing is ever mixed: the groups drawn first stand in, and teach nothing."""
    found = groups(lambda _n, _k: False, redraws=2).round(repeated(4, 6), Place(0))
    assert prompts_of(found) == repeated(4, 6)
    assert (found.learned, found.drawn) == (0, 24)


def test_dapo_runs_out_of_prompts():
    found = groups(lambda _n, _k: True, redraws=99).round(repeated(4, 6), Place(0))
    assert found.drawn == 4 * len(PROMPTS)


@pytest.mark.parametrize("processes", [2, 3, 6, 8, 12])
@pytest.mark.parametrize(
    "right",
    [lambda _n, _k: False, lambda n, k: n % 2 == 1 or k == 0, lambda n, k: n > 15 and k == 0, lambda n, k: n < 4],
)
def test_processes_together_draw_and_learn_as_one(processes, right):
    """Six groups of four: three each for two processes, four for three; from 8 on, groups straddle processes."""
    chosen = repeated(0, 1, 2, 3, 18, 7)
    one = []
    whole = groups(right, redraws=4, asked=one).round(chosen, Place(5))
    asked, shares = together(right, chosen, processes)
    assert sorted(one, key=str) == sorted(asked, key=str)
    assert [learned(one) for share in shares for one in share.completions] == list(map(learned, whole.completions))
    assert sum(share.learned for share in shares) == whole.learned
    assert sum(share.drawn for share in shares) == whole.drawn
    assert sum(share.first_reward for share in shares) / processes == pytest.approx(whole.first_reward)


def together(right, chosen, processes):
    """All draws, and each process's share, of processes that are threads here."""
    asked, told, meeting = [], [[] for _ in range(processes)], Barrier(processes)
    size = len(chosen) // processes

    def gather(rank, found):
        told[rank] = found
        meeting.wait(60)
        everyone = [one for found in told for one in found]
        meeting.wait(60)
        return everyone

    def share(rank):
        mine = groups(right, redraws=4, asked=asked, gather=partial(gather, rank))
        return mine.round(chosen[rank * size : (rank + 1) * size], Place(5, rank, processes))

    with ThreadPoolExecutor(processes) as pool:
        return asked, list(pool.map(share, range(processes)))


def test_a_draw_has_a_stream_of_its_own_whatever_came_before():
    """The same place has the same streams for one process and for two; no two draws share one."""
    whole, halves, again = [], [], []
    groups(lambda _n, _k: True, asked=whole).round(repeated(7, 7, 8, 9), Place(3))
    for rank in (0, 1):
        chosen = repeated(7, 7, 8, 9)[8 * rank : 8 * rank + 8]
        groups(lambda _n, _k: True, asked=halves).round(chosen, Place(3, rank, 2))
    assert whole == halves
    groups(lambda _n, _k: True, asked=again).round(repeated(7, 7, 8, 9), Place(4))
    seeds = [seed for _, seed in (*whole, *again)]
    assert len(set(seeds)) == 32
    other = []
    groups(lambda _n, _k: True, seed=43, asked=other).round(repeated(7, 7, 8, 9), Place(3))
    assert not {seed for _, seed in other} & set(seeds)


def test_streams_and_order_stay_those_that_runs_began_with():
    """A resumed run draws on: 31 bits of a digest for each answer, and an order of the batch's own for prompts."""

    def stream(*where):
        return int.from_bytes(hashlib.sha256(repr((42, *where)).encode()).digest()[:4], "big") // 2

    asked = []
    groups(lambda n, _k: n != 4, redraws=1, asked=asked).round(repeated(3, 4), Place(6))
    later = [int(n) for n in np.random.default_rng([42, 1, 6]).permutation(20) if n not in (3, 4)][:2]
    assert [prompt.ids[0] for prompt, _ in asked] == [3] * 4 + [4] * 4 + [later[0]] * 4 + [later[1]] * 4
    first = [stream(6, 0, at, k) for at in (0, 1) for k in range(4)]
    assert [seed for _, seed in asked] == first + [stream(6, 1, (0, at), k) for at in (0, 1) for k in range(4)]
