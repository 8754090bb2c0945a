"""Online GRPO and DAPO: TRL's losses against the formulas, sampling, dynamic sampling, and going on after a stop."""

import json
from dataclasses import replace

import pytest
import torch

from inspector.base_model.generation import Answer
from inspector.common.errors import InspectorError
from tests.trainer.saving.test_checkpoints import after, begin, guard_at
from tests.trainer.small import Catch, close, equal, made, options, rollouts, tiny, trained
from trainer.objectives.examples import order
from trainer.objectives.groups import Place
from trainer.rollouts.rows import Prompt
from trainer.runs.log import read_log
from trainer.saving import checkpoints
from trainer.train import train

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
ONLINE = {"generations": 4, "max_new_tokens": 12}
EXACT = 2e-5


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tiny(tmp_path_factory.mktemp("base"))


@pytest.fixture
def file(tmp_path):
    return rollouts(tmp_path)


def scripted(trainer, rewards, grade=None):
    """Let the answers have these rewards, one after another, then 0; they have 3, 5, 7 … tokens."""
    ids = trainer.processing_class("0123456789 0123456789").input_ids
    left = list(rewards)

    def sample(draws):
        found = []
        for n, _ in enumerate(draws):
            text = "\\boxed{9}" if left and left.pop(0) else "\\boxed{8}"
            found.append(Answer(n, text, 3 + 2 * n, "stop", ids=tuple(ids[: 3 + 2 * n])))
        return found

    groups = trainer._groups
    nines = [Prompt(prompt.ids, "9", "") for prompt in groups.prompts]
    drawn = groups.generations, groups.seed, groups.redraws
    trainer._groups = type(groups)(nines, sample, grade or groups.grade, *drawn)


def gradient(base, name, file, place, rewards, **more):
    """(trainer, gradient, log) of one scripted step."""
    trainer, catch = made(base, name, file, place, **ONLINE | more), Catch()
    scripted(trainer, rewards)
    trainer.add_callback(catch)
    trainer.train()
    return trainer, catch.gradient, catch.logs


