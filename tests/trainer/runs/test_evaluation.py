"""What is measured while training: by other means the same numbers, and a training that does not notice."""

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
from transformers.integrations.integration_utils import rewrite_logs

from inspector.base_model.encode import prompt_ids
from inspector.base_model.generation import generate
from inspector.common.errors import InspectorError
from inspector.tasks.grading import Grader, correct
from inspector.tasks.problems import Problem, Problems
from tests.acceptance.command import launched
from tests.base_model.tiny_model import saved_base
from tests.trainer.objectives.test_passes import row_by_row
from tests.trainer.rollout_rows import jsonl
from tests.trainer.saving.test_checkpoints import guard_at
from tests.trainer.small import SETTINGS, adapter_of, equal, made, options, rollouts, trained
from trainer.objectives import passes
from trainer.recipes.recipe import Recipe, checked
from trainer.rollouts.rows import held_out
from trainer.rollouts.schema import read_rollouts
from trainer.rollouts.tokens import tokenised
from trainer.runs.evaluation import Evaluation
from trainer.runs.held_out import overlap_note, plan
from trainer.runs.log import best, evaluations, read_log
from trainer.train import train

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
EVALUATED = {"eval_task": "arithmetic", "eval_limit": 5}
MORE = {"dropout": 0.2, "gradient_checkpointing": 1, "micro_batch": 4}


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return saved_base(tmp_path_factory.mktemp("place") / "tiny-base")


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """Six groups to learn from, two held out."""
    return rollouts(tmp_path_factory.mktemp("rows"), held_out=2)


def measured(folder):
    return evaluations(read_log(folder / "log.jsonl"))


def nll(base, file, adapter=None):
    """Σℓ/Σ1 of the held-out right and wrong answers, row by row in float64."""
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float64)
    model = PeftModel.from_pretrained(model, adapter).double().eval() if adapter else model
    rows = held_out(tokenised(read_rollouts(file), AutoTokenizer.from_pretrained(base)), 200, 1000).rows
    sums = {True: [0.0, 0], False: [0.0, 0]}
    for row in rows:
        ids = torch.tensor([row.ids])
        with torch.no_grad():
            log_p = model(input_ids=ids).logits[0, :-1].log_softmax(-1)
        found = log_p.gather(1, ids[0, 1:, None])[row.start - 1 :]
        sums[row.reward > 0][0] -= float(found.sum())
        sums[row.reward > 0][1] += len(found)
    return {name: sums[right][0] / sums[right][1] for name, right in (("nll_right", True), ("nll_wrong", False))}


@pytest.mark.parametrize("name", ["rift", "dpo", "kto", "online-grpo"])
def test_training_does_not_notice(base, file, tmp_path, name):
    """The same bits with and without, dropout and checkpointing on; the numbers are those of float64.

    TRL's GRPO divides its logits by the temperature: what is scored is not.
    """
    more = MORE | ({"generations": 4, "max_new_tokens": 12, "temperature": 0.7} if name == "online-grpo" else {})
    without = trained(base, name, file, tmp_path / "without", eval_rows=0, **more)
    assert equal(trained(base, name, file, tmp_path / "with", **EVALUATED, **more), without)
    assert measured(tmp_path / "without" / name) == []
    found = measured(tmp_path / "with" / name)
    assert [line["step"] for line in found] == [0, 2, 4]
    assert {line["accuracy"] for line in found} <= {n / 5 for n in range(6)}
    for line, adapter in ((found[0], None), (found[-1], tmp_path / "with" / name)):
        for metric, value in nll(base, file, adapter).items():
            assert line[metric] == pytest.approx(value, rel=1e-5), metric
    run = json.loads((tmp_path / "with" / name / "run.json").read_text())
    assert run["evaluation"] == {
        "rows": 8, "right": 4, "wrong": 4, "left_out": 0, "task": "arithmetic", "problems": 5, "at": found,
    }  # fmt: skip
    assert (run["kept"], run["rewards"]["rows"]) == ({}, 24)


def test_accuracy_is_the_share_of_greedy_answers_that_are_right(base, file, tmp_path):
    """Of the base, before the first step: every second question has its own answer for gold."""
    model, tokenizer = AutoModelForCausalLM.from_pretrained(base), AutoTokenizer.from_pretrained(base)
    questions = [f"What is {n} + {n * n}?" for n in range(8)]
    asked = Problems("own.jsonl", tuple(Problem(str(n), q, "7") for n, q in enumerate(questions)))
    prompts = [prompt_ids(tokenizer, asked.messages(p)) for p in asked.problems]
    texts = [next(generate(model, tokenizer, [ids], 512, until="\n\nQuestion:")).text for ids in prompts]
    golds = [correct(text, "7").parsed or "7" if n % 2 else "no" for n, text in enumerate(texts)]
    rows = [{"question": q, "answer": gold} for q, gold in zip(questions, golds, strict=True)]
    expected = sum(correct(text, gold).correct for text, gold in zip(texts, golds, strict=True)) / 8
    assert 0 < expected < 1
    own = jsonl(tmp_path / "own.jsonl", rows)
    trained(base, "sft", file, tmp_path, steps=1, eval_rows=0, eval_task=own)
    assert measured(tmp_path / "sft")[0] == {"step": 0, "accuracy": expected}


