"""Merges made by PEFT, transformers and torch: the verdict and the strength of each."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner

from inspector.cli.receipt import receipt
from tests.checking.receipt import merges
from tests.checking.receipt.merges import fp8, fp8_bare, int8, int8_rows, noise

BF16, F16, F32 = torch.bfloat16, torch.float16, torch.float32
QKV = ["q_proj", "k_proj", "v_proj"]


@dataclass
class Case:
    """What is merged, what is asked, and the answer; a strength of None is not looked at."""

    verdict: str
    strength: float | None = None
    kind: str = "llama"
    stored_base: torch.dtype = BF16
    adapter: dict[str, Any] = field(default_factory=dict)
    merge: dict[str, Any] = field(default_factory=dict)
    """Options of `merges.merged`."""
    put_in: tuple[dict[str, Any], ...] | None = None
    """The adapters that are merged, if not the one that is asked for; its own settings where empty."""
    asked: float = 1.0
    into: int = 0
    """The seed of the base that is merged into."""
    cast: Any = None
    lacks: tuple[str, ...] = ()
    near: dict[str, Any] | None = None
    said: str = ""
    """Words of the sentence."""


SMALL, TINY = {"size": 3e-3}, {"size": 3e-4}
CASES = {
    # Strengths and types.
    **{
        f"{name} at {s:g}": Case(verdict, s, merge={"strength": s, "held": held, "stored": stored}, cast=cast)
        for name, held, stored, cast in (
            ("bf16", BF16, BF16, None),
            ("fp16", F16, F16, None),
            ("fp32", F32, F32, None),
            ("fp32 in bf16", F32, BF16, None),
            ("bf16 in fp32", BF16, F32, None),
            ("fp8", BF16, BF16, fp8),
            ("int8", BF16, BF16, int8),
        )
        for s, verdict in ((0.5, "scaled"), (1.0, "contained"), (2.0, "scaled"))
    },
    "at 0 in bf16": Case("absent", 0, put_in=(), said="Is the base"),
    "at 0 in fp32": Case("absent", 0, put_in=(), merge={"held": F32}, said="Is the base"),
    "at 0 in fp16": Case("absent", 0, put_in=(), merge={"held": F16}, said="Is the base"),
    "at 0 in fp8": Case("absent", 0, put_in=(), cast=fp8),
    "at 0 in int8": Case("absent", 0, put_in=(), cast=int8),
    "at 0 of an fp32 base in bf16": Case("absent", 0, put_in=(), stored_base=F32, said="Is the base"),
    "bare fp8": Case("contained", 1, cast=fp8_bare),
    "int8 of bitsandbytes": Case("contained", 1, cast=int8_rows),
    "an fp32 base held in bf16": Case("contained", 1, stored_base=F32),
    "an fp32 base, a small update": Case("contained", 1, stored_base=F32, adapter=SMALL),
    "an fp32 base rounded at the end": Case("contained", 1, stored_base=F32, merge={"held": F32, "stored": BF16}),
    "a small update in bf16": Case("contained", 1, adapter=SMALL),
    "a small update at half": Case("scaled", 0.5, adapter=SMALL, merge={"strength": 0.5}),
    "a tiny update in fp32": Case("contained", 1, adapter=TINY, merge={"held": F32}),
    "half asked for": Case("contained", 0.5, asked=0.5, merge={"strength": 0.5}),
    "half asked for, whole there": Case("scaled", 1, asked=0.5),
    # Parts.
    "layers missing": Case("partial", 1, lacks=("layers.1.", "layers.2."), said="layers 1-2 lack it"),
    "one layer missing": Case("partial", 1, lacks=("layers.3.",), said="layer 3 lack"),
    "a projection missing": Case("partial", 1, lacks=("v_proj",), said="v_proj in all layers lack it"),
    "one module missing": Case("partial", 1, lacks=("layers.2.mlp.down_proj",), said="1 module"),
    "layers missing in fp8": Case("partial", 1, lacks=("layers.0.",), cast=fp8, said="layer 0"),
    "layers missing at half": Case("partial", 0.5, lacks=("layers.1.",), merge={"strength": 0.5}),
    # Others.
    "another adapter": Case("other_adapter", put_in=({"seed": 2},)),
    "another adapter in fp32": Case("other_adapter", put_in=({"seed": 2},), merge={"held": F32}),
    "another adapter in fp8": Case("other_adapter", put_in=({"seed": 2},), cast=fp8),
    "another adapter, larger": Case("other_adapter", put_in=({"seed": 2, "size": 0.4},)),
    "another adapter, smaller": Case("other_adapter", put_in=({"seed": 2, "size": 0.03},)),
    "another adapter, of more modules": Case(
        "other_adapter", put_in=({"seed": 2, "target_modules": [*QKV, "o_proj"]},), adapter={"target_modules": QKV}
    ),
    "another adapter that is named": Case(
        "other_adapter", put_in=({"seed": 2},), near={"seed": 2}, said="other at strength 1.00"
    ),
    "another base": Case("other_base", into=5),
    "another base without it": Case("other_base", into=5, put_in=()),
    "another base in fp32": Case("other_base", into=5, merge={"held": F32}),
    "a base trained further": Case("other_base", put_in=(), merge={"then": noise(0.05)}),
    # Scales: α/r taken for α/√r, and the other way round.
    "as rsLoRA": Case("scaled", 8**0.5, put_in=({"use_rslora": True, "size": 0.1 * 8**0.5},), said="rsLoRA"),
    "rsLoRA as plain": Case(
        "scaled", 8**-0.5, adapter={"use_rslora": True}, put_in=({"size": 0.1 / 8**0.5},), said="rsLoRA"
    ),
    "without its scale": Case(
        "scaled", 0.25, adapter={"lora_alpha": 32}, put_in=({"lora_alpha": 8, "size": 0.025},), said="left out"
    ),
    # Layouts.
    "fan-in-fan-out": Case("contained", 1, kind="gpt2"),
    "fan-in-fan-out at half": Case("scaled", 0.5, kind="gpt2", merge={"strength": 0.5}),
    "fan-in-fan-out in fp32": Case("contained", 1, kind="gpt2", merge={"held": F32}),
    "tied embeddings": Case("contained", 1, kind="tied"),
    "an embedding": Case("contained", 1, adapter={"target_modules": ["embed_tokens", "q_proj"]}),
    "a tied embedding": Case("contained", 1, kind="tied", adapter={"target_modules": ["embed_tokens", "q_proj"]}),
    "an output head": Case("contained", 1, adapter={"target_modules": ["lm_head", "q_proj"]}),
    "a mixture, attention": Case("contained", 1, kind="mixtral"),
    "a mixture, attention missing": Case("absent", 0, kind="mixtral", put_in=()),
    "DoRA": Case("contained", 1, adapter={"use_dora": True}),
    "DoRA in fp32": Case("contained", 1, adapter={"use_dora": True}, merge={"held": F32}),
    "DoRA missing": Case("absent", 0, adapter={"use_dora": True}, put_in=()),
    "shards": Case("contained", 1, merge={"max_shard_size": "100KB"}),
    # More than the update.
    "further training": Case("unclear", 1, merge={"then": noise(0.02)}),
    "further training, much": Case("unclear", 1, merge={"then": noise(0.2)}),
    "further training, little, in fp32": Case("unclear", 1, merge={"then": noise(0.003), "held": F32}),
    "further training of its modules": Case("unclear", 1, merge={"then": noise(0.05, only="proj")}),
    "another adapter beside it": Case("unclear", None, put_in=({}, {"seed": 2})),
}


def made(case: Case, place: Path) -> list[str]:
    """The words of the command that asks for it."""
    base = merges.saved(merges.model(case.kind, dtype=case.stored_base), place / "base")
    into = base if not case.into else merges.saved(merges.model(case.kind, seed=case.into), place / "into")
    asked = merges.adapter(base, place / "asked", **case.adapter)
    inside = [
        asked if not settings else merges.adapter(base, place / f"in{n}", **settings)
        for n, settings in enumerate(({},) if case.put_in is None else case.put_in)
    ]
    options = dict(case.merge)
    if case.lacks:
        options["then"] = merges.without(case.lacks, into)
    folder = merges.merged(into, place / "merged", inside, **options)
    if case.cast:
        merges.cast(folder, case.cast)
    words = [str(asked), "--merged", str(folder), "--base", str(base), "--strength", str(case.asked), "--json"]
    if case.near:
        words += ["--near", f"other={merges.adapter(base, place / 'near', **case.near)}"]
    return words


@pytest.mark.parametrize("name", CASES)
def test_a_merge(name, tmp_path):
    case = CASES[name]
    done = CliRunner().invoke(receipt, made(case, tmp_path), standalone_mode=False)
    assert done.exception is None, done.exception
    found = json.loads(done.stdout)
    assert found["verdict"] == case.verdict, found["sentence"]
    assert done.return_value == (0 if case.verdict == "contained" else 1)
    assert case.said in found["sentence"]
    if case.strength is not None:
        strength = found["strength"]
        right = strength["low"] <= case.strength <= strength["high"] or abs(strength["value"] - case.strength) <= 0.01
        assert right, (found["sentence"], strength)
