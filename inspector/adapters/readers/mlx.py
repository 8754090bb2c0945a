"""The reader of mlx-lm's adapters: `adapters.safetensors` (or `.npz`) with `lora_parameters` in the config beside it.

ΔW = s·(lora_a·lora_b)ᵀ with lora_a (d_in, r), lora_b (r, d_out) and s the config's `scale` as it is, whatever rank
and alpha say [mlx_lm.tuner.lora.LoRALinear.fuse]. Stacked experts have lora_a (e, r, d_in), lora_b (e, d_out, r).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inspector.adapters.account import MISFIT, Verdict
from inspector.adapters.assemble import Facts, Part, assemble
from inspector.adapters.config_file import CONFIG, is_number, read_json_object
from inspector.adapters.given import Given
from inspector.adapters.grouping import Made, Place, Slots, Understood, dtypes, fault, understand
from inspector.adapters.headers import TensorHeader
from inspector.adapters.listing import Folder
from inspector.adapters.magnitudes import depends_on, dora_made, dora_notes
from inspector.adapters.model import Adapter, LoraModule, Scale
from inspector.adapters.readers.npz import is_npz, npz_keys, npz_weights
from inspector.adapters.stacked import STACKED, is_stack, stacked
from inspector.adapters.weights import Weights, safetensors_weights
from inspector.names import canonical
from inspector.special_files import refuse_special
from inspector.study import Finding
from inspector.text import count, plain

if TYPE_CHECKING:
    from torch import Tensor

FORMAT = "mlx-lm LoRA"
DEFAULT_SCALE = 20.0
"""mlx-lm's own, and that of the trainer before it had a config."""
_ENDS = (".lora_a", ".lora_b")


def places(folder: Folder) -> list[Path]:
    """The files with keys that end in `.lora_a` or `.lora_b`."""
    found = [name for name in folder.files(".safetensors") if any(k.endswith(_ENDS) for k in folder.headers(name))]
    zipped = [name for name in folder.files(".npz") if any(k.endswith(_ENDS) for k in npz_keys(folder.path / name))]
    return [folder.path / name for name in (*found, *zipped)]


def read(path: Path, name: str, source: str, given: Given) -> Adapter:
    """The adapter of a file, from its headers. Raises InspectorError for a damaged file or config."""
    weights = npz_weights(path) if is_npz(path) else safetensors_weights((path,))
    config: dict[str, Any] = {}
    refuse_special(path.parent / CONFIG)
    if (beside := path.parent / CONFIG).is_file():
        config, _ = read_json_object(beside)
    table = config.get("lora_parameters")
    settings = table if isinstance(table, Mapping) else {}
    scale = _scale(settings)
    found = understand(weights.headers, _place, partial(_parts, weights, scale, given), {})
    said = _notes(settings, scale, weights.headers, found)
    base = config.get("model")
    facts = Facts(
        FORMAT,
        base if isinstance(base, str) else "",
        excluded=found.excluded,
        depends_on=depends_on(found, given),
    )
    return assemble(name, source, facts, found.parts, weights, found.verdicts, said)


def _place(key: str) -> Place | None:
    path, _, slot = key.rpartition(".")
    return Place(path, slot) if path and slot in {"lora_a", "lora_b", "m"} else None


def _scale(settings: Mapping[str, Any]) -> Scale:
    scale = settings.get("scale")
    if is_number(scale):
        return Scale(float(scale), f"scale {scale:g} as is")
    return Scale(DEFAULT_SCALE, f"scale {DEFAULT_SCALE:g} assumed")


def _parts(weights: Weights, scale: Scale, given: Given, path: str, slots: Slots) -> Made | Verdict:
    if wrong := fault(slots, ("lora_a", "lora_b")):
        return wrong
    a, b = slots["lora_a"], slots["lora_b"]
    if is_stack(a.shape, b.shape):
        return stacked(path, slots, ("lora_a", "lora_b"), scale, lru_cache(maxsize=2)(weights.tensor))
    if not len(a.shape) == len(b.shape) == 2:
        return STACKED if 3 in {len(a.shape), len(b.shape)} else MISFIT
    if a.shape[1] != b.shape[0]:
        return MISFIT
    dtype = dtypes(slots, ("lora_a", "lora_b"))
    module = LoraModule(canonical(path), b.shape[1], a.shape[0], a.shape[1], scale, dtype, path)
    part = Part(module, lambda: (_flipped(weights, b.key), _flipped(weights, a.key)), a.numel + b.numel)
    return Made([part]) if "m" not in slots else dora_made(part, slots, "m", weights.tensor, given)


def _flipped(weights: Weights, key: str) -> Tensor:
    return weights.tensor(key).T.contiguous()


def _notes(
    settings: Mapping[str, Any], scale: Scale, headers: Mapping[str, TensorHeader], found: Understood
) -> list[Finding]:
    notes = dora_notes(found.verdicts)
    if not is_number(settings.get("scale")):
        what = f"no lora_parameters.scale in an {CONFIG} beside the weights"
        notes.append(Finding("warning", f"{what}: mlx-lm's default {DEFAULT_SCALE:g} is assumed"))
    elif is_number(alpha := settings.get("alpha")):
        unused = f"the config has alpha {alpha:g} too, which mlx-lm does not read: the scale {scale.value:g} counts"
        notes.append(Finding("info", f"{unused} (its first versions multiplied it by alpha/rank)"))
    rank = settings.get("rank")
    ranks = {
        key: header.shape[1] for key, header in headers.items() if key.endswith(".lora_a") and len(header.shape) > 1
    }
    if is_number(rank) and (other := [key for key, r in ranks.items() if r != rank]):
        what = f"{count(len(other), 'module')} with another rank than the config says, such as {plain(other[0], 80)}"
        notes.append(Finding("warning", f"{what}: {ranks[other[0]]}, not {rank:g}"))
    return notes
