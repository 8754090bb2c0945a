"""The training methods, each with all that is known of it before training. No torch.

base says what a method is; weighted, preference and online hold them; rewards counts what can be learned from.
"""

from __future__ import annotations

import difflib
from dataclasses import Field
from typing import Any

from inspector.common.errors import InspectorError
from inspector.common.text import plain
from trainer.methods.base import Method, by_data
from trainer.methods.online import OnlineDapo, OnlineGrpo
from trainer.methods.preference import Dpo, Ipo, Kto, Simpo
from trainer.methods.weighted import Dft, Krafton, OfflineGrpo, Rft, Rift, RiftLinear, Sft

METHODS: dict[str, Method] = {}
STUDY = ("sft", "rft", "dft", "rift", "offline-grpo", "dpo", "online-grpo", "online-dapo")
"""What `all` runs, in this order."""


def register(method: Method) -> None:
    """Add a method: from here on it is trained, recorded and written out as all are.

    Raises InspectorError for a name that is taken, and for a setting that another method has with another default.
    """
    if (there := METHODS.get(method.name)) and not (there.own and method.own):
        raise InspectorError(f"There is a method {plain(method.name)!r} already: choose another name.")
    METHODS.pop(method.name, None)
    known = own_settings()
    for variant in method.variants:
        for mine in variant.settings():
            if (other := known.get(mine.name)) and other.default != mine.default:
                raise InspectorError(f"Another method has a setting {mine.name!r} with another default: rename yours.")
    METHODS[method.name] = method


def own_settings() -> dict[str, Field[Any]]:
    """The settings that not all methods read, by name."""
    found: dict[str, Field[Any]] = {}
    for method in sorted(METHODS.values(), key=by_data):
        for variant in method.variants:
            found |= {f.name: f for f in variant.settings() if f.name not in found}
    return found


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
    Method("offline-grpo", "Offline GRPO", (OfflineGrpo, Krafton), "the study; KRAFTON 2025"),
    Method("dpo", "DPO · direct preference optimisation", (Dpo,), "Rafailov 2023", ("mixed",)),
    Method(
        "kto", "KTO · Kahneman-Tversky optimisation", (Kto,), "Ethayarajh 2024, arXiv:2402.01306",
        ("positive", "negative"),
    ),
    Method("ipo", "IPO · identity preference optimisation", (Ipo,), "Azar 2023, arXiv:2310.12036", ("mixed",)),
    Method("simpo", "SimPO · simple preference optimisation", (Simpo,), "Meng 2024, arXiv:2405.14734", ("mixed",)),
    Method("online-grpo", "Online GRPO", (OnlineGrpo,), "Shao 2024, arXiv:2402.03300"),
    Method("online-dapo", "Online DAPO", (OnlineDapo,), "Yu 2025, arXiv:2503.14476"),
):  # fmt: skip
    register(_method)
