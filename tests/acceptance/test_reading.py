"""Every command that opens adapters takes the same reading options, and they reach the readers."""

import json

import click
import pytest
import torch
from safetensors.torch import save_file

from inspector.cli.main import cli
from inspector.cli.options import READING
from tests.acceptance.command import inspector
from tests.makers import TINY, random_factors, write_adapter, write_config, write_random

OPENS = (
    "open", "analyze", "check", "ls", "eval", "verify", "convert", "report", "merge-preview", "watch", "serve", "new",
    "receipt", "sketch", "atlas", "resize", "survival",
)  # fmt: skip
OPENS_NONE = {"demo", "diff", "claims", "train", "rollouts"}
"""Bundled adapters, saved studies, lists, rollouts."""
CLAIM = """title: toy
address: toy
adapters: {dora: , full: }
claims:
- {id: size, statement: norm, metric: norm, adapters: [dora], relation: at least, value: 1}
"""


def commands():
    """Name -> the command, those of groups too."""
    found = {name: getattr(lazy, "real", lazy) for name, lazy in cli.commands.items()}
    inner = [group.commands for group in found.values() if isinstance(group, click.Group)]
    return found | {name: command for group in inner for name, command in group.items()}


def test_no_command_is_forgotten():
    assert set(commands()) == {*OPENS, *OPENS_NONE}


