"""What WeightsCallback takes of a training's time: SmolLM2-135M, rank 16 on all linear modules. The bound is 1 %.

transformers' own Trainer, float32, one thread, whose CPU time counts; four rows of 256 tokens a step, which is little:
with more the share falls. A record is made at every step here, and counted as one in 50, the callback's default; what
it does at other steps counts whole. The second record has a checkpoint to compare with.
"""

import tempfile
import time
import warnings
from functools import wraps
from pathlib import Path
from statistics import median
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from transformers import Trainer, TrainingArguments
from transformers.trainer_callback import PrinterCallback
from transformers.utils import logging

from inspector import WeightsCallback
from tests.bench import QUICK
from tests.bench.training import base_here

EVERY = 50
STEPS, ROWS, TOKENS = (2, 1, 16) if QUICK else (5, 4, 256)


class Clocked(WeightsCallback):
    """Records at every step; CPU seconds of each hook, by the step."""

    def __init__(self) -> None:
        super().__init__(every=1)
        self.records: list[float] = []
        self.rest, self.begun = 0.0, 0.0

    def _record(self, step: int) -> None:
        began = time.process_time()
        super()._record(step)
        self.records.append(time.process_time() - began)


def clocked(callback: Clocked, name: str) -> Any:
    plain = getattr(callback, name)

    @wraps(plain)
    def timed(*given: Any, **more: Any) -> None:
        began, before = time.process_time(), sum(callback.records)
        plain(*given, **more)
        callback.rest += time.process_time() - began - (sum(callback.records) - before)

    return timed


def main() -> None:
    warnings.simplefilter("ignore")
    logging.set_verbosity_error()
    torch.set_num_threads(1)
    base = base_here("" if QUICK else "smollm2")
    model = get_peft_model(base.model, LoraConfig(r=16, lora_alpha=32, target_modules="all-linear"))
    ids = torch.randint(3, 90, (ROWS * STEPS, TOKENS)).tolist()
    callback = Clocked()
    for name in ("on_step_begin", "on_step_end", "on_log", "on_save"):
        setattr(callback, name, clocked(callback, name))
    with tempfile.TemporaryDirectory() as place:
        arguments = TrainingArguments(
            output_dir=str(Path(place)), max_steps=STEPS, per_device_train_batch_size=ROWS, logging_steps=1,
            save_steps=2, report_to=[], disable_tqdm=True, use_cpu=True, learning_rate=1e-4,
        )  # fmt: skip
        rows = [{"input_ids": row, "labels": row} for row in ids]
        trainer = Trainer(model, arguments, train_dataset=rows, callbacks=[callback])
        trainer.remove_callback(PrinterCallback)
        began = time.process_time()
        trainer.train()
        took = time.process_time() - began
    step = (took - sum(callback.records) - callback.rest) / STEPS
    first, later = callback.records[1], median(callback.records[-2:])
    rest = callback.rest / STEPS
    share = (later / EVERY + rest) / step
    above = " ABOVE 1 %" if share > 0.01 and not QUICK else ""
    modules = sum("lora_A" in name and name.endswith("weight") for name, _ in model.named_parameters())
    print(f"{base.name}, {modules} modules, {ROWS} rows of {TOKENS} tokens: {step:.2f} s a step, CPU time")
    print(f"a record {first:.3f} s, {later:.3f} s with a checkpoint to compare with; beside it {rest:.4f} s a step")
    print(f"every {EVERY} steps: {share:.2%} of a step{above}; at every step {later / step:.1%}")


if __name__ == "__main__":
    main()
