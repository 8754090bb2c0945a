"""PEFT's methods: which are read, and why there is no ΔW to read of the others."""

from __future__ import annotations

from inspector.common.errors import InspectorError

INVOCATION = "alora_invocation_tokens"
METHODS = {
    "LORA": "PEFT LoRA",
    "ADALORA": "PEFT AdaLoRA",
    "LOHA": "PEFT LoHa",
    "LOKR": "PEFT LoKr",
    "VERA": "PEFT VeRA",
    "TRAINABLE_TOKENS": "PEFT trainable tokens",
}
"""What is read, by `peft_type`, and the name of its format."""

_PROMPTS = "it trains virtual tokens and no weight, so there is no ΔW"
_MULTIPLIES = "it multiplies weights or activations, which is not a sum W₀ + ΔW of factors in the file"
_SEEDED = "its update is drawn from a random seed or an index, which is not rebuilt here"
_OTHERWISE = {
    **dict.fromkeys(
        ("PROMPT_TUNING", "MULTITASK_PROMPT_TUNING", "P_TUNING", "PREFIX_TUNING", "CPT", "CARTRIDGE"), _PROMPTS
    ),
    "ADAPTION_PROMPT": _PROMPTS,
    **dict.fromkeys(("IA3", "OFT", "BOFT", "HRA", "ROAD", "HIRA", "PSOFT", "DELORA"), _MULTIPLIES),
    **dict.fromkeys(("PVERA", "RANDLORA", "FOURIERFT", "WAVEFT", "VBLORA", "UNILORA", "TINYLORA"), _SEEDED),
    "LN_TUNING": "it trains the vectors of norms, and only matrices are compared",
    "ALORA": f"it is of the code before PEFT's; PEFT has peft_type LORA with {INVOCATION}",
    "XLORA": "it mixes other adapters: open those",
    "POLY": "it mixes several LoRAs by task",
}


def refuse_unread(peft_type: str, where: str) -> None:
    """Raise InspectorError for a method that is not read."""
    if peft_type not in METHODS:
        why = _OTHERWISE.get(peft_type, "this method is not supported")
        raise InspectorError(f"{where} says peft_type {peft_type}: {why}. Supported are {', '.join(METHODS)}.")


def alpha_field(peft_type: str) -> str:
    """What the method's config calls α."""
    return "alpha" if peft_type in {"LOHA", "LOKR"} else "lora_alpha"
