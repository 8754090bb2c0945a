"""Activated LoRA as PEFT itself writes and runs it: what the probes run, what is refused, what is kept."""

import json
import shlex
import warnings
from dataclasses import replace

import pytest
import torch
from peft import LoraConfig, PeftModel

from inspector.adapters.formats import read_adapter
from inspector.adapters.opening import identity, open_sources
from inspector.analysis.analyse import analyse
from inspector.base_model.attach import attach
from inspector.base_model.base import Base
from inspector.base_model.batches import Batches
from inspector.base_model.encode import Encoded
from inspector.base_model.generation import Hooks, generate
from inspector.base_model.hidden import each_batch
from inspector.common.errors import InspectorError
from inspector.insights.findings.merging import merging
from inspector.probes.accuracy.engines import Local
from inspector.probes.accuracy.measure import Watch, evaluate
from inspector.probes.request import Request
from inspector.probes.runner import Prober
from inspector.study.export import load, save
from inspector.study.study import Settings
from inspector.tasks.problems import Problem, Problems
from inspector.tui.app import InspectorApp
from inspector.tui.views.merge.state import Mixture
from inspector.workflows.convert import convert
from inspector.workflows.merge_preview import merge_preview
from tests.adapters.peft.models import saved, trained
from tests.base_model.tiny_model import MODULES, saved_base, tiny_model, tiny_tokenizer
from tests.makers import random_factors, write_adapter
from tests.tui.helpers import body, visit

pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")

CALL = (40, 41, 42)
PROMPTS = (
    (7, 8, *CALL, 9, 10),
    (*CALL, 11, 12, *CALL, 13),  # the last one counts
    (14, 15, 16, 40, 41),  # not the whole of it
    (17, 18, 19, 20, *CALL),
)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """An activated LoRA and a plain one by PEFT, and what PEFT makes of the prompts."""
    folder = tmp_path_factory.mktemp("alora")
    config = {"r": 4, "lora_alpha": 16, "target_modules": ["q_proj", "v_proj"], "task_type": "CAUSAL_LM"}
    for name, more in (("called", {"alora_invocation_tokens": list(CALL)}), ("plain", {})):
        model = trained(tiny_model(tiny_tokenizer()).double(), LoraConfig(**config, **more), seed=len(name))
        saved(model, folder / name)
    return folder


@pytest.fixture(scope="module")
def peft_runs(place):
    model = PeftModel.from_pretrained(tiny_model(tiny_tokenizer()).double(), place / "called").eval()
    with torch.inference_mode():
        logits = [model(input_ids=torch.tensor([prompt])).logits[0] for prompt in PROMPTS]
        made = [
            model.generate(input_ids=torch.tensor([p]), do_sample=False, max_new_tokens=6)[0, len(p) :] for p in PROMPTS
        ]
    return logits, [tokens.tolist() for tokens in made]


@pytest.fixture
def base():
    tokenizer = tiny_tokenizer()
    model = tiny_model(tokenizer).double().eval().requires_grad_(requires_grad=False)
    return Base(model, tokenizer, "tiny", "digest", "cpu", "float64")


def opened(place, name="called"):
    return read_adapter(place / name, name, str(place / name))


def batches(size=4):
    return Batches(size, lambda _text: None, lambda: False)


def test_hidden_states_of_a_padded_batch_are_those_of_peft_prompt_by_prompt(place, base, peft_runs):
    attached = attach(base, [opened(place), opened(place, "plain")])
    attached.use("called")
    found = {}

    def work(indices, states, mask):
        final = base.model.lm_head(base.model.model.norm(states[-1]))
        found.update({i: final[row, : int(mask[row].sum())] for row, i in enumerate(indices)})

    each_batch(attached, [Encoded(prompt, len(prompt)) for prompt in PROMPTS], batches(), work, lambda _n: None)
    for i, theirs in enumerate(peft_runs[0]):
        torch.testing.assert_close(found[i], theirs, rtol=1e-10, atol=1e-10)
    with torch.inference_mode():
        attached.use(None)
        bare = base.model(input_ids=torch.tensor([PROMPTS[2]])).logits[0]
    assert torch.equal(peft_runs[0][2], bare), "without its tokens PEFT runs the base"


