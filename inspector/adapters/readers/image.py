"""The reader of LoRA files of image and video models, by the slots of their tensors: kohya's, diffusers', LyCORIS's.

s = α/r by the module's own `alpha`, else by the header's `lora_adapter_metadata` (PEFT's config of each component of
a pipeline); without both, the loaders of these formats take α = r, so s = 1 [kohya-ss/sd-scripts networks/lora.py,
diffusers.loaders, comfy.lora]. That holds for lora_up and lora_down, for files with an alpha elsewhere, and below the
names that pipelines give their components. Modules under other names have the scale that stands beside, or none.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from inspector.adapters.files.config_file import is_number, numbers
from inspector.adapters.files.headers import TensorHeader, read_metadata
from inspector.adapters.files.listing import Folder
from inspector.adapters.files.weights import Weights, safetensors_weights
from inspector.adapters.model import Adapter, LoraModule, Scale
from inspector.adapters.options import ReadOptions
from inspector.adapters.peft.config import DEFAULT_ALPHA, PeftConfig
from inspector.adapters.peft.scale import Scaling
from inspector.adapters.readers.foreign_names import from_diffusers, from_kohya, is_kohya
from inspector.adapters.tensors.account import USED, Verdict
from inspector.adapters.tensors.assemble import Facts, Part, assemble
from inspector.adapters.tensors.eight_bit import multiplied
from inspector.adapters.tensors.grouping import Made, Slots, dtypes, understand
from inspector.adapters.tensors.orientation import TURNED, upright
from inspector.adapters.tensors.slots import (
    ALPHA,
    ASIDE,
    DIFF,
    DORA,
    DOWN,
    FACTORS,
    HADA,
    LOKR,
    REFUSED,
    UP,
    UPDATES,
    Place,
)
from inspector.adapters.tensors.slots import place as raw_place
from inspector.adapters.tensors.stated import Stated, stated
from inspector.adapters.updates import lycoris
from inspector.adapters.updates.dora import depends_on, dora_made, dora_notes
from inspector.study.module_id import canonical
from inspector.study.study import HealthIssue

NAMES = {r"pytorch_lora_weights\.safetensors": "diffusers"}
METADATA = "lora_adapter_metadata"
NO_ALPHA = Verdict("unknown", "the module's alpha is no finite number", "error")
_COMPONENT = re.compile(r"(unet|transformer(_2)?(?!\.h\.)|text_encoder(_\d)?|prior|controlnet|diffusion_model)\.")
_SIDES = (".lora_A", ".lora_B")

Headers = Mapping[str, TensorHeader]


@dataclass(frozen=True, slots=True)
class _Scales:
    """What a file says of its scales beside the modules' own alphas."""

    components: Mapping[str, Scaling] | None
    """By a component's name, or by "" without one; None if the header's word on it cannot be read."""
    by_loader: bool
    """Whether its loaders take α = r where there is no alpha."""
    beside: Stated

    def of_header(self, path: str, r: int) -> Scale | None:
        """By the config of the module's component."""
        component, _, below = path.partition(".")
        for name, at in (component, below), ("", path):
            if scaling := (self.components or {}).get(name):
                return scaling.of(at, r)
        return None

    def without_alpha(self, r: int, given: ReadOptions) -> Scale:
        """Of a module without an α of its own."""
        if self.by_loader and self.components is not None:
            stated = self.beside.of(r, given)
            differs = self.beside.alpha is not None and stated.value not in {None, 1.0}
            return Scale(1.0, f"no alpha: 1, though {stated.origin}" if differs else "no alpha: 1")
        return self.beside.of(r, given)


def places(folder: Folder) -> list[Path]:
    """The files with a slot of these formats."""
    paths = {folder.path / name: folder.headers(name) for name in folder.files(".safetensors", ".sft")}
    return [path for path, headers in paths.items() if holds(path, headers)]


