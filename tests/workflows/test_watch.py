"""`inspector watch` as a script runs it."""

import csv
import io
import json

import pytest

from inspector.common.errors import InspectorError
from inspector.workflows.watch import print_alarms, print_once, refuse_unknown
from tests.acceptance.command import inspector
from tests.trajectory.training import begin, damage, drift, finish, land, trained


def table(text):
    return list(csv.DictReader(io.StringIO(text), delimiter="\t"))


def test_prints_every_number_once(tmp_path):
    trained(tmp_path / "sft", 10, 20)
    trained(tmp_path / "dpo", 20, seed=1, done=True)
    done = inspector("watch", tmp_path, "--against", "dpo")
    assert (done.returncode, done.stderr) == (0, "")
    found = table(done.stdout)
    assert list(found[0]) == ["run", "step", "metric", "against", "against_step", "value"]
    assert [row["step"] for row in found if (row["run"], row["metric"]) == ("sft", "norm")] == ["10", "20"]
    (last,) = [r for r in found if (r["run"], r["step"], r["metric"]) == ("sft", "20", "cosine_final")]
    assert (last["against"], last["against_step"], last["value"]) == ("sft", "20", "1.0")
    assert any(row["metric"] == "cosine_other_step" and row["against"] == "dpo" for row in found)


def test_a_run_that_reports_an_earlier_step_is_named(tmp_path):
    folder = trained(tmp_path / "sft", 10, 20)
    finish(folder, 10, steps=20)
    done = inspector("watch", folder, "--table")
    assert (done.returncode, done.stderr) == (0, "sft: its adapter is that of step 10 of 20.\n")


def test_a_damaged_checkpoint_is_told_on_stderr_and_by_the_code(tmp_path):
    damage(trained(tmp_path / "sft", 10, 20) / ".checkpoints" / "checkpoint-20")
    done = inspector("watch", tmp_path / "sft", "--table")
    assert done.returncode == 3
    assert done.stderr.startswith("sft step 20: ")
    assert "Traceback" not in done.stderr
    assert {row["step"] for row in table(done.stdout) if row["metric"] == "norm"} == {"10"}


def test_several_folders_and_the_files_beside_them(tmp_path):
    trained(tmp_path / "runs" / "sft", 10)
    trained(tmp_path / "runs" / "dpo", 10, seed=1)
    trained(tmp_path / "elsewhere" / "sft", 20, seed=2)
    (tmp_path / "runs" / "rollouts.jsonl").touch()
    done = inspector("watch", *sorted((tmp_path / "runs").iterdir()), tmp_path / "elsewhere", "--table")
    assert done.returncode == 0, done.stderr
    steps = {row["run"]: row["step"] for row in table(done.stdout) if row["metric"] == "norm"}
    assert steps == {"dpo": "10", "elsewhere-sft": "20", "runs-sft": "10"}


def refused(root, *args):
    with pytest.raises(InspectorError) as caught:
        print_once([root], *args)
    return str(caught.value)


def test_errors_are_a_sentence(tmp_path):
    done = inspector("watch", tmp_path / "nowhere")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Error: No folder")
    assert "No checkpoint in" in refused(tmp_path)
    begin(tmp_path / "sft")
    assert "No checkpoint of sft in" in refused(tmp_path)
    assert "No run 'dpo' here: --against takes one of sft." in refused(tmp_path, "dpo")
    refuse_unknown([tmp_path], "sft")
    refuse_unknown([tmp_path / "nowhere"], "sft")
    (tmp_path / "file").touch()
    with pytest.raises(InspectorError, match=r"/file is a file: name a training's --out, or one run in it\.$"):
        refuse_unknown([tmp_path / "file"], "")


@pytest.mark.parametrize("damaged", [False, True])
def test_a_run_without_a_checkpoint_hides_no_other(tmp_path, capsys, damaged):
    trained(tmp_path / "sft", 10)
    if damaged:
        damage(trained(tmp_path / "dpo", 10) / ".checkpoints" / "checkpoint-10")
    else:
        begin(tmp_path / "dpo")
    assert print_once([tmp_path]) == 3 * damaged
    assert {row["run"] for row in table(capsys.readouterr().out) if row["metric"] == "norm"} == {"sft"}


