"""How much is measured at once, and by how many threads."""

from __future__ import annotations

from typing import NamedTuple

import torch

_WORTH_THREADS = 5e7
"""Multiplications of one Gram product from which on several threads pay."""
_LARGEST = 2**23
"""Numbers of a batch on a CPU: more gain nothing, fewer are many calls, which threads must take turns for."""
_LARGEST_OF_PRODUCTS = 2**20
"""The same where inner products alone are kept: of many adapters a module is large enough."""
_WORKERS = 4
"""Batches at a time on a CPU. Of 16 cores, four threads with four of torch's each took .42 s where fifteen took 1.5."""
_ROOM = 2**29
"""Bytes of all threads' workspaces on a CPU."""
_MOST = 2**33
"""Bytes of the workspace on a GPU, where half of the free memory is not less."""


class Plan(NamedTuple):
    """Numbers of the factors and Gram matrices of a batch; how many batches at a time; torch's threads for each."""

    numbers: int
    workers: int
    each: int


def numbers_of(sides: int, width: int, products: int = 0) -> int:
    """How many a module takes of sides d_out + d_in and adapters of so many ranks together.

    Their factors and both Gram matrices, or the inner products of so many adapters alone.
    """
    return width * sides + (products**2 or 2 * width**2)


def plan(device: str, d: int, width: int, products: int = 0) -> Plan:
    """For modules of sides up to d and adapters of so many ranks together, or `products` for nothing else of pairs.

    A batch takes twice its numbers, and six times where every update goes the QR route. On a GPU, where launching is
    what small products cost, it is as large as memory allows. On a CPU a few threads have one each, and share the
    cores, unless a single module fills the memory there is for all of them. Where products are small one thread is as
    fast as many.
    """
    threads = torch.get_num_threads()
    if device.startswith("cuda"):
        free = torch.cuda.mem_get_info(device)[0]
        return Plan(min(free // 2, _MOST) // (6 * 8), 1, threads)
    most = _LARGEST_OF_PRODUCTS if products else _LARGEST
    if d * width**2 < _WORTH_THREADS:
        return Plan(most, 1, 1)
    room = _ROOM // (2 * 8)
    workers = max(1, min(threads, _WORKERS, room // numbers_of(2 * d, width, products)))
    return Plan(most, workers, threads // workers)
