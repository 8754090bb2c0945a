"""What the online trainers do around TRL, on tensors and counts alone; and a vLLM server's answers at their limits."""

import re
from contextlib import ExitStack, contextmanager, nullcontext
from types import SimpleNamespace

import pytest
import torch
from trl.trainer.grpo_trainer import GRPOTrainer

from inspector.base_model.endpoint import ProblemError
from inspector.base_model.generation import Answer
from inspector.common.errors import InspectorError
from trainer.objectives import groups as groups_module
from trainer.objectives import online, vllm_sampler
from trainer.objectives.groups import Graded, Round
from trainer.objectives.online import OnlineTrainer, by_length
from trainer.objectives.vllm_sampler import Place, VllmSampler
from trainer.rollouts.draws import Sampling
from trainer.rollouts.rows import Prompt


def batch(rows, width=(4, 5)):
    """Rows of (prompt tokens, completion tokens), padded left and right; every number names its row."""

    def side(n, size, total, left):
        fill, real = [0] * (total - size), [10 * n + k + 1 for k in range(size)]
        return fill + real if left else real + fill

    prompts = torch.tensor([side(n, p, width[0], True) for n, (p, _) in rows])
    answers = torch.tensor([side(n, c, width[1], False) for n, (_, c) in rows])
    return {
        "prompt_ids": prompts, "prompt_mask": (prompts > 0).int(), "completion_ids": answers,
        "completion_mask": (answers > 0).int(), "advantages": torch.tensor([float(n) for n, _ in rows]),
        "num_items_in_batch": torch.tensor(7),
    }  # fmt: skip


def test_micro_batches_are_of_one_length_and_cut_to_it():
    """Six rows in micro-batches of 2, 1 and 3: the longest first, equal ones in their order, no token lost."""
    rows = list(enumerate([(2, 3), (4, 5), (1, 1), (3, 2), (4, 0), (2, 2)]))
    found = by_length([batch(rows[:2]), batch(rows[2:3]), batch(rows[3:])])
    assert [part["advantages"].tolist() for part in found] == [[1, 0], [3], [4, 5, 2]]
    assert [(part["prompt_ids"].shape[1], part["completion_ids"].shape[1]) for part in found] == [
        (4, 5),
        (3, 2),
        (4, 2),
    ]
    for part in found:
        assert int(part["num_items_in_batch"]) == 7
        for at, n in enumerate(part["advantages"].int().tolist()):
            for key, size in zip(("prompt", "completion"), rows[n][1], strict=True):
                ids, mask = part[f"{key}_ids"][at], part[f"{key}_mask"][at].bool()
                assert ids[mask].tolist() == [10 * n + k + 1 for k in range(size)]
    (empty,) = by_length([batch([(0, (1, 0)), (1, (2, 0))])])
    assert empty["completion_ids"].shape == (2, 1)


def test_what_is_counted_of_rounds():
    """Sums over rounds of completions drawn, learned from, kept, and of the first rewards."""
    told = SimpleNamespace(_sums=dict.fromkeys(("drawn", "learned", "completions", "reward_sum"), 0.0))
    OnlineTrainer._count(told, Round((graded(1),) * 3, 2, 5, 0.5))
    OnlineTrainer._count(told, Round((graded(1),) * 1, 1, 1, 1.0))
    assert told._sums == {"drawn": 6, "learned": 3, "completions": 4, "reward_sum": 2.5}


def test_what_is_logged_of_rounds(monkeypatch):
    """The mean first reward, and counts of groups, of which this process has parts; every log begins anew."""
    kept = []
    monkeypatch.setattr(GRPOTrainer, "log", lambda _self, logs, _start=None: kept.append(dict(logs)))
    made = OnlineTrainer.__new__(OnlineTrainer)
    made._sums = {"drawn": 6.0, "learned": 3.0, "completions": 4.0, "reward_sum": 3.0}
    made.num_generations, made.accelerator = 4, SimpleNamespace(reduce=lambda found, _how: found, device="cpu")
    made.log({"loss": 1.0})
    made.log({"loss": 2.0})
    assert kept == [{"loss": 1.0, "right": 0.75, "groups_drawn": 1.5, "groups_learned": 0.75}, {"loss": 2.0}]
    assert set(made._sums.values()) == {0.0}


