"""`inspector train` as a user runs it, on a tiny base; and on two processes."""

import json
import os
import subprocess
import sys

import pytest

from inspector.cli import main
from tests.acceptance.command import ROOT, inspector, launched
from tests.trainer.small import SETTINGS, adapter_of, close, equal, rollouts, tiny
from trainer.methods import STUDY
from trainer.runs.log import read_log

ONLINE = {"generations": 4, "max_new_tokens": 12}
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tiny(tmp_path_factory.mktemp("base"))


@pytest.fixture
def words(base, tmp_path):
    """The command's words after its method; `more` overrides settings."""
    file = rollouts(tmp_path)

    def make(out="out", **more):
        settings = SETTINGS | {"base": base} | more
        pairs = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
        return ["--rollouts", str(file), "--out", str(tmp_path / out), "--recipe", "demo-smollm2", *pairs]

    return make


def run(*command):
    return main.run(lambda: main.cli.main(["train", *command], standalone_mode=False))


def test_all_then_analyze(words, tmp_path, capsys):
    """Eight adapters from one start, opened by the inspector; the same command again does nothing."""
    made = inspector("train", "all", *words(**ONLINE))
    assert made.returncode == 0, made.stderr
    assert made.stdout == ""
    names = set(STUDY)
    assert {path.name for path in (tmp_path / "out").iterdir() if not path.name.startswith(".")} == names
    assert f"24 rollouts, 8 runs: {', '.join(STUDY)}." in made.stderr
    assert "sft: 24 rows, 4 steps of 8 (1.33 epochs), lr 0.01." in made.stderr
    assert "sft: step 4 of 4, loss " in made.stderr
    assert "online-dapo: step 4 of 4, loss " in made.stderr
    assert "% right, " in made.stderr
    assert "Warning" not in made.stderr
    assert "\x1b" not in made.stderr
    a0 = {json.loads((tmp_path / "out" / name / "run.json").read_text())["a0"] for name in names}
    assert len(a0) == 1
    analyze = ["analyze", str(tmp_path / "out"), "--out", str(tmp_path / "study.json")]
    assert main.run(lambda: main.cli.main(analyze, standalone_mode=False)) == 0
    study = json.loads((tmp_path / "study.json").read_text())
    assert {adapter["name"] for adapter in study["adapters"]} == names
    assert run("all", *words(**ONLINE)) == 0
    assert capsys.readouterr().err.count("done before (4 steps)") == 8


def test_methods_that_cannot_learn_are_left_out_of_all(words, tmp_path, capsys):
    """Said before any of the others trains; alone such a method is refused."""
    asked = words(**ONLINE)
    lines = [json.loads(line) | {"reward": 0.0} for line in (tmp_path / "rollouts.jsonl").read_text().splitlines()]
    (tmp_path / "rollouts.jsonl").write_text("\n".join(map(json.dumps, lines)))
    assert run("all", *asked, "--dry-run") == 3
    out, err = capsys.readouterr()
    assert "Left out: rft. rft has nothing to learn here: no row has a reward above 0 (24 rows, 0 of" in err
    assert "Left out: dpo. dpo has nothing to learn here: no group has right and wrong answers" in err
    assert [line.rpartition("/")[2] for line in out.splitlines() if line.startswith(str(tmp_path))] == [
        name for name in STUDY if name not in {"rft", "dpo"}
    ]
    for more in ((), ("--dry-run",)):
        assert run("rft", *words(), *more) == 2
        out, err = capsys.readouterr()
        assert err.startswith("Error: rft has nothing to learn here")
        assert out == ""
    assert not (tmp_path / "out").exists()


def test_a_method_that_these_processes_cannot_run_does_not_block_the_others(words, tmp_path, capsys, monkeypatch):
    """SFT alone has a batch that four processes cannot share; with three nothing can run."""
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert run("all", *words(**ONLINE, micro_batch=0), "--set", "sft.batch=6", "--dry-run") == 3
    out, err = capsys.readouterr()
    assert "Left out: sft. batch 6 does not divide by 4 processes: change one of them." in err
    assert out.count("batch     8 = 2 × 1 accumulated × 4 processes") == 7
    monkeypatch.setenv("WORLD_SIZE", "3")
    assert run("all", *words(**ONLINE), "--dry-run") == 2
    assert "Error: batch 8 does not divide by 3 processes" in capsys.readouterr().err


