"""The reader of torchtune's own checkpoints of adapters: a `.pt` with `layers.N.attn.q_proj.lora_a.weight`.

ΔW = (α/r)·lora_b·lora_a, α from the adapter_config.json beside it. Query and key rows are in torchtune's order of
rotary pairs and are brought into Hugging Face's, which needs the number of heads
[torchtune.models.convert_weights.tune_to_peft_adapter_weights].
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from inspector.adapters.files.config_file import CONFIG, is_number, read_json_object
from inspector.adapters.files.listing import Folder
from inspector.adapters.files.placeholders import SUFFIXES, pickled
from inspector.adapters.files.weights import Weights, pickle_weights
from inspector.adapters.model import Adapter, LoraModule, Scale
from inspector.adapters.options import ReadOptions
from inspector.adapters.readers.foreign_names import from_torchtune
from inspector.adapters.readers.rope import halves, head_counts
from inspector.adapters.tensors.account import MISFIT, Verdict
from inspector.adapters.tensors.assemble import Facts, Part, assemble
from inspector.adapters.tensors.grouping import Made, Slots, dtypes, fault, understand
from inspector.adapters.tensors.slots import Place
from inspector.adapters.updates.dora import depends_on, dora_made, dora_notes
from inspector.common.special_files import refuse_special
from inspector.study.adapter_info import HealthIssue
from inspector.study.module_id import canonical

if TYPE_CHECKING:
    from torch import Tensor

FORMAT = "torchtune LoRA"
NAMES: dict[str, str] = {}
_KEY = re.compile(r"(?P<path>.+)\.(?P<slot>lora_a\.weight|lora_b\.weight|magnitude)", re.DOTALL)
A, B, M = "lora_a.weight", "lora_b.weight", "magnitude"
NO_HEADS = Verdict(
    "ignored",
    "query and key rows in torchtune's rotary order, and no number of heads: put the model's config.json beside "
    "the file, or name the model with --base",
    "warning",
)


def places(folder: Folder) -> list[Path]:
    """The torch archives that name a `lora_a.weight`; what is pickled is searched for the name, not unpickled."""
    files = folder.files(*SUFFIXES["pickle"])
    return [folder.path / name for name in files if b".lora_a.weight" in pickled(folder.path / name)]


def read(path: Path, name: str, source: str, read_options: ReadOptions) -> Adapter:
    """The adapter of a checkpoint. Raises InspectorError without leave to unpickle and for a damaged file."""
    weights = pickle_weights(path, allow_pickle=read_options.allow_pickle)
    alpha, base = _config(path.parent)
    heads = head_counts(path.parent, read_options)
    found = understand(weights.headers, _place, partial(_parts, weights, alpha, heads, read_options), {})
    depends = f"{depends_on(found, read_options)} {dict(heads)}"
    alphas = {alpha} if alpha is not None else ()
    facts = Facts(FORMAT, base, alphas, excluded=found.excluded, depends_on=depends)
    said = [HealthIssue("info", "a pickle, read with weights_only: nothing in it was run"), *dora_notes(found.verdicts)]
    return assemble(name, source, facts, found.parts, weights, found.verdicts, said)


def _config(folder: Path) -> tuple[float | None, str]:
    """α and the base's name, by the config torchtune writes beside its checkpoints."""
    refuse_special(folder / CONFIG)
    if not (folder / CONFIG).is_file():
        return None, ""
    config, _ = read_json_object(folder / CONFIG)
    alpha, base = config.get("lora_alpha"), config.get("base_model_name_or_path")
    return (float(alpha) if is_number(alpha) else None), base if isinstance(base, str) else ""


def _place(key: str) -> Place | None:
    found = _KEY.fullmatch(key)
    return Place(from_torchtune(found["path"]) or found["path"], found["slot"]) if found else None


def _parts(
    weights: Weights, alpha: float | None, heads: Mapping[str, int], read_options: ReadOptions, path: str, slots: Slots
) -> Made | Verdict:
    if wrong := fault(slots, (A, B)):
        return wrong
    a, b = slots[A], slots[B]
    if len(a.shape) != 2 or len(b.shape) != 2 or a.shape[0] != b.shape[1]:
        return MISFIT
    rotary = path.endswith(("self_attn.q_proj", "self_attn.k_proj"))
    count = heads.get(path.rpartition(".")[2], 0)
    if rotary and (not count or b.shape[0] % (2 * count)):
        return NO_HEADS

    def rows(key: str) -> Tensor:
        return halves(weights.tensor(key), count) if rotary else weights.tensor(key)

    r = a.shape[0]
    scale = read_options.scale(r) if alpha is None else Scale(alpha / r, f"α/r = {alpha:g}/{r}")
    module = LoraModule(canonical(path), b.shape[0], a.shape[1], r, scale, dtypes(slots, (A, B)), path)
    part = Part(module, lambda: (rows(b.key), weights.tensor(a.key)), a.numel + b.numel)
    return Made([part]) if M not in slots else dora_made(part, slots, M, rows, read_options)
