"""What ships with the package: the demo set, problems."""

from __future__ import annotations

from pathlib import Path

from inspector.common.errors import InspectorError

DEMO = (
    "sft", "rft", "rift", "dft", "offline-grpo", "dpo", "online-grpo", "online-dapo", "sft_s123", "sft_lr2e-3",
    "dpo_lr2e-4",
)  # fmt: skip

_TOP = Path(__file__).parents[1]


def folder() -> Path:
    """The assets: inside the installed package, or beside it in a checkout."""
    for place in (_TOP / "assets", _TOP.parent / "assets"):
        if place.is_dir():
            return place
    raise InspectorError("The bundled assets are missing: install adapter-inspector again.")


def demo_sources() -> list[str]:
    """The bundled adapters, in the study's order."""
    return [str(folder() / "demo" / name) for name in DEMO]


def demo_study() -> Path:
    """What was measured of them: `make demo-study` writes it."""
    return folder() / "demo" / "study.parquet"


def problems_folder() -> Path:
    """The bundled problems."""
    return folder() / "problems"
