"""An adapter as an ordinary PEFT folder, exact in its scale: ΔW = (α/r)·B·A, bit for bit what was given.

    notes = write_peft(Path("out"), {"model.layers.0.self_attn.q_proj": Factors(B, A, 2.0)}, base="org/model")

The folder appears whole or not at all. Nothing about a tensor's values is decided here: B and A are written as they
are, in their own dtypes.
"""

from __future__ import annotations

import json
import math
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from inspector.adapters.config_file import CONFIG
from inspector.adapters.peft.config import INVOCATION
from inspector.adapters.peft.patterns import PLAIN
from inspector.adapters.weights import SAFETENSORS
from inspector.errors import InspectorError
from inspector.export import refuse_place, replacing
from inspector.names import module_ids, strip_wrappers
from inspector.text import count, distinct, plain

if TYPE_CHECKING:
    from torch import Tensor

CARD = "README.md"
_EMBEDDINGS = frozenset({"embed_tokens", "wte", "wpe", "word_embeddings", "embed_in", "tok_embeddings"})
"""What language models call their embeddings, whose factors PEFT keeps under names of their own."""
_EXPERT = re.compile(r"\.experts\.\d+\.")
_SEPARATOR = re.compile(r"[\W_]")


class Factors(NamedTuple):
    """One module's ΔW = scale·B·A: B (d_out, r), A (r, d_in); of a convolution (d_out, r, 1, 1) and (r, d_in, h, w)."""

    B: Tensor
    A: Tensor
    scale: float

    @classmethod
    def stored(cls, B: Tensor, A: Tensor, scale: float, kernel: tuple[int, ...]) -> Self:
        """Of the matrices B (d_out, r) and A (r, d_in·kernel): a convolution's with its kernel."""
        if kernel:
            B, A = B.reshape(*B.shape, *[1] * len(kernel)), A.reshape(len(A), -1, *kernel)
        return cls(B, A, scale)


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
    task_type: str | None = None,
    fan_in_fan_out: bool = False,
    invocation: tuple[int, ...] = (),
) -> tuple[str, ...]:
    """Write the modules, by their full path in the base without wrappers, as a PEFT folder `dest`.

    `base` is the `base_model_name_or_path`, `card` the text of the README below its title. `fan_in_fan_out` says that
    the base stores W transposed, as gpt2 does: B and A are those of ΔW (out × in) either way, and PEFT sets the flag
    itself and warns where it is wrong. `invocation`: the token ids from which on an activated LoRA holds. Returns what
    a user should know of how it was written. Raises InspectorError where `dest` exists or cannot be written, where two
    names are one module's, or where a scale or a shape makes no LoRA.
    """
    refuse_destination(dest)
    if not modules:
        raise InspectorError(f"There is no module to write to {plain(dest)}.")
    _refuse_names(modules)
    base = base.encode("utf-8", "replace").decode()
    exact = {path: _exact(path, factors) for path, factors in modules.items()}
    with _appearing(dest) as folder:
        _write_tensors(folder / SAFETENSORS, exact)
        config = _config({path: (f.A.shape[0], a) for path, (f, a) in exact.items()}, base, task_type)
        config["fan_in_fan_out"] = fan_in_fan_out
        if invocation:
            config |= {INVOCATION: list(invocation), "task_type": "CAUSAL_LM"}  # others of PEFT's models ignore it
        (folder / CONFIG).write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        (folder / CARD).write_text(_card(dest.name, base, card), encoding="utf-8")
    padded = [path for path, (factors, _) in exact.items() if factors.A.shape[0] != modules[path].A.shape[0]]
    return tuple(_notes(padded, [path for path in modules if _EXPERT.search(path)]))


def _refuse_names(paths: Iterable[str]) -> None:
    """Raise InspectorError where a name could not be read back: no file holds it, or another module has it."""
    first: dict[str, str] = {}
    for path in paths:
        if path.encode("utf-8", "replace").decode() != path:
            raise InspectorError(f"{distinct(path)} cannot be written: the name is not valid text. Rename the module.")
        if (other := first.setdefault(strip_wrappers(path), path)) != path:
            both = f"{distinct(other)} and {distinct(path)}"
            raise InspectorError(f"{both} would be one module in a PEFT folder: rename one of them.")


def _notes(padded: list[str], experts: list[str]) -> Iterator[str]:
    if padded:
        what = f"{count(len(padded), 'module')} with columns of zeros, such as {plain(padded[0], 80)}"
        yield f"{what}: no α gives the scale at the rank itself, and at a power of two one does exactly"
    if experts:
        what = f"{count(len(experts), 'module')} of single experts, such as {plain(experts[0], 80)}"
        yield f"{what}: PEFT loads them into a model that keeps its experts apart, not into one that fuses them"


