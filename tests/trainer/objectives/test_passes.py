"""Passes: how a step's rows are cut into them, and that neither the cut, nor the layout, nor a mask matters."""

import itertools
from types import SimpleNamespace

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from inspector.common.errors import InspectorError
from tests.trainer.small import close, first_step, made, nats, options, rollouts, tiny
from trainer.objectives import passes
from trainer.objectives.passes import Limits, cut
from trainer.runs import memory
from trainer.runs.tasks import tasks

pytestmark = pytest.mark.filterwarnings("ignore")
VARIANTS = [
    ("sft", {}),
    ("dft", {}),
    ("rift", {"probability": "geo-mean"}),
    ("rift", {"probability": "sequence"}),
    ("offline-grpo", {"variant": "krafton-code", "kl": 0.5}),
    ("sft", {"gradient_checkpointing": "true"}),
]


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tiny(tmp_path_factory.mktemp("base"))


def row_by_row(q, k, v, ends, _ends, _longest, _same, *, scale, window_size, enable_gqa=True):
    """What torch's variable-length attention is: causal attention of each row alone."""
    assert (window_size, enable_gqa) == ((-1, 0), True)
    found = []
    for start, end in itertools.pairwise(ends.tolist()):
        parts = (part[start:end].transpose(0, 1)[None] for part in (q, k, v))
        found.append(scaled_dot_product_attention(*parts, is_causal=True, scale=scale, enable_gqa=True)[0])
    return torch.cat(found, dim=1).transpose(0, 1)


@pytest.fixture
def varlen(monkeypatch):
    """torch's own is for GPUs."""
    monkeypatch.setattr(passes, "varlen_attn", row_by_row)
    monkeypatch.setattr(passes, "_for_rows", lambda *_: passes._VARLEN)


def cost(lengths, cuts):
    return sum(max(max(lengths[rows]) * len(lengths[rows]), passes._LEAST) for rows in cuts)


@pytest.mark.parametrize("lengths", [[3000, 2900, 700, 600, 500, 90, 80], [5000, 400, 300], [900] * 6, [1, 4000, 1]])
@pytest.mark.parametrize("rows", [0, 2])
def test_the_cut_is_the_cheapest_of_all(lengths, rows):
    """Of every way to cut them within the limits, none has fewer tokens; what is too long alone is alone."""
    every = []
    for places in itertools.product([False, True], repeat=len(lengths) - 1):
        ends = [0, *(n + 1 for n, here in enumerate(places) if here), len(lengths)]
        cuts = [slice(first, end) for first, end in itertools.pairwise(ends)]
        sizes = [(len(lengths[s]), max(lengths[s]) * len(lengths[s])) for s in cuts]
        if all(n == 1 or (tokens <= 4096 and n <= (rows or n)) for n, tokens in sizes):
            every.append(cost(lengths, cuts))
    found = cut(lengths, Limits(rows, 4096))
    assert [n for s in found for n in range(len(lengths))[s]] == list(range(len(lengths)))
    assert cost(lengths, found) == min(every)


def test_rows_end_to_end_are_cut_into_few_even_passes():
    found = cut([1000] * 14, Limits(0, 12_000, free=True))
    assert found == [slice(0, 7), slice(7, 14)]


def test_without_a_limit_of_tokens_a_pass_is_so_many_rows():
    assert cut([9] * 7, Limits(3)) == [slice(0, 3), slice(3, 6), slice(6, 7)]
    assert cut([9] * 7, Limits(0)) == [slice(0, 7)]
    assert cut([3000, 1000, 1000], Limits(0, 5000, free=True)) == [slice(0, 3)]


@pytest.mark.parametrize(("name", "more"), VARIANTS)
@pytest.mark.parametrize("tokens", [40, 100, 10_000])
def test_a_step_does_not_depend_on_the_tokens_of_a_pass(base, tmp_path, monkeypatch, name, more, tokens):
    monkeypatch.setattr(passes, "_LEAST", 1)
    file = rollouts(tmp_path)
    by_rows = first_step(base, name, file, tmp_path, micro_batch=4, **more)
    by_tokens = first_step(base, name, file, tmp_path, micro_batch=0, micro_tokens=tokens, **more)
    assert by_tokens[0] == nats(by_rows[0])
    assert close(by_rows[1], by_tokens[1])
    assert by_tokens[2]["tokens"] == by_rows[2]["tokens"]


@pytest.mark.parametrize(("name", "more"), VARIANTS)
def test_end_to_end_is_padded(base, tmp_path, varlen, name, more):
    """Rows of several lengths, in passes of four."""
    file = rollouts(tmp_path)
    padded = first_step(base, name, file, tmp_path, micro_batch=4, **more)
    free = first_step(base, name, file, tmp_path, micro_batch=4, padding="free", **more)
    assert free[0] == nats(padded[0])
    assert close(padded[1], free[1])
    for told in ("tokens", "nll_up", "nll_down", "negatives", "vanished"):
        assert free[2].get(told) == nats(padded[2].get(told))


@pytest.mark.parametrize("name", ["dpo", "simpo", "kto"])
def test_a_mask_over_padding_on_the_right_changes_nothing(base, tmp_path, monkeypatch, name):
    file = rollouts(tmp_path)
    without = first_step(base, name, file, tmp_path, micro_batch=4)
    monkeypatch.setattr(passes, "unmask", lambda _model: None)
    masked = first_step(base, name, file, tmp_path, micro_batch=4)
    assert without[0] == nats(masked[0])
    assert close(masked[1], without[1])


def test_what_a_row_end_to_end_keeps_can_be_measured(base, tmp_path, varlen):
    """One row alone, without where it ends."""
    kept = [memory.measured(made(base, "sft", rollouts(tmp_path), tmp_path, padding=padding).model).block
            for padding in ("padded", "free")]  # fmt: skip
    assert kept[1] == pytest.approx(kept[0], rel=0.2)