@pytest.mark.parametrize("name", OPENS)
def test_each_has_the_same_options(name):
    def told(command):
        return [(p.name, p.opts, p.default, str(p.type), p.is_flag) for p in command.params if p.name in READING]

    assert told(commands()[name]) == told(commands()["analyze"])
    assert len(told(commands()[name])) == len(READING)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A base, a full fine-tune and a DoRA of it, a pickled adapter, a watched run of the DoRA, claims and a task."""
    folder = tmp_path_factory.mktemp("reading")
    generator = torch.Generator().manual_seed(3)
    weights = {f"{path}.weight": torch.randn(shape, generator=generator) for path, shape in TINY.items()}
    for name, step in (("base", 0.0), ("full", 0.1)):
        (folder / name).mkdir()
        moved = {key: (W + step * torch.randn(W.shape, generator=generator)).contiguous() for key, W in weights.items()}
        save_file(moved, folder / name / "model.safetensors")
        (folder / name / "config.json").write_text('{"model_type": "llama"}')
    factors = random_factors(seed=4)
    scaled = {
        f"base_model.model.{p}.lora_magnitude_vector": 9 * torch.ones(B.shape[0]) for p, (B, _) in factors.items()
    }
    for name in ("dora", "run/checkpoint-1", "run/checkpoint-2"):
        write_adapter(folder / name, factors, extra=scaled, use_dora=True)
    write_config(folder / "pickled", r=2, lora_alpha=2, target_modules=["q_proj"])
    pair = {"lora_A": torch.ones(2, 16), "lora_B": torch.ones(24, 2)}
    tensors = {f"base_model.model.model.layers.0.self_attn.q_proj.{name}.weight": T for name, T in pair.items()}
    torch.save(tensors, folder / "pickled" / "adapter_model.bin")
    (folder / "toy.yaml").write_text(CLAIM)
    return folder


WARNING = "warning: dora: DoRA: ΔW needs the base (--base); only the direction part s·B·A is analysed"
COMMANDS = {
    "analyze": ("analyze", "dora", "--out", "x.csv"),
    "verify": ("verify", "toy.yaml", "--adapters", "dora"),
    "merge-preview": ("merge-preview", "dora"),
    "report": ("report", "dora", "--md", "x.md"),
    "new": ("claims", "new", "-", "dora"),
    "open": ("dora",),
    "watch": ("watch", "run", "--table"),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_partly_read_update_is_said_and_the_advice_works(place, name):
    """Without --base the finding stands on stderr, once; with it the whole update is read and nothing is found."""
    done = inspector(*COMMANDS[name], cwd=place)
    said = WARNING.replace("dora:", "run:") if name == "watch" else WARNING
    assert done.stderr.splitlines().count(said) == 1, done.stderr
    whole = inspector(*COMMANDS[name], "--base", "base", cwd=place)
    assert "direction part" not in whole.stderr, whole.stderr
    assert "direction part" not in whole.stdout
    assert whole.returncode in {0, 1}, whole.stderr


def test_a_verdict_is_about_the_whole_update_or_has_its_finding_beside_it(place):
    done = inspector("verify", "toy.yaml", "--adapters", "dora", cwd=place)
    assert (done.returncode, "holds !" in done.stdout, WARNING in done.stdout) == (0, True, True)
    document = json.loads(inspector("verify", "toy.yaml", "--adapters", "dora", "--format", "json", cwd=place).stdout)
    (claim,) = document["claims"]
    assert [(f["adapter"], f["severity"]) for f in claim["findings"]] == [("dora", "warning")]
    assert "direction part" in claim["findings"][0]["text"]
    part = claim["definitions"][0]["measured"]
    suite = inspector("verify", "toy.yaml", "--adapters", "dora", "--format", "junit", cwd=place).stdout
    assert WARNING in suite
    with_base = ("verify", "toy.yaml", "--adapters", "dora", "--base", "base", "--format", "json")
    document = json.loads(inspector(*with_base, cwd=place).stdout)
    assert document["claims"][0]["findings"] == []
    (whole,) = document["claims"][0]["definitions"][0]["measured"]
    inspector("analyze", "dora", "--base", "base", "--metric", "norm", "--out", "norm.json", cwd=place)
    table = json.loads((place / "norm.json").read_text())["table"]
    assert whole == next(v for v, s in zip(table["value"], table["scope"], strict=True) if s == "global")
    assert abs(whole - part[0]) > 1


def test_a_report_has_the_finding_beside_the_verdict(place):
    inspector("report", "dora", "--claims", "toy.yaml", "--md", "claims.md", "--out", "claims.html", cwd=place)
    for name in ("claims.md", "claims.html"):
        text = (place / name).read_text()
        assert "holds !" in text
        section = text[text.index("What a publication says") :]
        assert "only the direction part" in section


@pytest.mark.parametrize("rank", [1, 2])
def test_the_svd_rank_reaches_the_reader(place, rank):
    """Of a random update a rank of 1 or 2 leaves out much, and that is a finding."""
    command = ("verify", "toy.yaml", "--adapters", "dora", "--base", "base", "--svd-rank", rank)
    done = inspector(*command, cwd=place)
    assert "of the energy of ΔW is left out: a higher --svd-rank keeps more of it" in done.stderr


def test_a_full_fine_tune_is_refused_with_advice_that_works(place):
    for command in (("verify", "toy.yaml", "--adapters", "full"), ("analyze", "full"), ("check", "full")):
        done = inspector(*command, cwd=place)
        assert done.returncode == 2
        assert "name the base it was tuned from with --base" in done.stderr
    assert inspector("analyze", "full", "--base", "base", cwd=place).returncode == 0
    done = inspector("verify", "toy.yaml", "--adapters", "full", "dora=dora", "--base", "base", cwd=place)
    assert done.returncode == 0, done.stderr


def test_a_pickle_is_opened_with_leave_alone(place):
    for command in (
        ("verify", "toy.yaml", "--adapters", "dora=pickled"),
        ("ls", "pickled"),
        ("merge-preview", "pickled"),
    ):
        assert inspector(*command, cwd=place).returncode in {2, 3}
        assert inspector(*command, "--allow-pickle", cwd=place).returncode in {0, 1}


def test_the_published_adapters_are_read_with_the_same_options(tmp_path, place):
    write_random(tmp_path / "mine")
    (tmp_path / "set.yaml").write_text(
        CLAIM.replace("{dora: , full: }", f"{{dora: {place / 'dora'}}}").replace(
            "address: toy", "address: toy\nbase: tiny/base"
        )
    )
    command = ("analyze", "mine", "--against", "set.yaml", "--summary")
    assert "ref.dora: DoRA: ΔW needs the base" in inspector(*command, cwd=tmp_path).stderr
    assert "needs the base" not in inspector(*command, "--base", place / "base", cwd=tmp_path).stderr


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("analyze", "dora", "--loss", "boxed"), "--loss says how to run the base, and nothing asks for that"),
        (("analyze", "dora", "--pooling", "last"), "--pooling says how to run the base"),
        (("analyze", "dora", "--limit", "0"), "--limit says how to run the base"),
        (("analyze", "dora", "--dtype", "auto"), "--dtype says how to run the base"),
        (("analyze", "dora", "--prompts", ""), "--prompts says how to run the base"),
        (("analyze", "dora", "--pair", "a:b"), "--pair says how to run the base"),
        (("verify", "toy.yaml", "--adapters", "dora", "--limit", "0"), "--limit says how many prompts to run"),
        (("verify", "toy.yaml", "--study", "s.json", "--svd-rank", "64"), "--svd-rank says what to measure"),
        (("verify", "toy.yaml", "--study", "s.json", "--device", "auto"), "--device says what to measure"),
        (("eval", "dora", "--task", "arithmetic", "--concurrency", "16"), "--concurrency says how to ask a server"),
        (("eval", "dora", "--task", "arithmetic", "--server", "x", "--batch", "0"), "--batch says how to run a base"),
        (
            ("analyze", "s.json", "--k", "10"),
            "--k says how adapters are read and measured, and s.json is a saved study",
        ),
        (("report", "s.json", "--md", "x.md", "--modules", "union"), "--modules says how adapters are read"),
        (("s.json", "--allow-pickle"), "--allow-pickle says how adapters are read"),
        (("serve", "demo", "--base", ""), "--base says how adapters are read"),
        (("watch", "run", "--table", "--k", "10"), "--k is of the app, and --table opens none"),
    ],
)
def test_an_option_that_nothing_reads_is_refused_whatever_its_value(place, args, said):
    done = inspector(*args, cwd=place)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr


def test_a_changed_default_is_not_taken_for_what_the_user_gave(monkeypatch, place, capsys):
    """Of every option that says how to run the base: only the command line decides."""
    from inspector.cli import main as program

    monkeypatch.chdir(place)
    for parameter in commands()["analyze"].params:
        if parameter.name in {"loss", "pooling", "limit", "dtype", "batch", "prompts", "alphas"}:
            other = {"loss": "rollouts", "pooling": "mean", "limit": 7, "dtype": "float32", "batch": 3}
            monkeypatch.setattr(parameter, "default", other.get(parameter.name, "x"))
    code = program.run(lambda: cli.main(["analyze", "dora", "--summary"], standalone_mode=False))
    assert code == 0, capsys.readouterr().err


def test_serve_hands_the_options_to_the_app(monkeypatch, place):
    from inspector.cli import browser_server
    from inspector.cli import main as program

    served = []
    monkeypatch.setattr(browser_server, "serve", lambda arguments, *_where, **_how: served.append(arguments))
    monkeypatch.chdir(place)
    words = ["--base", "base", "--svd-rank", "8", "--allow-pickle", "--checkpoints"]
    assert program.run(lambda: cli.main(["serve", "dora", *words], standalone_mode=False)) == 0
    assert served == [("dora", *words)]


@pytest.mark.parametrize("command", ["analyze", "check", "convert", "merge-preview", "report"])
def test_a_base_that_is_not_there_is_an_error_even_if_nothing_asks_for_it(place, command):
    more = {"convert": ["out"], "report": ["--out", "out.html"]}.get(command, [])
    done = inspector(command, place / "dora", *more, "--base", "no-such-base", cwd=place)
    assert (done.returncode, "'no-such-base'" in done.stderr) == (2, True), done.stderr
    assert not (place / "out").exists()
