"""Tensor key -> canonical module: the same place in the network under every name it goes by.

`base_model.model.model.layers.3.self_attn.q_proj` -> layer 3, `self_attn.q_proj`.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from inspector.text import distinct

# What training wrappers put before (or inside) a module's own path.
_WRAPPERS = re.compile(
    r"(?<![^.])(?:base_model\.model|_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.|^(?:module\.)+"
)
# No path without one of these has a wrapper; most paths have none, and this is told four times as fast.
_MARKS = ("base_model.model.", "_orig_mod.", "_wrapped_module.")
# The numbered stack of blocks, by the names model families give it.
_STACK = re.compile(
    r"(?:(?P<before>.*?)\.)?(?:layers|layer|h|blocks|block)\.(?P<layer>\d{1,6})\.(?P<path>.+)", re.DOTALL
)
_NUMBERED = re.compile(r"[^.]+(?:\.\d+)*$")
# Towers beside the language model have layers of their own that are no layers of it.
_OTHER_TOWER = re.compile(r"(?:^|[._])(?:vision|visual|image|audio|speech|vit|talker|mtp|text_encoder)(?:$|[._])")
# The component of an image pipeline that is adapted by itself as often as not, and a wrapper that came and went.
_DENOISERS = ("unet.", "transformer.", "diffusion_model.")
_TEXT_MODEL = re.compile(r"(text_encoder(?:_\d)?)\.text_model\.(.*)", re.DOTALL)


class ModuleId(NamedTuple):
    """Where a weight update sits: (layer, path below the layer), or (None, whole path), fit to show."""

    layer: int | None
    path: str

    @property
    def projection(self) -> str:
        """The last component of the path that is no number, and those after it: `q_proj`, or `to_out.0`."""
        last = self.path.rpartition(".")[2]
        found = _NUMBERED.search(self.path) if last.isdecimal() else None
        return found[0] if found else last

    def __str__(self) -> str:
        return self.path if self.layer is None else f"{self.layer}.{self.path}"


@lru_cache
def strip_wrappers(path: str) -> str:
    """Drop `base_model.model.` (also doubled), `_orig_mod.`, `_fsdp_wrapped_module.`, `module.`."""
    while _may_be_wrapped(path) and (shorter := _WRAPPERS.sub("", path)) != path:
        path = shorter
    return path


def _may_be_wrapped(path: str) -> bool:
    return any(mark in path for mark in _MARKS) or path.startswith("module.")


@lru_cache
def canonical(path: str) -> ModuleId:
    """The canonical id of a module path as a file has it, wrappers or not.

    A vision or audio tower keeps its whole path and no layer. The halves of an encoder-decoder
    share layer numbers, so the half stays in the path: `decoder.self_attn.q_proj`. The U-Net or transformer of an
    image pipeline has its path without the pipeline's name for it, a text encoder with it. An odd or very long path is
    made fit to show, and marked, so that two paths never have the same id for that.
    """
    path = strip_wrappers(path)
    if path.startswith(_DENOISERS):
        path = path.partition(".")[2]
    if within := _TEXT_MODEL.fullmatch(path):
        path = f"{within[1]}.{within[2]}"
    found = _STACK.fullmatch(path)
    if found is None:
        return ModuleId(None, distinct(path))
    before = found["before"] or ""
    if _OTHER_TOWER.search(before):
        return ModuleId(None, distinct(path))
    half = before.rpartition(".")[2]
    below = f"{half}.{found['path']}" if half in {"encoder", "decoder"} else found["path"]
    return ModuleId(int(found["layer"]), distinct(below))


def in_order(modules: set[ModuleId]) -> tuple[ModuleId, ...]:
    """By layer, then by path; modules outside the layers last."""
    return tuple(sorted(modules, key=lambda m: (m.layer is None, m.layer or 0, m.path)))


def same_base(one: str, other: str) -> bool:
    """Whether two names mean one base: mirrors and local copies differ in what stands before the last `/`."""
    ends = {name.rstrip("/").rpartition("/")[2].casefold() for name in (one, other)}
    return len(ends) == 1 or "" in ends