def holds(path: Path, headers: Headers) -> bool:
    """Whether a file is one of these formats: lora_A and lora_B alone may as well be PEFT's."""
    factors = {key: found for key in headers if (found := _place(key)) and found.slot in {*FACTORS, *REFUSED, DIFF}}
    ours = [key for key, found in factors.items() if found.slot in FACTORS and not _is_pefts(key)]
    if ours or any(_is_named(key) for key in factors):
        return True
    return bool(factors) and (_has_alpha(headers) or METADATA in read_metadata(path))


def _is_pefts(key: str) -> bool:
    return any(side in key for side in _SIDES)


def _is_named(key: str) -> bool:
    """Whether a key begins as a pipeline's component does."""
    return bool(_COMPONENT.match(key)) or is_kohya(key.partition(".")[0])


def _has_alpha(headers: Headers) -> bool:
    """Whether an alpha stands beside a factor."""
    places_ = [found for key in headers if (found := raw_place(key))]
    return not {p.path for p in places_ if p.slot == ALPHA}.isdisjoint(p.path for p in places_ if p.slot in UPDATES)


def read(path: Path, name: str, source: str, given: ReadOptions) -> Adapter:
    """The adapter of a file, from its headers and its alphas. Raises InspectorError for a damaged file."""
    return adapter_of(safetensors_weights((path,)), name, source, given)


def adapter_of(weights: Weights, name: str, source: str, given: ReadOptions) -> Adapter:
    """The adapter whose tensors these are, whatever their file is called."""
    path = weights.files[0]
    metadata, beside = read_metadata(path), stated(path)
    floats = multiplied(weights)
    upon, misplaced = upright(floats, _pairs(floats.headers), beside.rank)
    by_loader = _has_alpha(weights.headers) or any(
        _is_named(key) or (at.slot in {UP, DOWN} and not _is_pefts(key))
        for key in weights.headers
        if (at := raw_place(key))
    )
    scales = _Scales(_components(metadata, given), by_loader, beside)
    found = understand(upon.headers, _place, partial(_parts, upon, given, scales), ASIDE)
    scalings = (scales.components or {}).values()
    said = [*dora_notes(found.verdicts), *(finding for scaling in scalings for finding in scaling.findings())]
    if scales.components is None:
        said.append(HealthIssue("warning", f"the header's {METADATA} cannot be read"))
    if upon is not floats:
        said.append(TURNED)
    facts = Facts(
        _kind(found.verdicts),
        metadata.get("ss_base_model_version") or metadata.get("ss_sd_model_name") or "",
        alphas={alpha for scaling in scalings for alpha in scaling.alphas},
        excluded=found.excluded,
        refusal=misplaced or _refusal(found.verdicts),
        depends_on=depends_on(found, given),
    )
    return assemble(name, source, facts, found.parts, weights, {**found.verdicts, **upon.aside}, said)


def _place(key: str) -> Place | None:
    """The module's path with dots, as far as its name tells them, and its slot."""
    if (found := raw_place(key)) is None:
        return None
    if "." in found.path:
        return Place(from_diffusers(found.path), found.slot)
    name = found.path.rstrip("_")  # stray underscores of some converters: no module's name ends in one
    return Place(from_kohya(name)[0], found.slot)


def _is_spelt(key: str) -> bool:
    """Whether the path of a factor's module is surely the base's."""
    found = raw_place(key)
    return found is None or "." in found.path or from_kohya(found.path.rstrip("_"))[1]


def _pairs(headers: Headers) -> list[tuple[str, str]]:
    """The keys of down and up of every module that has no more than these."""
    modules: dict[str, dict[str, str]] = {}
    for key in headers:
        if (found := raw_place(key)) and found.slot in UPDATES:
            modules.setdefault(found.path, {})[found.slot] = key
    return [(keys[DOWN], keys[UP]) for keys in modules.values() if keys.keys() == {DOWN, UP}]