def graded(*prompt, ids=(), reward=0.0):
    return Graded(Prompt(prompt, "", ""), Answer(0, "", len(ids), "stop", ids=ids), reward)


@pytest.mark.parametrize("elsewhere", [True, False])
def test_a_round_for_trl(elsewhere):
    """The prompts as they come, the second one's group shared; what teaches nothing is masked, token by token."""
    served, asked = [], []
    completions = graded(1, 2, ids=(3, 4, 5), reward=1.0), graded(1, 2, ids=(6,)), graded(7, ids=(8, 9), reward=0.5)
    made = OnlineTrainer.__new__(OnlineTrainer)
    made.num_generations, made.num_iterations, made.state = 2, 3, SimpleNamespace(global_step=11)
    made.accelerator, made.model = SimpleNamespace(process_index=1, num_processes=4), "model"
    made.elsewhere = SimpleNamespace(serve=lambda *of: served.append(of)) if elsewhere else None
    made._groups = SimpleNamespace(round=lambda *of: asked.append(of) or Round(completions, 2, 5, 0.25))
    made._sums = dict.fromkeys(("drawn", "learned", "completions", "reward_sum"), 0.0)
    found = made._rollouts(["5", "5", "8"])
    assert asked == [([5, 5, 8], groups_module.Place(3, 1, 4))]
    assert served == [("model", made.accelerator)] * elsewhere
    assert found == {
        "prompt_ids": [[1, 2], [1, 2], [7]], "completion_ids": [[3, 4, 5], [6], [8, 9]], "logprobs": None,
        "env_mask": [[1, 1, 1], [1], [0, 0]], "graded": [1.0, 0.0, 0.5],
    }  # fmt: skip
    assert made._sums == {"drawn": 5, "learned": 2, "completions": 3, "reward_sum": 0.75}


@pytest.mark.parametrize("elsewhere", [True, False])
@pytest.mark.parametrize("fails", [True, False])
def test_what_training_started_ends_with_it(monkeypatch, elsewhere, fails):
    """The server's copy goes first, then the process that grades, whether training failed or not."""
    told = []

    def train(_self, *of, **more):
        told.append((of, more))
        if fails:
            raise RuntimeError("out of memory")
        return "trained"

    @contextmanager
    def place():
        try:
            yield told.append("begins")
        finally:
            told.append("leaves the server")

    monkeypatch.setattr(GRPOTrainer, "train", train)
    made = OnlineTrainer.__new__(OnlineTrainer)
    made._grader, made.elsewhere = ExitStack(), place() if elsewhere else None
    made._grader.callback(told.append, "grades no more")
    with pytest.raises(RuntimeError, match="out of memory") if fails else nullcontext():
        assert made.train(1, resume=True) == "trained"
    served = [["begins"], ["leaves the server"]] if elsewhere else [[], []]
    assert told == [*served[0], ((1,), {"resume": True}), *served[1], "grades no more"]


def test_after_a_resumption_a_step_begins_a_round(monkeypatch):
    monkeypatch.setattr(GRPOTrainer, "training_step", lambda self, *of: (self._step, of))
    made = OnlineTrainer.__new__(OnlineTrainer)
    made.state, made.args = SimpleNamespace(global_step=5), SimpleNamespace(gradient_accumulation_steps=4)
    made._step, made._buffered_inputs = 2, ["a batch"]
    assert made.training_step("x") == (2, ("x",))
    made._buffered_inputs = None
    assert made.training_step("x") == (20, ("x",))