def test_a_resumed_run_has_the_same_evaluations(base, file, tmp_path):
    """Stopped between two checkpoints, where nothing is measured, and at one, where it is once."""
    more = MORE | EVALUATED | {"steps": 6, "keep_best": "nll_right"}
    whole = trained(base, "sft", file, tmp_path / "whole", **more)
    for stop in (3, 4):
        out = tmp_path / str(stop)
        guard_at(stop, lambda out=out: train(options(base, "sft", file, out, **more)))
        assert [line["step"] for line in measured(out / "sft")] == [0, 2, *([4] if stop == 4 else [])]
        assert equal(trained(base, "sft", file, out, **more), whole)
        assert measured(out / "sft") == measured(tmp_path / "whole" / "sft")


def test_two_processes_measure_what_one_does(base, file, tmp_path):
    """Rows and problems are dealt to them; of five problems one has three, the other two."""
    settings = SETTINGS | EVALUATED | {"base": base, "micro_batch": 4}
    words = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    code, said = launched(
        "trainer", "train", "sft", "--rollouts", file, "--out", tmp_path / "two", "--recipe", "demo-smollm2", *words
    )
    assert code == 0, said
    assert said.count("step 4, held out: right answers ") == 1
    trained(base, "sft", file, tmp_path / "one", **EVALUATED, micro_batch=4)
    one, two = (measured(tmp_path / place / "sft") for place in ("one", "two"))
    assert len(one) == len(two) == 3
    for a, b in zip(one, two, strict=True):
        assert b == pytest.approx(a, rel=1e-5)


def test_the_best_checkpoint_is_the_runs_own(base, file, tmp_path, capsys, monkeypatch):
    """Of accuracies .2, .6, .6 the first .6, at step 4 of 6; the step before training cannot be kept."""
    scores = iter([0.9, 0.2, 0.6, 0.6])
    monkeypatch.setattr("trainer.runs.evaluation.Evaluation._accuracy", lambda _: {"accuracy": next(scores)})
    kept = trained(base, "sft", file, tmp_path, steps=6, keep_best="accuracy", **EVALUATED)
    at = {step: adapter_of(tmp_path / "sft" / ".checkpoints" / f"checkpoint-{step}") for step in (2, 4, 6)}
    assert equal(kept, at[4])
    assert not equal(kept, at[6])
    run = json.loads((tmp_path / "sft" / "run.json").read_text())
    assert (run["step"], run["steps"], run["kept"]) == (4, 6, {"metric": "accuracy", "value": 0.6})
    norm = sum(float(t.double().square().sum()) for n, t in kept.items() if "lora_B" in n) ** 0.5
    assert run["norms"]["lora_B"] == pytest.approx(norm, rel=1e-6)
    card = (tmp_path / "sft" / "README.md").read_text()
    assert "The adapter is the checkpoint of the best accuracy (0.6)." in card
    assert "4 steps (of 6 trained) of 8 rows" in card
    assert ", the adapter of step 4, the best accuracy (0.6), in " in capsys.readouterr().err
    trained(base, "sft", file, tmp_path, steps=6, keep_best="accuracy", **EVALUATED)
    assert "sft: done before (step 4 of 6)" in capsys.readouterr().err


def test_the_best_is_the_first_of_equal_ones():
    log = [{"step": 0, "nll_right": 0.0}, {"step": 2, "nll_right": 3.0, "accuracy": 0.1}, {"step": 3, "loss": 0.0},
           {"step": 4, "nll_right": 2.0, "accuracy": 0.5}, {"step": 6, "nll_right": 2.0, "accuracy": 0.4}]  # fmt: skip
    assert best(log, "nll_right") == (4, 2.0)
    assert best(log, "accuracy") == (4, 0.5)


def test_the_base_is_asked_with_its_mask(base, tmp_path):
    """Prompts of two lengths, padded on the left: with the hook of training the shorter one is answered the same."""
    model, tokenizer = AutoModelForCausalLM.from_pretrained(base), AutoTokenizer.from_pretrained(base)
    prompts = [tokenizer("What is 1 + 2 + 3 + 4?")["input_ids"], tokenizer("2 + 2")["input_ids"]]
    alone = [next(generate(model, tokenizer, [prompt], 12)).ids for prompt in prompts]
    passes.unmask(model)
    together = sorted(generate(model, tokenizer, prompts, 12), key=lambda answer: answer.index)
    assert [answer.ids for answer in together] == alone
    assert all(len(ids) > 1 for ids in alone)


