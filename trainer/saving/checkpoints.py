"""Checkpoints that are there as a whole or not at all, and a training that stops and goes on without a trace.

A checkpoint is written beneath a temporary name and renamed. It holds the adapter, the optimizer, the schedule, the
random states and the position in the data, so that a resumed run ends in the same bits on a CPU.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState

from inspector.common.errors import InspectorError
from inspector.common.text import plain
from trainer.saving.outcome import save_adapter
from trainer.saving.sharded import Sharded, full
from trainer.saving.start import adapter

_NAME = re.compile(r"checkpoint-(\d+)")
_WRITING = ".writing"
_STATE = ("optimizer.pt", "scheduler.pt", "rng_state*.pth", "scaler.pt")
"""What only resuming needs."""


def complete(folder: Path) -> list[Path]:
    """The checkpoints in a folder, oldest first."""
    found = [path for path in folder.glob("checkpoint-*") if _NAME.fullmatch(path.name) and path.is_dir()]
    return sorted(found, key=step_of)


def step_of(checkpoint: Path) -> int:
    """The step after which it was written."""
    match = _NAME.fullmatch(checkpoint.name)
    assert match is not None
    return int(match[1])


def newest(folder: Path) -> Path | None:
    """The checkpoint to resume from."""
    able = [path for path in complete(folder) if (path / "optimizer.pt").is_file()]
    return able[-1] if able else None


def thin(folder: Path, keep: int) -> None:
    """Leave the state to resume from in the last `keep` checkpoints only; the adapters stay."""
    for path in complete(folder)[: -keep or None]:
        for pattern in _STATE:
            for file in path.glob(pattern):
                file.unlink(missing_ok=True)


def adapter_of(folder: Path, step: int) -> dict[str, Tensor]:
    """The adapter of the checkpoint after a step, float32. Raises InspectorError if it cannot be read."""
    path = folder / f"checkpoint-{step}" / "adapter_model.safetensors"
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise InspectorError(
            f"The adapter of step {step}, which is the run's own, cannot be read from {plain(path)}: "
            f"remove {plain(folder.parent)} and train again."
        ) from error


class Durable(Sharded):
    """Mixed into a TRL trainer, before it: whole checkpoints, no telemetry, a stop at the first non-finite step."""

    args: Any
    state: Any
    model: Any
    accelerator: Any
    control: Any
    callback_handler: Any
    keep: int = 2
    base_id: str = ""
    held_out: Callable[[], dict[str, float]] | None = None
    """What a checkpoint is worth, by name: measured right before it is written."""
    _loss: Tensor | None = None

    def training_step(self, *args: Any, **kwargs: Any) -> Tensor:
        """One micro-batch; its loss is kept for the check before the optimizer's step."""
        loss: Tensor = super().training_step(*args, **kwargs)  # type: ignore[misc]
        self._loss = loss if self._loss is None else self._loss + loss
        return loss

    def check_finite(self) -> None:
        """Before the optimizer's step. Raises InspectorError where loss or gradient is no number."""
        gradients = [p.grad for p in self.model.parameters() if p.grad is not None]
        loss, self._loss = self._loss, None
        norm = full(torch.nn.utils.get_total_norm(gradients)) if gradients else torch.zeros(())
        if (loss is None or bool(torch.isfinite(loss))) and bool(torch.isfinite(norm)):
            return
        last = newest(Path(self.args.output_dir))
        kept = f"The checkpoint of step {step_of(last)} is kept" if last else "There is no checkpoint yet"
        raise InspectorError(
            f"The loss is not finite at step {self.state.global_step + 1}: stopped before it reached the weights. "
            f"{kept}; lower lr, or see log.jsonl for where it began."
        )

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """What is held out, logged as `eval_…` by transformers alone: TRL's log adds the averages of the training."""
        found = self.held_out() if self.held_out else {}
        Trainer.log(self, {f"eval_{name}": value for name, value in found.items()})  # type: ignore[arg-type]
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, found)
        return found

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        folder = Path(self.args.output_dir)
        target = folder / f"checkpoint-{self.state.global_step}"
        try:
            # Not TRL's own, which writes a model card into every checkpoint.
            Trainer._save_checkpoint(self, model, trial)  # type: ignore[arg-type] # noqa: SLF001
            self.accelerator.wait_for_everyone()
            if self.args.should_save:
                _placed(folder / _WRITING / target.name, target)
                thin(folder, self.keep)
        except (OSError, RuntimeError) as error:
            if isinstance(error, RuntimeError) and "write" not in str(error):
                raise
            last = newest(folder)
            kept = f" The one of step {step_of(last)} is kept." if last else ""
            reason = getattr(error, "strerror", None) or plain(error, 80)
            raise InspectorError(f"Cannot write the checkpoint {plain(target)}: {reason}.{kept}") from error

    def _get_output_dir(self, trial: Any) -> str:  # noqa: ARG002 - the signature is transformers'
        """Where transformers writes a checkpoint: not yet where it belongs."""
        return str(Path(self.args.output_dir) / _WRITING)

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Tensor] | None = None) -> None:  # noqa: ARG002
        """The adapter alone: no tokenizer, no card, no pickled arguments."""
        tensors = adapter(self.model)
        if self.args.should_save:
            save_adapter(self.model, Path(output_dir or self.args.output_dir), self.base_id, "float32", tensors)

    def _send_telemetry(self) -> None:
        """Nothing is sent home."""


