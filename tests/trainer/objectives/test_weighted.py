"""One step of the real trainer on a tiny base: TRL's own losses bit for bit, and every identity between methods."""

import json

import pytest
import torch
from datasets import Dataset
from peft import get_peft_model
from trl import SFTConfig, SFTTrainer

from inspector.base_model.base import load_base
from tests.base_model.tiny_model import tiny_tokenizer
from tests.trainer.rollout_rows import jsonl, rows_of
from tests.trainer.small import Catch, close, equal, first_step, made, nats, rollouts, tiny
from trainer.methods import method
from trainer.objectives import passes
from trainer.objectives.examples import examples, weight_note
from trainer.recipes.recipe import Recipe
from trainer.rollouts.schema import read_rollouts
from trainer.saving import start

pytestmark = pytest.mark.filterwarnings("ignore")  # of libraries, about libraries


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tiny(tmp_path_factory.mktemp("base"))


@pytest.fixture
def step(base, tmp_path):
    file = rollouts(tmp_path)

    def run(name, rows=file, **more):
        return first_step(base, name, rows, tmp_path, **more)

    return run


@pytest.mark.parametrize(("name", "loss_type"), [("sft", "nll"), ("dft", "dft")])
@pytest.mark.parametrize("masked", [False, True])
def test_the_hook_gives_trls_own_loss_bit_for_bit(base, tmp_path, name, loss_type, masked):
    """TRL's SFTTrainer on the same ids in the same order, from the same adapter.

    Where a mask of their own keeps its rows from their padding, attention sums in another order.
    """
    file = rollouts(tmp_path)
    ours = made(base, name, file, tmp_path, micro_batch=4)
    rows = ours.train_dataset
    loaded = load_base(str(base), "cpu", "float32")
    model = get_peft_model(loaded.model, start.lora_config(4, 8, 0.0, ("q_proj", "v_proj")))
    model.load_state_dict(ours.model.state_dict())
    if not masked:
        passes.unmask(loaded.model)
    arguments = SFTConfig(
        output_dir=str(tmp_path / "trl"), max_steps=1, per_device_train_batch_size=4, gradient_accumulation_steps=2,
        bf16=False, use_cpu=True, gradient_checkpointing=False, logging_steps=1, report_to="none", max_grad_norm=1e9,
        train_sampling_strategy="sequential", dataset_kwargs={"skip_prepare_dataset": True}, max_length=None,
        loss_type=loss_type, save_strategy="no", disable_tqdm=True, learning_rate=1e-2, warmup_steps=0.05,
    )  # fmt: skip
    plain = Dataset.from_dict({name: rows[:8][name] for name in ("input_ids", "labels")})
    theirs = SFTTrainer(model, arguments, train_dataset=plain, processing_class=loaded.tokenizer)
    caught = []
    for trainer in (ours, theirs):
        caught.append(Catch())
        trainer.add_callback(caught[-1])
        trainer.train()
    assert caught[0].loss == (nats(caught[1].loss) if masked else caught[1].loss)
    assert (close if masked else equal)(caught[0].gradient, caught[1].gradient)
    assert all(g.abs().sum() > 0 for g in caught[0].gradient.values())


@pytest.mark.parametrize("name", ["sft", "dft", "rift", "offline-grpo"])
@pytest.mark.parametrize("micro", [1, 2, 4])
def test_a_step_does_not_depend_on_how_it_is_cut(step, name, micro):
    """1×8 = 2×4 = 4×2 = 8×1, up to the order of the sums."""
    whole, cut = step(name), step(name, micro_batch=micro)
    assert cut[0] == nats(whole[0])
    assert close(whole[1], cut[1])


def test_rift_with_all_right_is_sft_and_so_is_rft(base, tmp_path, step):
    file = rollouts(tmp_path, rewards=(1.0, 1.0, 1.0, 1.0))
    sft = step("sft", file)
    for name in ("rift", "rft"):
        other = step(name, file)
        assert other[0] == sft[0]
        assert equal(other[1], sft[1])


@pytest.mark.parametrize("reward", [0.0, 1.0])
def test_offline_grpo_of_equal_rewards_is_b_times_sft(base, tmp_path, step, reward):
    file = rollouts(tmp_path, rewards=(reward,) * 4)
    sft, grpo = step("sft", file), step("offline-grpo", file)
    assert close({k: 0.1 * g for k, g in sft[1].items()}, grpo[1])


def sides(step):
    """g⁺ and g⁻ of a step, each over the N of the whole: RIFT-linear with λ = 1 leaves g⁻ alone."""
    whole, wrong = step("sft")[1], step("rift", variant="rift-linear", rift_lambda=1.0)[1]
    return {k: whole[k] - wrong[k] for k in whole}, wrong


def test_rift_linear_is_less_of_the_positives(step):
    up, down = sides(step)
    found = step("rift", variant="rift-linear", rift_lambda=0.3)[1]
    assert close(found, {k: 0.7 * up[k] + down[k] for k in up})


