"""What a run folder stands for, as the trainers of the field leave it: the adapter at its root, and nothing else."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from inspector.adapters.locate import matches
from inspector.adapters.opening import open_sources
from inspector.adapters.options import ReadOptions
from inspector.analysis.analyse import analyse
from inspector.api import library
from inspector.cli.main import cli
from inspector.common.errors import InspectorError
from inspector.insights.sensitivity import compared_by, spreads, variations
from inspector.study.study import Settings
from inspector.study.warnings import of_folders
from inspector.workflows.convert import convert
from inspector.workflows.merge_preview import merge_preview
from tests.adapters.peft.models import our_deltas
from tests.adapters.run_folders import BESIDE, LAYOUTS, image_file, model, transformers, trl_dpo
from tests.makers import write_random

ALL = ReadOptions(checkpoints=True)


def opened(*sources, **read_options):
    adapters, failures = open_sources([str(source) for source in sources], read_options=ReadOptions(**read_options))
    assert all(failure.skipped for failure in failures)
    return adapters


def names(*sources, **read_options):
    return [adapter.info.name for adapter in opened(*sources, **read_options)]


def norm(*weighted):
    """‖Σ w·ΔW‖ in float64."""
    sums = [(w, our_deltas(adapter)) for w, adapter in weighted]
    total = [sum(w * deltas[id_] for w, deltas in sums) for id_ in sums[0][1]]
    return float(torch.stack([delta.square().sum() for delta in total]).sum().sqrt())


@pytest.fixture(params=LAYOUTS, ids=lambda layout: layout.__name__)
def layout(request):
    return request.param


@pytest.fixture
def run(layout, tmp_path):
    layout(tmp_path / "out", 1)
    return tmp_path / "out"


def test_a_run_is_its_adapter_and_says_once_what_is_beside_it(run, layout):
    (adapter,) = opened(run)
    assert (adapter.info.name, adapter.info.health) == ("out", "ok")
    (found,) = of_folders(adapter.info.findings)
    assert (found.severity, found.text) == ("info", BESIDE.get(layout, BESIDE[transformers]))


def test_with_checkpoints_all_that_is_beside_it_is_opened_in_order(run, layout):
    adapters = opened(run, checkpoints=True)
    assert [adapter.info.name for adapter in adapters] == LAYOUTS[layout]
    assert not of_folders(adapters[0].info.findings)
    assert names(*(adapter.info.source for adapter in adapters)) == LAYOUTS[layout]


def test_a_sum_of_two_runs_is_of_two_adapters(layout, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for seed, name in ((1, "out-a"), (2, "out-b")):
        layout(Path(name), seed)
    code = merge_preview(["out-a:0.5", "out-b:0.5"], rank=None, dest=Path("sum"), out=None, device="cpu")
    assert code == 0
    (written,) = opened("sum")
    assert {module.rank for module in written.modules.values()} == {8}
    assert norm((1, written)) == pytest.approx(norm(*((0.5, one) for one in opened("out-a", "out-b"))), rel=1e-6)


def test_a_run_converts(run):
    assert convert(str(run), run.parent / "dest") == 0
    assert norm((1, opened(run.parent / "dest")[0])) == pytest.approx(norm((1, opened(run)[0])), rel=1e-6)


def test_every_command_takes_it_for_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    trl_dpo(tmp_path / "out", 1)

    def json_of(*words):
        return json.loads(CliRunner().invoke(cli, words, catch_exceptions=False).stdout)

    assert len(json_of("check", "--json", "out")["adapters"]) == 1
    assert len(json_of("check", "--json", "--checkpoints", "out")["adapters"]) == 4
    assert [adapter["path"] for adapter in json_of("ls", "--json", "out")["sources"][0]["adapters"]] == [
        "", "checkpoint-20", "checkpoint-100", "reference",
    ]  # fmt: skip
    done = CliRunner().invoke(cli, ["analyze", "out", "--metric", "norm"], catch_exceptions=False)
    assert done.stderr.count(BESIDE[trl_dpo]) == 1
    assert [adapter.info.name for adapter in library.load("out")] == ["out"]
    assert len(library.load("out", checkpoints=True)) == 4


# Folders without an adapter at their root


def test_a_folder_without_one_holds_those_below_and_each_is_itself(tmp_path):
    for seed, name in enumerate(("dpo", "sft")):
        trl_dpo(tmp_path / "study" / name, seed)
    assert names(tmp_path / "study") == ["dpo", "sft"]
    assert names(f"x={tmp_path / 'study'}") == ["x/dpo", "x/sft"]
    assert len(opened(tmp_path / "study", checkpoints=True)) == 8
    assert names(tmp_path / "study" / "sft" / "checkpoint-20" / "reference") == ["reference"]


def test_a_run_cut_off_before_its_end_holds_its_checkpoints(tmp_path):
    transformers(tmp_path / "out", 1)
    (tmp_path / "out" / "adapter_model.safetensors").unlink()  # axolotl writes the config before it trains
    adapters, (failure,) = open_sources([str(tmp_path / "out")])
    assert [adapter.info.name for adapter in adapters] == ["out/checkpoint-20", "out/checkpoint-100"]
    assert "a config without its weights" in failure.message


def test_a_base_with_adapters_below_is_no_adapter(tmp_path):
    model(tmp_path / "base")
    write_random(tmp_path / "base" / "lora")
    (adapter,), (failure,) = open_sources([str(tmp_path / "base")])
    assert adapter.info.name == "lora"
    assert "is a whole model, no adapter" in failure.message


def test_files_of_their_own_names_are_a_collection(tmp_path):
    for name in ("ink.safetensors", "ink-2.safetensors", "more/oil.safetensors", "more/oil-000010.safetensors"):
        image_file(tmp_path / "loras" / name, 1)
    assert names(tmp_path / "loras") == ["ink-2", "ink", "oil"]


def test_sub_adapters_alone(tmp_path):
    for name in ("default", "reference"):
        write_random(tmp_path / "out" / "checkpoint-3" / name)
    assert names(tmp_path / "out") == ["default", "reference"]


def test_one_adapter_of_several_must_be_named(tmp_path):
    transformers(tmp_path / "out", 1)
    (tmp_path / "out" / "adapter_model.safetensors").unlink()
    (tmp_path / "out" / "adapter_config.json").unlink()
    with pytest.raises(InspectorError) as error:
        convert(str(tmp_path / "out"), tmp_path / "dest")
    steps = [tmp_path / "out" / f"checkpoint-{n}" for n in (20, 100)]
    assert str(error.value) == f"{tmp_path / 'out'} holds 2 adapters: name one, such as {steps[0]}, {steps[1]}."


def test_the_checkpoints_of_inspector_train(tmp_path):
    out = write_random(tmp_path / "sft")
    write_random(out / ".checkpoints" / "checkpoint-5", 1)
    (adapter,) = opened(out)
    assert "1 checkpoint beside it" in adapter.info.findings[-1].text
    assert names(out, checkpoints=True) == ["sft", "sft/checkpoint-5"]
    assert names(f"x={out}", checkpoints=True) == ["x", "x/checkpoint-5"]


# Patterns


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    transformers(tmp_path / "out", 1)
    return tmp_path


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("out/checkpoint-*", ["out/checkpoint-20", "out/checkpoint-100"]),
        ("./out/checkpoint-[12]*", ["./out/checkpoint-20", "./out/checkpoint-100"]),
        ("x=out/checkpoint-*", ["x/checkpoint-20=out/checkpoint-20", "x/checkpoint-100=out/checkpoint-100"]),
        ("x=out/checkpoint-2?", ["x=out/checkpoint-20"]),
        ("~/out/checkpoint-2*", ["{home}/out/checkpoint-20"]),
        ("out/nothing-*", ["out/nothing-*"]),
        ("out", ["out"]),
        ("a[1]", ["a[1]"]),
        ("org/repo:checkpoint-*", ["org/repo:checkpoint-*"]),
        ("a\0*", ["a\0*"]),
    ],
)
def test_patterns_that_no_shell_has_expanded(here, monkeypatch, text, expected):
    monkeypatch.setenv("HOME", str(here))
    write_random(here / "a[1]")
    write_random(here / "a1")
    assert matches(text) == [path.format(home=here) for path in expected]


def test_a_pattern_wherever_a_source_is(here, capsys):
    both = ["out/checkpoint-20", "out/checkpoint-100"]
    assert names("out/checkpoint-*") == both
    assert names("x=out/checkpoint-*") == ["x/checkpoint-20", "x/checkpoint-100"]
    code = merge_preview(["out/checkpoint-*:0.5", "out"], rank=None, dest=here / "sum", out=None, device="cpu")
    assert code == 0
    assert "out/checkpoint-* stands for 2 adapters, each added with the weight 0.5.\n" in capsys.readouterr().err
    steps = [(0.5, adapter) for adapter in opened("out/checkpoint-*")]
    assert norm((1, opened("sum")[0])) == pytest.approx(norm(*steps, (1, opened("out")[0])), rel=1e-6)
    for words in (["ls", "out/check*"], ["watch", "ou?", "--table"]):
        done = CliRunner().invoke(cli, words, catch_exceptions=False)
        assert done.exit_code == 0
        assert "100" in done.stdout
    _, (failure,) = open_sources(["out/nothing-*"])
    assert failure.message.startswith("No file or folder 'out/nothing-*' here")


# Groups


@pytest.fixture
def study(tmp_path, request):
    for seed, name in enumerate(("dpo_lr2e-4_s1", "sft_lr2e-4_s1", "sft_lr2e-4_s2")):
        transformers(tmp_path / name, 1000 * seed)
    sources = [str(path) for path in sorted(tmp_path.iterdir())]
    return analyse(open_sources(sources, read_options=request.param)[0], Settings(device="cpu", k=2))


@pytest.mark.parametrize("study", [ReadOptions(), ALL], indirect=True)
def test_groups_are_of_runs_not_of_their_steps(study):
    each = len(study.adapters) // 3
    similarity = study.block(compared_by(study), "global")[..., 0]
    dpo, sft = spreads(study, "method")
    assert (len(dpo.members), len(sft.members)) == (each, 2 * each)
    assert np.isnan(dpo.within[0])
    assert sft.within[0] == pytest.approx(similarity[each : 2 * each, 2 * each :].mean())
    assert sft.between[0] == pytest.approx(similarity[:each, each:].mean())
    assert [(v.method, v.change) for v in variations(study)] == [("sft", "seed")] * each**2


def test_a_checkpoint_alone_is_of_its_run(tmp_path):
    write_random(tmp_path / "sft_lr2e-4_s1" / "checkpoint-20")
    write_random(tmp_path / "dpo" / ".checkpoints" / "checkpoint-5")
    (tmp_path / "dpo" / "run.json").write_text('{"method": "dpo", "data_seed": 3, "step": 40}')
    write_random(tmp_path / "other" / "checkpoint-20")
    origins = [
        opened(tmp_path / name)[0].info.origin
        for name in ("sft_lr2e-4_s1/checkpoint-20", "dpo/.checkpoints/checkpoint-5", "other/checkpoint-20")
    ]
    assert [(o.method, o.seed, o.step) for o in origins] == [("sft", 1, 20), ("dpo", 3, 5), ("", None, None)]
