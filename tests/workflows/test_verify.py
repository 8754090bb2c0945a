"""`inspector verify` and `inspector claims` as a user runs them."""

import json
import shutil
from xml.etree import ElementTree as ET

import pytest

from inspector.claims import needs
from inspector.claims.bundled import claim_set
from inspector.claims.reading import read
from inspector.claims.template import template
from inspector.common.errors import InspectorError
from inspector.study.export import save
from tests.acceptance.command import DEMO, inspector
from tests.claims.studies import HEAD, Numbers, claim
from tests.hub_server import HubServer
from tests.makers import random_factors, write_adapter

STUDY = "arxiv:2606.23740"
SHAPES = {
    f"model.layers.{layer}.self_attn.{projection}": (16, 12)
    for layer in range(36)
    for projection in ("q_proj", "v_proj")
}


def run(*args, **env):
    return inspector("verify", *args, HF_HUB_OFFLINE="1", **env)


def test_the_demo_set_holds_offline(tmp_path):
    """What CI re-checks: every finding the bundled set shows, from the bundled adapters, without a network."""
    done = run("claims/demo.yaml", "--out", tmp_path / "demo.json")
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    document = json.loads((tmp_path / "demo.json").read_text())
    said = {found["id"]: found["verdict"] for found in document["claims"]}
    base = {"lmc-monotone", "lmc-barrier", "lmc-seeds", "cka-order", "lens"}
    assert {name for name, verdict in said.items() if verdict != "holds"} == base
    assert {said[name] for name in base} == {"cannot be measured here"}
    assert len(said) - len(base) >= 20
    assert "23 hold, 5 cannot be measured here" in done.stderr


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """The published layout: 28 small random adapters in adapters/<method>_lr<LR>_s<seed>."""
    folder = tmp_path_factory.mktemp("hub") / "repo"
    methods = ("sft", "rft", "dft", "rift", "offgrpo", "dpo", "grpo", "dapo")
    names = [f"{m}_lr{'5e-7' if m == 'dpo' else '5e-6'}_s{s}" for m in methods for s in (42, 123)]
    names += [f"{m}_lr{lr}_s{s}" for m in ("sft", "rft", "offgrpo") for lr in ("5e-7", "5e-5") for s in (42, 123)]
    assert len(names) == 28
    for seed, name in enumerate(names):
        write_adapter(
            folder / "adapters" / name, random_factors(SHAPES, r=10, seed=seed), base="Qwen/Qwen3-4B-Instruct-2507"
        )
    with HubServer() as server:
        server.add("AlexWortega/capabilityvectors-qwen3-4b", folder)
        yield server


def test_the_published_adapters_from_a_hub(hub, tmp_path):
    done = inspector("verify", STUDY, "--format", "junit", **hub.environment(tmp_path))
    assert done.returncode == 1, done.stderr  # random updates show none of it
    suite = ET.fromstring(done.stdout)
    claims = claim_set(STUDY)
    assert suite.get("tests") == str(len(claims.claims))
    failed = {case.get("name") for case in suite if case.find("failure") is not None}
    skipped = {
        case.get("name"): case.find("skipped").get("message") for case in suite if case.find("skipped") is not None
    }
    assert {"cos-cluster-card", "cos-dft-card", "orth-card", "norm-card-sft", "seed-u1", "lr-norm"} <= failed
    unpublished = {claim.id for claim in claims.claims if claim.unpublished}
    assert not unpublished & failed
    said = {case.get("name"): case.find("system-out").text for case in suite if case.find("system-out") is not None}
    assert "does not hold\nabout unpublished adapters: others do not refute it" in said["cos-cluster"]
    assert skipped["lmc-barrier-dpo"] == "needs the base (lmc on gsm8k): add --base"
    assert skipped["llama-dpo"].endswith("not published, the set names no source")
    assert not {"seed-angle", "cos-online", "erank-dpo", "shared-start"} & set(skipped)
    asked = {path.split("/adapters/")[1].split("/")[0] for _, path in hub.requests if "/resolve/" in path}
    assert asked == {source.rpartition("/")[2] for source in claims.adapters.values() if source}