def test_nothing_readable_is_an_error(tmp_path, capsys):
    damage(trained(tmp_path / "sft", 10) / ".checkpoints" / "checkpoint-10")
    assert "could be read" in refused(tmp_path)
    assert "sft step 10" in capsys.readouterr().err


def spiked(folder):
    """A run whose last checkpoint has one module 40 times as large."""
    run, factors = trained(folder, 10, 20, 30), drift(40)
    path, (B, A) = next(iter(factors.items()))
    land(run, 40, factors | {path: (B * 40, A)})


def test_fail_on_ends_with_one_line_and_one(tmp_path):
    trained(tmp_path / "good", 10, 20, 30)
    spiked(tmp_path / "odd")
    done = inspector("watch", tmp_path, "--fail-on", "nan,spike,collapse,dead")
    assert (done.returncode, done.stderr) == (1, "")
    (line,) = done.stdout.splitlines()
    assert line.startswith("odd: spike at step 40: σ₁ of 0.self_attn")
    done = inspector("watch", tmp_path / "good", "--fail-on", "nan,spike,collapse,dead")
    assert (done.returncode, done.stdout) == (0, "No nan, spike, collapse, dead in 1 run, 3 records.\n")
    assert print_alarms([tmp_path], ["dead"]) == 0


def test_a_checkpoint_that_cannot_be_read_is_no_good_news(tmp_path, capsys):
    damage(trained(tmp_path / "sft", 10, 20) / ".checkpoints" / "checkpoint-20")
    assert print_alarms([tmp_path], ["nan"]) == 3
    assert "sft step 20" in capsys.readouterr().err


def test_what_fail_on_refuses(tmp_path):
    done = inspector("watch", tmp_path, "--fail-on", "bang")
    assert (done.returncode, done.stderr) == (2, "Error: --fail-on 'bang' is none of nan, spike, collapse, dead.\n")
    done = inspector("watch", tmp_path, "--fail-on", "nan", "--table")
    assert (done.returncode, done.stdout) == (2, "")
    with pytest.raises(InspectorError, match="Nothing to judge in"):
        print_alarms([tmp_path], ["nan"])


def test_milestones_are_said_on_stderr(tmp_path):
    trained(tmp_path / "sft", 10, 11, 12, 30, 40)
    done = inspector("watch", tmp_path)
    first, second = done.stderr.splitlines()
    assert first.startswith("sft: The direction has ")
    assert (
        second
        == "sft: Keep steps 10, 12, 30, 40: over 10% of ‖ΔW‖ from the kept one before, and the last; 1 other nearer."
    )


def test_a_folder_with_records_alone_is_a_run(tmp_path):
    header = {"format": "adapter-inspector weights", "modules": ["a"], "base_norm": [10.0], "steps": 20}
    record = {"step": 10, "norm": 1.0, "effective_rank": 2.0, "module_norm": [1.0], "module_sigma1": [0.5]}
    last = record | {"step": 20, "norm": 2.0, "cosine_last": 0.5, "last_step": 10, "cosine_reference": None}
    lines = [header, record, {"step": 10, "loss": 3.0}, last]
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "weights.jsonl").write_text(
        "".join(json.dumps(line) + "\n" for line in lines) + '{"step": 30, "no'
    )
    done = inspector("watch", tmp_path)
    assert done.returncode == 0, done.stderr
    found = {(row["metric"], row["step"]): (row["value"], row["against_step"]) for row in table(done.stdout)}
    assert found == {
        ("norm", "10"): ("1.0", ""), ("norm", "20"): ("2.0", ""),
        ("effective_rank", "10"): ("2.0", ""), ("effective_rank", "20"): ("2.0", ""),
        ("cosine_last", "20"): ("0.5", "10"), ("loss", "10"): ("3.0", ""),
    }  # fmt: skip
    assert inspector("watch", tmp_path, "--fail-on", "dead,collapse").returncode == 0
