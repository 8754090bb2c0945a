"""Hidden states are transformers' own; pooling, lens depth and files of rows against the obvious."""

import numpy as np
import pytest
import torch

from inspector.base_model import hidden
from inspector.base_model.attach import attach
from inspector.base_model.batches import Batches
from inspector.base_model.encode import Encoded
from inspector.common.errors import InspectorError
from inspector.probes import lens, rows
from inspector.probes.request import POOLINGS
from tests.base_model.bases import base, fitting
from tests.launches import Launches

EXAMPLES = [Encoded((3, 4, *range(20 + n, 20 + 2 * n), 5), n + 3) for n in (2, 6, 4, 1)]
"""Two tokens that all begin with, one that all end with."""


def captured(onto, name=None, size=2):
    """States of every example alone: {index: (L+1, length, d)}."""
    attached = attach(onto, [fitting(onto, "a", 1)])
    attached.use(name)
    found = {}

    def work(indices, states, mask):
        for row, index in enumerate(indices):
            found[index] = torch.stack([h[row, : int(mask[row].sum())] for h in states])

    seen = []
    hidden.each_batch(attached, EXAMPLES, Batches(size, print, lambda: False), work, seen.append)
    assert sum(seen) == sum(len(e.ids) for e in EXAMPLES)
    return found


@pytest.mark.parametrize("family", ["llama", "qwen3", "gpt2"])
def test_states_are_those_of_transformers_without_padding(family):
    onto = base(family)
    found = captured(onto, "a")
    for index, example in enumerate(EXAMPLES):
        with torch.inference_mode():
            output = onto.model(input_ids=torch.tensor([example.ids]), output_hidden_states=True)
        expected = torch.stack([h[0] for h in output.hidden_states])
        torch.testing.assert_close(found[index][:-1], expected[:-1], rtol=1e-9, atol=1e-9)
        # transformers' last one has passed the final norm; ours has not.
        normed = hidden.final_norm(onto.model)(found[index][-1])
        torch.testing.assert_close(normed, expected[-1], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_pooled_rows(pooling):
    onto = base()
    attached = attach(onto, [])
    held = rows.Rows(EXAMPLES, pooling, onto.depth)
    hidden.each_batch(attached, EXAMPLES, Batches(3, print, lambda: False), held.write, lambda _n: None)
    states = captured(base())
    for layer in range(onto.depth):
        parts = [states[i][layer + 1] for i in range(len(EXAMPLES))]
        expected = {
            "last": torch.stack([h[-1] for h in parts]),
            "mean": torch.stack([h[2:-1].mean(0) for h in parts]),
            "all": torch.cat([h[2:-1] for h in parts]),
        }[pooling]
        found = held.read(layer, slice(None), "cpu")
        assert len(found) == held.count == len(expected) == (13 if pooling == "all" else 4)
        expected = expected.to(torch.float32 if pooling == "mean" else torch.float64).double()
        torch.testing.assert_close(found - found[0], expected - expected[0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("pooling", ["last", "mean"])
def test_rows_travel_once_a_batch(pooling):
    held = rows.Rows(EXAMPLES, pooling, 5)
    with Launches() as seen:
        held.write(range(4), [torch.ones(4, 9, 8)] * 6, torch.ones(4, 9, dtype=torch.long))
    assert seen.copies == {"cpu": 1}


def test_rows_leave_no_file_behind(tmp_path, monkeypatch):
    monkeypatch.setattr(rows, "cache_folder", lambda kind: tmp_path / kind)
    held = rows.Rows(EXAMPLES, "last", 2)
    states = [torch.ones(4, 9, 8)] * 3
    held.write(range(4), states, torch.ones(4, 9, dtype=torch.long))
    assert list((tmp_path / "states").iterdir()) == []


def test_a_full_disk_is_a_sentence(tmp_path, monkeypatch):
    def full(_handle, _start, _length):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(rows.os, "posix_fallocate", full)
    with pytest.raises(InspectorError, match=r"No room for .* GB of hidden states .*fewer prompts"):
        rows.Rows(EXAMPLES, "last", 2).write(range(4), [torch.ones(4, 9, 8)] * 3, torch.ones(4, 9, dtype=torch.long))


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_lens_depth_against_every_layer_unembedded(family):
    onto = base(family)
    found = []
    attached = attach(onto, [])

    def work(_indices, states, mask):
        found.append(lens.depths(onto.model, states, mask))
        norm, head = hidden.final_norm(onto.model), onto.model.get_output_embeddings()
        tops = torch.stack([head(norm(h)).argmax(-1)[mask.bool()] for h in states])
        expected = []
        for column in tops.T:
            same = (column == column[-1]).tolist()
            expected.append(next(layer for layer in range(len(same)) if all(same[layer:])))
        np.testing.assert_array_equal(found[-1], expected)

    hidden.each_batch(attached, EXAMPLES, Batches(2, print, lambda: False), work, lambda _n: None)
    assert sum(map(len, found)) == sum(len(e.ids) for e in EXAMPLES)


def test_without_anything_shared_the_first_token_alone_is_left_out_of_pooling():
    examples = [Encoded((n, n + 1, n + 2), 3) for n in (3, 13)]
    onto = base()
    held = rows.Rows(examples, "all", onto.depth)
    hidden.each_batch(attach(onto, []), examples, Batches(2, print, lambda: False), held.write, lambda _n: None)
    assert held.count == 4


def test_lens_depth_of_more_positions_than_one_chunk():
    onto, generator = base(), torch.Generator().manual_seed(0)
    states = [torch.randn(3, 500, 32, generator=generator, dtype=torch.float64)]
    for _ in range(onto.depth):
        states.append(states[-1] + 0.3 * torch.randn(3, 500, 32, generator=generator, dtype=torch.float64))
    mask = torch.arange(500) < torch.tensor([[500], [411], [3]])
    norm, head = hidden.final_norm(onto.model), onto.model.get_output_embeddings()
    tops = torch.stack([head(norm(h)).argmax(-1)[mask] for h in states])
    differs = (tops != tops[-1]).int()
    expected = (differs * torch.arange(1, 5)[:, None]).amax(0)
    found = lens.depths(onto.model, states, mask.long())
    assert torch.equal(found, expected)
    assert set(found.tolist()) == {0, 1, 2, 3}


def test_hooks_are_gone_after_an_error():
    onto = base()
    assert len(hidden.blocks(onto.model)) == onto.depth == 3
    with pytest.raises(ZeroDivisionError):
        hidden.each_batch(
            attach(onto, []), EXAMPLES, Batches(2, print, lambda: False), lambda *_: 1 / 0, lambda _n: None
        )
    assert not any(block._forward_hooks or block._forward_pre_hooks for block in hidden.blocks(onto.model))