def test_what_a_hub_does_not_have_is_said(hub, tmp_path):
    gone = hub.repos["AlexWortega/capabilityvectors-qwen3-4b"]
    files = dict(gone.files)
    gone.files = {name: content for name, content in files.items() if "lr5e-5_s123" not in name}
    (tmp_path / "one.yaml").write_text(
        "title: x\nadapters:\n"
        "  here: AlexWortega/capabilityvectors-qwen3-4b:adapters/sft_lr5e-5_s42\n"
        "  gone: AlexWortega/capabilityvectors-qwen3-4b:adapters/sft_lr5e-5_s123\nclaims:\n"
        + claim("metric: cosine; pairs: [[here, gone]]; relation: at most; value: 1")
    )
    done = inspector("verify", tmp_path / "one.yaml", **hub.environment(tmp_path))
    gone.files = files
    assert done.returncode == 3
    assert "gone is not open" in done.stdout
    assert "sft_lr5e-5_s123" in done.stderr


AWAY = {"HF_ENDPOINT": "http://127.0.0.1:9"}
"""A port where no Hub answers."""


def test_a_hub_that_cannot_be_reached_is_said_once_with_how_many_adapters_that_concerns(tmp_path):
    done = inspector("verify", STUDY, **AWAY, HF_HOME=str(tmp_path))
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    claims = claim_set(STUDY)
    assert line.startswith(
        f"Error: {len(claims.sources(needs.names(claims)))} adapters (sft, rft, rift, …): Cannot reach"
    )
    assert "AlexWortega/capabilityvectors-qwen3-4b" in line
    assert "check the connection" in line
    assert "--adapters NAME=SOURCE" in line


def test_other_causes_stay_apart(tmp_path):
    (tmp_path / "empty").mkdir()
    sources = ("a=org/one", "b=org/two", "org/one:sub", tmp_path / "empty", DEMO / "sft")
    done = inspector("analyze", *sources, **AWAY, HF_HOME=str(tmp_path))
    assert done.returncode == 3
    hub, measuring, more, empty = sorted(done.stderr.splitlines())
    assert hub.startswith("3 adapters (a, b, org/one:sub): Cannot reach http://127.0.0.1:9 for org/one, org/two,")
    assert empty.startswith(f"No adapter in {tmp_path / 'empty'}")
    assert measuring.startswith("Measuring 1 adapter")
    assert more.startswith("More: --tables")


def set_file(tmp_path, fields, name="toy.yaml"):
    file = tmp_path / name
    file.write_text(HEAD + claim(fields))
    return file


def test_ones_own_adapters_under_the_sets_names(tmp_path):
    for seed, name in enumerate(("mine", "two", "spare")):
        write_adapter(tmp_path / name, random_factors(r=2, seed=seed))
    file = set_file(tmp_path, "metric: cosine; pairs: [[a, b]]; relation: at most; value: 0.5")
    done = run(file, "--adapters", f"a={tmp_path / 'mine'}", tmp_path / "two", tmp_path / "spare")
    assert done.returncode == 0, done.stderr
    assert "holds" in done.stdout
    assert "spare: no claim names it. NAME=SOURCE gives one of these names: a, b." in done.stderr


def test_a_saved_study_and_a_claim_that_fails(tmp_path):
    save(Numbers().put("cosine", 0.75, "a", "b").study(), tmp_path / "study.json")
    holds = set_file(tmp_path, "metric: cosine; pairs: [[a, b]]; relation: at least; value: 0.7", "holds.yaml")
    fails = set_file(tmp_path, "metric: cosine; pairs: [[a, b]]; relation: at most; value: 0.7", "fails.yaml")
    base = set_file(tmp_path, "metric: accuracy; prompts: x; adapters: [a]; relation: at most; value: 1", "base.yaml")
    assert run(holds, "--study", tmp_path / "study.json").returncode == 0
    done = run(fails, "--study", tmp_path / "study.json")
    assert done.returncode == 1
    assert "does not hold" in done.stdout
    done = run(base, "--study", tmp_path / "study.json")
    assert done.returncode == 0
    assert "needs the base (accuracy on x): it is in no --study" in done.stdout