def _parts(weights: Weights, given: ReadOptions, scales: _Scales, path: str, slots: Slots) -> Made | Verdict:
    """The part of one module."""
    made = lycoris.update(slots, weights.tensor, given.rank)
    if isinstance(made, Verdict):
        return made
    scale = _scale(path, slots, made, weights, scales, given)
    if scale is None:
        return NO_ALPHA
    factors = sorted(slots.keys() & UPDATES)
    types = dtypes(slots, factors)
    shape = made.d_out, made.d_in, made.rank
    module = LoraModule(
        canonical(path), *shape, scale, types, path, made.kernel, spelt=_is_spelt(slots[factors[0]].key)
    )
    numel = sum(slots[slot].numel for slot in factors)
    part = Part(module, made.factors, numel, made.left_out or float)
    return Made([part]) if DORA not in slots else dora_made(part, slots, DORA, weights.tensor, given)


def _scale(
    path: str, slots: Slots, made: lycoris.Update, weights: Weights, scales: _Scales, given: ReadOptions
) -> Scale | None:
    """By the header, by the module's own α (0 counts as r), else by what holds of the file; None if α is no number."""
    if made.r is None:
        return Scale(1.0, f"{made.method} without factors: 1")
    if (scale := scales.of_header(path, made.r)) or ALPHA not in slots:
        return scale or scales.without_alpha(made.r, given)
    if slots[ALPHA].numel != 1 or slots[ALPHA].dtype.startswith("C"):
        return None
    alpha = float(weights.tensor(slots[ALPHA].key))
    if alpha == 0:
        return Scale(1.0, "alpha 0 counts as r: 1")
    return Scale(alpha / made.r, f"α/r = {alpha:g}/{made.r}") if abs(alpha) < 1e18 else None


def _kind(verdicts: Mapping[str, Verdict]) -> str:
    """`kohya LoRA` of names with underscores, `diffusers LoRA` of dotted ones, or LyCORIS's methods."""
    used = [found for key, verdict in verdicts.items() if (found := raw_place(key)) and verdict is USED]
    slots = {found.slot for found in used}
    methods = {"LoHa": slots & {*HADA}, "LoKr": slots & {*LOKR}, "full": slots & {DIFF}}
    if there := [method for method, of in methods.items() if of]:
        return f"LyCORIS {' and '.join(there)}"
    return f"{'diffusers' if any('.' in found.path for found in used) else 'kohya'} LoRA"


def _refusal(verdicts: Mapping[str, Verdict]) -> str:
    """Why a file of a method that cannot be read has no module, or nothing."""
    refused = [verdict.reason for verdict in verdicts.values() if verdict in REFUSED.values()]
    return refused[0] if refused and not any(v.role == "used" for v in verdicts.values()) else ""


def _components(metadata: Mapping[str, str], given: ReadOptions) -> dict[str, Scaling] | None:
    """How PEFT scales each component, by its name; by "" where the file is of one component, without its name."""
    try:
        table = json.loads(metadata.get(METADATA, "{}"))
    except (ValueError, RecursionError):
        return None
    components: dict[str, dict[str, Any]] = {}
    for key, value in table.items() if isinstance(table, dict) else ():
        component, _, field = key.rpartition(".")
        components.setdefault(component, {})[field] = value
    found = {component: Scaling(_config(of), given) for component, of in components.items() if "r" in of}
    return found if found or METADATA not in metadata else None


def _config(fields: Mapping[str, Any]) -> PeftConfig:
    alpha, r = fields.get("lora_alpha", DEFAULT_ALPHA), fields.get("r")
    return PeftConfig(
        r=r if is_number(r) else None,
        alpha=float(alpha) if is_number(alpha) else None,
        rslora=bool(fields.get("use_rslora")),
        rank_pattern=numbers(fields.get("rank_pattern")),
        alpha_pattern=numbers(fields.get("alpha_pattern")),
    )