class Guard(TrainerCallback):
    """Stops after the step in which a signal came, with a checkpoint; and before a step that is no number.

    After step `reported` a checkpoint is written in any case.
    """

    def __init__(self, reported: int = 0) -> None:
        self.trainer: Any = None
        self._reported = reported
        self.training = False
        self.asked = False
        self.stopped = False

    def on_train_begin(self, args: Any, state: TrainerState, control: TrainerControl, **_: Any) -> None:  # noqa: ARG002
        """From here on there is a step to finish."""
        self.training = True

    def on_train_end(self, args: Any, state: TrainerState, control: TrainerControl, **_: Any) -> None:  # noqa: ARG002
        """The last checkpoint is written."""
        self.training = False

    def on_pre_optimizer_step(self, args: Any, state: TrainerState, control: TrainerControl, **_: Any) -> None:  # noqa: ARG002
        """Look at the loss before it reaches the weights."""
        self.trainer.check_finite()

    def on_step_end(self, args: Any, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Write a checkpoint and stop, on all ranks at the same step."""
        asked = torch.tensor(float(self.asked), device=self.trainer.accelerator.device)
        if args.world_size > 1:
            asked = self.trainer.accelerator.reduce(asked, "sum")
        control.should_save = control.should_save or state.global_step == self._reported
        if asked.item() and state.global_step < state.max_steps:
            self.stopped = control.should_save = control.should_training_stop = True


@contextmanager
def signals(guard: Guard) -> Iterator[None]:
    """SIGINT and SIGTERM ask the guard to stop; the second one, or one where nothing is trained, stops at once."""

    def handle(_number: int, _frame: FrameType | None) -> None:
        if guard.asked or not guard.training:
            raise KeyboardInterrupt
        guard.asked = True
        sys.stderr.write("\nStopping after this step, with a checkpoint (once more: at once).\n")

    before = {}
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            before[number] = signal.signal(number, handle)
    except ValueError:  # not the main thread: whoever runs us has the signals
        pass
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def clean(folder: Path) -> None:
    """Remove what a killed run had begun to write."""
    shutil.rmtree(folder / _WRITING, ignore_errors=True)


def _placed(written: Path, target: Path) -> None:
    """The checkpoint under its own name, its files on the disk before its name is."""
    if target.is_dir():  # a stop at a step that was saved anyway
        shutil.rmtree(written)
        return
    for path in written.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
    written.replace(target)