def test_dry_run(words, tmp_path, capsys):
    assert run("all", *words(**ONLINE), "--dry-run") == 0
    out = capsys.readouterr().out
    assert "examples  6 prompts" in out
    assert "steps     4, 1.33 epochs" in out.partition("online-grpo (grpo)")[2]
    assert "dpo (dpo): −log σ(" in out
    assert "rows      24 of 6 prompts, 12 right, 6 mixed groups" in out
    assert "examples  6 pairs" in out
    assert "steps     4, 1.33 epochs" in out
    assert "batch     8 = 8 × 1 accumulated × 1 process" in out
    assert "memory    about" in out
    assert "time      about" in out
    assert not (tmp_path / "out").exists()


def test_a_dry_run_says_once_what_was_left_out_and_refuses_what_the_run_would(words, tmp_path, capsys):
    assert run("sft", *words(max_length=40)) == 0
    lines = (tmp_path / "rollouts.jsonl").read_text().splitlines()
    lines[0] = lines[0].replace('"completion": "', '"completion": "' + "so " * 99)
    (tmp_path / "rollouts.jsonl").write_text("\n".join(lines))
    assert run("sft", *words(), "--dry-run") == 2
    error = capsys.readouterr().err
    assert f"{tmp_path / 'out' / 'sft'} holds another run: it was trained from other rollouts." in error
    assert run("all", *words("new", **ONLINE), "--dry-run") == 0
    assert capsys.readouterr().out.count("1 row left out") == 1
    assert run("online-grpo", *words("new", **ONLINE), "--dry-run") == 0
    assert "left out" not in capsys.readouterr().out


def test_a_dry_run_names_what_is_done(words, tmp_path, capsys):
    assert run("sft", *words()) == 0
    capsys.readouterr()
    assert run("sft", *words(), "--dry-run") == 0
    assert capsys.readouterr().out == f"{tmp_path / 'out' / 'sft'}\n  done before (4 steps): it stays as it is\n"


