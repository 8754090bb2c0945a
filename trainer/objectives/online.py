"""Online GRPO and Online DAPO: TRL's GRPO trainer on groups that are drawn here, from the adapter as it is.

Nothing is ever merged for sampling: in bfloat16 that would round away most of an update this small, and leave its
rounding in the base. TRL's `rollout_func` is experimental: tests/trainer/objectives/test_online.py holds it to what is
used of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any

import torch
from accelerate.utils import gather_object  # type: ignore[import-untyped]
from torch import Tensor
from trl.models.utils import unwrap_model_for_generation
from trl.rewards.other_rewards import get_soft_overlong_punishment
from trl.trainer.grpo_trainer import GRPOTrainer

from inspector.base_model.generation import Answer, Hooks, generate
from inspector.tasks.grading import Grader
from trainer.objectives.groups import Draw, Groups, Place, Round
from trainer.objectives.vllm_sampler import VllmSampler
from trainer.rollouts.draws import Sampling
from trainer.rollouts.rewards import reward
from trainer.rollouts.rows import Prompt
from trainer.rollouts.sampling import Chooser
from trainer.saving.checkpoints import Durable

_SUMS = ("drawn", "learned", "completions", "reward_sum")
"""Of completions, over the rounds since the last line of the log."""


class OnlineTrainer(Durable, GRPOTrainer):
    """TRL's losses; prompts, sampling, grading and dynamic sampling are ours.

    `overlong` is the number of last tokens of the limit over which DAPO's reward falls by `penalty`, 0 for GRPO.
    Completions are drawn by the model here, or by `elsewhere` where that is set before training.
    """

    elsewhere: VllmSampler | None = None
    _buffered_inputs: Any

    def __init__(
        self,
        *,
        args: Any,
        prompts: Sequence[Prompt],
        sampling: Sampling,
        redraws: int,
        overlong: int,
        penalty: float,
        **more: Any,
    ) -> None:
        rewards: list[Any] = [_graded]
        if overlong:
            rewards.append(_overlong(sampling.max_tokens, overlong, penalty))
        more |= {"reward_funcs": rewards, "rollout_func": lambda given, _: self._rollouts(given)}
        super().__init__(args=args, **more)
        self.prompts, self.sampling = prompts, sampling
        self._grader = ExitStack()
        grader = self._grader.enter_context(Grader())
        self._groups = Groups(
            prompts, self._sample, lambda text, gold: reward(grader, text, gold).value, args.num_generations,
            sampling.seed, redraws, gather_object,
        )  # fmt: skip
        self._sums = dict.fromkeys(_SUMS, 0.0)

    def train(self, *args: Any, **more: Any) -> Any:
        """As TRL's; the process that grades ends with it, and what a server was given goes."""
        with self._grader, self.elsewhere or nullcontext():
            return super().train(*args, **more)

    def training_step(self, *args: Any, **more: Any) -> Tensor:
        """One micro-batch; after a resumption TRL counts them from 0, and would draw in the middle of a round."""
        if self._buffered_inputs is None:
            self._step = self.state.global_step * self.args.gradient_accumulation_steps
        return super().training_step(*args, **more)

    def _prepare_inputs(self, generation_batch: Any) -> Any:
        """As TRL's, the completions of a step in order of length: its micro-batches are then hardly padded."""
        before = self._buffered_inputs
        inputs = super()._prepare_inputs(generation_batch)
        if self._buffered_inputs is before:
            return inputs
        self._buffered_inputs = by_length(self._buffered_inputs)
        return self._buffered_inputs[self._step % self.args.steps_per_generation]

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """With the mean first reward, and how many groups were drawn and learned from."""
        parts = torch.tensor([self._sums[name] for name in _SUMS], device=self.accelerator.device)
        told = dict(zip(_SUMS, self.accelerator.reduce(parts, "sum").tolist(), strict=True))
        self._sums = dict.fromkeys(_SUMS, 0.0)
        if told["completions"]:
            logs["right"] = told["reward_sum"] / told["completions"]
            logs |= {f"groups_{name}": told[name] / self.num_generations for name in ("drawn", "learned")}
        super().log(logs, start_time)

    def _rollouts(self, given: Sequence[str]) -> dict[str, Any]:
        """TRL's hook: token ids and rewards for this process's share of the prompts, each given G times in all."""
        place = Place(
            self.state.global_step // self.num_iterations,
            self.accelerator.process_index,
            self.accelerator.num_processes,
        )
        if self.elsewhere:
            self.elsewhere.serve(self.model, self.accelerator)
        found = self._groups.round([int(number) for number in given], place)
        self._count(found)
        return {
            "prompt_ids": [list(one.prompt.ids) for one in found.completions],
            "completion_ids": [list(one.answer.ids) for one in found.completions],
            "logprobs": None,
            "env_mask": [[int(at < found.learned)] * len(one.answer.ids) for at, one in enumerate(found.completions)],
            "graded": [one.reward for one in found.completions],
        }

    def _count(self, found: Round) -> None:
        size = len(found.completions)
        values = (found.drawn, found.learned, size, found.first_reward * size)
        for name, value in zip(_SUMS, values, strict=True):
            self._sums[name] += value

    def _sample(self, draws: Sequence[Draw]) -> list[Answer]:
        """Completions by the adapter as it stands, base and LoRA side by side."""
        if self.elsewhere:
            return self.elsewhere(draws)
        prompts, seeds = [list(prompt.ids) for prompt, _ in draws], [seed for _, seed in draws]
        choosing = Hooks(choose=lambda rows: Chooser([seeds[row] for row in rows], self.sampling))
        with self._generating() as model:
            limit = self.sampling.max_tokens
            found = list(generate(model, self.processing_class, prompts, limit, hooks=choosing))
        return sorted(found, key=lambda answer: answer.index)

    @contextmanager
    def _generating(self) -> Iterator[Any]:
        """The model without what training wraps around it: no dropout, no checkpointing, with a cache."""
        checkpointing = self.args.gradient_checkpointing_kwargs
        with unwrap_model_for_generation(
            self.model_wrapped, self.accelerator, gradient_checkpointing_kwargs=checkpointing
        ) as model:
            training = model.training
            model.eval()
            try:
                yield model
            finally:
                model.train(training)


