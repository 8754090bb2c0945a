"""What a run leaves: an ordinary PEFT folder, a model card, and run.json, which says how it was made."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from inspector.common.errors import InspectorError
from inspector.common.files import replacing
from inspector.common.foreign import parse_json
from inspector.common.text import count, plain

FORMAT = "adapter-inspector run"
VERSION = 1
FILE = "run.json"
LOG = "log.jsonl"
RECIPE = "recipe.yaml"
_PACKAGES = ("adapter-inspector", "torch", "transformers", "trl", "peft", "accelerate", "datasets", "math-verify")


@dataclass(frozen=True, slots=True)
class Run:
    """One finished run."""

    name: str
    method: str
    variant: str
    formula: str
    source: str
    """Who published the method."""
    reduction: str
    base: str
    """Hub id."""
    base_digest: str
    """sha256 over the files of the base."""
    base_weights: str
    """sha256 over its weights in memory: the same before and after training."""
    dtype: str
    device: str
    rollouts: str
    """sha256 over what training sees of them."""
    rows_digest: str
    """sha256 over the token ids: the same for all methods of one set."""
    rewards: Mapping[str, float]
    examples: int
    noun: str
    cut: int
    too_long: int
    init_seed: int
    data_seed: int
    a0: str
    """sha256 over A₀; B₀ was checked to be 0."""
    lr: float
    step: int
    steps: int
    batch: int
    micro_batch: int
    processes: int
    epochs: float
    tokens: int
    seconds: float
    """Of the last session, where it was interrupted."""
    seconds_in_all: float
    """Of all sessions, with the steps that a resumption had to make again."""
    loss: float
    norms: Mapping[str, float]
    diagnostics: Mapping[str, float] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    """The variant's own."""
    recipe: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    memory: Mapping[str, int] = field(default_factory=dict)
    """On a GPU: tokens of a pass, every how many-th block was computed twice, bytes as planned and at the peak."""
    weights: Mapping[str, float] = field(default_factory=dict)
    """Of rows: least, largest, mean and standard deviation, and how many groups had answers cut by length."""
    hardware: Mapping[str, str] = field(default_factory=dict)
    """The attention that was run; on a GPU its name, and the version of CUDA."""
    optimizer: Mapping[str, Any] = field(default_factory=dict)
    sampling: Mapping[str, Any] = field(default_factory=dict)
    """How the rollouts were drawn: teachers, temperatures, top_p, token limits, as the rows say."""
    columns: Mapping[str, Any] = field(default_factory=dict)
    """What became of the rollouts' reasoning and weights."""
    evaluation: Mapping[str, Any] = field(default_factory=dict)
    """Held-out rows and problems, and what was measured of them at each checkpoint."""
    kept: Mapping[str, Any] = field(default_factory=dict)
    """By which metric, of which value, the adapter is of `step` and not of the last one."""
    template_date: str = ""
    """What a chat template that prints the date was given for today."""
    sampled_by: str = ""
    """transformers or vllm, of an online method."""
    format: str = FORMAT
    version: int = VERSION


def versions() -> dict[str, str]:
    """What was installed."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def save_adapter(model: Any, folder: Path, base_id: str, dtype: str, tensors: Mapping[str, Any] | None = None) -> None:
    """adapter_model.safetensors and adapter_config.json, as PEFT reads them: no path of this machine in them.

    `tensors` are the model's where they were gathered before. Raises InspectorError where they cannot be written.
    """
    import torch
    from safetensors.torch import save_file

    from trainer.saving.start import adapter

    folder.mkdir(parents=True, exist_ok=True)
    found = adapter(model) if tensors is None else tensors
    rounded = {name: tensor.to(getattr(torch, dtype)) for name, tensor in found.items()}
    with replacing(folder / "adapter_model.safetensors") as path:
        save_file(rounded, path, metadata={"format": "pt"})
    with replacing(folder / "adapter_config.json") as path:
        path.write_text(json.dumps(_config(model, base_id), indent=2, sort_keys=True) + "\n", encoding="utf-8")


def write(run: Run, folder: Path) -> None:
    """The card, then run.json: once that is there, the run is done."""
    with replacing(folder / "README.md") as path:
        path.write_text(card(run), encoding="utf-8")
    with replacing(folder / FILE) as path:
        document = json.dumps(asdict(run), indent=2, ensure_ascii=False, allow_nan=False)
        path.write_text(document + "\n", encoding="utf-8")


def read(folder: Path) -> dict[str, Any] | None:
    """The folder's run.json, None where there is none. Raises InspectorError for one that is damaged."""
    try:
        content = parse_json((folder / FILE).read_bytes(), float)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise InspectorError(f"Cannot read {plain(folder / FILE)}: {plain(error, 80)}.") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise InspectorError(f"{plain(folder / FILE)} is not of this program: choose another --out.")
    return content


def card(run: Run) -> str:
    """The model card."""
    of = "completion" if run.noun == "prompt" else run.noun
    settings = "".join(f", {key} {value}" for key, value in run.settings.items())
    return f"""---
base_model: {run.base}
library_name: peft
pipeline_tag: text-generation
tags: [lora, adapter-inspector, {run.method}]
---

# {run.name}

A LoRA adapter of [{run.base}](https://huggingface.co/{run.base}), trained by `{run.method}` ({run.variant}{settings}):

    {run.formula}

{_kept(run)}Reduction: {run.reduction} over the whole optimizer step. {count(run.step, "step")} of {run.batch} {of}s
({run.epochs:.2f} epochs of {run.examples} {run.noun}s), peak learning rate {run.lr:g}, seeds {run.init_seed} (start)
and {run.data_seed} (data). Adapters of one set share rollouts (`{run.rollouts[:12]}`) and A₀ (`{run.a0[:12]}`).

`{FILE}` holds every setting, digest and version. Look at it with `inspector`.
"""


def _kept(run: Run) -> str:
    if not run.kept:
        return ""
    metric, value = run.kept["metric"], run.kept["value"]
    return (
        f"The adapter is that of step {run.step} of {run.steps}, the checkpoint of the best {metric} ({value:.4g}).\n\n"
    )


def _config(model: Any, base_id: str) -> dict[str, Any]:
    """PEFT's own fields, the sets among them sorted."""
    values = model.peft_config["default"].to_dict()
    values |= {"base_model_name_or_path": base_id, "inference_mode": True}
    return {key: _plain_value(value) for key, value in values.items()}


def _plain_value(value: Any) -> Any:
    if isinstance(value, set | frozenset):
        return sorted(value)
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return sorted(value)
    return getattr(value, "value", value)
