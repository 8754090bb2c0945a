"""Small trainings of a random Llama under PEFT, by transformers' own Trainer, that WeightsCallback records."""

import json
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM, Trainer, TrainerCallback, TrainingArguments

from inspector import WeightsCallback

MODULES = ("q_proj", "v_proj", "up_proj")


def base(seed: int = 0) -> LlamaForCausalLM:
    torch.manual_seed(seed)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=64, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=2, max_position_embeddings=64, initializer_range=0.1,
        )
    )  # fmt: skip


def attached(seed: int = 0, **config):
    settings = {"r": 4, "lora_alpha": 8, "target_modules": list(MODULES)} | config
    return get_peft_model(base(seed), LoraConfig(**settings))


def rows(seed: int = 0, n: int = 64):
    """Sequences by a rule, so that there is something to learn."""
    starts = torch.randint(0, 16, (n,), generator=torch.Generator().manual_seed(seed)).tolist()
    return [{"input_ids": ids, "labels": ids} for a in starts for ids in [[(7 * a + 3 * j) % 64 for j in range(12)]]]


def arguments(folder: Path, **more) -> TrainingArguments:
    settings = {
        "output_dir": str(folder), "max_steps": 12, "learning_rate": 1e-3, "per_device_train_batch_size": 4,
        "logging_steps": 2, "save_strategy": "no", "report_to": [], "disable_tqdm": True, "use_cpu": True,
    }  # fmt: skip
    return TrainingArguments(**(settings | more))


class At(TrainerCallback):
    """Does something to the model after some steps, before anything is recorded."""

    def __init__(self, do, steps=None):
        self.do, self.steps = do, steps

    def on_step_end(self, args, state, control, model=None, **_):
        if self.steps is None or state.global_step in self.steps:
            self.do(model)


def train(folder: Path, model=None, *before, every: int = 2, seed: int = 0, resume=None, callback=None, **more):
    """Train, recorded; what stands in the file: (header, records, losses)."""
    recorded = callback or WeightsCallback(every=every)
    model = attached(seed) if model is None else model
    trainer = Trainer(
        model, arguments(folder, seed=seed, **more), train_dataset=rows(seed), callbacks=[*before, recorded]
    )
    trainer.train(resume_from_checkpoint=resume)
    return model


def lines(folder: Path):
    header, *others = map(json.loads, (folder / "weights.jsonl").read_text().splitlines())
    return header, [line for line in others if "norm" in line], [line for line in others if "loss" in line]


def layers(model):
    return {n.removeprefix("base_model.model."): m for n, m in model.named_modules() if hasattr(m, "lora_A")}


def dense(model, adapter="default"):
    """ΔW of every module in float64, as PEFT itself multiplies it out."""
    return {n: m.get_delta_weight(adapter).detach().double() for n, m in layers(model).items()}