def test_rows_that_see_each_other_are_refused(base, tmp_path, varlen, monkeypatch):
    """An attention that takes no notice of where a row begins."""

    def blind(q, k, v, ends, _ends, longest, _same, scale=None, window_size=(-1, -1), enable_gqa=False):
        whole = ends[[0, -1]]
        return row_by_row(q, k, v, whole, whole, longest, longest, scale=scale, window_size=window_size)

    monkeypatch.setattr(passes, "varlen_attn", blind)
    with pytest.raises(InspectorError, match=r"its attention \(torch_varlen\), rows of one pass see each other"):
        made(base, "sft", rollouts(tmp_path), tmp_path, padding="free")


def test_by_default_rows_stay_padded_where_they_would_see_each_other(base, tmp_path, varlen, monkeypatch):
    """And lie end to end where not."""
    apart = made(base, "sft", rollouts(tmp_path), tmp_path)
    assert apart.limits.free
    monkeypatch.setattr(passes, "_apart", lambda _model: False)
    together = made(base, "sft", rollouts(tmp_path), tmp_path)
    assert not together.limits.free
    assert together.model.config._attn_implementation == "sdpa"


def test_by_default_rows_stay_padded_where_an_attention_does_not_take_them(base, tmp_path, varlen, monkeypatch):
    """As heads of more than 256 numbers."""

    def refuses(*_args, scale=None, window_size=None, enable_gqa=None):
        raise RuntimeError("FlashAttention forward only supports head dimension at most 256")

    monkeypatch.setattr(passes, "varlen_attn", refuses)
    assert not made(base, "sft", rollouts(tmp_path), tmp_path).limits.free


def test_dense_masks_are_refused(base, tmp_path):
    assert not made(base, "sft", rollouts(tmp_path), tmp_path).limits.free
    with pytest.raises(InspectorError, match="padding=free needs an attention for rows of several lengths"):
        made(base, "sft", rollouts(tmp_path), tmp_path, padding="free")


@pytest.mark.parametrize(
    ("device", "dtype", "flash", "varlen", "found"),
    [
        ("cuda", torch.bfloat16, True, True, "flash_attention_2"),
        ("cuda", torch.bfloat16, False, True, "torch_varlen"),
        ("cuda", torch.bfloat16, False, False, ""),
        ("cuda", torch.float32, True, True, ""),
        ("cpu", torch.bfloat16, True, True, ""),
    ],
)
def test_which_attention_rows_end_to_end_get(monkeypatch, device, dtype, flash, varlen, found):
    monkeypatch.setattr(passes, "is_flash_attn_2_available", lambda: flash)
    monkeypatch.setattr(passes, "varlen_attn", row_by_row if varlen else None)
    model = SimpleNamespace(device=torch.device(device), dtype=dtype, config=SimpleNamespace(sliding_window=None))
    assert passes._for_rows(model) == found


def older(q, k, v, ends, _ends, longest, _same, is_causal=False):
    """torch 2.10's: as many heads of keys as of queries, and none of its other arguments."""
    assert is_causal
    assert q.shape == k.shape == v.shape
    return row_by_row(q, k, v, ends, ends, longest, longest, scale=None, window_size=(-1, 0))


def test_an_older_torch_attends_alike(monkeypatch):
    q, k, v = (torch.randn(1, heads, 9, 4) for heads in (4, 2, 2))
    ends, found = torch.tensor([0, 5, 9]), []
    for attention in (row_by_row, older):
        monkeypatch.setattr(passes, "varlen_attn", attention)
        found.append(passes._varlen_attention(None, q, k, v, None, scaling=0.3, cu_seq_lens_q=ends, max_length_q=5)[0])
    assert torch.allclose(*found, atol=1e-6)
    windowed = SimpleNamespace(
        device=torch.device("cuda"), dtype=torch.bfloat16, config=SimpleNamespace(sliding_window=4)
    )
    assert passes._for_rows(windowed) == ""


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_torchs_own_attention_is_row_by_row():
    q, k, v = (torch.randn(1, heads, 60, 64, device="cuda", dtype=torch.bfloat16) for heads in (8, 2, 2))
    ends = torch.tensor([0, 37, 60], device="cuda", dtype=torch.int32)
    found, _ = passes._varlen_attention(None, q, k, v, None, cu_seq_lens_q=ends, max_length_q=37)
    repeated = (k.repeat_interleave(4, 1), v.repeat_interleave(4, 1))
    parts = (part[0].transpose(0, 1) for part in (q, *repeated))
    wanted = row_by_row(*parts, ends, ends, 37, 37, scale=None, window_size=(-1, 0))
    assert torch.allclose(found[0], wanted, atol=2e-2)


@pytest.mark.parametrize("name", ["dpo", "kto", "online-grpo"])
def test_methods_that_trl_scores_stay_padded(base, tmp_path, name):
    asked = options(base, name, rollouts(tmp_path), tmp_path / "out", padding="free")
    with pytest.raises(InspectorError, match=f"padding=free is not for {name}"):
        tasks(asked)


def test_rows_end_to_end_come_back_to_their_places():
    """Three rows of 3, 1 and 2 tokens: what is predicted is each token but a row's first, which stays 0."""
    flat = torch.tensor([[1.0, 2.0, 0.0, 0.0, 3.0]])
    found = passes.by_row(flat, {"position_ids": torch.tensor([[0, 1, 2, 0, 0, 1]]), "lengths": [3, 1, 2]})
    assert found.tolist() == [[0, 1, 2], [0, 0, 0], [0, 3, 0]]
    assert passes.by_row(flat, {"lengths": [3]}) is flat
