"""`inspector watch` as a script runs it."""

import csv
import io

import pytest

from inspector.common.errors import InspectorError
from inspector.workflows.watch import print_once, refuse_unknown
from tests.acceptance.command import inspector
from tests.trajectory.training import begin, damage, finish, trained


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
    with pytest.raises(InspectorError, match="No folder"):
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