def test_rows_end_to_end_are_scored_as_padded_ones_and_problems_answered_as_ever(base, file, tmp_path, monkeypatch):
    """The attention for rows of several lengths takes neither a cache nor a second padded row: it is put aside."""
    monkeypatch.setattr(passes, "_for_rows", lambda _model: passes._VARLEN)
    monkeypatch.setattr(passes, "varlen_attn", row_by_row)
    found = []
    for padding in ("padded", "free"):
        trainer = made(base, "sft", file, tmp_path / padding, padding=padding)
        assert trainer.limits.free == (padding == "free")
        rows = held_out(tokenised(read_rollouts(file), trainer.processing_class), 200, 1000)
        asked = Problems("own", tuple(Problem(str(n), f"{n} + {n}?", "2") for n in range(5)))
        measure = Evaluation(trainer, rows, asked, 0, free=trainer.limits.free)
        texts = []
        monkeypatch.setattr(Grader, "grade", lambda _, text, __, texts=texts: texts.append(text) or correct(text, "2"))
        found.append((measure.measure(), texts))
        assert trainer.model.training
    assert found[1][0] == pytest.approx(found[0][0], rel=1e-5)
    assert sorted(found[1][1]) == sorted(found[0][1])
    assert trainer.model.config._attn_implementation == passes._VARLEN


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("padding", ["padded", "auto"])
def test_on_a_gpu_too(base, file, tmp_path, padding):
    """In bfloat16, rows end to end where there is an attention for them: float64's numbers to two digits."""
    trained(base, "sft", file, tmp_path, device="cuda", dtype="bfloat16", padding=padding, **EVALUATED)
    found = measured(tmp_path / "sft")
    assert len(found) == 3
    for metric, value in nll(base, file, tmp_path / "sft").items():
        assert found[-1][metric] == pytest.approx(value, rel=2e-2)


def test_trackers_hear_of_it_as_of_an_evaluation(base, file, tmp_path):
    """What transformers hands to them, by its own rule for their names."""
    trainer, heard = made(base, "sft", file, tmp_path), []
    rows = held_out(tokenised(read_rollouts(file), trainer.processing_class), 200, 1000)
    measure = Evaluation(trainer, rows, None, 0, free=False)

    class Tracker(TrainerCallback):
        def on_log(self, args, state, control, logs=None, **_):
            heard.append(rewrite_logs(logs))

    trainer.add_callback(Tracker())
    trainer.evaluate()
    (told,) = heard
    assert {name.removeprefix("eval/"): told[name] for name in told if name.startswith("eval/")} == measure.measure()
    assert {"eval/nll_right", "eval/nll_wrong"} <= told.keys()


def test_an_attention_for_training_alone_is_put_aside():
    told = []
    model = SimpleNamespace(
        config=SimpleNamespace(_attn_implementation=passes._VARLEN), set_attn_implementation=told.append
    )
    with passes.sampling(model):
        assert told == ["sdpa"]
    assert told == ["sdpa", passes._VARLEN]


def test_the_plan_says_on_what_and_how_often(base, file):
    rows = held_out(tokenised(read_rollouts(file), AutoTokenizer.from_pretrained(base)), 200, 6)
    recipe = Recipe(steps=5, save_steps=2, keep_best="nll_right")
    assert plan(recipe, rows, None) == [
        f"  held out  6 rows, 3 right, {sum(len(row.ids) for row in rows.rows)} tokens; 4 times",
        "  kept      the checkpoint of the best nll_right",
    ]
    assert overlap_note(rows, rows) == "6 held-out rows of prompts that are learned from as well."
    assert overlap_note(replace(rows, rows=()), rows) == ""
    assert plan(Recipe(), replace(rows, rows=()), None) == []


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"keep_best": "nll_right", "report_step": 2}, r"keep_best and report_step \(2\) both say"),
        ({"keep_best": "accuracy"}, "keep_best=accuracy needs problems to answer: name them with --eval-task"),
        ({"eval_limit": 7}, "eval_limit is of the problems of --eval-task, and none are named"),
        ({"keep_best": "loss"}, "keep_best is 'loss': it must be none or nll_right or accuracy"),
        ({"keep_best": "nll_right", "eval_rows": 0}, r"needs held-out right answers: .* \(eval_rows is 0\)"),
        ({"eval_task": "arithmetik"}, "No problems 'arithmetik'"),
    ],
)
def test_what_cannot_be_measured_is_refused_before_training(base, file, tmp_path, more, says):
    with pytest.raises(InspectorError, match=says):
        train(options(base, "sft", file, tmp_path / "out", **more))
    assert not (tmp_path / "out").exists()


def test_blocks_compiled_for_training_are_not_sampled_with():
    with pytest.raises(InspectorError, match="compile_blocks is not for a run with --eval-task"):
        checked(Recipe(compile_blocks=True, eval_task="arithmetic"))
