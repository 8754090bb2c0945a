"""The reader of diffusers' LoRA files: dotted module names below `unet`, `transformer`, `text_encoder` …

s = α/r by the header's `lora_adapter_metadata` (PEFT's config of each component) or by an `alpha` beside the factors;
without both α = r, so s = 1 [diffusers.loaders, where save_lora_weights writes no alphas]. Files of ComfyUI
(`diffusion_model.…`) and of LyCORIS's methods under dotted names are read alike.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from inspector.adapters import lycoris
from inspector.adapters.account import Verdict
from inspector.adapters.assemble import Facts, assemble
from inspector.adapters.config_file import is_number, numbers
from inspector.adapters.given import Given
from inspector.adapters.grouping import Made, Place, Slots, understand
from inspector.adapters.headers import TensorHeader, read_metadata
from inspector.adapters.listing import Folder
from inspector.adapters.magnitudes import depends_on, dora_notes
from inspector.adapters.model import Adapter
from inspector.adapters.peft.config import PeftConfig
from inspector.adapters.peft.scale import Scaling
from inspector.adapters.readers.foreign_names import from_diffusers
from inspector.adapters.readers.kohya import ASIDE, BIAS, DORA, kind, module_parts, refusal
from inspector.adapters.weights import Weights, safetensors_weights
from inspector.study import Finding

METADATA = "lora_adapter_metadata"
_TOWER = re.compile(r"(unet|transformer(_2)?(?!\.h\.)|text_encoder(_\d)?|prior|controlnet|diffusion_model)\.")
_FACTOR = re.compile(
    r"(?P<path>.+?)(?:\.lora_(?:(?P<new>[AB])(?:\.[\w-]+)?|(?:linear_layer\.)?(?P<down>down|up)(?:\.default)?)"
    r"|[._]lora\.(?P<old>down|up))\.weight",
    re.DOTALL,
)
_SIDES = {"A": lycoris.DOWN, "B": lycoris.UP, "down": lycoris.DOWN, "up": lycoris.UP}
_OTHERS = "|".join(
    re.escape(slot) for slot in sorted(lycoris.SLOTS | ASIDE.keys() | {"alpha", DORA}, key=len, reverse=True)
)
_OTHER = re.compile(rf"(?P<path>.+?)\.(?P<slot>{_OTHERS}|lora_magnitude_vector(?:\.weight)?|lora_B\.bias)", re.DOTALL)
_ASIDE = ASIDE | {"lora_B.bias": BIAS}


def places(folder: Folder) -> list[Path]:
    """The files with factors below a component of a pipeline, or with diffusers' own metadata."""
    return [folder.path / name for name in folder.files(".safetensors", ".sft") if _is_diffusers(folder, name)]


def _is_diffusers(folder: Folder, name: str) -> bool:
    headers = folder.headers(name)
    factors = [key for key in headers if (place := _place(key)) and place.slot in lycoris.SLOTS]
    if any(_TOWER.match(key) for key in factors):
        return True
    return bool(factors) and METADATA in read_metadata(folder.path / name)


def read(path: Path, name: str, source: str, given: Given) -> Adapter:
    """The adapter of a file, from its headers. Raises InspectorError for a damaged file."""
    weights = safetensors_weights((path,))
    scalings = _scalings(read_metadata(path))
    found = understand(weights.headers, _place, partial(_parts, weights, given, scalings), _ASIDE)
    said = [*dora_notes(found.verdicts), *(finding for scaling in scalings.values() for finding in scaling.findings())]
    alphas = {alpha for scaling in scalings.values() for alpha in scaling.alphas}
    format_ = kind(found.verdicts, "diffusers")
    facts = Facts(
        format_,
        alphas=alphas,
        excluded=found.excluded,
        refusal=refusal(found.verdicts),
        depends_on=depends_on(found, given),
    )
    if METADATA in read_metadata(path) and not scalings:
        said.append(Finding("warning", f"the header's {METADATA} cannot be read: α = r is taken"))
    return assemble(name, source, facts, found.parts, weights, found.verdicts, said)


def _place(key: str) -> Place | None:
    if found := _FACTOR.fullmatch(key):
        slot = _SIDES[found["new"] or found["down"] or found["old"]]
        path = f"{found['path']}_lora" if f"{found['path']}_lora." in key else found["path"]
        return Place(from_diffusers(path), slot)
    if found := _OTHER.fullmatch(key):
        slot = DORA if found["slot"].startswith("lora_magnitude") else found["slot"]
        return Place(from_diffusers(found["path"]), slot)
    return None


def _parts(weights: Weights, given: Given, scalings: Mapping[str, Scaling], path: str, slots: Slots) -> Made | Verdict:
    """The part of one module; what its component's metadata says of its scale comes before alphas in the file."""
    component, _, below = path.partition(".")
    scaling, at = (scalings[component], below) if component in scalings else (scalings.get(""), path)
    if scaling is None or lycoris.DOWN not in slots or not (r := _rank(slots[lycoris.DOWN])):
        return module_parts(weights, given, path, slots)
    return module_parts(weights, given, path, slots, scaling.of(at, r))


def _rank(down: TensorHeader) -> int:
    return down.shape[0] if down.shape else 0


def _scalings(metadata: Mapping[str, str]) -> dict[str, Scaling]:
    """How PEFT scales each component, by its name; by "" where the file is of one component, without its name."""
    try:
        table = json.loads(metadata.get(METADATA, "{}"))
    except (ValueError, RecursionError):
        return {}
    components: dict[str, dict[str, Any]] = {}
    for key, value in table.items() if isinstance(table, dict) else ():
        component, _, field = key.rpartition(".")
        components.setdefault(component, {})[field] = value
    return {component: Scaling(_config(fields)) for component, fields in components.items() if "r" in fields}


def _config(fields: Mapping[str, Any]) -> PeftConfig:
    alpha, r = fields.get("lora_alpha"), fields.get("r")
    return PeftConfig(
        r=r if is_number(r) else None,
        alpha=float(alpha) if is_number(alpha) else None,
        rslora=bool(fields.get("use_rslora")),
        rank_pattern=numbers(fields.get("rank_pattern")),
        alpha_pattern=numbers(fields.get("alpha_pattern")),
    )