def test_a_study_of_another_base_is_told_with_the_verdicts(tmp_path):
    save(Numbers().put("cosine", 0.75, "a", "b").study(base="org/small"), tmp_path / "study.json")
    text = HEAD.replace("address: toy", "address: toy\nbase: org/large") + claim(
        "metric: cosine; pairs: [[a, b]]; relation: at least; value: 0.5"
    )
    (tmp_path / "toy.yaml").write_text(text)
    warning = "a, b: not trained on org/large, which the claims are about."
    done = run(tmp_path / "toy.yaml", "--study", tmp_path / "study.json")
    assert done.returncode == 0
    assert warning in done.stderr
    assert done.stdout.rstrip().endswith(warning)
    done = run(tmp_path / "toy.yaml", "--study", tmp_path / "study.json", "--format", "json")
    assert json.loads(done.stdout)["warning"] == warning
    (tmp_path / "toy.yaml").write_text(text.replace("org/large", "org/small"))
    done = run(tmp_path / "toy.yaml", "--study", tmp_path / "study.json")
    assert "not trained on" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("nothing.yaml",), "No claims 'nothing.yaml': name a .yaml file, or one of"),
        (("demo", "extra"), "'extra' is not an option: name adapters after --adapters"),
        (
            ("demo", "--study", "x.json", "--base", "smollm2"),
            "--base says what to measure, and --study has its numbers already",
        ),
        (("demo", "--adapters", "nowhere/at/all"), "No file or folder 'nowhere/at/all' here"),
        (("demo", "--adapters", f"else={DEMO / 'sft'}"), "No claim names else. NAME=SOURCE gives one of"),
        (("demo", "--out", "no/such/folder.json"), "there is no folder"),
    ],
)
def test_bad_input_is_refused_with_2(args, said):
    done = run(*args)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_first_set_holds_as_it_was_written(tmp_path):
    made = inspector("claims", "new", tmp_path / "mine.yaml")
    assert made.returncode == 0, made.stderr
    done = inspector("verify", tmp_path / "mine.yaml")
    assert done.returncode == 0, done.stdout
    assert "7 claims: 7 hold." in done.stdout
    again = inspector("claims", "new", tmp_path / "mine.yaml")
    assert again.returncode == 2
    assert "is there already" in again.stderr