def test_two_processes_are_one_with_twice_the_accumulation(words, tmp_path):
    """Gloo on the CPU: the same rows (or draws) in every step, the same adapters up to the order of the sums."""
    more = {"micro_batch": 2, "batch": 8} | ONLINE
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", "-m", "trainer"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    two = [*launch, "train", "all", *words("two", **more)]
    done = subprocess.run(two, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert run("all", *words("one", **more)) == 0
    for method in STUDY:
        one, other = (adapter_of(tmp_path / place / method) for place in ("one", "two"))
        assert close(one, other, 1e-5), method
        record = json.loads((tmp_path / "two" / method / "run.json").read_text())
        assert (record["processes"], record["micro_batch"], record["batch"]) == (2, 2, 8)
        for a, b in zip(*(read_log(tmp_path / place / method / "log.jsonl") for place in ("one", "two")), strict=True):
            assert b["loss"] == pytest.approx(a["loss"], rel=1e-4, abs=1e-6), method
            assert b.get("right") == a.get("right")
            assert b["tokens"] == a["tokens"]


@pytest.mark.parametrize(("method", "generations", "processes"), [("online-dapo", 4, 2), ("online-grpo", 6, 4)])
def test_groups_straddle_processes(words, tmp_path, method, generations, processes):
    """Twelve completions a step: a process has a group and a half, or half a group. The gradient is that of one."""
    more = {"batch": 12, "micro_batch": 0, "generations": generations, "max_new_tokens": 12, "steps": 2}
    code, said = launched("trainer", "train", method, *words("many", **more), processes=processes)
    assert code == 0, said
    assert run(method, *words("one", **more)) == 0
    one, many = (read_log(tmp_path / place / method / "log.jsonl") for place in ("one", "many"))
    assert close(*(adapter_of(tmp_path / place / method) for place in ("one", "many")), 1e-5)
    assert one[1]["grad_norm"] > 0.1, "without a mixed group nothing is compared"
    for name in ("loss", "grad_norm"):
        assert [line[name] for line in many] == pytest.approx([line[name] for line in one], rel=1e-4, abs=1e-6)
    for name in ("right", "tokens", "groups_drawn", "groups_learned", "completions/clipped_ratio"):
        assert [line[name] for line in many] == [line[name] for line in one]


def test_bfloat16_base_float32_adapter(words, tmp_path):
    assert run("sft", *words(dtype="bfloat16")) == 0
    record = json.loads((tmp_path / "out" / "sft" / "run.json").read_text())
    assert record["dtype"] == "bfloat16"
    assert {str(t.dtype) for t in adapter_of(tmp_path / "out" / "sft").values()} == {"torch.float32"}


def test_a_name_for_the_run(words, tmp_path):
    assert run("sft", *words(), "--name", "sft_s7", "--set", "data_seed=7") == 0
    assert run("sft", *words(), "--name", "again") == 0
    assert not equal(adapter_of(tmp_path / "out" / "sft_s7"), adapter_of(tmp_path / "out" / "again"))


@pytest.mark.parametrize(
    ("method", "more", "says"),
    [
        ("sfft", (), "No method 'sfft': there are sft, rft, dft, rift, offline-grpo, dpo, kto, ipo, simpo,"),
        ("sft", ("--set", "stepz=3"), "no setting 'stepz'. Did you mean steps?"),
        ("sft", ("--set", "batch=7", "--set", "micro_batch=2"), "micro_batch 2 does not divide"),
        ("sft", ("--set", "targets=c_attn"), "The base has no linear module c_attn"),
        ("sft", ("--tracker", "mlflow"), "No tracker 'mlflow'"),
        ("rift", ("--set", "variant=linear"), "rift has no variant 'linear': choose rift, rift-linear."),
        ("rift", ("--set", "variant=rift-linear"), "rift-linear needs its λ"),
        ("kto", ("--set", "micro_batch=1"), "set micro_batch to 2 or more"),
        ("all", ("--name", "x"), "--name names one run, and these are 8"),
        ("sft", ("--recipe", "study"), "No recipe 'study'"),
    ],
)
def test_what_cannot_be_is_a_sentence(words, capsys, method, more, says):
    assert run(method, *words(), *more) == 2
    error = capsys.readouterr().err
    assert says in error
    assert "Traceback" not in error


def test_bad_rows_are_named(words, tmp_path, capsys):
    lines = (tmp_path / "rollouts.jsonl").read_text().splitlines()
    lines[2] = '{"prompt": "What?", "completion": "this"}'
    (tmp_path / "bad.jsonl").write_text("\n".join(lines))
    assert run("sft", *words(), "--rollouts", str(tmp_path / "bad.jsonl")) == 2
    assert "bad.jsonl, row 3: no reward" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("method", "environment", "says"),
    [
        ("sft", {"ACCELERATE_USE_DEEPSPEED": "true", "ACCELERATE_DEEPSPEED_ZERO_STAGE": "3"}, "ZeRO-3 needs one dtype"),
        ("sft", {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "1"}, "FSDP1 needs one dtype"),
        ("online-grpo", {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2"}, "FSDP2 is not for online-grpo"),
        ("kto", {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2"}, "not for kto: use DDP"),
    ],
)
def test_set_ups_that_do_not_fit_are_refused(words, monkeypatch, capsys, method, environment, says):
    for key, value in environment.items():
        monkeypatch.setenv(key, value)
    assert run(method, *words()) == 2
    assert says in capsys.readouterr().err


def test_help_loads_nothing_heavy():
    code = "import sys; import trainer.cli.train; print({'torch', 'transformers', 'trl'} & set(sys.modules))"
    told = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "set()"
    shown = inspector("train", "--help")
    assert "--dry-run" in shown.stdout
    assert "inspector train" in shown.stdout
    assert "train" in inspector("--help").stdout


def test_usage_errors_come_before_anything_heavy(words, tmp_path):
    """All of them in one process, in which importing torch, transformers or trl fails."""
    (tmp_path / "file").touch()
    wrong = [
        ["sfft", *words()],
        ["sft", *words(), "--push", "nowhere"],
        ["sft", *words(), "--tracker", "mlflow"],
        ["sft", *words(), "--vllm", "http://localhost:1"],
        ["sft", *words(), "--set", "stepz=3"],
        ["sft", *words(), "--set", "beta=3"],
        ["sft", *words(), "--set", "batch=7", "--set", "micro_batch=2"],
        ["sft", *words(), "--rollouts", str(tmp_path / "none.jsonl")],
        ["sft", *words(), "--out", str(tmp_path / "file")],
        ["sft", *words(), "--out", str(tmp_path / "file"), "--dry-run"],
    ]
    code = (
        "import json, sys\n"
        "sys.modules |= dict.fromkeys(('torch', 'transformers', 'trl', 'peft', 'datasets'))\n"
        "from inspector.cli import main\n"
        "print([main.run(lambda: main.cli.main(['train', *w], standalone_mode=False)) for w in json.load(sys.stdin)])"
    )
    told = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, input=json.dumps(wrong), capture_output=True, text=True, check=True
    )
    assert told.stdout == f"{[2] * len(wrong)}\n"
    says = ["No method 'sfft'", "--push 'nowhere' is no repo", "No tracker 'mlflow'", "--vllm samples for", "'stepz'",
            "beta is not read by sft", "micro_batch 2 does not divide batch 7", "none.jsonl", "file is a file",
            "file is a file"]  # fmt: skip
    errors = told.stderr.splitlines()
    assert len(errors) == len(says)
    for error, part in zip(errors, says, strict=True):
        assert part in error
