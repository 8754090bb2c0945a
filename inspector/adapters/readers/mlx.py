"""The reader of mlx-lm's and mlx-vlm's adapters: `adapters.safetensors` (or `.npz`) with a config beside it.

ΔW = s·(lora_a·lora_b)ᵀ with lora_a (d_in, r), lora_b (r, d_out) and s the config's `scale` as it is, whatever rank
and alpha say [mlx_lm.tuner.lora.LoRALinear.fuse]. Stacked experts have lora_a (e, r, d_in), lora_b (e, d_out, r).
mlx-vlm calls the factors `A` and `B` and s `alpha` [mlx_vlm.trainer.lora.LoRaLayer].
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inspector.adapters.files.config_file import CONFIG, is_number, read_json_object
from inspector.adapters.files.headers import TensorHeader
from inspector.adapters.files.listing import Folder
from inspector.adapters.files.weights import Weights, safetensors_weights
from inspector.adapters.model import Adapter, LoraModule
from inspector.adapters.options import ReadOptions
from inspector.adapters.readers.npz import is_npz, npz_keys, npz_weights
from inspector.adapters.tensors.account import MISFIT, Verdict
from inspector.adapters.tensors.assemble import Facts, Part, assemble
from inspector.adapters.tensors.grouping import Made, Slots, Understood, dtypes, fault, understand
from inspector.adapters.tensors.orientation import upright
from inspector.adapters.tensors.slots import Place
from inspector.adapters.tensors.stacked import STACKED, is_stack, stacked
from inspector.adapters.tensors.stated import Stated, config_of, stated
from inspector.adapters.updates.dora import depends_on, dora_made, dora_notes
from inspector.common.special_files import refuse_special
from inspector.common.text import count, plain
from inspector.study.adapter_info import HealthIssue
from inspector.study.module_id import canonical

if TYPE_CHECKING:
    from torch import Tensor

FORMAT = "mlx-lm LoRA"
NAMES = {r"(\d+_)?adapters\.safetensors|adapters?\.npz": FORMAT}
_SLOTS = {"lora_a": "lora_a", "lora_b": "lora_b", "A": "lora_a", "B": "lora_b", "m": "m"}
_ENDS = (".lora_a", ".lora_b")


def places(folder: Folder) -> list[Path]:
    """The files with keys that end in `.lora_a` or `.lora_b`, or with pairs of `.A` and `.B`."""
    found = [name for name in folder.files(".safetensors") if _holds(folder.headers(name))]
    zipped = [name for name in folder.files(".npz") if _holds(npz_keys(folder.path / name))]
    return [folder.path / name for name in (*found, *zipped)]


def _holds(keys: Collection[str]) -> bool:
    return any(k.endswith(_ENDS) or (k.endswith(".A") and f"{k[:-1]}B" in keys) for k in keys)


def read(path: Path, name: str, source: str, read_options: ReadOptions) -> Adapter:
    """The adapter of a file, from its headers. Raises InspectorError for a damaged file or config."""
    weights = npz_weights(path) if is_npz(path) else safetensors_weights((path,))
    config: dict[str, Any] = {}
    refuse_special(path.parent / CONFIG)
    if (file := config_of(path)) is not None:
        config, _ = read_json_object(file)
    beside = stated(path)
    upon, misplaced = upright(weights, _pairs(weights.headers), beside.rank)
    found = understand(upon.headers, _place, partial(_parts, upon, beside, read_options), {})
    said = _notes(config, beside, weights.headers, found)
    base = config.get("model")
    facts = Facts(
        FORMAT,
        base if isinstance(base, str) else "",
        excluded=found.excluded,
        refusal=misplaced,
        depends_on=depends_on(found, read_options),
    )
    return assemble(name, source, facts, found.parts, weights, found.verdicts, said)


def _place(key: str) -> Place | None:
    path, _, slot = key.rpartition(".")
    return Place(path, _SLOTS[slot]) if path and slot in _SLOTS else None


def _pairs(headers: Mapping[str, TensorHeader]) -> list[tuple[str, str]]:
    """lora_b and lora_a of each module: transposed they stand as B and A do elsewhere."""
    slots = {place: key for key in headers if (place := _place(key))}
    return [
        (slots[b], key)
        for (path, slot), key in slots.items()
        if slot == "lora_a" and (b := Place(path, "lora_b")) in slots
    ]


def _parts(weights: Weights, beside: Stated, read_options: ReadOptions, path: str, slots: Slots) -> Made | Verdict:
    if wrong := fault(slots, ("lora_a", "lora_b")):
        return wrong
    a, b = slots["lora_a"], slots["lora_b"]
    if is_stack(a.shape, b.shape):
        scale = beside.of(a.shape[1], read_options)
        return stacked(path, slots, ("lora_a", "lora_b"), scale, lru_cache(maxsize=2)(weights.tensor))
    if not len(a.shape) == len(b.shape) == 2:
        return STACKED if 3 in {len(a.shape), len(b.shape)} else MISFIT
    if a.shape[1] != b.shape[0]:
        return MISFIT
    dtype, scale = dtypes(slots, ("lora_a", "lora_b")), beside.of(a.shape[1], read_options)
    module = LoraModule(canonical(path), b.shape[1], a.shape[0], a.shape[1], scale, dtype, path)
    part = Part(module, lambda: (_flipped(weights, b.key), _flipped(weights, a.key)), a.numel + b.numel)
    return Made([part]) if "m" not in slots else dora_made(part, slots, "m", weights.tensor, read_options)


def _flipped(weights: Weights, key: str) -> Tensor:
    return weights.tensor(key).T.contiguous()


def _notes(
    config: Mapping[str, Any], beside: Stated, headers: Mapping[str, TensorHeader], found: Understood
) -> list[HealthIssue]:
    notes = dora_notes(found.verdicts)
    table = config.get("lora_parameters")
    alpha = table.get("alpha") if isinstance(table, Mapping) else None
    if beside.scale is not None and is_number(alpha):
        unused = f"the config has alpha {alpha:g} too, which mlx-lm does not read: the scale {beside.scale:g} counts"
        notes.append(HealthIssue("info", f"{unused} (its first versions multiplied it by alpha/rank)"))
    ranks = {
        key: header.shape[1]
        for key, header in headers.items()
        if key.endswith((".lora_a", ".A")) and len(header.shape) > 1
    }
    rank = beside.rank
    if rank is not None and (other := [key for key, r in ranks.items() if r != rank]):
        what = f"{count(len(other), 'module')} with another rank than the config says, such as {plain(other[0], 80)}"
        notes.append(HealthIssue("warning", f"{what}: {ranks[other[0]]}, not {rank:g}"))
    return notes
