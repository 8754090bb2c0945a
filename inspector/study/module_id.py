"""Module paths as files have them -> ids fit to show, and one module under its different names.

`base_model.model.model.layers.3.self_attn.q_proj` -> layer 3, `self_attn.q_proj`.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from itertools import pairwise, takewhile
from typing import NamedTuple

from inspector.common.text import distinct

# What training wrappers put before (or inside) a module's own path.
_WRAPPERS = re.compile(
    r"(?<![^.])(?:base_model\.model|_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.|^(?:module\.)+"
)
# No path without one of these has a wrapper; most paths have none, and this is told four times as fast.
_MARKS = ("base_model.model.", "_orig_mod.", "_wrapped_module.")
# A component that is a numbered stack of blocks; the levels of a U-Net are not layers.
_STACK = re.compile(r"(?!down_|up_|input_|output_)(?:\w+_)?(?:layers?|blocks?)|h")
_PLAIN = frozenset({"layers", "layer", "h", "blocks", "block"})
_HALVES = frozenset({"encoder", "decoder"})
_NUMBERED = re.compile(r"[^.]+(?:\.\d+)*$")
_NUMBER = re.compile(r"(?<=\.)\d+(?=\.)")
_SEPARATORS = re.compile(r"[._]")
# Towers beside the language model have layers of their own that are not layers of it.
_TOWER = re.compile(r"(?:^|[._])(?:vision|visual|image|video|audio|speech|vit|talker|mtp|text_encoder)(?:$|[._])")
# What pipelines and loaders call the one network of theirs that is adapted as a rule.
_ROOTS = ("model.diffusion_model.", "diffusion_model.", "transformer.", "unet.")


class ModuleId(NamedTuple):
    """Where a weight update sits: (layer, path below the layer), or (None, whole path), fit to show."""

    layer: int | None
    path: str

    @property
    def projection(self) -> str:
        """The last component of the path that is not a number, and those after it: `q_proj`, or `to_out.0`."""
        last = self.path.rpartition(".")[2]
        found = _NUMBERED.search(self.path) if last.isdecimal() else None
        return found[0] if found else last

    def __str__(self) -> str:
        return self.path if self.layer is None else f"{self.layer}.{self.path}"


class Stack(NamedTuple):
    """A numbered stack of blocks: what stands before it, and its own name: `model`, `layers`."""

    head: tuple[str, ...]
    name: str


class Split(NamedTuple):
    """A path cut before the name of its first number, or before its last component where it has none."""

    head: tuple[str, ...]
    tail: str


@lru_cache
def strip_wrappers(path: str) -> str:
    """Drop `base_model.model.` (also doubled), `_orig_mod.`, `_fsdp_wrapped_module.`, `module.`."""
    while _may_be_wrapped(path) and (shorter := _WRAPPERS.sub("", path)) != path:
        path = shorter
    return path


def _may_be_wrapped(path: str) -> bool:
    return any(mark in path for mark in _MARKS) or path.startswith("module.")


def canonical(path: str) -> ModuleId:
    """A module by its whole path without wrappers, as readers know it: no two paths have the same id.

    What it is shown by depends on what is beside it: `module_ids`.
    """
    return ModuleId(None, distinct(strip_wrappers(path)))


def module_ids(sizes: Mapping[str, int]) -> dict[str, ModuleId]:
    """The ids of an adapter's modules by their paths, wrappers or not, each once; `sizes`: how many weights each has.

    A module in a numbered stack has its layer and the path below. The stack's own name stays in front where it says
    more than `layers` (`single_transformer_blocks.attn.to_q`), and the half of an encoder-decoder. Of several stacks
    that would be called alike, the largest alone goes without a name, the others have theirs as far as it differs. A
    vision or audio tower keeps its whole path and no layer, as does what is in no stack. An odd or very long path is
    marked, so that two never have one id.
    """
    bare = {path: _without_root(strip_wrappers(path)) for path in sizes}
    placed = {path: found for path in sizes if (found := _placed(bare[path]))}
    weights: Counter[Stack] = Counter()
    for path, (stack, _, _) in placed.items():
        weights[stack] += sizes[path]
    labels = _labels(weights)
    ids = {path: ModuleId(None, distinct(whole)) for path, whole in bare.items()}
    for path, (stack, layer, below) in placed.items():
        ids[path] = ModuleId(layer, distinct(f"{labels[stack]}.{below}".lstrip(".")))
    times = Counter(ids.values())
    return {path: id_ if times[id_] == 1 else canonical(path) for path, id_ in ids.items()}


def _placed(path: str) -> tuple[Stack, int, str] | None:
    """The stack a path is in, the layer, and the path below it; None outside, in a tower, or in a stack of another."""
    parts = path.split(".")
    for at, (name, number) in enumerate(pairwise(parts)):
        if number.isdecimal() and len(number) <= 6 and at + 2 < len(parts) and _STACK.fullmatch(name):
            head = tuple(parts[:at])
            tower = any(part.isdecimal() for part in head) or is_tower(".".join(head))
            return None if tower else (Stack(head, name), int(number), ".".join(parts[at + 2 :]))
    return None


def _labels(weights: Mapping[Stack, int]) -> dict[Stack, str]:
    """What tells each stack from the others: nothing, where one is enough."""
    alike: dict[str, list[Stack]] = defaultdict(list)
    for stack in weights:
        half = stack.head[-1:] if stack.head[-1:] and stack.head[-1] in _HALVES else ()
        alike[".".join((*half, *(() if stack.name in _PLAIN else (stack.name,))))].append(stack)
    labels = {}
    for label, stacks in alike.items():
        sizes = sorted(weights[stack] for stack in stacks)
        paths = zip(*((*stack.head, stack.name) for stack in stacks), strict=False)
        shared = sum(1 for _ in takewhile(lambda parts: len(set(parts)) == 1, paths))
        for stack in stacks:
            largest = not label and weights[stack] == sizes[-1] > sizes[-2] if len(stacks) > 1 else True
            labels[stack] = label if largest else ".".join((*stack.head, stack.name)[shared:])
    return labels


def is_tower(head: str) -> bool:
    """Whether what stands before a stack names a tower beside the language model."""
    return bool(_TOWER.search(head))


def _without_root(path: str) -> str:
    return next((path.removeprefix(root) for root in _ROOTS if path.startswith(root)), path)


@lru_cache(maxsize=2**17)
def words(path: str) -> tuple[str, ...]:
    """A path with all separators equal, without wrappers and the pipeline's name for its network."""
    return tuple(_SEPARATORS.split(_without_root(strip_wrappers(path))))


