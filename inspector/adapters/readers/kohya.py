"""The reader of kohya's layout: one file, module names with underscores for dots, LoRA or one of LyCORIS's methods.

`lora_unet_…`, `lora_te_…`, `lycoris_…`, each with its tensors and an `alpha`: s = α/r, and 1 where α is missing or 0
[kohya-ss/sd-scripts networks/lora.py]. What the tensors of a module come to stands in lycoris.py.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from inspector.adapters import lycoris
from inspector.adapters.account import Verdict
from inspector.adapters.assemble import Facts, Part, assemble
from inspector.adapters.given import Given
from inspector.adapters.grouping import Made, Place, Slots, dtypes, understand
from inspector.adapters.headers import read_metadata
from inspector.adapters.listing import Folder
from inspector.adapters.magnitudes import depends_on, dora_made, dora_notes
from inspector.adapters.model import Adapter, LoraModule, Scale
from inspector.adapters.readers.foreign_names import from_kohya, is_kohya
from inspector.adapters.weights import Weights, safetensors_weights
from inspector.names import canonical

DORA = "dora_scale"
BIAS = Verdict("ignored", "the update of a bias or a norm, no part of ΔW")
NO_ALPHA = Verdict("unknown", "the module's alpha is no finite number", "error")
ASIDE = {
    "diff_b": BIAS,
    "w_norm": BIAS,
    "b_norm": BIAS,
    "scalar": Verdict("ignored", "a scalar LyCORIS multiplies into its factors when it saves"),
} | lycoris.REFUSED
_ALIASES = {"lora_A.weight": lycoris.DOWN, "lora_B.weight": lycoris.UP}


def places(folder: Folder) -> list[Path]:
    """The files with a module named in kohya's way."""
    files = folder.files(".safetensors", ".sft")
    return [folder.path / name for name in files if any(_place(key) for key in folder.headers(name))]


def read(path: Path, name: str, source: str, given: Given) -> Adapter:
    """The adapter of a file, from its headers and its alphas. Raises InspectorError for a damaged file."""
    weights = safetensors_weights((path,))
    found = understand(weights.headers, _place, partial(module_parts, weights, given), ASIDE)
    metadata = read_metadata(path)
    base = metadata.get("ss_base_model_version") or metadata.get("ss_sd_model_name") or ""
    facts = Facts(
        kind(found.verdicts),
        base,
        excluded=found.excluded,
        refusal=refusal(found.verdicts),
        depends_on=depends_on(found, given),
    )
    return assemble(name, source, facts, found.parts, weights, found.verdicts, dora_notes(found.verdicts))


def _place(key: str) -> Place | None:
    """`lora_unet_mid_block_….lora_down.weight`: the first dot ends the module's name."""
    name, _, slot = key.partition(".")
    slot = _ALIASES.get(slot, slot)
    known = slot in lycoris.SLOTS or slot in ASIDE or slot in {"alpha", DORA}
    return Place(from_kohya(name), slot) if known and is_kohya(name) else None


def module_parts(weights: Weights, given: Given, path: str, slots: Slots, scale: Scale | None = None) -> Made | Verdict:
    """The part of one module, with its own alpha unless its `scale` is known otherwise."""
    made = lycoris.update(slots, weights.tensor, given.rank)
    if isinstance(made, Verdict):
        return made
    if scale is None:
        scale = _scale(slots, made, weights)
    if scale is None:
        return NO_ALPHA
    factors = sorted(slots.keys() & lycoris.SLOTS)
    types = dtypes(slots, factors)
    module = LoraModule(canonical(path), made.d_out, made.d_in, made.rank, scale, types, path, made.kernel)
    numel = sum(slots[slot].numel for slot in factors)
    part = Part(module, made.factors, numel, made.left_out or float)
    return Made([part]) if DORA not in slots else dora_made(part, slots, DORA, weights.tensor, given)


def _scale(slots: Slots, made: lycoris.Update, weights: Weights) -> Scale | None:
    """α/r with the α of the file: 1 where there is none, where it is 0, and where nothing was factorised."""
    if made.r is None:
        return Scale(1.0, f"{made.method} without factors: 1")
    if "alpha" not in slots:
        return Scale(1.0, "no alpha: 1")
    if slots["alpha"].numel != 1 or slots["alpha"].dtype.startswith("C"):
        return None
    alpha = float(weights.tensor(slots["alpha"].key))
    if alpha == 0:
        return Scale(1.0, "alpha 0 counts as r: 1")
    return Scale(alpha / made.r, f"α/r = {alpha:g}/{made.r}") if abs(alpha) < 1e18 else None


def kind(verdicts: dict[str, Verdict], layout: str = "kohya") -> str:
    """`kohya LoRA`, or which of LyCORIS's methods the file holds."""
    slots = {slot for key in verdicts for slot in [key.rpartition(".")[2]]}
    methods = {"LoHa": slots & {*lycoris.HADA}, "LoKr": slots & {*lycoris.LOKR}, "full": slots & {lycoris.DIFF}}
    found = [method for method, there in methods.items() if there]
    return f"LyCORIS {' and '.join(found)}" if found else f"{layout} LoRA"


def refusal(verdicts: dict[str, Verdict]) -> str:
    """Why a file of a method that cannot be read has no module, or nothing."""
    refused = [verdict.reason for verdict in verdicts.values() if verdict in lycoris.REFUSED.values()]
    return refused[0] if refused and not any(v.role == "used" for v in verdicts.values()) else ""