def by_length(batches: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The same rows in micro-batches of the same size, the longest rows first, each cut to its longest row.

    Prompts are padded on the left, completions on the right.
    """
    sizes = [len(batch["advantages"]) for batch in batches]
    whole = {key: torch.cat([b[key] for b in batches]) if value.dim() else value for key, value in batches[0].items()}
    lengths = {side: whole[f"{side}_mask"].sum(1) for side in ("prompt", "completion")}
    ranked = (lengths["prompt"] + lengths["completion"]).argsort(descending=True, stable=True)
    found = []
    for rows in ranked.split(sizes):
        prompt, completion = (int(lengths[side][rows].max()) for side in ("prompt", "completion"))
        widest = whole["prompt_mask"].shape[1]
        part = {key: value[rows] if value.dim() else value for key, value in whole.items()}
        for key, value in part.items():
            if value.dim() == 2:
                part[key] = value[:, widest - prompt :] if key.startswith("prompt") else value[:, : max(completion, 1)]
        found.append(part)
    return found


def _graded(graded: Sequence[float], **_: Any) -> list[float]:
    """The rewards that came with the completions."""
    return list(graded)


_graded.__name__ = "right"


def _overlong(limit: int, last: int, penalty: float) -> Any:
    """TRL's punishment, which is 1 at the limit, times `penalty`."""
    soft = get_soft_overlong_punishment(limit, last)

    def overlong(completion_ids: Sequence[Sequence[int]], **_: Any) -> list[float]:
        return [penalty * value for value in soft(completion_ids=completion_ids)]

    return overlong
