"""How much is measured at once, and by how many threads."""

from __future__ import annotations

from typing import NamedTuple

import torch

_WORTH_THREADS = 5e7
"""Multiplications of one Gram product from which on several threads pay."""
_CACHED = 2**20
"""Numbers of a batch on a CPU: more leave its caches, fewer are as many calls as products."""
_ROOM = 2**29
"""Bytes of all threads' workspaces on a CPU."""
_MOST = 2**33
"""Bytes of the workspace on a GPU, where half of the free memory is not less."""


class Plan(NamedTuple):
    """Numbers of the factors and Gram matrices of a batch; how many batches at a time; torch's threads for each."""

    numbers: int
    workers: int
    each: int


def plan(device: str, d: int, width: int) -> Plan:
    """For modules of sides up to d and adapters of so many ranks together.

    A batch takes twice its numbers, and six times where every update goes the QR route. On a GPU, where launching is
    what small products cost, it is as large as memory allows. On a CPU it is small and each thread has its own, unless
    one module fills the memory there is for all of them. Where products are small one thread is as fast as many.
    """
    threads = torch.get_num_threads()
    if device.startswith("cuda"):
        free = torch.cuda.mem_get_info(device)[0]
        return Plan(min(free // 2, _MOST) // (6 * 8), 1, threads)
    if d * width**2 < _WORTH_THREADS:
        return Plan(_CACHED, 1, 1)
    workers = max(1, min(threads, _ROOM // (2 * 8 * 2 * width * (d + width))))
    return Plan(_CACHED, workers, threads // workers)