def test_what_is_generated_is_what_peft_generates(place, base, peft_runs):
    attached = attach(base, [opened(place)])
    attached.use("called")
    hooks = Hooks(begin=attached.begin)
    answers = {a.index: list(a.ids) for a in generate(base.model, base.tokenizer, PROMPTS, 6, batch=3, hooks=hooks)}
    assert [answers[i] for i in range(len(PROMPTS))] == peft_runs[1]


def test_eval_notes_the_prompts_it_is_not_called_in_and_refuses_where_that_is_all(place, base, tmp_path):
    tokenizer = base.tokenizer
    called = read_adapter(place / "called", "called", "x")
    called = replace(called, invocation=tuple(tokenizer("#!", add_special_tokens=False)["input_ids"]))
    attached = attach(base, [called])
    problems = Problems("p", (Problem("0", "1+1? #!", "2"), Problem("1", "2+2?", "4")), ())
    notes = []
    found = evaluate(Local(attached, 4), [called], problems, tmp_path, Watch(note=notes.append), with_base=False)
    assert not found.failures
    assert any("which 1 of 2 prompts have: it is the base in the others" in text for text in notes)
    with pytest.raises(InspectorError, match=r"called is an activated LoRA, and none of the 1 prompts"):
        evaluate(Local(attached, 4), [called], problems.__class__("q", problems.problems[1:], ()), tmp_path, Watch(),
                 with_base=False)  # fmt: skip


def test_a_layer_that_gets_tokens_without_their_sequences_is_refused(place, base):
    attached = attach(base, [opened(place)])
    attached.use("called")
    ids = torch.tensor([PROMPTS[0]])
    attached.begin(ids, torch.ones_like(ids))
    with pytest.raises(InspectorError, match="mixes the tokens of all sequences"):
        base.model.model.layers[0].self_attn.q_proj(torch.zeros(7, 32, dtype=torch.float64))


def test_no_path_of_weights_leads_to_it(place, base):
    adapters = [opened(place), opened(place, "plain")]
    attached = attach(base, adapters)
    attached.mix({"called": 1.0, "plain": 0.0})
    for weights in ({"called": 0.5, "plain": 0.5}, {"called": 0.5}, {"called": 1.0, "plain": 1.0}):
        with pytest.raises(InspectorError, match=r"called is an activated LoRA.*no path of weights"):
            attached.mix(weights)
    with pytest.raises(InspectorError, match="no path of weights"):
        Request(("lmc",), base="tiny", prompts="arithmetic").checked(adapters)
    Request(("cka", "lens"), base="tiny", prompts="arithmetic").checked(adapters)


def test_cka_runs_behind_the_tokens_and_says_in_how_many_prompts(tmp_path):
    base = saved_base(tmp_path / "base")
    tokenizer = tiny_tokenizer()
    for name, text in (("all", "Answer:"), ("none", "~~")):
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        write_adapter(tmp_path / name, random_factors(MODULES), alpha=64, base=str(base), alora_invocation_tokens=ids)
    write_adapter(tmp_path / "everywhere", random_factors(MODULES), alpha=64, base=str(base))
    adapters, _ = open_sources([str(tmp_path / "all"), str(tmp_path / "everywhere")])
    study = analyse(adapters, Settings())
    request = Request(("cka",), prompts="arithmetic", limit=6, pooling="mean")
    found = Prober().run(adapters, study, request).block("cka", "global")[0, 1, 0]
    assert found < 0.999, "the same ΔW, from the invocation on only"
    adapters, _ = open_sources([str(tmp_path / "none")])
    with pytest.raises(InspectorError, match="none of the 6 prompts has its invocation tokens"):
        Prober().run(adapters, analyse(adapters, Settings()), request)


