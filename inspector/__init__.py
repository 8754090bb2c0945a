"""What LoRA training did to the weights: open adapters, see their weight-space geometry.

In a notebook: `load`, `compare`, `probe`, `sketch`, `summary`, `open_study`, `save_study`; see `inspector.api.library`.
In a training script: `WeightsCallback`; see `inspector.api.callback`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from inspector._version import __version__

__all__ = [
    "WeightsCallback",
    "__version__",
    "compare",
    "load",
    "open_study",
    "probe",
    "save_study",
    "sketch",
    "summary",
]

if TYPE_CHECKING:
    from inspector.api.callback import WeightsCallback
    from inspector.api.library import compare, load, open_study, probe, save_study, sketch, summary


def __getattr__(name: str) -> Any:
    """The functions of the library, imported when the first is used."""
    if name == "WeightsCallback":  # in a training of its own, whose threads are not ours to set
        from inspector.api.callback import WeightsCallback

        return WeightsCallback
    if name in __all__:
        from inspector.common.cores import settle

        settle()
        from inspector.api import library

        return getattr(library, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
