"""`inspector ls` as people use it: what a folder or a repo holds, with a token, without a line."""

import json
import os
import subprocess
import sys

import pytest
import torch
from safetensors.torch import save_file

from inspector.adapters.inventory import inventory
from inspector.cli.ls import _lines
from tests.acceptance.command import DEMO, ROOT, inspector
from tests.adapters.hub.cases import RUNS, STUDY, write_study
from tests.hub_server import HubServer
from tests.makers import write_random

ONE = f"{STUDY}:adapters/sft_lr2e-4_s42"


@pytest.fixture
def hub(tmp_path):
    with HubServer() as server:
        server.study = server.add(STUDY, write_study(tmp_path / "study"), lfs=True)
        yield server


@pytest.fixture
def here(hub, tmp_path):
    return hub.environment(tmp_path / "home") | {"HF_TOKEN": ""}


def opened(*sources: str, **env: str) -> str:
    """Names of adapters and faults, from a process of its own."""
    code = (
        "import sys; from inspector.adapters.opening import open_sources; a, f = open_sources(sys.argv[1:]);"
        "print(*(x.info.name for x in a), *map(str, f), sep='\\n')"
    )
    environment = {name: value for name, value in (os.environ | env).items() if value}
    done = subprocess.run(
        [sys.executable, "-c", code, *sources], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert not done.stderr
    return done.stdout


def test_the_study(hub, here):
    done = inspector("ls", STUDY, **here)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == f"{STUDY}@{hub.study.commit}"
    assert lines[1].startswith("28 adapters, ")
    assert [line.split()[0] for line in lines if line.strip().startswith("adapters/")] == sorted(
        (f"adapters/{run}" for run in RUNS), key=lambda run: run.replace("_s42", "_s042")
    )
    assert all("PEFT" in line and line.split()[-1] == "no" for line in lines if line.strip().startswith("adapters/"))
    assert max(map(len, lines)) <= 80
    assert not [path for _, path in hub.requests if "resolve" in path]


def test_json(hub, here):
    (source,) = json.loads(inspector("ls", "--json", STUDY, **here).stdout)["sources"]
    found = {adapter["name"]: adapter for adapter in source["adapters"]}
    assert set(found) == set(RUNS)
    one = found["sft_lr2e-4_s42"]
    assert one["source"] == f"{STUDY}@{hub.study.commit}:adapters/sft_lr2e-4_s42"
    files = {name.rpartition("/")[2]: content for name, content in hub.study.files.items() if "sft_lr2e-4_s42" in name}
    assert {f["path"].rpartition("/")[2]: f["bytes"] for f in one["files"]} == {
        name: len(files[name]) for name in ("adapter_config.json", "adapter_model.safetensors")
    }
    assert one["bytes"] == sum(f["bytes"] for f in one["files"])
    assert opened(one["source"], **here).strip() == "sft_lr2e-4_s42"


def test_a_folder_and_the_same_repo_say_the_same(hub, here, tmp_path):
    def told(source, root):
        (found,) = json.loads(inspector("ls", "--json", source, **here).stdout)["sources"]
        files = {
            item["path"]: [(file["path"].removeprefix(root), file["bytes"]) for file in item["files"]]
            for item in found["adapters"]
        }
        return {item["path"]: (item["format"], item["bytes"], files[item["path"]]) for item in found["adapters"]}

    local = told(tmp_path / "study", f"{tmp_path}/study/")
    assert len(local) == 28
    assert local == told(STUDY, "")


def test_what_is_here_and_what_is_not_and_offline(here):
    opened(ONE, **here)
    rows = inspector("ls", STUDY, **here).stdout.splitlines()
    assert [row.split()[0] for row in rows if row.split()[-1:] == ["yes"]] == ["adapters/sft_lr2e-4_s42"]
    away = inspector("ls", STUDY, **here | {"HF_ENDPOINT": "http://127.0.0.1:9"})
    assert away.stdout.count("adapters/") == 1
    assert "this is what the cache has" in away.stderr
    assert opened(ONE, **here | {"HF_HUB_OFFLINE": "1"}).strip() == "sft_lr2e-4_s42"
    nothing = inspector("ls", "org/other", **here | {"HF_HUB_OFFLINE": "1"})
    assert nothing.returncode == 2
    assert "HF_HUB_OFFLINE" in nothing.stderr


def test_the_cache_is_where_the_environment_says(here, tmp_path):
    opened(ONE, **here | {"HF_HUB_CACHE": str(tmp_path / "elsewhere")})
    assert list((tmp_path / "elsewhere").rglob("adapter_model.safetensors"))
    assert not list((tmp_path / "home").rglob("adapter_model.safetensors"))


def test_private_by_token_or_token_file(hub, here, tmp_path):
    hub.study.token = "hf_secret"
    without = inspector("ls", STUDY, **here)
    assert without.returncode == 2
    assert "if it is private, log in" in without.stderr
    assert inspector("ls", STUDY, **here | {"HF_TOKEN": "hf_secret"}).returncode == 0
    (tmp_path / "home").mkdir(exist_ok=True)
    (tmp_path / "home" / "token").write_text("hf_secret\n")
    assert opened(ONE, **here).strip() == "sft_lr2e-4_s42"


def test_local_folders_and_what_is_wrong_in_them(tmp_path):
    done = inspector("ls", DEMO)
    assert done.returncode == 0
    assert done.stdout.splitlines()[1].startswith("11 adapters, ")
    study = write_study(tmp_path / "study", ("a", "b"))
    (study / "adapters" / "a" / "adapter_model.safetensors").write_bytes(b"12")
    done = inspector("ls", study)
    assert done.returncode == 3
    assert "not a valid safetensors" in done.stderr or "adapter_model.safetensors" in done.stderr
    assert [line.split()[-1] for line in done.stdout.splitlines() if line.strip().startswith("adapters/")] == [
        "✗",
        "yes",
    ]
    assert max(map(len, done.stdout.splitlines()[1:])) <= 80


def test_files_that_are_no_adapter_are_skipped_with_a_word(tmp_path):
    write_random(tmp_path / "one")
    (tmp_path / "README.md").write_text("A study.\n")
    (tmp_path / "rollouts.jsonl").write_text("{}\n")
    done = inspector("ls", *sorted(tmp_path.iterdir()))
    assert done.returncode == 0
    assert [line.split(" is not an adapter")[0] for line in done.stderr.splitlines()] == [
        f"Skipped: {tmp_path / name}" for name in ("README.md", "rollouts.jsonl")
    ]
    assert done.stdout.startswith(f"{tmp_path / 'one'}\n1 adapter, ")
    alone = inspector("ls", tmp_path / "README.md")
    assert (alone.returncode, alone.stdout) == (2, "")
    assert alone.stderr.startswith(f"Error: {tmp_path / 'README.md'} is not an adapter")
    none = inspector("ls", "--json", tmp_path / "README.md", tmp_path / "rollouts.jsonl")
    assert (none.returncode, none.stdout) == (2, "")
    assert none.stderr.endswith("Error: No adapter could be opened.\n")


def test_a_whole_model_is_listed_and_waits_for_its_base(tmp_path):
    for name in ("checkpoint-10", "checkpoint-9"):
        write_random(tmp_path / "runs" / name)
    model = tmp_path / "runs" / "base"
    model.mkdir()
    (model / "config.json").write_text('{"model_type": "llama"}')
    save_file({"model.layers.0.self_attn.q_proj.weight": torch.zeros(8, 8)}, model / "model.safetensors")
    done = inspector("ls", tmp_path / "runs")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[1].startswith("2 adapters, 1 whole model, ")
    assert [line.split()[0] for line in lines[5:]] == ["base", "needs", "checkpoint-9", "checkpoint-10"]
    bytes_ = sum(file.stat().st_size for file in model.iterdir())
    assert lines[5].split()[1:] == ["whole", "model", "2", f"{bytes_}", "B", "yes"]
    assert lines[6] == "  needs --base when opened"
    alone = inspector("ls", "--json", model)
    assert alone.returncode == 0
    ((one,),) = [source["adapters"] for source in json.loads(alone.stdout)["sources"]]
    assert (one["format"], one["note"], one["fault"]) == ("whole model", "needs --base when opened", "")
    (model / "model.safetensors").rename(model / "model-00001-of-00002.safetensors")
    broken = inspector("ls", tmp_path / "runs")
    assert broken.returncode == 3
    assert "1 of 2 shards of the model are there" in broken.stderr


def test_no_path_is_broken(tmp_path):
    long = "a-run-of-a-long-name-" * 4 + "end"
    for name in ("one", long):
        write_random(tmp_path / "runs" / name)
    piped = inspector("ls", tmp_path / "runs").stdout.splitlines()
    assert [line.split()[:3] for line in piped[5:]] == [[long, "PEFT", "2"], ["one", "PEFT", "2"]]
    table = list(_lines(inventory(str(tmp_path / "runs")).items, 80))
    assert max(len(line) for line in table if line != long) <= 80
    assert table[2] == long
    assert table[3].split()[:2] == ["PEFT", "2"]
    assert table[3].index("PEFT") == table[4].index("PEFT") == table[0].index("format")


def test_bad_sources(hub, here):
    assert inspector("ls", "org/none", **here).returncode == 2
    assert inspector("ls", "org/none", STUDY, **here).returncode == 3
    assert inspector("ls", f"{STUDY}:nothing", **here).stderr == (
        f"Error: {STUDY}:nothing is not there (at {hub.study.commit[:7]}).\n"
    )


def test_without_a_terminal_every_adapter_is_opened_and_a_broken_one_is_said(hub, here):
    hub.study.files = {
        name: content if "dft" not in name else content[:500]
        for name, content in hub.study.files.items()
        if name.split("/")[1:2] and name.split("/")[1] in {"sft_lr2e-4_s42", "rft_lr2e-4_s42", "dft_lr2e-4_s42"}
    }
    done = inspector("analyze", STUDY, "--metric", "norm", **here)
    assert done.returncode == 3
    assert "dft_lr2e-4_s42" in done.stderr
    assert "Traceback" not in done.stderr
    assert f"Downloading {STUDY}@{hub.study.commit[:7]}: " in done.stderr
    assert "names: …_lr2e-4_s42\n2 adapters" in done.stdout
    assert inspector("analyze", f"{STUDY}:adapters/dft_lr2e-4_s42", **here).returncode == 2