def test_new_completions_are_sorted_once(monkeypatch):
    """The micro-batch of this step, of those that TRL keeps."""
    rows = list(enumerate([(1, 1), (4, 5), (2, 2), (3, 3)]))
    new = []

    def prepare(self, _given):
        self._buffered_inputs = new.pop() if new else self._buffered_inputs
        return "TRL's"

    monkeypatch.setattr(GRPOTrainer, "_prepare_inputs", prepare)
    made = OnlineTrainer.__new__(OnlineTrainer)
    made._buffered_inputs, made._step, made.args = None, 7, SimpleNamespace(steps_per_generation=2)
    new.append([batch(rows[:2]), batch(rows[2:])])
    assert made._prepare_inputs(None)["advantages"].tolist() == [2, 0]
    kept = made._buffered_inputs
    assert [part["advantages"].tolist() for part in kept] == [[1, 3], [2, 0]]
    assert made._prepare_inputs(None) == "TRL's"
    assert made._buffered_inputs is kept


@pytest.mark.parametrize("fails", [False, True])
def test_completions_are_drawn_by_the_bare_model_in_their_order(monkeypatch, fails):
    """Each with its own stream; afterwards the model trains again, whatever happened."""
    model = torch.nn.Dropout().train()
    seen = []

    def generate(of, tokenizer, prompts, limit, *, hooks):
        seen.append((of, of.training, tokenizer, prompts, limit, hooks.choose([1, 0])))
        if fails:
            raise InspectorError("no memory")
        yield from (Answer(n, str(n), 1, "stop") for n in (1, 0))

    class Bare:
        def __init__(self, *of, **more):
            assert (of, more) == (("wrapped", "accelerator"), {"gradient_checkpointing_kwargs": {"x": 1}})

        def __enter__(self):
            return model

        def __exit__(self, *_):
            pass

    monkeypatch.setattr(online, "generate", generate)
    monkeypatch.setattr(online, "unwrap_model_for_generation", Bare)
    monkeypatch.setattr(online, "Chooser", lambda seeds, sampling: (seeds, sampling))
    made = OnlineTrainer.__new__(OnlineTrainer)
    made.sampling, made.processing_class, made.elsewhere = Sampling(max_tokens=6), "tokenizer", None
    made.model_wrapped, made.accelerator = "wrapped", "accelerator"
    made.args = SimpleNamespace(gradient_checkpointing_kwargs={"x": 1})
    draws = [(Prompt((1, 2), "", ""), 11), (Prompt((3,), "", ""), 22)]
    if fails:
        with pytest.raises(InspectorError):
            made._sample(draws)
    else:
        assert [one.text for one in made._sample(draws)] == ["0", "1"]
    assert seen == [(model, False, "tokenizer", [[1, 2], [3]], 6, ([22, 11], made.sampling))]
    assert model.training
    made.elsewhere = lambda of: of
    assert made._sample(draws) is draws


class Server:
    """Answers one body to every request."""

    where = "http://here"

    def __init__(self, answer):
        self.answer, self.asked = answer, []

    def ask(self, path, body, _stopped):
        self.asked.append((path, body))
        return self.answer


def sampled(choice, ends=(9,)):
    """The answer made of one choice."""
    tokenizer = SimpleNamespace(eos_token_id=7, decode=lambda ids, **_: "-".join(map(str, ids)))
    made = VllmSampler.__new__(VllmSampler)
    made._server = Server({"choices": [choice]})
    made._sampling = Sampling(max_tokens=6, temperature=0.5, top_p=0.9, seed=1)
    made._tokenizer, made._ends, made._served = tokenizer, frozenset(ends), "run-1"
    made._vocabulary = 10
    return made._answer(3, (Prompt((1, 2), "", ""), 11), lambda: False), made._server.asked