@lru_cache(maxsize=2**17)
def split(path: str) -> Split:
    """`model.layers.3.mlp.up_proj` -> (model), `layers.3.mlp.up_proj`; `visual.proj` -> (visual), `proj`."""
    parts = _without_root(strip_wrappers(path)).split(".")
    at = next((n for n, part in enumerate(parts) if part.isdecimal() and n), len(parts)) - 1
    return Split(tuple(parts[:at]), ".".join(parts[at:]))


def generic(path: str) -> str:
    """`model.layers.3.mlp` -> `model.layers.N.mlp`."""
    return _NUMBER.sub("N", path)


class Names:
    """Paths to be found under another name: with other separators, or with other wrappers before the stack."""

    def __init__(self, paths: Iterable[str]) -> None:
        self._by_words: dict[tuple[str, ...], str] = {}
        self._by_tail: dict[str, list[str]] = defaultdict(list)
        for path in paths:
            self._by_words.setdefault(words(path), path)
            self._by_tail[split(path).tail].append(path)

    def find(self, path: str) -> str | None:
        """The path that is this one, separators aside, or the only one of its tail with a head like its own."""
        if (same := self._by_words.get(words(path))) is not None:
            return same
        head, tail = split(path)
        found = [other for other in self._by_tail.get(tail, ()) if alike(head, split(other).head)]
        exact = [other for other in found if telling(split(other).head) == telling(head)]
        return (exact or found)[0] if len(exact or found) == 1 else None


def alike(one: Collection[str], other: Collection[str]) -> bool:
    """Whether two heads can be one place under other wrappers: all that is in one is in the other, and both are towers.

    `model.language_model` is like `language_model.model` and `model`; `model.encoder` is not like `model.decoder`.
    """
    a, b = telling(one), telling(other)
    return (a <= b or b <= a) and is_tower(".".join(one)) == is_tower(".".join(other))


def telling(head: Iterable[str]) -> frozenset[str]:
    """The components of a head that say where it is: any place is in a `model`."""
    return frozenset(head) - {"model"}


def in_order(modules: set[ModuleId]) -> tuple[ModuleId, ...]:
    """By layer, then by path; modules outside the layers last."""
    return tuple(sorted(modules, key=lambda m: (m.layer is None, m.layer or 0, m.path)))


def same_base(one: str, other: str) -> bool:
    """Whether two names mean one base: mirrors and local copies differ in what stands before the last `/`."""
    ends = {name.rstrip("/").rpartition("/")[2].casefold() for name in (one, other)}
    return len(ends) == 1 or "" in ends