@pytest.mark.parametrize("name", ["no", "dpo: the #1", "ünï"])
def test_a_first_set_about_ones_own(tmp_path, name):
    """Names and paths that YAML would take for something else; sources beside the file are written from there."""
    shutil.copytree(DEMO / "dpo", tmp_path / "out" / name)
    made = inspector("claims", "new", "mine.yaml", f"out/{name}", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").rename(tmp_path / "elsewhere" / "out")
    (tmp_path / "mine.yaml").rename(tmp_path / "elsewhere" / "mine.yaml")
    done = inspector("verify", "elsewhere/mine.yaml", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 claims: 2 hold." in done.stdout


def test_a_source_of_this_machine_alone_is_marked_for_who_publishes_the_set(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    shutil.copytree(DEMO / "dpo", tmp_path / "a" / "b" / "dpo")
    for folder, marked in (("a", False), ("", True)):
        file = tmp_path / folder / "b" / "mine.yaml"
        file.parent.mkdir(exist_ok=True)
        source = tmp_path / "a" / "b" / "dpo" if not marked else DEMO / "dpo"
        assert inspector("claims", "new", file, source).returncode == 0
        line = next(line for line in file.read_text().splitlines() if line.startswith("  dpo: "))
        assert ("# of this machine" in line) is marked
        assert read(file).adapters["dpo"]


def test_what_cannot_be_a_first_set_is_said(tmp_path):
    assert "the name must end in .yaml" in inspector("claims", "new", tmp_path / "mine").stderr
    assert "there is no folder" in inspector("claims", "new", tmp_path / "no" / "mine.yaml").stderr
    assert inspector("claims", "new", tmp_path / "mine.yaml", tmp_path / "gone").returncode == 2


def test_a_first_set_of_what_was_not_measured(tmp_path):
    """Of an adapter without layers and of a pair that cannot be compared there is no claim."""
    numbers = Numbers(layers=1).put("norm", [3.0], "a").put("norm", [0.25], "b")
    made = tmp_path / "toy.yaml"
    made.write_text(template(numbers.study(), tmp_path))
    assert [(claim.id, claim.value) for claim in read(made).claims] == [("moved", (0.25,))]
    assert list(read(made).adapters) == ["a", "b"]
    with pytest.raises(InspectorError, match="none has an update"):
        template(Numbers().study(), tmp_path)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ("layers: 99", "claim one, layers: there is no layer 99, there are 0-29."),
        ("modules: [q_proj, lm_head]", "claim one, modules: there is no module lm_head, there are k_proj, o_proj"),
        ("layers: 0; than: {layers: 30}", "claim one, layers: there is no layer 30, there are 0-29."),
    ],
)
def test_a_place_that_none_of_the_sets_adapters_has(tmp_path, fields, said):
    """The set's own adapters are known: the fault is the file's. Of other adapters it cannot be measured."""
    head = HEAD.replace("org/repo:adapters/one", str(DEMO / "sft")).replace("org/repo:adapters/two", str(DEMO / "dpo"))
    relation = "less than" if "than" in fields else "at least; value: -1"
    text = head + claim(f"metric: cosine; pairs: [[a, b]]; relation: {relation}; {fields}")
    (tmp_path / "toy.yaml").write_text(text)
    done = run(tmp_path / "toy.yaml")
    assert done.returncode == 2
    assert f"toy.yaml: {said}" in done.stderr
    done = run(tmp_path / "toy.yaml", "--adapters", f"a={DEMO / 'sft'}", f"b={DEMO / 'dpo'}")
    assert done.returncode == 0
    assert "cannot be measured here" in done.stdout


def test_the_bundled_sets_are_listed():
    listed = inspector("claims").stdout.splitlines()
    assert [line.split("\t")[0] for line in listed] == [STUDY, "demo"]


def test_adapters_of_a_step_before_the_last_are_named(tmp_path):
    """One reports step 1,000 of 1,500, one its last."""
    for name, step in (("sft", 1000), ("rft", 1500)):
        folder = write_adapter(tmp_path / name, random_factors(SHAPES, r=10, seed=step))
        (folder / "run.json").write_text(json.dumps({"method": name, "step": step, "steps": 1500}))
    made = inspector("claims", "new", tmp_path / "claims.yaml", tmp_path / "sft", tmp_path / "rft")
    assert made.returncode == 0, made.stderr
    done = run(tmp_path / "claims.yaml")
    assert done.returncode == 0, done.stderr
    assert "Before the last step of their training: sft of step 1,000 of 1,500." in done.stderr


def test_steps_of_a_training_are_opened_as_checkpoints_of_its_adapter(tmp_path):
    """‖ΔW‖ at steps 10, 20 and the end as 1 : 2 : 4; other checkpoints are not measured."""
    for step, name in ((10, "run/checkpoint-10"), (15, "run/checkpoint-15"), (20, "run/checkpoint-20"), (40, "run")):
        scale = {10: 1, 15: 9, 20: 2, 40: 4}[step]
        factors = {path: (scale * B, A) for path, (B, A) in random_factors(r=2, seed=1).items()}
        write_adapter(tmp_path / name, factors)
    file = tmp_path / "steps.yaml"
    text = claim("metric: norm; adapters: [run]; at: [10, 20]; over: {adapters: [run]}; relation: about; "
                 "value: [0.25, 0.5]; tolerance: 0.001", "shares")  # fmt: skip
    text += claim("metric: cosine; pairs: [[run@10, run]]; relation: at least; value: 0.999", "direction")
    file.write_text("title: x\nadapters: {run: ./run}\nclaims:\n" + text)
    done = run(file)
    assert done.returncode == 0, done.stderr
    assert "2 claims: 2 hold." in done.stdout
    assert "Measuring 3 adapters for 2 claims" in done.stderr
    gone = tmp_path / "gone.yaml"
    gone.write_text(file.read_text().replace("at: [10, 20]", "at: [10, 30]"))
    assert "run@30 is not open" in run(gone).stdout
