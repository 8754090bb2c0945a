"""A reader as short as one can be: ΔW = U·V, each module's pair under its own name."""

from functools import partial
from pathlib import Path

from inspector.adapters.files.listing import Folder
from inspector.adapters.files.weights import Weights, safetensors_weights
from inspector.adapters.model import Adapter, LoraModule, Scale
from inspector.adapters.options import ReadOptions
from inspector.adapters.tensors.account import MISFIT, Verdict
from inspector.adapters.tensors.assemble import Facts, Part, assemble
from inspector.adapters.tensors.grouping import Made, Slots, dtypes, fault, understand
from inspector.adapters.tensors.slots import Place
from inspector.study.module_id import canonical

FORMAT = "low-rank pairs"
NAMES = {r".*\.lowrank\.safetensors": FORMAT}


def places(folder: Folder) -> list[Path]:
    """The files of factors U."""
    files = folder.files(".safetensors")
    return [folder.path / name for name in files if any(key.endswith(".U") for key in folder.headers(name))]


def read(path: Path, name: str, source: str, read_options: ReadOptions) -> Adapter:
    """The adapter of a file, from its header."""
    weights = safetensors_weights((path,))
    found = understand(weights.headers, _place, partial(_part, weights), {})
    return assemble(name, source, Facts(FORMAT), found.parts, weights, found.verdicts, [])


def _place(key: str) -> Place | None:
    path, _, slot = key.rpartition(".")
    return Place(path, slot) if slot in {"U", "V"} else None


def _part(weights: Weights, path: str, slots: Slots) -> Made | Verdict:
    if wrong := fault(slots, ("U", "V")):
        return wrong
    u, v = slots["U"], slots["V"]
    if u.shape[1] != v.shape[0]:
        return MISFIT
    module = LoraModule(
        canonical(path), u.shape[0], v.shape[1], v.shape[0], Scale(1.0, "as stored"), dtypes(slots, ("U", "V")), path
    )
    return Made([Part(module, lambda: (weights.tensor(u.key), weights.tensor(v.key)), u.numel + v.numel)])
