"""What an analysis would ask of a GPU, counted on a CPU: operators, and copies that the host waits for."""

from collections import Counter

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

_COPIES = {"_local_scalar_dense", "nonzero", "equal", "is_nonzero", "masked_select"}
"""Operators whose result the host needs: `.item()`, `bool()`, `x[mask]`."""


class Launches(TorchDispatchMode):
    """`operators` and `copies` while it is active, in this thread; `.cpu()` is a copy even where it copies nothing."""

    def __init__(self):
        super().__init__()
        self.operators, self.copies = Counter(), Counter()
        self._calls = _Calls(self.copies)

    def __enter__(self):
        self._calls.__enter__()
        return super().__enter__()

    def __exit__(self, *error):
        super().__exit__(*error)
        self._calls.__exit__(*error)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        self.operators[name] += 1
        by_mask = name in {"index", "index_put_"} and any(i is not None and i.dtype == torch.bool for i in args[1])
        if name in _COPIES or by_mask:
            self.copies[name] += 1
        return func(*args, **kwargs or {})


class _Calls(TorchFunctionMode):
    def __init__(self, copies):
        super().__init__()
        self._copies = copies

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func is torch.Tensor.cpu:
            self._copies["cpu"] += 1
        return func(*args, **kwargs or {})


def as_on_a_gpu(*_sizes):
    """In place of `inspector.geometry.plan.plan`: one worker, batches as large as on a GPU of 16 GB."""
    from inspector.geometry.plan import Plan

    return Plan(2**33 // (6 * 8), 1, torch.get_num_threads())
