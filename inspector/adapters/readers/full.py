"""The reader of full fine-tunes: a model's folder and the base it came from, ΔW = W − W₀ of every matrix."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from inspector.adapters.files.base_weights import NUMBERS, BaseWeights, model_files
from inspector.adapters.files.config_file import read_json_object
from inspector.adapters.files.headers import TensorHeader
from inspector.adapters.files.listing import Folder
from inspector.adapters.files.weights import Weights, safetensors_weights
from inspector.adapters.model import Adapter, LoraModule, Scale
from inspector.adapters.options import ReadOptions
from inspector.adapters.tensors.account import NOT_FLOAT, TWICE, USED, Verdict
from inspector.adapters.tensors.assemble import Facts, Part, assemble
from inspector.adapters.tensors.layout import stored_in_out
from inspector.adapters.updates.low_rank import Dense
from inspector.common.errors import InspectorError, NotAnAdapterError
from inspector.common.text import count, plain, some
from inspector.study.adapter_info import HealthIssue
from inspector.study.module_id import canonical, strip_wrappers

if TYPE_CHECKING:
    from torch import Tensor

FORMAT = "full fine-tune"
NAMES: dict[str, str] = {}
CONFIG = "config.json"
_SCALE = Scale(1.0, "W − W₀")
_OF_ADAPTERS = re.compile(r"lora|hada_|lokr_", re.IGNORECASE)
# Whose values each type holds without rounding.
_HOLDS = {"F64": NUMBERS, "F32": NUMBERS - {"F64"}, "BF16": {"BF16"}, "F16": {"F16"}}

VECTOR = Verdict("ignored", "no matrix (a norm, a bias): not compared")
OTHER_RANK = Verdict("ignored", "no matrix (more than two dimensions, or no module's weight): not compared", "warning")
NEW = Verdict("ignored", "not in the base: nothing to subtract", "warning")
BASE_QUANTISED = Verdict("ignored", "quantised in the base: give the unquantised base", "warning")


def places(folder: Folder) -> list[Path]:
    """The folder itself where it is a model's: a config.json of a model beside safetensors of no adapter."""
    if CONFIG not in folder.names:
        return []
    try:
        config = read_json_object(folder.path / CONFIG)[0]
    except InspectorError:
        return []
    if not config.keys() & {"model_type", "architectures"}:
        return []
    files = [name for name in folder.names if name.endswith(".safetensors")]
    adapters = (_OF_ADAPTERS.search(key) for file in files for key in folder.headers(file))
    return [folder.path] if files and not any(adapters) else []


def read(path: Path, name: str, source: str, read_options: ReadOptions) -> Adapter:
    """The update of every matrix the model shares with the base, from the headers of both.

    Values are read when a module is measured, one matrix of each model at a time; a matrix that training left alone
    has ΔW = 0 there. Raises NotAnAdapterError without a base and for the base itself, and InspectorError for
    damaged files.
    """
    if read_options.base is None:
        raise NotAnAdapterError(
            f"{plain(path)} is a whole model, no adapter: name the base it was tuned from with --base "
            "(Hub id or folder), and its update W − W₀ is measured."
        )
    weights = safetensors_weights(tuple(path / file for file in model_files(Folder(path).names)))
    base = read_options.base
    if {file.resolve() for file in weights.files} == {file.resolve() for file in base.weights.files}:
        raise NotAnAdapterError(f"{plain(path)} is the base itself: its update is zero.")
    verdicts = _verdicts(weights.headers, base)
    model_type = str(read_json_object(path / CONFIG)[0].get("model_type"))
    used = [key for key, verdict in verdicts.items() if verdict is USED]
    parts = [_part(key, weights, base, rank=read_options.rank, model_type=model_type) for key in used]
    excluded = tuple(
        canonical(_module(key)) for key, v in verdicts.items() if v is not USED and len(weights.headers[key].shape) == 2
    )
    refusal = "" if parts else f"no matrix of it has the shape it has in the base {plain(base.name)}: is that its base?"
    depends_on = f"{base.name} at rank {read_options.rank}"
    facts = Facts(FORMAT, base.name, excluded=excluded, refusal=refusal, depends_on=depends_on)
    return assemble(name, source, facts, parts, weights, verdicts, _notes(weights.headers, used, base))


def _verdicts(headers: Mapping[str, TensorHeader], base: BaseWeights) -> dict[str, Verdict]:
    """One verdict a tensor; two that claim one module are neither used."""
    verdicts = {key: _verdict(header, base.header(key)) for key, header in headers.items()}
    claims = Counter(canonical(key) for key, verdict in verdicts.items() if verdict is USED)
    return {k: TWICE if v is USED and claims[canonical(k)] > 1 else v for k, v in verdicts.items()}


def _verdict(tuned: TensorHeader, base: TensorHeader | None) -> Verdict:
    """The first rule that holds, else USED."""
    if len(tuned.shape) < 2:
        return VECTOR
    if tuned.dtype not in NUMBERS:
        return NOT_FLOAT
    if base is None:
        return NEW
    if base.dtype not in NUMBERS:
        return BASE_QUANTISED
    if tuned.shape != base.shape:
        here, there = ("×".join(map(str, shape)) for shape in (tuned.shape, base.shape))
        resized = " (vocabulary resized?)" if tuned.shape[1:] == base.shape[1:] else ""
        return Verdict("ignored", f"another shape than in the base: {here}, not {there}{resized}", "warning")
    return USED if len(tuned.shape) == 2 and tuned.key.endswith(".weight") else OTHER_RANK


def _part(key: str, weights: Weights, base: BaseWeights, *, rank: int, model_type: str) -> Part:
    """ΔW is d_out×d_in as an operator, whichever way round the model stores the matrix."""
    header, path = weights.headers[key], _module(key)
    in_out = stored_in_out(path, model_type)
    d_out, d_in = header.shape[::-1] if in_out else header.shape

    def delta() -> Tensor:
        found = _difference(weights.tensor(key), base.tensor(key))
        return found.T.contiguous() if in_out else found

    id_ = canonical(path)
    module = LoraModule(id_, d_out, d_in, min(rank, d_out, d_in), _SCALE, header.dtype, path)
    update = Dense(delta, rank)
    return Part(module, update, header.numel, update.left_out)


def _difference(tuned: Tensor, base: Tensor) -> Tensor:
    """W − W₀ in float32; in float64 where the model itself is."""
    import torch

    tuned = tuned if tuned.dtype == torch.float64 else tuned.float()
    return tuned.sub_(base.to(tuned.dtype))


def _notes(headers: Mapping[str, TensorHeader], used: list[str], base: BaseWeights) -> list[HealthIssue]:
    """What the reader of the numbers should know of this model against this base."""
    notes = []
    rounded = {(h.dtype, b.dtype) for key in used if (h := headers[key]) and (b := base.header(key))}
    for here, there in sorted(rounded):
        if there not in _HOLDS[here]:
            text = f"the model is {here} and the base {there}: rounding to {here} is part of ΔW, frozen matrices too"
            notes.append(HealthIssue("warning", text))
    known = {base.key(key) for key in headers}
    if missing := [key for key in base.weights.headers if key not in known]:
        tied = all("lm_head" in key or "embed" in key for key in missing)
        text = f"{count(len(missing), 'tensor')} of the base that the model lacks (tied, or another model): "
        notes.append(HealthIssue("info" if tied else "warning", text + some(missing)))
    return notes


def _module(key: str) -> str:
    return strip_wrappers(key.removesuffix(".weight"))
