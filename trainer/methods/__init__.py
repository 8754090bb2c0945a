"""The training methods, each with all that is known of it before training. No torch.

base says what a method is; weighted, preference and online hold them; rewards counts what can be learned from.
"""

from __future__ import annotations

import copy
import difflib
from collections.abc import Mapping, Sequence
from dataclasses import Field
from typing import Any

from inspector.common.errors import InspectorError
from inspector.common.text import plain
from trainer.methods.base import Method, by_data
from trainer.methods.krafton import KraftonCode, KraftonPost
from trainer.methods.online import DrGrpo, Gspo, OnlineDapo, OnlineGrpo
from trainer.methods.preference import Dpo, Ipo, IpoSum, Kto, Simpo
from trainer.methods.weighted import Dft, OfflineGrpo, Rft, Rift, RiftLinear, Sft

METHODS: dict[str, Method] = {}
STUDY = ("sft", "rft", "dft", "rift", "offline-grpo", "dpo", "online-grpo", "online-dapo")
"""What `all` runs, in this order."""


def register(method: Method) -> None:
    """Add a method: from here on it is trained, recorded and written out as all are.

    Raises InspectorError for a name that is taken, and for a setting that another method has as another type.
    """
    if (there := METHODS.get(method.name)) and not (there.own and method.own):
        raise InspectorError(f"There is a method {plain(method.name)!r} already: choose another name.")
    METHODS.pop(method.name, None)
    known = own_settings()
    for variant in method.variants:
        for mine in variant.settings():
            if (other := known.get(mine.name)) and _type(other) != _type(mine):
                raise InspectorError(f"Another method has a setting {mine.name!r} of another type: rename yours.")
    METHODS[method.name] = method


def own_settings() -> dict[str, Field[Any]]:
    """The settings that not all methods read, by name; of several defaults none, `about` then says them all."""
    found: dict[str, Field[Any]] = {}
    defaults: dict[str, dict[Any, list[str]]] = {}
    for method in sorted(METHODS.values(), key=by_data):
        for variant in method.variants:
            for f in variant.settings():
                found.setdefault(f.name, f)
                defaults.setdefault(f.name, {}).setdefault(f.default, []).append(variant.name)
    return {name: f if len(defaults[name]) == 1 else _unset(f, defaults[name]) for name, f in found.items()}


def _unset(f: Field[Any], defaults: Mapping[Any, Sequence[str]]) -> Field[Any]:
    """The setting without a default of its own."""
    each = "; ".join(f"{default:g} for {', '.join(names)}" for default, names in defaults.items())
    field = copy.copy(f)
    field.default, field.type = None, f"{_type(f)} | None"
    field.metadata = {**f.metadata, "about": f"{f.metadata['about']} Unset: {each}."}  # type: ignore[assignment]
    return field


def _type(f: Field[Any]) -> str:
    return (f.type.__name__ if isinstance(f.type, type) else str(f.type)).removesuffix(" | None")


def method(name: str) -> Method:
    """The method of this name. Raises InspectorError with the nearest one."""
    if name in METHODS:
        return METHODS[name]
    close = difflib.get_close_matches(name, METHODS, n=1)
    hint = f" Did you mean {close[0]}?" if close else ""
    raise InspectorError(f"No method {plain(name)!r}: there are {', '.join(METHODS)}, and all.{hint}")


def chosen(name: str) -> tuple[Method, ...]:
    """The method of this name, or those of `all`."""
    return tuple(METHODS[n] for n in STUDY) if name == "all" else (method(name),)


for _method in (
    Method("sft", "SFT · supervised fine-tuning", (Sft,)),
    Method("rft", "RFT · rejection-sampling fine-tuning", (Rft,), "Yuan 2023", ("positive",)),
    Method("dft", "DFT · dynamic fine-tuning", (Dft,), "Wu 2025, arXiv:2508.05629"),
    Method("rift", "RIFT · reward-informed fine-tuning", (Rift, RiftLinear), "Liu 2026, arXiv:2601.09253"),
    Method("offline-grpo", "Offline GRPO", (OfflineGrpo, KraftonPost, KraftonCode), "the study; KRAFTON 2025"),
    Method("dpo", "DPO · direct preference optimisation", (Dpo,), "Rafailov 2023", ("mixed",)),
    Method(
        "kto", "KTO · Kahneman-Tversky optimisation", (Kto,), "Ethayarajh 2024, arXiv:2402.01306",
        ("positive", "negative"),
    ),
    Method("ipo", "IPO · identity preference optimisation", (Ipo, IpoSum), "Azar 2023, arXiv:2310.12036", ("mixed",)),
    Method("simpo", "SimPO · simple preference optimisation", (Simpo,), "Meng 2024, arXiv:2405.14734", ("mixed",)),
    Method("online-grpo", "Online GRPO", (OnlineGrpo, DrGrpo, Gspo), "Shao 2024, arXiv:2402.03300"),
    Method("online-dapo", "Online DAPO", (OnlineDapo,), "Yu 2025, arXiv:2503.14476"),
):  # fmt: skip
    register(_method)
