"""The reader of LoRA files of image and video models, by the slots of their tensors: kohya's, diffusers', LyCORIS's."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from inspector.adapters.files.headers import TensorHeader, read_metadata
from inspector.adapters.files.listing import Folder
from inspector.adapters.files.weights import Weights, safetensors_weights
from inspector.adapters.model import Adapter, LoraModule
from inspector.adapters.options import ReadOptions
from inspector.adapters.readers.foreign_names import from_diffusers, from_kohya, is_kohya
from inspector.adapters.readers.image_scales import METADATA, Scales, components_of, scale_of
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
from inspector.adapters.tensors.stated import stated
from inspector.adapters.updates import lycoris
from inspector.adapters.updates.dora import depends_on, dora_made, dora_notes
from inspector.study.adapter_info import HealthIssue
from inspector.study.module_id import canonical

NAMES = {r"pytorch_lora_weights\.safetensors": "diffusers"}
NO_ALPHA = Verdict("unknown", "the module's alpha is not a finite number", "error")
_COMPONENT = re.compile(r"(unet|transformer(_2)?(?!\.h\.)|text_encoder(_\d)?|prior|controlnet|diffusion_model)\.")
_SIDES = (".lora_A", ".lora_B")

Headers = Mapping[str, TensorHeader]


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


def read(path: Path, name: str, source: str, read_options: ReadOptions) -> Adapter:
    """The adapter of a file, from its headers and its alphas. Raises InspectorError for a damaged file."""
    return adapter_of(safetensors_weights((path,)), name, source, read_options)


def adapter_of(weights: Weights, name: str, source: str, read_options: ReadOptions) -> Adapter:
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
    scales = Scales(components_of(metadata, read_options), by_loader, beside)
    found = understand(upon.headers, _place, partial(_parts, upon, read_options, scales), ASIDE)
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
        depends_on=depends_on(found, read_options),
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


def _parts(weights: Weights, read_options: ReadOptions, scales: Scales, path: str, slots: Slots) -> Made | Verdict:
    """The part of one module."""
    made = lycoris.update(slots, weights.tensor, read_options.rank)
    if isinstance(made, Verdict):
        return made
    scale = scale_of(path, slots, made, weights, scales, read_options)
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
    return Made([part]) if DORA not in slots else dora_made(part, slots, DORA, weights.tensor, read_options)


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
