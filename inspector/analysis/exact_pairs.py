"""Exact cosines of chosen pairs among many adapters, a module at a time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from inspector.adapters.model import Adapter
from inspector.analysis.analyse import chosen_modules
from inspector.analysis.collect import bounded
from inspector.common.arrays import Floats
from inspector.geometry.cosine import cosine
from inspector.study.module_id import ModuleId

Pairs = NDArray[np.int_]
_BLOCK = 256
"""The most adapters of a block whose products are all made: more blocks, and pairs between them one by one."""


def exact_cosines(
    adapters: Sequence[Adapter],
    pairs: Pairs,
    blocks: Sequence[Sequence[int]],
) -> Floats:
    """The cosine of the stacked ΔW of each pair (P, 2), (P,), float64; modules of one side alone are zeros.

    `blocks` are adapters most of whose pairs are asked for: all products of a block are cheaper than those pairs alone.
    Memory is that of the factors of one module.
    """
    from inspector.geometry.factorise import factorise
    from inspector.geometry.gram import own_grams
    from inspector.geometry.inner import well_conditioned
    from inspector.geometry.stack import Workspace

    order = [i for block in blocks for i in block]
    place = np.full(len(adapters), -1)
    place[order] = np.arange(len(order))
    sums = _Sums(place[pairs], [part for block in blocks for part in _parts(len(block))], len(order))
    workspace, modules = Workspace(), chosen_modules([adapters[i] for i in order], "")
    for module in modules:
        for here in _by_shape([adapters[i] for i in order], module):
            factors = []
            for at in here:
                spec = adapters[order[at]].modules[module]
                scale = 1.0 if spec.scale.value is None else spec.scale.value
                factors.append((*bounded(*adapters[order[at]].load(module)), scale))
            stack = workspace.stack([factors])
            f = factorise(stack, own_grams(stack), 1)
            sums.add(np.array(here), well_conditioned(f), f.sigma[0].square().sum(-1).numpy())
    return sums.cosines()


def _by_shape(adapters: Sequence[Adapter], module: ModuleId) -> list[list[int]]:
    """The adapters that have a module, those of one shape together."""
    found: dict[tuple[int, int], list[int]] = defaultdict(list)
    for at, adapter in enumerate(adapters):
        if (spec := adapter.modules.get(module)) is not None:
            found[spec.d_out, spec.d_in].append(at)
    return list(found.values())


def _parts(count: int) -> list[int]:
    """The sizes of the parts that a block is made in."""
    return [min(_BLOCK, count - at) for at in range(0, count, _BLOCK)]


class _Sums:
    """Inner products of the pairs, and squares, over the modules that were added."""

    def __init__(self, pairs: Pairs, sizes: Sequence[int], count: int) -> None:
        starts = np.concatenate([[0], np.cumsum(sizes)])
        self._block = np.repeat(np.arange(len(sizes)), sizes)
        self._pairs, self._squares, self._inner = pairs, np.zeros(count), np.zeros(len(pairs))
        same = self._block[pairs[:, 0]] == self._block[pairs[:, 1]]
        self._between = np.flatnonzero(~same)
        self._inside = [
            (int(starts[b]), int(starts[b + 1]), np.flatnonzero(same & (self._block[pairs[:, 0]] == b)))
            for b in np.unique(self._block[pairs[same, 0]])
        ]

    def add(self, here: NDArray[np.int_], stack: object, squares: Floats) -> None:
        """A module: the adapters that have it, by their places, their factors and ‖ΔW‖²."""
        import torch

        from inspector.geometry.gram import products_in_panels
        from inspector.geometry.inner import inner_products_of
        from inspector.geometry.stack import Stack

        assert isinstance(stack, Stack)
        self._squares[here] += squares
        column = np.full(len(self._squares), -1)
        column[here] = np.arange(len(here))
        for start, end, which in self._inside:
            at = column[start:end][column[start:end] >= 0]
            if len(at) > 1:
                first, last, r = int(at[0]), int(at[-1]) + 1, stack.r
                rows = slice(first * r, last * r)
                part = replace(stack, B=stack.B[..., rows], A=stack.A[:, rows], scale=stack.scale[:, first:last])
                products = products_in_panels(part)[0].numpy()
                i, j = column[self._pairs[which]].T
                both = (i >= 0) & (j >= 0)
                self._inner[which[both]] += products[i[both] - first, j[both] - first]
        i, j = column[self._pairs[self._between]].T
        both = np.flatnonzero((i >= 0) & (j >= 0))
        found = inner_products_of(stack, torch.from_numpy(i[both]), torch.from_numpy(j[both]))
        self._inner[self._between[both]] += found.numpy()

    def cosines(self) -> Floats:
        """(P,), NaN where a norm is zero."""
        i, j = self._pairs.T
        return cosine(self._inner, self._squares[i], self._squares[j])