def test_check_and_every_study_say_where_it_holds(place, tmp_path):
    adapters = [opened(place), opened(place, "plain")]
    called, plain = (adapter.info for adapter in adapters)
    (finding,) = (f for f in called.findings if "activated" in f.text)
    assert finding.severity == "warning"
    assert "ΔW holds only from its invocation tokens on (ids 40, 41, 42)" in finding.text
    assert not any("activated" in f.text for f in plain.findings)
    save(analyse(adapters, Settings()), tmp_path / "s.json")
    study = load(tmp_path / "s.json")
    assert [info.everywhere for info in study.adapters] == [False, True]
    assert finding in study.adapters[0].findings


def test_its_tokens_are_part_of_what_it_is_known_by(place):
    called = opened(place)
    assert identity(called) != identity(replace(called, invocation=(1,)))
    assert identity(called) != identity(replace(called, invocation=()))


def test_convert_keeps_the_field_and_peft_runs_what_was_written_alike(place, tmp_path, peft_runs, capsys):
    assert convert(str(place / "called"), tmp_path / "out") == 0
    assert "activated LoRA" in capsys.readouterr().err
    assert json.loads((tmp_path / "out" / "adapter_config.json").read_text())["alora_invocation_tokens"] == list(CALL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = PeftModel.from_pretrained(tiny_model(tiny_tokenizer()).double(), tmp_path / "out").eval()
    with torch.inference_mode():
        for prompt, logits in zip(PROMPTS, peft_runs[0], strict=True):
            torch.testing.assert_close(model(input_ids=torch.tensor([prompt])).logits[0], logits)


@pytest.mark.parametrize("write", [False, True])
def test_a_merge_is_refused_unless_its_weight_is_0(place, tmp_path, write):
    dest = tmp_path / "sum" if write else None
    options = {"rank": None, "dest": dest, "out": None, "device": "cpu"}
    with pytest.raises(InspectorError, match=r"called is an activated LoRA.*leave it out"):
        merge_preview([str(place / "plain"), f"{place / 'called'}:0.5"], **options)
    assert dest is None or not dest.exists()
    assert merge_preview([str(place / "plain"), f"{place / 'called'}:0"], **options) == 0


def test_the_app_and_the_findings_add_it_to_nothing(tmp_path):
    factors = random_factors()
    write_adapter(tmp_path / "called", factors, alora_invocation_tokens=list(CALL))
    for name, sign in (("plain", 1), ("against", -1)):
        write_adapter(tmp_path / name, {path: (sign * B, A) for path, (B, A) in factors.items()})
    study = analyse([opened(tmp_path, name) for name in ("called", "plain", "against")], Settings())
    assert Mixture().preview(study, (0, 1, 2)).weights == (0.0, 1.0, 1.0)
    (finding,) = merging(study)
    assert "A sum of plain + against cancels part of both" in finding.text


async def test_the_merge_view_leaves_it_out_and_says_so(place):
    adapters = [opened(place), opened(place, "plain")]
    app = InspectorApp(study=analyse(adapters, Settings()))
    async with app.run_test(size=(100, 24)) as pilot:
        await visit(pilot, "sum")
        assert "Σ w·ΔW of 1 adapter" in body(app)
        assert "called is an activated LoRA" in body(app)
        assert "called=" not in shlex.join(app.views["sum"].shell_command(app.state))


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"alora_invocation_tokens": "<|call|>"}, "alora_invocation_tokens is '<|call|>'"),
        ({"alora_invocation_tokens": [1, "x"]}, r"alora_invocation_tokens is \[1, 'x'\]"),
        ({"invocation_string": "<|call|>"}, "invocation_string is '<|call|>'"),
        ({"peft_type": "ALORA"}, "PEFT has peft_type LORA with alora_invocation_tokens"),
    ],
)
def test_an_invocation_that_is_no_list_of_ids_is_refused(tmp_path, fields, said):
    folder = write_adapter(tmp_path / "a", random_factors(), **fields)
    with pytest.raises(InspectorError, match=said):
        read_adapter(folder, "a", "a")
