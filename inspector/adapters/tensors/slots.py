"""What a tensor is for, told by the end of its key whatever stands before it: the slots that LoRA trainers write.

.lora_up/.lora_down[.default].weight, .lora.up.weight, _lora[1].up.weight, .lora_linear_layer.up.weight
.lora_mid.weight, .lora_A/.lora_B[.name][.weight], .lora_magnitude_vector[.weight], .lora_B.bias
.hada_…, .lokr_…, .oft_…, .boft_…, .diff, .dora_scale, .alpha
"""

from __future__ import annotations

import re
from typing import NamedTuple

from inspector.adapters.tensors.account import Verdict

UP, DOWN, MID = "lora_up.weight", "lora_down.weight", "lora_mid.weight"
HADA = tuple(f"hada_{name}" for name in ("w1_a", "w1_b", "w2_a", "w2_b", "t1", "t2"))
LOKR = tuple(f"lokr_{name}" for name in ("w1", "w1_a", "w1_b", "w2", "w2_a", "w2_b", "t2"))
DIFF, ALPHA, DORA = "diff", "alpha", "dora_scale"
OFT = "oft_blocks"
"""Stands for every slot of OFT and BOFT, in all their trainers' names."""
FACTORS = frozenset({UP, DOWN, MID, *HADA, *LOKR, OFT})
"""The slots by which alone a file is known to hold an adapter."""
UPDATES = frozenset({UP, DOWN, MID, *HADA, *LOKR, DIFF})
"""Those that ΔW is made of."""
_NEEDS_BASE = "ΔW is not a sum of factors without the base's weights, which is not supported"
REFUSED = {
    slot: Verdict("ignored", f"{method}: {_NEEDS_BASE}", "warning")
    for method, slots in {
        "GLoRA": ("a1.weight", "a2.weight", "b1.weight", "b2.weight", "bm.weight"),
        "OFT or BOFT": (OFT, "rescale"),
        "IA³": ("on_input",),
    }.items()
    for slot in slots
}
_BIAS = Verdict("ignored", "the update of a bias or a norm, no part of ΔW")
ASIDE = {
    "diff_b": _BIAS,
    "w_norm": _BIAS,
    "b_norm": _BIAS,
    "lora_B.bias": _BIAS,
    "scalar": Verdict("ignored", "a scalar LyCORIS multiplies into its factors when it saves"),
    "bundle_emb": Verdict("ignored", "embeddings bundled with the LoRA: no part of ΔW, not read", "warning"),
} | REFUSED
"""The slots that are not part of ΔW, or of a method that is refused."""
_SIDES = {"A": DOWN, "B": UP, "down": DOWN, "up": UP}
_NAMED = re.compile(
    r"(?P<path>.+?)(?P<old>_lora\d*)?"
    r"(?:\.lora_(?P<ab>[AB])(?:\.(?!weight$|bias$)[\w-]+)?(?:\.weight)?"
    r"|(?(old)\.|(?:\.lora_(?:linear_layer\.)?|\.lora\.))(?P<side>down|up)(?:\.default)?\.weight)",
    re.DOTALL,
)
_OTHERS = "|".join(map(re.escape, sorted(UPDATES | ASIDE.keys() | {ALPHA, DORA}, key=len, reverse=True)))
_OTHER = re.compile(
    rf"(?P<path>.+?)\.(?:(?P<slot>{_OTHERS})|(?P<dora>lora_magnitude_vector(?:\.weight)?)|(?P<oft>b?oft_[\w.-]+))",
    re.DOTALL,
)
_BUNDLED = "bundle_emb."


class Place(NamedTuple):
    """Where a key puts its tensor: the module's full path in the base, and the tensor's slot there."""

    path: str
    slot: str


def place(key: str) -> Place | None:
    """The path before the slot as it stands, and the slot under LyCORIS's name for it; None for another key."""
    if key.startswith(_BUNDLED):
        return Place(key, "bundle_emb")
    if found := _NAMED.fullmatch(key):
        return Place(f"{found['path']}{found['old'] or ''}", _SIDES[found["ab"] or found["side"]])
    if found := _OTHER.fullmatch(key):
        slot = DORA if found["dora"] else OFT if found["oft"] else found["slot"]
        return Place(found["path"], slot)
    return None


def is_factor(key: str) -> bool:
    """Whether a tensor is a factor of an update, in whichever format."""
    found = place(key)
    return found is not None and found.slot in FACTORS
