"""Whole models against a base, and torchtune's checkpoints: what stands beside the weights lies."""

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from tests.hostile import valid
from tests.hostile.case import CONFIG, ESCAPES, PAGE, POINTER, Case, entry, safetensors, write

BASE = Path("hostile-base")
Q = "model.layers.0.self_attn.q_proj.weight"


def _changed(change: Callable[[dict[str, Tensor]], None], folder: Path) -> None:
    """A model, some tensors of which are odd."""
    valid.model(folder, seed=1)
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors")


def _file(name: str, content: bytes, folder: Path) -> None:
    valid.model(folder, seed=1)
    write(folder / name, content)


def _pipe_config(folder: Path) -> None:
    _file("config.json", b"{}", folder)


def changes() -> Iterator[tuple[str, Callable[[dict[str, Tensor]], None], int, str]]:
    yield "NaN", lambda t: t[Q].fill_(float("nan")), 3, "NaN or Inf"
    yield "Inf in one place", lambda t: t[Q][0].fill_(float("inf")), 3, "NaN or Inf"
    yield "another shape", lambda t: t.update({Q: torch.ones(5, 5)}), 0, "another shape than in the base"
    yield "integers", lambda t: t.update({Q: torch.ones(12, 8, dtype=torch.int8)}), 3, "not a float"
    yield "F8", lambda t: t.update({Q: torch.ones(12, 8).to(torch.float8_e4m3fn)}), 3, "not a float"
    yield "empty", lambda t: t.update({Q: torch.ones(0, 8)}), 0, "another shape"
    yield "names of escapes", lambda t: t.update({ESCAPES: torch.ones(2, 2)}), 0, "not in the base"
    yield "a module of escapes", lambda t: t.update({f"{ESCAPES}.weight": torch.ones(2, 2)}), 0, r"\[red\]name"
    yield "nothing of the base", lambda t: (t.clear(), t.update({"x.weight": torch.ones(2, 2)})), 2, "is that its base"
    twice = {f"base_model.model.{Q}": torch.ones(12, 8)}
    yield "a module twice", lambda t: t.update(twice), 3, "claim the same module"


def _torchtune(config: object, folder: Path) -> Path:
    path = valid.torchtune(folder)
    write(folder / "config.json", json.dumps(config))
    return path


def _heads(heads: object, folder: Path) -> Path:
    """Query rows in torchtune's order, and a number of heads nobody can trust."""
    folder.mkdir(exist_ok=True)
    tensors = {
        "layers.0.attn.q_proj.lora_a.weight": torch.ones(2, 8),
        "layers.0.attn.q_proj.lora_b.weight": torch.ones(12, 2),
    }
    torch.save(tensors, folder / "adapter_model.pt")
    write(folder / CONFIG, json.dumps({"r": 2, "lora_alpha": 4, "peft_type": "LORA"}))
    write(folder / "config.json", json.dumps({"num_attention_heads": heads}))
    return folder / "adapter_model.pt"


def cases() -> Iterator[Case]:
    base = ("--base", "{base}")
    for name, change, code, says in changes():
        yield Case(f"model: {name}", partial(_changed, change), code, says, None, base)
    for name, content, says in (
        ("empty", b"", "is empty"),
        ("LFS pointer", POINTER, "Git LFS pointer"),
        ("HTML page", PAGE, "web page"),
        ("cut", safetensors({Q: entry(0, 384, (12, 8))}, bytes(100)), "not a valid safetensors"),
    ):
        yield Case(f"model: weights {name}", partial(_file, "model.safetensors", content), 2, says, None, base)
    for name, content in {"empty": b"", "nested": b"[" * 10**5, "not UTF-8": b"\xff", "a list": b"[1]"}.items():
        yield Case(f"model: config {name}", partial(_file, "config.json", content), 2, "o adapter", None, base)
    yield Case(
        "model: config of odd types",
        partial(_file, "config.json", b'{"model_type": [1], "architectures": 7}'),
        0,
        ".",
        None,
        base,
    )
    yield Case("model: shards missing", partial(_file, "model-00001-of-99999.safetensors", b"x"), 0, ".", None, base)
    yield Case("model: without a base", valid.model, 2, "whole model")
    pickles = ("--allow-pickle",)
    for heads in (0, -3, 10**12, 5, "four", [4], 1.5, float("nan"), 1e300):
        yield Case(
            f"torchtune: {heads!r} heads", partial(_heads, heads), 2, "number of heads|no LoRA pair", None, pickles
        )
    yield Case(
        "torchtune: model config odd", partial(_torchtune, {"text_config": [1]}), 0, "‖ΔW‖", valid.norm(), pickles
    )
