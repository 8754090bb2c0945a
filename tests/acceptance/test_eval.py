"""`inspector eval` as a user runs it: against a server on localhost, and on a tiny base."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
from huggingface_hub import constants

from inspector.cli import main
from tests.acceptance.command import FEW, ROOT, begun, inspector
from tests.base_model.chat_server import ChatServer, Fault
from tests.base_model.test_servers import die_after
from tests.base_model.tiny_model import saved_adapter, saved_base
from tests.makers import write_random

SIZE = 10


def solver(model, question):
    """The base solves 0-1, sft 0-7, dpo 0 and 8."""
    n = int(question.split()[0])
    right = {"base": n < 2, "sft": n < 8, "dpo": n in {0, 8}}[model]
    return f"I think \\boxed{{{n + 1 if right else -1}}}." if n != 9 else "I do not know."


@pytest.fixture
def place(tmp_path):
    """A folder with two adapters and a task of ten problems."""
    for seed, name in enumerate(("sft", "dpo")):
        write_random(tmp_path / name, seed, base_model_name_or_path="base")
    rows = [json.dumps({"id": f"p{n}", "question": f"{n} + 1 = ?", "answer": f"#### {n + 1}"}) for n in range(SIZE)]
    (tmp_path / "sums.jsonl").write_text("\n".join(rows))
    return tmp_path


@pytest.fixture
def chat():
    with ChatServer(("base", "sft", "dpo"), solver) as server:
        yield server


@pytest.fixture
def evaluated(place, chat, monkeypatch, capsys):
    """The command in this process: what a process of its own adds is tested below."""
    monkeypatch.chdir(place)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)

    def run(*more, sources=("sft", "dpo"), servers=(chat.url,)):
        asked = [word for url in servers for word in ("--server", url)]
        options = ("--task", "sums.jsonl", *asked, "--records", "kept")
        arguments = ["eval", *sources, *options, *map(str, more)]
        code = main.run(lambda: main.cli.main(arguments, standalone_mode=False))
        out, err = capsys.readouterr()
        return SimpleNamespace(returncode=code, stdout=out, stderr=err)

    return run


def test_tables(place, chat, evaluated):
    """sft against dpo: 7 to 1 problems solved alone, p = 2·(1+8)/2⁸ = 0.070; sft against the base: 6 to 0, 0.031."""
    command = ("--task", "sums.jsonl", "--server", chat.url, "--records", "kept")
    done = inspector("eval", "sft", "dpo", *command, cwd=place)
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines()]
    assert ["base", "base", "2", "10", "20.0", "%", "5.7-51.0", "%", "0", "1", "18"] in rows
    assert ["sft", "8", "10", "80.0", "%", "49.0-94.3", "%", "0", "1", "18"] in rows
    assert ["sft", "base", "2", "6", "0", "2", "0.031", "0.094"] in rows
    assert ["sft", "dpo", "1", "7", "1", "1", "0.070", "0.141"] in rows
    assert ["dpo", "base", "1", "1", "1", "7", "1.000", "1.000"] in rows
    assert "\x1b" not in done.stdout + done.stderr
    assert "10 problems of sums.jsonl, 3 models; kept in kept." in done.stderr
    assert len(chat.asked) == 30
    again = evaluated()
    assert again.stdout == done.stdout
    assert "30 of 30 answers are in the records already" in again.stderr
    assert len(chat.asked) == 30


def test_a_study_in_a_file(place, evaluated, capsys):
    assert evaluated("--out", "table.csv").returncode == 0
    done = evaluated("--out", "study.json")
    assert (done.returncode, done.stdout) == (0, "")
    with (place / "table.csv").open(encoding="utf-8", newline="") as file:
        rows = {(r["metric"], r["a"], r["b"]): float(r["value"]) for r in csv.DictReader(file)}
    assert rows["accuracy", "sft", ""] == 0.8
    assert rows["accuracy_base", "", ""] == 0.2
    assert (rows["mcnemar_wins", "sft", "dpo"], rows["mcnemar_wins", "dpo", "sft"]) == (7, 1)
    assert rows["mcnemar_p", "sft", "dpo"] == pytest.approx(2 * 9 / 2**8)
    assert rows["mcnemar_base_p_holm", "sft", ""] == pytest.approx(3 * 2 / 2**6)
    assert not any(metric == "norm" for metric, _, _ in rows)
    study = json.loads((place / "study.json").read_text())
    assert {"accuracy", "cosine"} < set(study["table"]["metric"])
    assert study["probes"][0]["examples"] == SIZE
    assert main.run(lambda: main.cli.main(["analyze", "study.json", "--tables"], standalone_mode=False)) == 0
    assert "80.0%" in capsys.readouterr().out


def test_limit_and_no_base(chat, evaluated):
    assert evaluated("--limit", "4", "--no-base").returncode == 0
    assert sorted({b["model"] for b in chat.asked}) == ["dpo", "sft"]
    assert len(chat.asked) == 8


def test_what_cannot_be_asked_is_said_and_the_rest_done(chat, evaluated):
    chat.models = ("base", "sft")
    done = evaluated()
    assert done.returncode == 3
    assert "serves no model 'dpo', but base, sft." in done.stderr
    assert "80.0 %" in done.stdout
    chat.models = ("base", "sft", "dpo")
    chat.faults = [Fault(400, where="5 + 1", times=1)]
    done = evaluated()
    assert done.returncode == 3
    assert "dpo has no answer to 1 problem: run again to ask once more." in done.stderr
    assert evaluated().returncode == 0
    assert evaluated(sources=("other=sft",)).returncode == 2


def test_interrupted_and_resumed(place, chat, evaluated):
    """Ctrl-C while answers come slowly: 130, and the next run asks only what is missing."""
    chat.faults = [Fault(pause=0.15, times=99)]
    options = ["--task", "sums.jsonl", "--server", chat.url, "--records", "kept", "--concurrency", "1"]
    process = begun("inspector", "eval", "sft", *options, cwd=place, known=FEW)

    def kept():
        return sum(len(path.read_bytes().splitlines()) - 1 for path in (place / "kept").glob("*.jsonl"))

    while process.poll() is None and kept() < 5:  # grading begins late where the machine is busy
        time.sleep(0.01)
    chat.faults[:] = [Fault(pause=3, times=99)]
    refused = evaluated(sources=("sft",))
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=120)[1].decode()
    assert process.returncode == 130, said
    assert "What was answered is kept in kept: the same command goes on from there." in said
    assert said.endswith("Interrupted.\n")
    assert refused.returncode == 2
    assert "Another process is writing" in refused.stderr
    chat.faults.clear()
    before = kept()
    chat.asked.clear()
    assert evaluated(sources=("sft",)).returncode == 0
    assert 5 <= before < 2 * SIZE
    assert len(chat.asked) == 2 * SIZE - before


def test_a_base_in_this_process(tmp_path, monkeypatch, capsys):
    """The adapters name their base; one that does not fit it is left out."""
    monkeypatch.chdir(tmp_path)
    base = saved_base(tmp_path / "base")
    for seed, name in enumerate(("one", "two"), 1):
        saved_adapter(tmp_path / name, seed, base=str(base))
    write_random(tmp_path / "other", base_model_name_or_path=str(base))
    command = ["eval", "one", "two", "other", "--task", "arithmetic", "--limit", "3", "--device", "cpu"]
    command += ["--max-new-tokens", "8", "--records", "kept"]
    assert main.run(lambda: main.cli.main(command, standalone_mode=False)) == 3
    out, err = capsys.readouterr()
    assert "does not fit other" in err
    assert f"Running {base} on cpu in float32, adapters unmerged, at most 8 tokens a problem." in err
    assert out.count("one") == 3
    assert len(list((tmp_path / "kept").glob("arithmetic-*.jsonl"))) == 3


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (("--task", "nothing"), "No problems 'nothing'"),
        ((), "Missing option '--task'"),
        (("--task", "arithmetic", "--out", "t.xls"), "must end in"),
        (("--task", "arithmetic", "--server", "http://127.0.0.1:9"), "cannot be reached"),
        (("--task", "arithmetic", "--base", "no/such/base"), "no/such/base"),
        (("--task", "arithmetic", "--batch", "-1"), "--batch"),
        (("--task", "sums.jsonl", "--records", "sums.jsonl", "--base", "base", "--server", "{}"), "Cannot write the"),
    ],
)
def test_bad_input_is_one_clear_sentence(place, chat, more, says, monkeypatch, capsys):
    monkeypatch.chdir(place)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    arguments = ["eval", "sft", *(word.format(chat.url) for word in more)]
    assert main.run(lambda: main.cli.main(arguments, standalone_mode=False)) == 2
    said = capsys.readouterr().err
    assert says in said
    assert "Traceback" not in said


def test_a_server_needs_no_torch(place, chat):
    code = (
        "import sys; from inspector.cli.main import cli; "
        "cli.main(sys.argv[1:], standalone_mode=False); assert 'torch' not in sys.modules"
    )
    command = ["eval", "sft", "--task", "sums.jsonl", "--server", chat.url, "--records", "kept"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", code, *command], cwd=place, env=environment, check=True, capture_output=True)


def kept_rows(place):
    return sum(len(path.read_bytes().splitlines()) - 1 for path in (place / "kept").glob("*.jsonl"))


def test_two_servers_of_which_one_dies(place, chat, evaluated):
    """Every model answers everything, and started again, in any order of the servers, nothing is asked."""
    with ChatServer(chat.models, chat.reply) as other:
        die_after(other, 4)
        done = evaluated(servers=[other.url, chat.url])
        assert done.returncode == 0, done.stderr
        both = ", ".join(sorted([other.url, chat.url]))
        assert f"Asking {both}, 16 problems at a time each" in done.stderr
        assert "left out" in done.stderr
    assert len(chat.asked) == 3 * SIZE - 4
    assert evaluated(servers=[chat.url, other.url]).stdout == done.stdout
    assert len(chat.asked) == 3 * SIZE - 4


def test_answers_of_one_server_are_not_anothers(place, chat, evaluated):
    """The same names at another address: everybody is asked, and both keep their answers."""
    assert evaluated().returncode == 0
    with ChatServer(chat.models, lambda _model, question: f"\\boxed{{{int(question.split()[0]) + 1}}}") as other:
        done = evaluated(servers=[other.url])
        assert done.returncode == 0, done.stderr
        assert len(other.asked) == 3 * SIZE
        assert sum("100.0" in line.split() for line in done.stdout.splitlines()) == 3
        assert other.url in " ".join(done.stdout.split())
    assert kept_rows(place) == 6 * SIZE
    again = evaluated()
    assert "30 of 30 answers are in the records already" in again.stderr
    assert "80.0 %" in again.stdout


@pytest.mark.parametrize(
    ("cards", "asked"),
    [
        ({"base": {"root": "/models/base"}}, 3 * SIZE),
        ({"sft": {"parent": "base", "root": "/lora/sft"}}, SIZE),
        ({"base": {"created": 5, "permission": [{"id": "x"}]}}, 0),
    ],
    ids=["another base", "another adapter", "what changes from request to request"],
)
def test_answers_are_used_again_if_the_server_says_the_same_of_its_models(chat, evaluated, cards, asked):
    assert evaluated().returncode == 0
    chat.asked.clear()
    chat.cards = cards
    assert evaluated().returncode == 0
    assert len(chat.asked) == asked


def test_answers_are_used_again_if_the_adapters_name_the_same_base(place, chat, evaluated):
    assert evaluated("--base", "base").returncode == 0
    for seed, name in enumerate(("sft", "dpo")):
        write_random(place / name, seed, base_model_name_or_path="models/base")
    chat.asked.clear()
    assert evaluated("--base", "base").returncode == 0
    assert len(chat.asked) == 3 * SIZE


def test_an_answer_in_another_models_name_is_no_answer(place, chat, evaluated):
    chat.signed["sft"] = "base"
    done = evaluated()
    assert done.returncode == 3
    assert "was asked for 'sft' and 'base' answered: its answers are not used." in done.stderr
    assert kept_rows(place) == 2 * SIZE


def test_a_server_that_another_takes_the_place_of(chat, evaluated):
    """While the base answers, the server comes back with another adapter under the name."""

    def reply(model, question):
        chat.cards["sft"] = {"root": "/lora/other"}
        return solver(model, question)

    chat.reply = reply
    done = evaluated()
    assert done.returncode == 3
    assert "says something else of 'sft' than when this began" in done.stderr
    assert {body["model"] for body in chat.asked} == {"base", "dpo"}


def test_a_server_with_another_base_is_refused(chat, evaluated):
    chat.cards["base"] = {"root": "org/other-2B"}
    chat.models = ("alias", "sft", "dpo")
    chat.cards["alias"] = {"root": "org/other-2B"}
    done = evaluated()
    assert done.returncode == 2
    assert "'alias' of the server is org/other-2B, the base of sft is base" in done.stderr
    assert not chat.asked