@pytest.mark.parametrize(
    ("choice", "answer"),
    [
        ({"token_ids": [4, 5], "finish_reason": "length"}, Answer(3, "4-5", 2, "length", ids=(4, 5))),
        ({"token_ids": [4, 9], "finish_reason": "stop"}, Answer(3, "4", 2, "stop", ids=(4, 9))),
        ({"token_ids": [4, 5], "finish_reason": "stop"}, Answer(3, "4-5", 3, "stop", ids=(4, 5, 7))),
        ({"token_ids": [4, 5], "finish_reason": "stop", "stop_reason": 5}, Answer(3, "4", 2, "stop", ids=(4, 5))),
        ({"token_ids": [4, 5], "finish_reason": "stop", "stop_reason": 4}, Answer(3, "4-5", 3, "stop", ids=(4, 5, 7))),
        ({"token_ids": [4, 9, 5], "finish_reason": "stop"}, Answer(3, "4-9-5", 4, "stop", ids=(4, 9, 5, 7))),
        ({"token_ids": [9, 5, 9], "finish_reason": "stop"}, Answer(3, "9-5", 3, "stop", ids=(9, 5, 9))),
        ({"token_ids": [], "finish_reason": "stop"}, Answer(3, "", 1, "stop", ids=(7,))),
        ({"token_ids": [4, 9], "finish_reason": "length"}, Answer(3, "4-9", 2, "length", ids=(4, 9))),
    ],
)
def test_ends_of_answers(choice, answer):
    found, asked = sampled(choice)
    assert found == answer
    assert asked == [("completions", {
        "model": "run-1", "prompt": [1, 2], "seed": 11, "temperature": 0.5, "top_p": 0.9, "max_tokens": 6, "top_k": 0,
        "min_p": 0.0, "repetition_penalty": 1.0, "presence_penalty": 0.0, "frequency_penalty": 0.0, "min_tokens": 0,
        "return_token_ids": True,
    })]  # fmt: skip


@pytest.mark.parametrize(
    "choice",
    [
        {"finish_reason": "stop"},
        {"token_ids": [1], "finish_reason": "abort\x1b"},
        {"token_ids": [1], "finish_reason": "x" * 41},
        {"token_ids": [1, 10], "finish_reason": "stop"},
        {"token_ids": [-1], "finish_reason": "stop"},
        {"token_ids": 5, "finish_reason": "stop"},
        5,
    ],
)
def test_what_is_no_answer(choice):
    with pytest.raises(ProblemError) as error:
        sampled(choice)
    said = str(error.value)
    assert said.isprintable()
    assert "x" * 41 not in said


def test_tokens_at_the_ends_of_the_vocabulary_and_a_reason_of_40_characters():
    assert sampled({"token_ids": [0, 9], "finish_reason": "length"})[0].ids == (0, 9)
    with pytest.raises(ProblemError, match=f"\\({'x' * 40}\\)"):
        sampled({"token_ids": [1], "finish_reason": "x" * 40})


@pytest.mark.parametrize("problem", [ProblemError("it is busy"), InspectorError("cannot be reached"), None])
def test_one_answer_that_does_not_come_ends_the_batch(problem, monkeypatch):
    made = VllmSampler.__new__(VllmSampler)
    made._server = Server({})
    answers = [Answer(1, "b", 1, "stop"), problem or Answer(0, "a", 1, "stop")]
    monkeypatch.setattr(vllm_sampler, "concurrently", lambda *_: iter(answers))
    if problem is None:
        assert [answer.text for answer in made([None, None])] == ["a", "b"]
        return
    with pytest.raises(InspectorError, match=str(problem)) as error:
        made([None, None])
    assert ("the same command goes on" in str(error.value)) == isinstance(problem, ProblemError)


@pytest.mark.parametrize(
    ("cards", "found"),
    [
        ([{"id": "b"}], 0),
        ([{"id": "a", "max_model_len": 4}, {"id": "b", "max_model_len": 9}], 9),
        ([{"id": "b", "max_model_len": "long"}], "does not describe its models as vLLM does"),
        ([{"id": "a", "max_model_len": 9}], "serves a, not the base b"),
        ([{"id": f"m{n}"} for n in range(8)], "serves m0, m1, m2, m3, m4, m5, m6, m7, not the base b"),
        ([{"id": f"m{n}"} for n in range(9)], r"serves m0, m1, .*, m7, … \(9 in all\), not the base b"),
        ([], "serves nothing that it tells of, not the base b"),
    ],
)
def test_the_context_a_server_tells_of(cards, found, monkeypatch):
    monkeypatch.setattr(Place, "endpoint", lambda _self: SimpleNamespace(where="http://here", cards=lambda: cards))
    place = Place("http://here", "b", 4)
    if isinstance(found, int):
        assert place.context() == found
        return
    with pytest.raises(InspectorError, match=f"^http://here {found}"):
        place.context()


