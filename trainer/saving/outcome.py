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
    """One finished run; assets/guide/run-json.md is these fields and their words."""

    name: str
    """Of its folder."""
    method: str
    variant: str
    """The line of a method that is written down in several ways."""
    formula: str
    """What was minimised."""
    source: str
    """Who published the method; of an objective of one's own its file and digest."""
    reduction: str
    """What the losses of a step are averaged over: token-mean, completion-mean, limit-mean or example-mean."""
    base: str
    """Hub id."""
    base_digest: str
    """sha256 over the files of the base."""
    base_weights: str
    """sha256 over its weights in memory: the same before and after training."""
    dtype: str
    """Of the base."""
    device: str
    rollouts: str
    """sha256 over what training sees of them."""
    rows_digest: str
    """sha256 over the token ids: the same for all methods of one set."""
    rewards: Mapping[str, float]
    """Of the rows: how many, right ones, groups, mixed ones, those all right and all wrong, the mean reward."""
    examples: int
    """How many there are to learn from."""
    noun: str
    """What one is: row, pair or prompt."""
    cut: int
    """Rows cut by the teacher's token limit."""
    too_long: int
    """Rows longer than max_length."""
    init_seed: int
    """Of A₀."""
    data_seed: int
    """Of the order of the examples, and of sampling."""
    a0: str
    """sha256 over A₀; B₀ was checked to be 0."""
    lr: float
    """The peak."""
    step: int
    """After which the adapter is as it is here."""
    steps: int
    """Of the whole training: more where the recipe reports an earlier one."""
    batch: int
    """Examples of one step, over all processes; of an online method completions."""
    micro_batch: int
    """Of one pass on one process."""
    processes: int
    epochs: float
    """Up to `step`, as are tokens, loss and diagnostics."""
    tokens: int
    seconds: float
    """Of the last session, where it was interrupted."""
    seconds_in_all: float
    """Of all sessions, with the steps that a resumption had to make again."""
    loss: float
    """Mean of the last ten steps."""
    norms: Mapping[str, float]
    """Frobenius norm of all A, and of all B."""
    diagnostics: Mapping[str, float] = field(default_factory=dict)
    """Sums over the steps: negatives and how many vanished, steps that ran away, groups drawn and learned from. Of an
    online method also right_first and right_last (share of right answers in the first and last ten steps), and clipped
    (share of completions cut at max_new_tokens)."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """The variant's own."""
    recipe: Mapping[str, Any] = field(default_factory=dict)
    """Every setting; null where it was left to the method."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Of Python and of the packages."""
    memory: Mapping[str, int] = field(default_factory=dict)
    """On a GPU: tokens of a pass, every how many-th block was computed twice, bytes as planned and at the peak."""
    weights: Mapping[str, float] = field(default_factory=dict)
    """Of rows: least, largest, mean and standard deviation, and how many groups had answers cut by length."""
    hardware: Mapping[str, str] = field(default_factory=dict)
    """The attention that was run; on a GPU its name, and the version of CUDA."""
    optimizer: Mapping[str, Any] = field(default_factory=dict)
    """Name, betas, epsilon."""
    sampling: Mapping[str, Any] = field(default_factory=dict)
    """How the rollouts were drawn, as the rows say, and the commit of their file on the Hub."""
    columns: Mapping[str, Any] = field(default_factory=dict)
    """What is learned of a teacher's reasoning (wrap, keep or drop), how many rows have some, and how many lack what
    their server did not send; how many rows have a weight other than 1, and whether the method reads it."""
    evaluation: Mapping[str, Any] = field(default_factory=dict)
    """How many held-out rows and problems, and under `at` what was measured of them before training and at each
    checkpoint."""
    kept: Mapping[str, Any] = field(default_factory=dict)
    """With keep_best the metric by which `step` is the best checkpoint, and its value."""
    template_date: str = ""
    """What a chat template that prints the date was given for today."""
    sampled_by: str = ""
    """transformers or vllm, of an online method."""
    format: str = FORMAT
    """What the trainer knows its own runs by."""
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
    made = count(run.step, "step") + (f" (of {run.steps:,} trained)" if run.step < run.steps else "")
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

{_kept(run)}Reduction: {run.reduction} over the whole optimizer step. {made} of {run.batch} {of}s
({run.epochs:.2f} epochs of {run.examples} {run.noun}s), peak learning rate {run.lr:g}, seeds {run.init_seed} (start)
and {run.data_seed} (data). Adapters of one set share rollouts (`{run.rollouts[:12]}`) and A₀ (`{run.a0[:12]}`).

`{FILE}` holds every setting, digest and version. Look at it with `inspector`.
"""


def _kept(run: Run) -> str:
    if not run.kept:
        return ""
    return f"The adapter is the checkpoint of the best {run.kept['metric']} ({run.kept['value']:.4g}).\n\n"


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
