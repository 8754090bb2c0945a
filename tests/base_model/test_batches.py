"""Batches halve where memory runs out, and go on."""

from types import SimpleNamespace

import pytest
import torch

from inspector.base_model.batches import Batches, filler_of, out_of_memory, padded
from inspector.base_model.encode import Encoded
from inspector.common.errors import CancelledError, InspectorError

EXAMPLES = [Encoded(tuple(range(n)), n) for n in (3, 9, 5, 7, 1, 4)]


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory: you tried …"),
        RuntimeError("unable to mmap 512 bytes: Cannot allocate memory (12)"),
        MemoryError(),
    ],
)
def test_a_batch_that_does_not_fit_is_halved_and_said(error):
    notes, done = [], []

    def work(indices):
        if len(indices) > 2:
            raise error
        done.extend(indices)

    batches = Batches(6, notes.append, lambda: False)
    batches.run(EXAMPLES, work)
    assert done == [1, 3, 2, 5, 0, 4], "longest first, each once"
    assert notes == ["out of memory: going on with batches of 3", "out of memory: going on with batches of 1"]
    assert batches.size == 1


def test_one_example_that_does_not_fit_is_an_error():
    def work(_indices):
        raise torch.OutOfMemoryError

    with pytest.raises(InspectorError, match="a single example of 9 tokens"):
        Batches(2, lambda _t: None, lambda: False).run(EXAMPLES, work)


def test_other_errors_are_not_swallowed():
    def work(_indices):
        raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ"):
        Batches(2, lambda _t: None, lambda: False).run(EXAMPLES, work)
    assert not out_of_memory(RuntimeError("shapes differ"))


def test_cancel_between_batches():
    done = []
    with pytest.raises(CancelledError):
        Batches(2, lambda _t: None, lambda: len(done) >= 2).run(EXAMPLES, done.extend)
    assert len(done) == 2


def test_padding_is_on_the_right_and_masked():
    ids, mask = padded(EXAMPLES[:3], "cpu", 99)
    assert ids.shape == (3, 9)
    assert ids[0].tolist() == [0, 1, 2, *[99] * 6]
    assert mask.sum(1).tolist() == [3, 9, 5]


@pytest.mark.parametrize(("pad", "end", "filler"), [(0, 2, 0), (7, 2, 7), (None, 2, 2), (None, None, 0)])
def test_the_filler_is_a_token_that_stands_for_nothing(pad, end, filler):
    assert filler_of(SimpleNamespace(pad_token_id=pad, eos_token_id=end)) == filler