def _exact(path: str, factors: Factors) -> tuple[Factors, float]:
    """The factors with an α for which α/r is the scale to the last bit.

    Where α = s·r rounds away from it, zeros pad the rank to a power of two: then s·r is exact.
    """
    B, A, scale = factors
    r = A.shape[0]
    if B.shape[1] != r:
        raise InspectorError(f"{plain(path)}: B has {B.shape[1]} columns and A {r} rows, which is no product B·A.")
    if not math.isfinite(scale):
        raise InspectorError(f"{plain(path)}: the scale is {scale}, which is no number to write.")
    near = scale * r
    for alpha in (near, math.nextafter(near, math.inf), math.nextafter(near, -math.inf)):
        if r and alpha / r == scale:
            return factors, alpha
    rank = 1 << max(r - 1, 0).bit_length()
    B, A = _padded(B, 1, rank), _padded(A, 0, rank)
    return Factors(B, A, scale), scale * rank


def _padded(tensor: Tensor, axis: int, size: int) -> Tensor:
    shape = list(tensor.shape)
    shape[axis] = size
    out = tensor.new_zeros(shape)
    out.narrow(axis, 0, tensor.shape[axis]).copy_(tensor)
    return out


def _config(shapes: Mapping[str, tuple[int, float]], base: str, task_type: str | None) -> dict[str, Any]:
    """The config of (rank, α) by path: the commonest of both, and patterns for the modules that differ."""
    r = Counter(rank for rank, _ in shapes.values()).most_common(1)[0][0]
    alpha = Counter(alpha for _, alpha in shapes.values()).most_common(1)[0][0]
    keys = _pattern_keys(list(shapes))
    return {
        "peft_type": "LORA",
        "task_type": task_type,
        "base_model_name_or_path": base or None,
        "r": r,
        "lora_alpha": _number(alpha),
        "rank_pattern": {keys[path]: own for path, (own, _) in shapes.items() if own != r},
        "alpha_pattern": {keys[path]: _number(own) for path, (_, own) in shapes.items() if own != alpha},
        "target_modules": _targets(list(shapes)),
        "use_rslora": False,
        "use_dora": False,
        "lora_dropout": 0.0,
        "bias": "none",
        "modules_to_save": None,
        "fan_in_fan_out": False,
        "init_lora_weights": True,
        "inference_mode": True,
    }


def _number(alpha: float) -> float | int:
    return int(alpha) if alpha.is_integer() and abs(alpha) < 2**53 else alpha


def _pattern_keys(paths: list[str]) -> dict[str, str]:
    r"""A pattern for each path that hits it alone: PEFT takes the first key with `(.*\.)?(KEY)$`.

    A plain path is its own pattern, but for one that another module's path ends in, or nearly so: a dot is any
    character. That one, and an odd one, is tied to the start and escaped.
    """
    ends: Counter[str] = Counter()
    for path in paths:
        parts = path.split(".")
        ends.update(_SEPARATOR.sub(".", ".".join(parts[n:])) for n in range(len(parts)))
    alone = {path for path in paths if PLAIN.fullmatch(path) and ends[_SEPARATOR.sub(".", path)] == 1}
    return {path: path if path in alone else f"^{re.escape(path)}" for path in paths}


def _targets(paths: list[str]) -> list[str]:
    """`q_proj` where every layer up to the last has one, full paths of the others: PEFT adapts all that end so.

    Models of several towers may have the same ending elsewhere: there it is always the full path.
    """
    layers: dict[str, set[int]] = {}
    whole = set()
    ids = module_ids(dict.fromkeys(paths, 1))
    for path, id_ in ids.items():
        layers.setdefault(id_.projection, set()).add(-1 if id_.layer is None else id_.layer)
        if id_.layer is None or "language_model" in path or not path.endswith(id_.projection):
            whole.add(id_.projection)
    every = set(range(max((max(found) for found in layers.values()), default=-1) + 1))
    short = {name for name, found in layers.items() if found == every and name not in whole}
    return sorted({id_.projection if id_.projection in short else path for path, id_ in ids.items()})


def _write_tensors(path: Path, modules: Mapping[str, tuple[Factors, float]]) -> None:
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    tensors: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, (factors, _) in modules.items():
        embedding = name.rpartition(".")[2] in _EMBEDDINGS
        for half, tensor in ("A", factors.A), ("B", factors.B):
            part = f"lora_embedding_{half}" if embedding else f"lora_{half}.weight"
            tensors[f"base_model.model.{name}.{part}"] = _own(tensor, seen)
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