def test_offline_grpo_is_a_sum_of_both_sides(step):
    """Every group has r̄ = 1/2: (0.5 + b)g⁺ + (b − 0.5)g⁻."""
    up, down = sides(step)
    found = step("offline-grpo", b=0.1)[1]
    assert close(found, {k: 0.6 * up[k] - 0.4 * down[k] for k in up})


def test_rft_by_filtering_is_by_masking_up_to_n(base, tmp_path):
    """All 24 rows in one step: RIFT with 0 for wrong answers masks them, and divides by more tokens."""
    file = rollouts(tmp_path)
    ids = rows_of(read_rollouts(file), load_base(str(base), "cpu", "float32").tokenizer, 200)
    right = sum(row.targets for row in ids.rows if row.reward)
    every = sum(row.targets for row in ids.rows)
    masked = first_step(base, "rift", file, tmp_path, batch=24, micro_batch=8, reward_wrong=0.0)[1]
    filtered = first_step(base, "rft", file, tmp_path, batch=12, micro_batch=4)[1]
    assert close({k: g * right / every for k, g in filtered.items()}, masked)


def test_the_adapter_alone_is_trained_and_in_float32(base, tmp_path):
    trainer = made(base, "sft", rollouts(tmp_path), tmp_path)
    learned = {n: p.dtype for n, p in trainer.model.named_parameters() if p.requires_grad}
    assert all("lora_" in name for name in learned)
    assert set(learned.values()) == {torch.float32}


def test_checkpointing_of_activations_changes_nothing(step):
    plain, saved = step("rift"), step("rift", gradient_checkpointing="true")
    assert saved[0] == plain[0]
    assert equal(saved[1], plain[1])


def test_krafton_starts_without_kl_and_then_pays_for_it(step):
    """At B = 0 the policy is the reference, and the KL and its gradient are 0."""
    more = {"variant": "krafton-post", "shift": 0.0}
    assert equal(step("offline-grpo", kl=0.1, **more)[1], step("offline-grpo", kl=1e-9, **more)[1])
    moved = {"variant": "krafton-post", "shift": 0.5}
    assert step("offline-grpo", kl=1.0, **moved)[0] > step("offline-grpo", kl=1e-9, **moved)[0]


def test_negatives_that_vanish_are_logged(step, tmp_path):
    """At 4 nats a token a completion of 50 characters has less than e^−103: RIFT has become RFT, and says so."""
    file = rollouts(tmp_path, tail=" so" * 15)
    _, gone, told = step("rift", file, probability="sequence")
    assert told["negatives"] == told["vanished"] > 0
    assert equal(gone, step("rift", file, reward_wrong=0.0)[1])
    for kind in ("token", "geo-mean"):
        assert step("rift", file, probability=kind)[2]["vanished"] == 0


def test_a_runaway_is_said_once(base, tmp_path):
    trainer = made(base, "offline-grpo", rollouts(tmp_path), tmp_path)
    for now in (2.0, 4.9, 5.1, 9.0):
        logs = {"nll_down": now}
        trainer._warn(logs)
        assert logs["runaway"] == float(now > 5)
    assert "2.00 to 5.10 nats a token" in trainer.warned


def with_weights(file, weights):
    """The same rows with a weight each, over and over."""
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    given = [row | {"weight": weights[n % len(weights)]} for n, row in enumerate(rows)]
    return jsonl(file.with_name(f"{'-'.join(map(str, weights))}.jsonl"), given)


@pytest.mark.parametrize("name", ["sft", "rift", "offline-grpo"])
def test_a_weight_column_multiplies_what_a_row_is_given(step, tmp_path, name):
    """The gradient is linear in them: (¼, 1, 0) + (¾, 0, 1) = 1, and twice ½ is 1."""
    file = rollouts(tmp_path)
    parts = [step(name, with_weights(file, weights))[1] for weights in ((0.25, 1, 0), (0.75, 0, 1), (0.5, 0.5, 0.5))]
    plain = step(name, file)[1]
    assert close({k: parts[0][k] + parts[1][k] for k in plain}, plain)
    assert close({k: 2 * g for k, g in parts[2].items()}, plain)
    assert not close(parts[0], parts[1])


def test_who_does_not_read_the_weights_says_so(step, tmp_path):
    file = rollouts(tmp_path)
    weighted = with_weights(file, (0, 3))
    assert equal(step("dpo", weighted)[1], step("dpo", file)[1])
    rows = rows_of(read_rollouts(weighted), tiny_tokenizer(), 200)
    told = "24 rows of a weight other than 1 (0 to 3): "
    assert weight_note(method("dpo"), rows) == f"{told}dpo does not read that column, and takes all rows alike."
    assert weight_note(method("rft"), rows) == f"{told}what rft gives a row is multiplied by its weight."
    assert weight_note(method("rft"), rows_of(read_rollouts(file), tiny_tokenizer(), 200)) == ""
    found = examples(method("rft"), Recipe(), rows)
    assert set(found.columns["weight"]) == {3.0}, "a weight of 0 leaves the row out, as a wrong answer is"
