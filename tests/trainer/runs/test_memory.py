"""What a pass takes of memory, and what follows for its tokens and for the blocks that are computed twice."""

import pytest
import torch
import transformers
from peft import get_peft_model

from tests.trainer.small import close, first_step, made, rollouts, tiny
from trainer.runs import memory
from trainer.runs.lora_dtype import follow_base
from trainer.runs.memory import Kept, planned
from trainer.saving import start

pytestmark = pytest.mark.filterwarnings("ignore")
GB = 1 << 30
KEPT = Kept(block=100_000, inputs=5_000, blocks=36)
"""As of Qwen3-4B in bfloat16."""


def adapted(model):
    """With an adapter on its attention, as it is trained."""
    wanted = start.lora_config(8, 16, 0.0, ("q_proj", "k_proj", "v_proj", "o_proj"))
    model = get_peft_model(model.eval().requires_grad_(requires_grad=False), wanted).eval()
    follow_base(model)
    return model


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tiny(tmp_path_factory.mktemp("base"))


def test_the_peak_of_a_pass():
    """What all blocks keep and one block's gradients; or nine blocks' inputs, and one block computed twice."""
    assert KEPT.peak(0) == 36 * 100_000 + 100_000
    assert KEPT.peak(4) == 27 * 100_000 + 9 * 5_000 + 200_000
    assert KEPT.peak(1) == 36 * 5_000 + 200_000


@pytest.mark.parametrize(
    ("free", "every", "tokens"),
    [(90, 0, 16_384), (44, 0, 10_564), (30, 4, 8948), (24, 2, 10_005), (6, 1, 11_617), (2, 1, 1978)],
)
def test_the_fastest_plan_that_fits(free, every, tokens):
    plan = planned(KEPT, free * GB, 8000)
    assert (plan.every, plan.tokens) == (every, pytest.approx(tokens, rel=0.01))
    assert KEPT.bytes(every, plan.tokens) <= 0.85 * free * GB + 1


def test_a_row_longer_than_what_is_enough_still_fits():
    assert planned(KEPT, 90 * GB, 18_000).tokens == 18_000


@pytest.mark.parametrize(("every", "says"), [(0, "no block"), (1, "every block"), (4, "one block in 4")])
def test_a_plan_in_words(every, says):
    said = f"passes of up to 8,192 tokens, {says} computed twice: about 38 GB"
    assert str(memory.Plan(every, 8192, 38_400_000_000)) == said


def test_an_interval_that_is_set_stays():
    assert planned(KEPT, 80 * GB, 8000, every=3).every == 3
    assert planned(KEPT, 6 * GB, 8000, every=0).tokens == pytest.approx(1189, rel=0.01)
    assert planned(KEPT, 0, 8000).tokens == 1


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("family", ["Qwen3", "Llama"])
def test_what_autograd_keeps_is_as_estimated_from_the_config(family, dtype):
    """Where adapters are on the attention; an architecture of another kind is measured alone."""
    config = getattr(transformers, f"{family}Config")(
        hidden_size=256, intermediate_size=972, num_hidden_layers=3, num_attention_heads=8, num_key_value_heads=2,
        head_dim=48, vocab_size=300,
    )  # fmt: skip
    model = adapted(getattr(transformers, f"{family}ForCausalLM")(config).to(dtype))
    kept, guess = memory.measured(model), memory.estimated(config, dtype.itemsize)
    assert (kept.blocks, kept.inputs) == (guess.blocks, guess.inputs) == (3, 256 * dtype.itemsize)
    assert kept.block == pytest.approx(guess.block, rel=0.1)
    assert not model.training


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


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("every", [0, 2, 1])
def test_the_estimate_is_the_measured_peak(every):
    """Twelve blocks of some width, so that what is fixed is small beside them."""
    config = transformers.Qwen3Config(
        hidden_size=1024, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=16, head_dim=64,
        num_key_value_heads=4, vocab_size=1024,
    )  # fmt: skip
    model = adapted(transformers.Qwen3ForCausalLM(config).to("cuda", torch.bfloat16))
    kept, inner = memory.measured(model), model.get_base_model()
    memory.recompute(inner, every)
    inner.train().gradient_checkpointing_enable({"use_reentrant": False})
    ids = torch.zeros(4, 2048, dtype=torch.long, device="cuda")
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    inner.base_model(input_ids=ids, use_cache=False).last_hidden_state.sum().backward()
    took = torch.cuda.max_memory_allocated() - before
    assert took == pytest.approx(ids.numel() * kept.peak(every), rel=0.25)


def test_computing_blocks_twice_changes_no_bit(base, tmp_path):
    file = rollouts(tmp_path)
    steps = [first_step(base, "dft", file, tmp_path, gradient_checkpointing=every) for every in (0, 1, 2)]
    assert all(torch.equal(steps[0][1][key], step[1][key]) for step in steps[1:] for key in step[1])


def test_compiled_blocks_make_the_same_step(base, tmp_path, monkeypatch):
    """Traced as a whole, checkpointing and adapters with it; what a compiler makes of that is torch's."""
    plain, seen = torch.nn.Module.compile, []

    def traced(block, **more):
        seen.append(more)
        plain(block, backend="eager", fullgraph=True, **more)

    monkeypatch.setattr(torch.nn.Module, "compile", traced)
    file = rollouts(tmp_path)
    steps = [first_step(base, "sft", file, tmp_path, micro_batch=4, gradient_checkpointing=1, compile_blocks=compiled)
             for compiled in ("false", "true")]  # fmt: skip
    assert seen == [{"dynamic": True}] * 2
    assert close(steps[0][1], steps[1][1])
