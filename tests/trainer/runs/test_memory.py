"""What a pass takes of memory, and what follows for its tokens and for the blocks that are computed twice."""

import pytest
import torch

from tests.trainer.small import first_step, made, rollouts, tiny
from trainer.runs import memory
from trainer.runs.memory import Kept, planned

pytestmark = pytest.mark.filterwarnings("ignore")
GB = 1 << 30
KEPT = Kept(block=100_000, inputs=5_000, blocks=36)
"""As of Qwen3-4B in bfloat16."""


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tiny(tmp_path_factory.mktemp("base"))


def test_the_peak_of_a_pass():
    """What all blocks keep and one block's gradients; or nine blocks' inputs, and one block computed twice."""
    assert KEPT.peak(0) == 36 * 100_000 + 100_000
    assert KEPT.peak(4) == 27 * 100_000 + 9 * 5_000 + 200_000
    assert KEPT.peak(1) == 36 * 5_000 + 200_000


@pytest.mark.parametrize(
    ("free", "every", "tokens"), [(80, 0, 8192), (30, 4, 8192), (22, 2, 8192), (6, 1, 8192), (2, 1, 2260)]
)
def test_the_fastest_plan_that_fits(free, every, tokens):
    plan = planned(KEPT, free * GB, 8000)
    assert (plan.every, plan.tokens) == (every, pytest.approx(tokens, rel=0.01))
    assert plan.tokens * KEPT.peak(every) < 0.9 * free * GB


def test_an_interval_that_is_set_stays():
    assert planned(KEPT, 80 * GB, 8000, every=3).every == 3
    assert planned(KEPT, 6 * GB, 8000, every=0).tokens == pytest.approx(1274, rel=0.01)
    assert planned(KEPT, 0, 8000).tokens == 1


def test_what_is_kept_is_what_autograd_keeps(base, tmp_path):
    """By hand, for a block of Llama in float32 (d 32, four heads of 8 on two, 48 inside), bytes a token.

    Two norms keep a float32 input, its normed value and 1/σ; attention q, k, v, its output and the softmax's sum;
    cos and sin are one row's and shared; the gate, what SiLU makes of it, and the other side; the adapter's A x twice.
    """
    kept = memory.measured(made(base, "sft", rollouts(tmp_path), tmp_path).model)
    norms = 2 * (2 * 32 + 1)
    rotary = 2 * 8
    attention = 32 + 16 + 16 + 32 + 4
    inside = 4 * 48
    assert (kept.blocks, kept.inputs) == (2, 4 * 32)
    assert kept.block / 4 == pytest.approx(norms + rotary + attention + inside + 2 * 4, rel=0.25)


@pytest.mark.parametrize(("every", "twice"), [(1, [True, True]), (2, [True, False]), (0, [False, False])])
def test_only_every_so_many_th_block_is_computed_twice(base, tmp_path, every, twice):
    trainer = made(base, "sft", rollouts(tmp_path), tmp_path, gradient_checkpointing=every)
    model = trainer.model.get_base_model()
    trainer.train()
    assert [block.gradient_checkpointing for block in memory.blocks(model)] == twice
    model._set_gradient_checkpointing(enable=False)
    assert not any(block.gradient_checkpointing for block in memory.blocks(model))
    model._set_gradient_checkpointing(enable=True)
    assert [block.gradient_checkpointing for block in memory.blocks(model)] == twice


@pytest.mark.skipif(not torch.cuda.is_available(), reason="measures the memory of a GPU")
def test_the_estimate_is_the_measured_peak(base, tmp_path):
    """Twelve blocks of some width, so that what is fixed is small beside them."""
    from transformers import Qwen3Config, Qwen3ForCausalLM

    from trainer.runs.lora_dtype import follow_base
    from trainer.saving import start

    config = Qwen3Config(
        hidden_size=1024, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=16, head_dim=64,
        num_key_value_heads=4, vocab_size=1024, dtype=torch.bfloat16,
    )  # fmt: skip
    from peft import get_peft_model

    model = Qwen3ForCausalLM(config).to("cuda", torch.bfloat16).requires_grad_(requires_grad=False)
    model = get_peft_model(model, start.lora_config(16, 32, 0.0, ("q_proj", "v_proj", "o_proj")))
    follow_base(model)
    kept, inner = memory.measured(model), model.get_base_model()
    model.train().enable_input_require_grads()
    for every in (0, 2, 1):
        memory.recompute(inner, every)
        inner._set_gradient_checkpointing(enable=True, **_checkpoint())
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        ids = torch.zeros(4, 2048, dtype=torch.long, device="cuda")
        inner.base_model(input_ids=ids, use_cache=False).last_hidden_state.float().sum().backward()
        took = torch.cuda.max_memory_allocated() - before
        assert took == pytest.approx(ids.numel() * kept.peak(every), rel=0.25)


def _checkpoint():
    import functools

    from torch.utils.checkpoint import checkpoint

    return {"gradient_checkpointing_func": functools.partial(checkpoint, use_reentrant=False)}


def test_computing_blocks_twice_changes_no_bit(base, tmp_path):
    file = rollouts(tmp_path)
    steps = [first_step(base, "dft", file, tmp_path, gradient_checkpointing=every) for every in (0, 1, 2)]
    assert all(torch.equal(steps[0][1][key], step[1][key]) for step in steps[1:] for key in step[1])
