"""What a checkpoint is worth, measured while training: held-out rows scored, problems answered greedily.

The training does not notice: the model is put back as it was, and so are the random streams.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from accelerate.utils import gather_object  # type: ignore[import-untyped]
from transformers import TrainerCallback, TrainerControl, TrainerState
from trl.trainer.utils import add_fused_lm_head

from inspector.base_model.encode import prompt_ids
from inspector.base_model.generation import generate, room
from inspector.tasks.grading import Grader
from inspector.tasks.problems import Problems, token_limit
from trainer.objectives import passes
from trainer.objectives.weighted import Collator
from trainer.rollouts.rows import Row, Rows
from trainer.runs.held_out import described

_ROWS, _TOKENS = 64, 8192
"""Of a pass at most."""


@dataclass
class Evaluation(TrainerCallback):
    """Measures before the first step and before each checkpoint that the recipe asks for, not before one of a stop."""

    trainer: Any
    rows: Rows
    """Held out."""
    problems: Problems | None
    reported: int
    """The step after which there is a checkpoint in any case."""
    free: bool
    """Whether the base's attention takes rows end to end alone."""
    _prompts: list[tuple[list[int], str]] = field(init=False)
    """(token ids, gold answer) of those that the base has room for."""

    def __post_init__(self) -> None:
        tokenizer, model = self.trainer.processing_class, self.trainer.model
        asked = [(prompt_ids(tokenizer, self.problems.messages(p)), p.answer) for p in self.problems.problems
                 ] if self.problems else []  # fmt: skip
        self._prompts = [(ids, gold) for ids, gold in asked if room(model, len(ids), 1)]
        self.trainer.held_out = self.measure

    def on_train_begin(self, args: Any, state: TrainerState, control: TrainerControl, **_: Any) -> None:  # noqa: ARG002
        """The base as it is: B₀ is 0."""
        if state.global_step == 0:
            self.trainer.evaluate()

    def on_step_end(self, args: Any, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """transformers evaluates after the step is logged, before its checkpoint is written."""
        step = state.global_step
        control.should_evaluate = step % args.save_steps == 0 or step in {self.reported, state.max_steps}

    def measure(self) -> dict[str, float]:
        """`nll_right` and `nll_wrong` in nats a token, `accuracy` as a share; each if there is something for it."""
        model = self.trainer.model
        was, devices = model.training, [model.device] if model.device.type == "cuda" else []
        with torch.random.fork_rng(devices):
            model.eval()
            try:
                return (self._nll() if self.rows.rows else {}) | (self._accuracy() if self._prompts else {})
            finally:
                model.train(was)

    def record(self) -> dict[str, Any]:
        """What was measured on, for run.json."""
        task = {"task": self.problems.name, "problems": len(self._prompts)} if self.problems else {}
        return described(self.rows) | task

    def _nll(self) -> dict[str, float]:
        """Σℓ_t / Σ1 over the completion tokens of the right (r > 0) and of the wrong answers."""
        rows = sorted(self.rows.rows, key=lambda row: -len(row.ids))
        losses = self._losses(rows)
        sums: dict[str, tuple[float, int]] = {}
        for row, loss in zip(rows, losses, strict=True):
            name = "nll_right" if row.reward > 0 else "nll_wrong"
            total, tokens = sums.get(name, (0.0, 0))
            sums[name] = total + loss, tokens + row.targets
        return {name: sums[name][0] / sums[name][1] for name in sorted(sums)}

    def _losses(self, rows: Sequence[Row]) -> list[float]:
        """Σℓ_t of each row's completion; the passes are dealt to the processes, each of which makes as many."""
        accelerator, model = self.trainer.accelerator, self.trainer.model
        limits = passes.Limits(_ROWS, _TOKENS, self.free)
        cuts = passes.cut([len(row.ids) for row in rows], limits)
        count = -(-len(cuts) // accelerator.num_processes)
        mine = (cuts[accelerator.process_index :: accelerator.num_processes] + cuts[:1])[:count]
        tokenizer = self.trainer.processing_class
        pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
        collate, found = Collator(pad_token_id=pad), []
        with torch.no_grad(), _log_probs(model):
            for some in mine:
                batch = collate([_example(row) for row in rows[some]])
                part = passes.taken(batch, slice(None), limits)
                given = {name: _moved(value, model.device) for name, value in part.items() if name not in _OURS}
                out = model(**given, use_cache=False, fused_lm_head=True)
                log_p = passes.by_row(out.log_probs, part)
                found.append((some.start, (-log_p.double().sum(1)).tolist()))
        parts = dict(gather_object(found))
        return [loss for start in sorted(parts) for loss in parts[start]]

    def _accuracy(self) -> dict[str, float]:
        """The share of the problems that are solved, by answers without sampling."""
        trainer, accelerator = self.trainer, self.trainer.accelerator
        mine = self._prompts[accelerator.process_index :: accelerator.num_processes]
        assert self.problems is not None
        limit, right = token_limit(self.problems.name), 0
        # Without a chat template the prompt reads `Question: … Answer:`, and models go on with the next question.
        until = "" if getattr(trainer.processing_class, "chat_template", None) else "\n\nQuestion:"
        with passes.sampling(trainer.model), Grader() as grader:
            prompts = [ids for ids, _ in mine]
            for answer in generate(trainer.model, trainer.processing_class, prompts, limit, until=until):
                right += grader.grade(answer.text, mine[answer.index][1]).correct
        return {"accuracy": sum(gather_object([right])) / len(self._prompts)}


_OURS = {"weight", "lengths"}


def _example(row: Row) -> dict[str, Any]:
    return {"input_ids": row.ids.tolist(), "labels": [-100] * row.start + row.completion.tolist(), "weight": 1.0}


def _moved(value: Any, device: torch.device) -> Any:
    return value.to(device) if isinstance(value, torch.Tensor) else value


@contextmanager
def _log_probs(model: Any) -> Iterator[None]:
    """Within it the base gives log π_t: where TRL has it do so already, it may divide logits by a temperature."""
    base = model.get_base_model()
    before = base.forward
    add_fused_lm_head(base, outputs=("log_probs",))
    try:
        yield
    finally:
        base.forward = before
