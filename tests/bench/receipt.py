"""`inspector receipt` on a merge of Qwen3-4B's widths: time and memory against reading both models once."""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from tests.bench import QUICK
from tests.bench.many_modules import MEASURED

LAYERS, VOCABULARY = (1, 100) if QUICK else (6, 151_936)
WIDTH, INNER = (64, 96) if QUICK else (2560, 9728)
SHAPES = {
    "self_attn.q_proj": (WIDTH, WIDTH), "self_attn.o_proj": (WIDTH, WIDTH),
    "mlp.gate_proj": (INNER, WIDTH), "mlp.up_proj": (INNER, WIDTH), "mlp.down_proj": (WIDTH, INNER),
}  # fmt: skip


def written(place: Path) -> int:
    """A base, an adapter, and the merge of both in bfloat16, a shard a layer; how many weights the base has."""
    generator, weights, factors = torch.Generator().manual_seed(0), 0, {}
    for name in ("base", "merged", "adapter"):
        (place / name).mkdir()
    for layer in range(LAYERS):
        base, merged = {}, {}
        for name, (rows, columns) in SHAPES.items():
            path = f"model.layers.{layer}.{name}"
            W = torch.randn(rows, columns, generator=generator).mul_(0.02).bfloat16()
            B = torch.randn(rows, 16, generator=generator) * 1e-3
            A = torch.randn(16, columns, generator=generator) / columns**0.5
            base[f"{path}.weight"], merged[f"{path}.weight"] = W, W + (2 * B @ A).bfloat16()
            factors |= {f"base_model.model.{path}.lora_{side}.weight": f for side, f in (("A", A), ("B", B))}
            weights += W.numel()
        if not layer:
            embedding = torch.randn(VOCABULARY, WIDTH, generator=generator).mul_(0.02).bfloat16()
            base["model.embed_tokens.weight"] = merged["model.embed_tokens.weight"] = embedding
            weights += VOCABULARY * WIDTH
        for name, tensors in (("base", base), ("merged", merged)):
            file = place / name / f"model-{layer + 1:05}-of-{LAYERS:05}.safetensors"
            save_file(tensors, file, metadata={"format": "pt"})
    save_file(factors, place / "adapter" / "adapter_model.safetensors")
    targets = sorted({name.rpartition(".")[2] for name in SHAPES})
    config = {"peft_type": "LORA", "r": 16, "lora_alpha": 32, "target_modules": targets}
    (place / "adapter" / "adapter_config.json").write_text(json.dumps(config))
    for name in ("base", "merged"):
        config = {"model_type": "qwen3", "architectures": ["Qwen3ForCausalLM"], "hidden_size": WIDTH}
        (place / name / "config.json").write_text(json.dumps(config))
    return weights


def bare(place: Path) -> float:
    """CPU seconds to read every tensor of both models as float32."""
    start = time.process_time()
    for file in sorted(place.glob("[bm]*/*.safetensors")):
        with safe_open(file, framework="pt") as tensors:
            for key in tensors.keys():  # noqa: SIM118 - it is no dict
                tensors.get_tensor(key).float().abs_()
    return time.process_time() - start


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        weights, reading = written(place), bare(place)
        done = subprocess.run(
            [sys.executable, "-c", MEASURED, "receipt", str(place / "adapter"), "--base", str(place / "base"),
             "--merged", str(place / "merged")],
            env=os.environ, capture_output=True, text=True, check=True,
        )  # fmt: skip
        seconds, peak = done.stderr.splitlines()[-1].split()
        print(f"{weights / 1e9:.2f} B weights: {float(seconds):.1f} s of CPU time, {int(peak) / 1e6:.2f} GB; "
              f"read once as float32: {reading:.1f} s")  # fmt: skip
        print(done.stdout.splitlines()[0])


if __name__ == "__main__":
    main()
