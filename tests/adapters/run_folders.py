"""Run folders as the trainers of the field leave them, and what each stands for."""

import json

import torch
from safetensors.torch import save_file

from tests.makers import random_factors, write_random


def checkpoint(folder, seed):
    """What transformers' Trainer writes at a step."""
    write_random(folder, seed)
    for name in ("optimizer.pt", "scheduler.pt", "rng_state.pth", "training_args.bin"):
        torch.save({"state": {}}, folder / name)
    step = int("".join(filter(str.isdecimal, folder.name)))
    log = [{"loss": 1.0, "step": step}]
    (folder / "trainer_state.json").write_text(json.dumps({"global_step": step, "log_history": log}))


def transformers(out, seed):
    for step in (20, 100):
        checkpoint(out / f"checkpoint-{step}", seed + step)
    (out / "runs" / "Nov27").mkdir(parents=True)
    (out / "runs" / "Nov27" / "events.out.tfevents.1").write_bytes(b"\0")
    (write_random(out, seed) / "README.md").write_text("---\nlibrary_name: peft\n---\n")


def trl_dpo(out, seed):
    """PEFT saves a second adapter of the model below the first, here and in each checkpoint."""
    transformers(out, seed)
    for folder in (out, out / "checkpoint-20", out / "checkpoint-100"):
        write_random(folder / "reference", 7)


def unsloth(out, seed):
    """With the merged model in the same folder."""
    transformers(out, seed)
    model(out)


def axolotl(out, seed):
    """With the base's config at the root, and the merged model below."""
    transformers(out, seed)
    (out / "config.json").write_text('{"model_type": "llama"}')
    model(out / "merged")


def llama_factory(out, seed):
    transformers(out, seed)
    (out / "all_results.json").write_text("{}")
    (out / "trainer_log.jsonl").write_text('{"loss": 1.0}\n')


def nested(out, seed):
    write_random(out, seed)
    for step in (20, 100):
        checkpoint(out / "checkpoints" / f"step_{step}", seed + step)


def diffusers(out, seed):
    """One file of a name that every adapter has: the folder is the adapter."""
    for n, folder in enumerate((out, out / "checkpoint-20", out / "checkpoint-100")):
        image_file(folder / "pytorch_lora_weights.safetensors", seed + n)


def kohya(out, seed):
    """The steps stand beside the file that training ended with, under its name and a number."""
    for n, name in enumerate(("out", "out-000020", "out-000100")):
        image_file(out / f"{name}.safetensors", seed + n)


def model(folder):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text('{"model_type": "llama"}')
    save_file({"model.layers.0.self_attn.q_proj.weight": torch.zeros(8, 8)}, folder / "model.safetensors")


def image_file(path, seed):
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = {}
    for module, (B, A) in random_factors(seed=seed).items():
        tensors |= {f"unet.{module}.lora_A.weight": A, f"unet.{module}.lora_B.weight": B}
    save_file(tensors, path)


LAYOUTS = {
    transformers: ["out", "out/checkpoint-20", "out/checkpoint-100"],
    trl_dpo: ["out", "out/checkpoint-20", "out/checkpoint-100", "reference"],
    unsloth: ["out", "out/checkpoint-20", "out/checkpoint-100"],
    axolotl: ["out", "out/checkpoint-20", "out/checkpoint-100"],
    llama_factory: ["out", "out/checkpoint-20", "out/checkpoint-100"],
    nested: ["out", "step_20", "step_100"],
    diffusers: ["out", "out/checkpoint-20", "out/checkpoint-100"],
    kohya: ["out-000020", "out-000100", "out"],
}
"""Writer of a run -> the names of its adapter, and of those beside it."""
BESIDE = {
    transformers: "2 checkpoints beside it, opened only if named: checkpoint-20, checkpoint-100",
    trl_dpo: "3 adapters beside it, opened only if named: checkpoint-20, checkpoint-100, reference",
    nested: "2 checkpoints beside it, opened only if named: checkpoints/step_20, checkpoints/step_100",
    kohya: "2 checkpoints beside it, opened only if named: out-000020.safetensors, out-000100.safetensors",
}
