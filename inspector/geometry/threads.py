"""Independent pieces of work in threads of their own, one core each.

Torch's own threads meet after every operator, which gains little where operators are small and waits long where
others hold the cores. Pieces of work meet nowhere.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_threads(items: Iterable[Item], work: Callable[[Item], Result], workers: int, each: int = 1) -> Generator[Result]:
    """`work(item)` of every item, in their order; `workers` at a time, with `each` threads of torch's for one.

    Items are taken in the caller's thread, at most 2·workers ahead of the result that is waited for. One worker is the
    caller itself.
    """
    before = torch.get_num_threads()
    if workers == 1:
        torch.set_num_threads(each)
        try:
            yield from map(work, items)
        finally:
            torch.set_num_threads(before)
        return
    with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(each,)) as pool:
        try:
            ahead: deque[Future[Result]] = deque()
            for item in items:
                ahead.append(pool.submit(work, item))
                if len(ahead) >= 2 * workers:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)
            torch.set_num_threads(before)  # also what threads begin with that have not used torch