def by_hand(base, file, place, rewards, weigh, *, kl=lambda size, sizes: 0.0, spread=True, **more):
    """∇ Σ weigh(advantage of the group, tokens of each) · log π and kl · ρ · k3, by autograd, at the same point."""
    trainer = made(base, "online-grpo", file, place, **ONLINE | more)
    scripted(trainer, rewards, lambda text, gold: float(text == f"\\boxed{{{gold}}}"))
    drawn = [n for n in order(6, 2, trainer.args.data_seed) for _ in range(4)]
    completions = trainer._groups.round(drawn, Place(0)).completions
    sizes, total = [len(one.answer.ids) for one in completions], 0.0
    for at, one in enumerate(completions):
        r = torch.tensor([other.reward for other in completions[at // 4 * 4 :][:4]])
        a = (one.reward - r.mean()) / (r.std() + 1e-4 if spread else 1)
        ids = torch.tensor([[*one.prompt.ids, *one.answer.ids]])
        log_p = of_answer(trainer, ids, one.prompt, one.answer)
        with torch.no_grad(), trainer.model.disable_adapter():
            delta = of_answer(trainer, ids, one.prompt, one.answer)
        delta = delta - log_p
        total = total - weigh(a, sizes[at], sizes) * log_p.sum()
        total = total + kl(sizes[at], sizes) * ((log_p - log_p.detach()).exp() * (delta.exp() - delta - 1)).sum()
    total.backward()
    return {n: p.grad for n, p in trainer.model.named_parameters() if p.requires_grad}


def of_answer(trainer, ids, prompt, answer):
    log_p = trainer.model(ids).logits.double().log_softmax(-1)[0, len(prompt.ids) - 1 : -1]
    return log_p.gather(1, torch.tensor(answer.ids)[:, None])


@pytest.mark.parametrize("micro", [2, 8])
def test_grpo_is_the_mean_over_completions_of_their_mean_over_tokens(base, file, tmp_path, micro):
    rewards = (1, 0, 0, 1, 0, 0, 0, 1)
    _, found, _ = gradient(base, "online-grpo", file, tmp_path, rewards, micro_batch=micro)
    wanted = by_hand(base, file, tmp_path, rewards, lambda a, size, sizes: a / size / len(sizes))
    assert close(wanted, found, EXACT)


@pytest.mark.parametrize("micro", [2, 8])
def test_dapo_is_the_mean_over_all_tokens(base, file, tmp_path, micro):
    rewards = (1, 0, 0, 1, 0, 0, 0, 1)
    _, found, logs = gradient(base, "online-dapo", file, tmp_path, rewards, micro_batch=micro, overlong=1e-3)
    wanted = by_hand(base, file, tmp_path, rewards, lambda a, _size, sizes: a / sum(sizes))
    assert close(wanted, found, EXACT)
    assert logs["groups_drawn"] == logs["groups_learned"] == 2


REWARDS = (1, 0, 0, 1, 0, 0, 0, 1)


@pytest.mark.parametrize("micro", [2, 8])
def test_dr_grpo_is_the_sum_over_tokens_by_the_limit(base, file, tmp_path, micro):
    """No spread, and every completion over the limit of 20 tokens, however long it is."""
    how = {"variant": "dr-grpo", "max_new_tokens": 20}
    _, found, _ = gradient(base, "online-grpo", file, tmp_path, REWARDS, micro_batch=micro, **how)
    wanted = by_hand(base, file, tmp_path, REWARDS, lambda a, _size, sizes: a / 20 / len(sizes), spread=False)
    assert close(wanted, found, EXACT)


def test_gspo_is_grpo_until_its_ratio_is_clipped(base, file, tmp_path):
    """At a ratio of 1 the gradient is GRPO's."""
    _, found, _ = gradient(base, "online-grpo", file, tmp_path, REWARDS, variant="gspo")
    wanted = by_hand(base, file, tmp_path, REWARDS, lambda a, size, sizes: a / size / len(sizes))
    assert close(wanted, found, EXACT)
    trainer = made(base, "online-grpo", file, tmp_path, **ONLINE, variant="gspo", iterations=2)
    assert (trainer.importance_sampling_level, trainer.epsilon_low, trainer.epsilon_high) == ("sequence", 3e-4, 4e-4)


@pytest.mark.parametrize(("advantage", "factor"), [(1.0, 1.0003), (1.0, 1.0005), (-1.0, 0.9999), (-1.0, 0.9996)])
def test_gspos_loss_by_its_formula(base, file, tmp_path, advantage, factor):
    """−min(s·Â, clip(s)·Â), s the geometric mean ratio, against TRL's own loss of one completion of three tokens."""
    trainer = made(base, "online-grpo", file, tmp_path, **ONLINE, variant="gspo", batch=4, micro_batch=4)
    prompt, ids = torch.tensor([[5, 6, 7]] * 4), torch.tensor([[8, 9, 10]] * 4)
    log_p = trainer.model(torch.cat([prompt, ids], 1)).logits.double().log_softmax(-1)[:, 2:-1]
    log_p = log_p.gather(2, ids[..., None])[..., 0].detach()
    shift = torch.tensor([3.0, -1.0, 1.0], dtype=torch.float64) * torch.tensor(factor, dtype=torch.float64).log()
    ones = torch.ones_like(ids)
    given = {
        "prompt_ids": prompt, "prompt_mask": ones, "completion_ids": ids, "completion_mask": ones,
        "old_per_token_logps": log_p - shift, "advantages": torch.full((4,), advantage, dtype=torch.float64),
    }  # fmt: skip
    trainer.current_gradient_accumulation_steps = 1
    found = trainer._compute_loss(trainer.model, given).item()
    s = factor
    assert found == pytest.approx(-min(s * advantage, min(max(s, 1 - 3e-4), 1 + 4e-4) * advantage), abs=2e-6)


def test_dapo_and_grpo_pay_for_their_distance_to_the_base(base, file, tmp_path):
    """κ·ρ·k3 a token, averaged as the rest is."""
    _, found, _ = gradient(base, "online-grpo", file, tmp_path, REWARDS, kl=0.7, shift=0.5)
    by_size = {"weigh": lambda a, size, sizes: a / size / len(sizes), "kl": lambda size, sizes: 0.7 / size / len(sizes)}
    assert close(by_hand(base, file, tmp_path, REWARDS, shift=0.5, **by_size), found, EXACT)
    _, found, _ = gradient(base, "online-dapo", file, tmp_path, REWARDS, kl=0.7, shift=0.5, overlong=1e-3)
    by_tokens = {"weigh": lambda a, _size, sizes: a / sum(sizes), "kl": lambda _size, sizes: 0.7 / sum(sizes)}
    assert close(by_hand(base, file, tmp_path, REWARDS, shift=0.5, **by_tokens), found, EXACT)


def test_truncated_completions_are_graded_and_not_learned_from(base, file, tmp_path):
    """Of 3, 5, 7, … tokens none ends with the end of text but those that are made to: the others are masked."""

    def first_step(**more):
        trainer, catch = made(base, "online-grpo", file, tmp_path, **ONLINE, **more), Catch()
        scripted(trainer, REWARDS)
        whole, end = trainer._groups.sample, trainer.processing_class.eos_token_id

        def sample(draws):
            ended = [replace(answer, ids=(*answer.ids[:-1], end)) for answer in whole(draws)]
            return [a if n % 3 else replace(a, ids=(*a.ids[:-1], 5), finish="length") for n, a in enumerate(ended)]

        trainer._groups = replace(trainer._groups, sample=sample)
        trainer.add_callback(catch)
        trainer.train()
        return trainer, sample, catch

    trainer, _, kept = first_step()
    _, sample, masked = first_step(mask_truncated=True)
    assert kept.logs["completions/clipped_ratio"] == masked.logs["completions/clipped_ratio"] == 3 / 8
    assert not close(kept.gradient, masked.gradient, 0.05)
    total, answers = 0.0, sample([None] * 8)
    trainer = made(base, "online-grpo", file, tmp_path, **ONLINE)
    prompts = [trainer.prompts[n] for n in order(6, 2, trainer.args.data_seed)]
    for n, answer in enumerate(answers):
        r = torch.tensor(REWARDS[4 * (n // 4) : 4 * (n // 4) + 4], dtype=torch.float64)
        advantage = ((r - r.mean()) / (r.std() + 1e-4))[n % 4]
        prompt = prompts[n // 4]
        ids = torch.tensor([[*prompt.ids, *answer.ids]])
        if n % 3:
            total = total - advantage * of_answer(trainer, ids, prompt, answer).mean() / 8
    total.backward()
    wanted = {n: p.grad for n, p in trainer.model.named_parameters() if p.requires_grad}
    assert close(wanted, masked.gradient, EXACT)


def test_groups_that_teach_nothing_do_not_count(base, file, tmp_path):
    """One group of two is mixed: the step is that group's token mean, as if it were alone."""
    rewards = (1, 0, 0, 1, 0, 0, 0, 0)
    _, found, logs = gradient(base, "online-dapo", file, tmp_path, rewards, redraws=2, overlong=1e-3)
    assert (logs["groups_learned"], logs["groups_drawn"]) == (1, 4)
    assert close(by_hand(base, file, tmp_path, rewards, lambda a, _s, sizes: a / sum(sizes[:4])), found, EXACT)


def test_a_step_without_a_mixed_group_moves_nothing(base, file, tmp_path):
    _, found, logs = gradient(base, "online-dapo", file, tmp_path, (1,) * 8, weight_decay=0)
    assert not any(g.any() for g in found.values())
    assert (logs["groups_learned"], logs["groups_drawn"], logs["right"]) == (0, 6, 1)


def test_long_answers_lose_reward(base, file, tmp_path):
    """limit 12, the last 6 of them penalised by up to ½, half of what right and wrong are apart, or as asked."""
    trainer = made(base, "online-dapo", file, tmp_path, **ONLINE, overlong=0.5)
    punish = trainer.reward_funcs[1]
    assert punish(completion_ids=[[0] * 5, [0] * 7, [0] * 12, [0] * 17]) == pytest.approx([0, -1 / 12, -0.5, -0.5])
    trainer = made(base, "online-dapo", file, tmp_path, **ONLINE, overlong=0.5, overlong_penalty=1)
    assert trainer.reward_funcs[1](completion_ids=[[0] * 5, [0] * 7, [0] * 12]) == pytest.approx([0, -1 / 6, -1])
    assert len(made(base, "online-grpo", file, tmp_path, **ONLINE).reward_funcs) == 1


def test_clips(base, file, tmp_path):
    for name, high in (("online-grpo", 0.2), ("online-dapo", 0.28)):
        trainer = made(base, name, file, tmp_path, **ONLINE)
        assert (trainer.epsilon_low, trainer.epsilon_high, trainer.beta) == (0.2, high, 0)
    assert made(base, "online-dapo", file, tmp_path, **ONLINE, clip_high=0.5).epsilon_high == 0.5


def test_offline_grpo_through_trls_own_loss(base, file, tmp_path):
    """The rows of one step as TRL's completions, no division by the spread, b = 0: the same gradient."""
    offline, catch = made(base, "offline-grpo", file, tmp_path, b=0.0, batch=24, micro_batch=24), Catch()
    offline.add_callback(catch)
    rows = offline.train_dataset
    offline.train()
    online, other = made(base, "online-dapo", file, tmp_path, **ONLINE, batch=24, micro_batch=24, redraws=0,
                         overlong=1e-3), Catch()  # fmt: skip
    online.add_callback(other)
    online.scale_rewards = "none"
    online._rollouts = lambda _given: shared(rows, file)
    online.train()
    assert close(catch.gradient, other.gradient, EXACT)


def shared(rows, file):
    """The shared rollouts as what `rollout_func` gives back, group by group."""
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    found = {"prompt_ids": [], "completion_ids": [], "graded": [], "logprobs": None}

    def opening(row):
        return sum(label == -100 for label in row["labels"])

    for row in sorted(rows, key=lambda row: row["input_ids"][: opening(row)]):
        start = opening(row)
        found["prompt_ids"].append(row["input_ids"][:start])
        found["completion_ids"].append(row["input_ids"][start:])
        found["graded"].append(1.0 if row["weight"] > 0 else 0.0)
    assert len(found["graded"]) == len(lines)
    return found


@pytest.mark.parametrize("name", ["online-grpo", "online-dapo"])
def test_killed_and_resumed_is_the_same_bits(base, file, tmp_path, name):
    more = ONLINE | {"steps": 8, "save_steps": 2, "micro_batch": 4, "dropout": 0.1}
    process = begin(base, name, file, tmp_path / "killed", **more)
    after(process, tmp_path / "killed" / name / "log.jsonl", 3)
    process.kill()
    process.communicate()
    assert checkpoints.complete(tmp_path / "killed" / name / ".checkpoints")
    resumed = trained(base, name, file, tmp_path / "killed", **more)
    whole = trained(base, name, file, tmp_path / "whole", **more)
    assert equal(resumed, whole)
    assert any(t.any() for key, t in whole.items() if "lora_B" in key)
    logs = [read_log(tmp_path / out / name / "log.jsonl") for out in ("killed", "whole")]
    assert [line["right"] for line in logs[0]] == [line["right"] for line in logs[1]]


def test_several_steps_on_one_batch_resume_between_batches_the_same(base, file, tmp_path):
    """Stopped after a batch's last step: the same bits.

    Within it the completions are drawn anew, from the adapter as it then is, and the batches that follow begin where
    they would have begun.
    """
    more = ONLINE | {"steps": 6, "iterations": 2, "save_steps": 1, "keep": 9}
    whole = trained(base, "online-grpo", file, tmp_path / "whole", **more)
    for stop in (2, 3):
        out = tmp_path / str(stop)
        guard_at(stop, lambda out=out: train(options(base, "online-grpo", file, out, **more)))
        resumed = trained(base, "online-grpo", file, out, **more)
        assert equal(resumed, whole) == (stop == 2)
        drawn = [line["step"] for line in read_log(out / "online-grpo" / "log.jsonl") if "right" in line]
        assert drawn == ([1, 3, 5] if stop == 2 else [1, 3, 4, 5])


def test_clipping_bites_with_several_steps_on_one_batch(base, file, tmp_path):
    more = ONLINE | {"steps": 3, "iterations": 3, "lr": 0.3, "warmup": 0.0}
    clipped = []
    trainer = made(base, "online-grpo", file, tmp_path, **more)
    scripted(trainer, (1, 0, 0, 1, 0, 0, 0, 1))
    trainer.log = lambda logs, _start=None: clipped.extend(trainer._metrics["train"]["clip_ratio/region_mean"])
    trainer.train()
    assert clipped[0] == 0
    assert max(clipped) > 0


def test_the_adapter_is_sampled_as_it_is(base, file, tmp_path):
    """Other answers with the adapter than without; afterwards it trains on, nothing merged."""
    trainer = made(base, "online-grpo", file, tmp_path, **ONLINE, shift=2.0)
    draws = [(prompt, seed) for seed, prompt in enumerate(trainer._groups.prompts)]
    found = trainer._sample(draws)
    with trainer.model.disable_adapter():
        without = trainer._sample(draws)
    assert [answer.ids for answer in found] != [answer.ids for answer in without]
    assert [answer.ids for answer in found] == [answer.ids for answer in trainer._sample(draws)]
    assert trainer.model.training
    assert not any(getattr(module, "merged", False) for module in trainer.model.modules())
    assert all(answer.ids[-1] == trainer.processing_class.eos_token_id for answer in found if answer.finish == "stop")


def test_prompts_are_those_of_the_rollouts(base, file, tmp_path):
    """The same ids as the offline methods', each with its gold answer, in the order of the data seed."""
    online, offline = (made(base, name, file, tmp_path, **ONLINE) for name in ("online-grpo", "sft"))
    opened = {tuple(row["input_ids"][: sum(n == -100 for n in row["labels"])]) for row in offline.train_dataset}
    assert {prompt.ids for prompt in online._groups.prompts} >= opened
    assert {prompt.gold for prompt in online._groups.prompts} == set("012345")
    assert [int(row["prompt"]) for row in online.train_dataset] == order(6, 2, 42)


def test_the_record(base, file, tmp_path, capsys):
    trained(base, "online-dapo", file, tmp_path, **ONLINE)
    record = json.loads((tmp_path / "online-dapo" / "run.json").read_text())
    assert (record["reduction"], record["noun"], record["examples"]) == ("token-mean", "prompt", 6)
    assert record["epochs"] == pytest.approx(4 * 2 / 6)
    assert record["settings"]["redraws"] == 3
    assert {"right_first", "right_last", "groups_drawn", "groups_learned"} <= record["diagnostics"].keys()
    log = [line["completions/clipped_ratio"] for line in read_log(tmp_path / "online-dapo" / "log.jsonl")]
    assert record["diagnostics"]["clipped"] == pytest.approx(sum(log) / 4)
    assert record["settings"]["max_new_tokens"] == 12
    clipped = f"{sum(log) / 4:.0%} of the completions were cut at max_new_tokens, 12, and learned from"
    assert clipped in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"generations": 3}, "batch 8 makes no whole groups of 3 completions"),
        ({"generations": 1}, "generations is 1: it must be at least 2"),
        ({"max_length": 5, "max_new_tokens": 4}, "No row is left"),
        ({"max_length": 12}, "max_new_tokens, 12, leaves no room for a prompt in max_length, 12: lower it"),
        ({"temperature": 0}, "temperature is 0.0: it must be above 0"),
    ],
)
def test_what_cannot_be(base, file, tmp_path, more, said):
    with pytest.raises(InspectorError, match=said):
        trained(base, "online-grpo", file, tmp_path, **ONLINE | more)
    assert not (tmp_path / "online-grpo" / "run.json").exists()


def test_without_gold_answers_nothing_can_be_graded(base, file, tmp_path):
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    file.write_text("\n".join(json.dumps({k: v for k, v in row.items() if k != "answer"}) for row in rows))
    with pytest.raises(InspectorError, match="no gold answers"):
        trained(base, "online-grpo", file, tmp_path, **ONLINE)
