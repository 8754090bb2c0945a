"""An adapter as an ordinary PEFT folder, exact in its scale: ΔW = (α/r)·B·A, bit for bit what was given.

    notes = write_peft(Path("out"), {"model.layers.0.self_attn.q_proj": Factors(B, A, 2.0)}, base="org/model")

The folder appears whole or not at all. Nothing about a tensor's values is decided here: B and A are written as they
are, in their own dtypes.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from inspector.adapters.files.config_file import CONFIG
from inspector.adapters.files.weights import SAFETENSORS
from inspector.adapters.peft.entries import Entry, is_expert, layout
from inspector.adapters.peft.factors import Factors
from inspector.adapters.peft.methods import INVOCATION
from inspector.adapters.peft.written_config import written_config
from inspector.common.errors import InspectorError
from inspector.common.files import refuse_place, replacing
from inspector.common.text import count, distinct, plain
from inspector.study.module_id import strip_wrappers

if TYPE_CHECKING:
    from torch import Tensor

    from inspector.adapters.model import Beside

CARD = "README.md"
_EMBEDDINGS = frozenset({"embed_tokens", "wte", "wpe", "word_embeddings", "embed_in", "tok_embeddings"})
"""What language models call their embeddings, whose factors PEFT keeps under names of their own."""


def refuse_destination(dest: Path) -> None:
    """Raise InspectorError where `write_peft` could not write: said before the work, not after it."""
    if dest.is_symlink() or dest.exists():
        raise InspectorError(f"{plain(dest)} exists already: name a folder that does not.")
    refuse_place(dest)


def write_peft(
    dest: Path,
    modules: Mapping[str, Factors],
    *,
    base: str,
    card: str = "",
    beside: Beside | None = None,
    fan_in_fan_out: bool = False,
    invocation: tuple[int, ...] = (),
) -> tuple[str, ...]:
    """Write the modules, by their full path in the base without wrappers, as a PEFT folder `dest`.

    `base` is the `base_model_name_or_path`, `card` the text of the README below its title. `fan_in_fan_out` says that
    the base stores W transposed, as gpt2 does: B and A are those of ΔW (out × in) either way, and PEFT sets the flag
    itself and warns where it is wrong. `beside`: what else the folder is to hold; `invocation`: the token ids from
    which on an activated LoRA holds. Returns what a user should know of how it was written. Raises InspectorError where
    `dest` exists or cannot be written, where two names are one module's, or where a scale or a shape makes no LoRA.
    """
    refuse_destination(dest)
    if not modules:
        raise InspectorError(f"There is no module to write to {plain(dest)}.")
    _refuse_names(modules)
    base = base.encode("utf-8", "replace").decode()
    varied = invocation or any(f.magnitude is not None for f in modules.values())
    on_modules = varied or (beside and "lora_bias" in beside.settings)
    written, fused, zeros = layout(modules, on_parameters=not on_modules)
    with _appearing(dest) as folder:
        _write_tensors(folder / SAFETENSORS, written, beside)
        config = written_config(written, fused, base) | dict(beside.settings if beside else {})
        config["fan_in_fan_out"] = fan_in_fan_out and not any(entry.on_parameter for entry in written)
        if invocation:
            config |= {INVOCATION: list(invocation), "task_type": "CAUSAL_LM"}  # others of PEFT's models ignore it
        (folder / CONFIG).write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        (folder / CARD).write_text(_card(dest.name, base, card), encoding="utf-8")
    ranks = {path: factors.A.shape[0] for path, factors in modules.items()}
    padded = [entry.name for entry in written if entry.rank != ranks.get(entry.place, entry.rank)]
    alone = [] if fused else [entry.name for entry in written if is_expert(entry.place)]
    return tuple(_notes(padded, alone, zeros))


def _refuse_names(paths: Iterable[str]) -> None:
    """Raise InspectorError where a name could not be read back: no file holds it, or another module has it."""
    first: dict[str, str] = {}
    for path in paths:
        if path.encode("utf-8", "replace").decode() != path:
            raise InspectorError(f"{distinct(path)} cannot be written: the name is not valid text. Rename the module.")
        if (other := first.setdefault(strip_wrappers(path), path)) != path:
            both = f"{distinct(other)} and {distinct(path)}"
            raise InspectorError(f"{both} would be one module in a PEFT folder: rename one of them.")


def _notes(padded: Sequence[str], experts: Sequence[str], zeros: Sequence[str]) -> Iterator[str]:
    if padded:
        what = f"{count(len(padded), 'module')} with columns of zeros, such as {plain(padded[0], 80)}"
        yield f"{what}: the scale has an exact α at a power of two alone, or other experts are of that rank"
    if experts:
        what = f"{count(len(experts), 'module')} of single experts, such as {plain(experts[0], 80)}"
        yield f"{what}: PEFT loads them into a model that keeps its experts apart, not into one that fuses them"
    if zeros:
        what = f"{count(len(zeros), 'module')} of zeros, such as {plain(zeros[0], 80)}"
        yield f"{what}: PEFT fuses only gates with up and down projections beside them"


def _write_tensors(path: Path, written: Sequence[Entry], beside: Beside | None) -> None:
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    tensors: dict[str, Tensor] = {}
    seen: set[int] = set()
    for entry in written:
        embedding = entry.factors.embedding
        if embedding is None:
            embedding = entry.place.rpartition(".")[2] in _EMBEDDINGS and not entry.on_parameter
        for half, tensor in ("A", entry.factors.A), ("B", entry.factors.B):
            part = f"lora_embedding_{half}" if embedding else f"lora_{half}.weight"
            tensors[f"base_model.model.{entry.place}.{part}"] = _own(tensor, seen)
        if entry.factors.magnitude is not None:
            tensors[f"base_model.model.{entry.place}.lora_magnitude_vector"] = _own(entry.factors.magnitude, seen)
    if beside:
        tensors |= {own: _own(beside.load(key), seen) for key, own in beside.keys.items()}
    try:
        with replacing(path) as temporary:  # safetensors alone makes a file for its owner's eyes alone
            save_file(tensors, temporary, metadata={"format": "pt"})
    except SafetensorError as error:
        raise InspectorError(f"Cannot write the weights: {plain(error)}.") from error


def _own(tensor: Tensor, seen: set[int]) -> Tensor:
    """Contiguous, on the CPU, in memory of its own: safetensors writes no memory twice."""
    tensor = tensor.detach().cpu().contiguous()
    memory = tensor.untyped_storage()
    if memory.nbytes() != tensor.nbytes or memory.data_ptr() in seen:
        tensor = tensor.clone()
    seen.add(tensor.untyped_storage().data_ptr())
    return tensor


def _card(name: str, base: str, text: str) -> str:
    """A model card; JSON strings are YAML's too, whatever stands in them."""
    head = ["library_name: peft", "tags: [lora, adapter-inspector]"]
    if base:
        head.insert(0, f"base_model: {json.dumps(plain(base), ensure_ascii=False)}")
    return "\n".join(["---", *head, "---", "", f"# {plain(name)}", "", text.strip() or "A LoRA adapter.", ""])


@contextmanager
def _appearing(dest: Path) -> Iterator[Path]:
    """A folder under a temporary name beside `dest` that becomes `dest` only when the block succeeds."""
    try:
        around = Path(tempfile.mkdtemp(prefix=f".{dest.name}.", suffix=".part", dir=dest.parent))
        try:
            folder = around / "adapter"  # one of its own: a temporary folder is for its owner's eyes alone
            folder.mkdir()
            yield folder
            refuse_destination(dest)
            folder.rename(dest)
        finally:
            shutil.rmtree(around, ignore_errors=True)
    except OSError as error:
        raise InspectorError(f"Cannot write {plain(dest)}: {error.strerror or error}.") from error