@pytest.mark.parametrize("main", [True, False])
def test_which_folders_are_there_while_an_adapter_is_served(main, tmp_path, monkeypatch):
    """The main process clears what a killed run left before its first load, and keeps one adapter at a time."""
    root = tmp_path / "vllm"
    (root / "run-of-a-killed-one").mkdir(parents=True)
    monkeypatch.setattr(vllm_sampler.outcome, "save_adapter", lambda _model, folder, *_: folder.mkdir(parents=True))
    monkeypatch.setattr(vllm_sampler.start, "adapter", lambda model: model)
    monkeypatch.setattr(vllm_sampler.start, "tensors_digest", lambda model: model.digest)
    made = VllmSampler(Place("http://127.0.0.1:9", "b", 4), "run", root, Sampling(6, 1.0, 1.0, 1), None, ())
    made._server = Refusing(None)
    waited = []
    processes = SimpleNamespace(is_main_process=main, wait_for_everyone=lambda: waited.append(made._loaded))
    lora = {"default": SimpleNamespace(r=4, lora_alpha=8)}
    names = []
    for digest in ("x", "x", "y"):
        embeddings = SimpleNamespace(num_embeddings=10)
        model = SimpleNamespace(digest=digest, peft_config=lora, get_input_embeddings=lambda of=embeddings: of)
        made.serve(model, processes)
        names.append(made._served)
        assert [path.name for path in root.iterdir()] == ([made._served] if main else ["run-of-a-killed-one"])
    assert all(re.fullmatch("run-[0-9a-f]{16}", name) for name in names)
    assert names[0] == names[1] != names[2]
    assert waited == (names if main else [""] * 3)
    made.__exit__()
    told = [(path.partition("_")[0], body["lora_name"]) for path, body in made._server.told]
    loads = [("load", names[0]), ("load", names[2]), ("unload", names[0]), ("unload", names[2])]
    assert told == (loads if main else [])
    assert root.exists() == (not main)


@pytest.mark.parametrize(("context", "fine"), [(0, True), (13, True), (12, False), (5, False)])
def test_a_context_holds_the_longest_prompt_and_its_answer(context, fine, monkeypatch, tmp_path):
    monkeypatch.setattr(Place, "context", lambda _self: context)
    monkeypatch.setattr(vllm_sampler, "end_tokens", lambda *_: {9})
    prompts = [Prompt((1,) * 3, "", ""), Prompt((1,) * 7, "", ""), Prompt((1,) * 2, "", "")]
    trainer = SimpleNamespace(prompts=prompts, sampling=Sampling(max_tokens=6), model=None, processing_class=None)
    asked = trainer, Place("http://127.0.0.1:9", "b", 4), "run", tmp_path
    if fine:
        assert vllm_sampler.sampler(*asked)._ends == {9}
        return
    with pytest.raises(InspectorError, match=f"takes {context} tokens of prompt and completion, .* up to 7 \\+ 6"):
        vllm_sampler.sampler(*asked)


class Refusing:
    """Refuses every request with one problem."""

    where = "http://here"

    def __init__(self, problem):
        self.problem, self.told = problem, []

    def tell(self, path, body):
        self.told.append((path, body))
        if self.problem:
            raise self.problem


@pytest.mark.parametrize(
    ("status", "said", "words"),
    [
        (400, "it has already been loaded", None),
        (404, "No adapter found", "finds no adapter in"),
        (404, "no such route", "does not load the adapter: "),
        (500, "an adapter is broken", "does not load the adapter: "),
        (0, "", None),
    ],
)
def test_what_a_server_says_to_an_adapter(status, said, words, tmp_path):
    made = VllmSampler.__new__(VllmSampler)
    made._server, made._folder = Refusing(ProblemError(said, status) if status else None), tmp_path
    made._place = Place("http://here", "base", 4)
    if words is None:
        made._load("run-1")
    else:
        with pytest.raises(InspectorError, match=f"^http://here {words}"):
            made._load("run-1")
    assert made._server.told == [("load_lora_adapter", {"lora_name": "run-1", "lora_path": str(tmp_path / "run-1")})]
