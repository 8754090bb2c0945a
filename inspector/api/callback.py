"""WeightsCallback: one line in a script of TRL, transformers, Unsloth, axolotl or LLaMA-Factory.

from inspector import WeightsCallback
trainer = SFTTrainer(…, callbacks=[WeightsCallback()])
"""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from inspector.common.errors import InspectorError
from inspector.trajectory.recorder import Recorder
from inspector.trajectory.weights_log import Header


class WeightsCallback(TrainerCallback):
    """Records ‖ΔW‖, effective rank and cosines of a LoRA that trains into `weights.jsonl` in the output folder.

    Arguments: `every`: optimizer steps from one record to the next, beside those at each checkpoint and at the end;
    `reference`: an adapter (any SOURCE of the command line) to take cosines with; `adapter`: the name of the adapter
    under PEFT if it is not the active one.

    Of several processes the main one writes. A training that resumes continues its file. What cannot be measured
    (modules trained whole, the magnitudes of DoRA, what FSDP or ZeRO-3 shard) is named in the file's first line and
    warned of. Only the r×r products of the factors are formed, on their device, and copied once.
    Raises InspectorError if the reference cannot be opened, or fits no module that trains.
    """

    def __init__(self, every: int = 50, reference: str | Path = "", adapter: str = "") -> None:
        if every < 1:
            raise InspectorError(f"every={every}: records are at least one step apart.")
        self.every, self._adapter = every, adapter
        self._reference = _opened(str(reference)) if reference else None
        self._recorder: Recorder | None = None
        self._rates: list[float] = []

    def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **more: Any) -> None:
        """Begin the file, or continue it where the training resumes."""
        del control, more
        if not state.is_world_process_zero:
            return
        folder = Path(args.output_dir)
        folder.mkdir(parents=True, exist_ok=True)
        config = getattr(model, "config", None)
        method = type(args).__name__.removesuffix("Config").lower()
        header = Header(
            base=str(getattr(config, "name_or_path", "") or ""),
            method="" if method == "trainingarguments" else method,
            lr=float(args.learning_rate),
            seed=int(args.seed),
            steps=int(state.max_steps),
        )
        made = Recorder(model, folder, header, step=state.global_step, adapter=self._adapter, reference=self._reference)
        self._recorder, self._rates = made, []
        if not made.live.updates:
            told = "".join(f" ({text})" for text in made.live.left_out[:1])
            warnings.warn(f"No LoRA module of this model is trained{told}: nothing is recorded.", stacklevel=2)
        else:
            for text in made.live.left_out:
                warnings.warn(f"Not recorded: {text}.", stacklevel=2)
        self._record(state.global_step)

    def on_step_begin(self, args: Any, state: Any, control: Any, optimizer: Any = None, **more: Any) -> None:
        """Note the rate of the step."""
        del args, state, control, more
        if self._recorder is not None and optimizer is not None:
            self._rates.append(max(float(group["lr"]) for group in optimizer.param_groups))

    def on_step_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        """Record every so many steps, and the last one."""
        del args, control, more
        if state.global_step % self.every == 0 or state.global_step >= state.max_steps:
            self._record(state.global_step)

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **more: Any) -> None:
        """Keep the loss."""
        del args, control, more
        if self._recorder is not None and logs and "loss" in logs:
            self._guarded(self._recorder.loss, state.global_step, float(logs["loss"]))

    def on_save(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        """Record the checkpoint; cosines are with it from here on."""
        del args, control, more
        self._record(state.global_step)
        if self._recorder is not None and self._recorder.live.updates:
            self._recorder.keep(state.global_step)

    def _record(self, step: int) -> None:
        if self._recorder is not None and step != self._recorder.step:
            rate = sum(self._rates) / len(self._rates) if self._rates else math.nan
            self._guarded(self._recorder.record, step, rate)
            self._rates = []

    def _guarded(self, write: Any, *values: Any) -> None:
        """A full disk must not end a training."""
        try:
            write(*values)
        except InspectorError as error:
            warnings.warn(f"{error} Nothing more is recorded.", stacklevel=2)
            self._recorder = None


def _opened(source: str) -> Any:
    """The one adapter at a source. Raises InspectorError."""
    from inspector.adapters.opening import open_sources

    adapters, failures = open_sources([source])
    if failures and not adapters:
        raise InspectorError(str(failures[0]))
    if len(adapters) != 1:
        raise InspectorError(f"{source} holds {len(adapters)} adapters: name one of them as the reference.")
    return adapters[0]
