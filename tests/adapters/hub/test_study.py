"""The study's repo, 28 adapters in adapters/<method>_lr<LR>_s<seed>: all of it, one of it, offline, and one broken."""

import pytest

from inspector.adapters.hub.fetch import fetch, survey
from inspector.adapters.opening import open_sources
from inspector.adapters.sources import parse
from tests.adapters.hub.cases import RUNS, STUDY, failure, hub_for, only, write_study


@pytest.fixture
def hub(tmp_path, monkeypatch):
    with hub_for(monkeypatch, tmp_path / "home") as server:
        server.study = server.add(STUDY, write_study(tmp_path / "study"), lfs=True)
        yield server


def downloads(hub) -> list[str]:
    return [path for method, path in hub.requests if method == "GET" and "resolve" in path]


def test_all(hub):
    adapters, failures = open_sources([STUDY])
    assert not failures
    assert sorted(a.info.name for a in adapters) == sorted(RUNS)
    assert {a.info.source for a in adapters} == {f"{STUDY}@{hub.study.commit}:adapters/{run}" for run in RUNS}
    assert {path.rpartition("/")[2] for path in downloads(hub)} == {"adapter_config.json", "adapter_model.safetensors"}
    assert len(downloads(hub)) == 28 + 1, "the configs are one and the same file"


def test_one_and_again_from_its_pinned_source(hub):
    one = only(f"{STUDY}:adapters/sft_lr2e-4_s42")
    assert one.info.name == "sft_lr2e-4_s42"
    assert len(downloads(hub)) == 2
    hub.requests.clear()
    assert only(one.info.source).info == one.info
    assert not hub.requests


def test_beside_one_another_names_stay_unique(hub):
    names = [a.info.name for a in open_sources([f"{STUDY}:adapters/sft_lr2e-4_s42", STUDY, f"mine={STUDY}"])[0]]
    assert len(set(names)) == len(names) == 57
    assert "mine/adapters/sft_lr2e-4_s42" in names


def test_offline_afterwards(hub, monkeypatch):
    from huggingface_hub import constants

    online = [a.info for a in open_sources([STUDY])[0]]
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    assert [a.info for a in open_sources([STUDY])[0]] == online
    assert only(f"{STUDY}:adapters/dpo_lr5e-6_s123").info in online
    assert "Cannot reach http://127.0.0.1:9" in failure(f"{STUDY}:adapters/kto")


@pytest.mark.parametrize("broken", ["cut", "pointer", "no weights"])
def test_one_broken_leaves_the_other_27(hub, broken):
    file = "adapters/rift_lr2e-4_s42/adapter_model.safetensors"
    if broken == "cut":
        hub.study.files[file] = hub.study.files[file][:1000]
    elif broken == "pointer":
        hub.study.files[file] = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n"
    else:
        hub.study.files.pop(file)
    adapters, failures = open_sources([STUDY])
    assert len(adapters) == 27
    assert "rift_lr2e-4_s42" not in {a.info.name for a in adapters}
    assert [f.source for f in failures] == [f"{STUDY}@{hub.study.commit}:adapters/rift_lr2e-4_s42"]


def test_one_that_cannot_be_downloaded_leaves_the_other_27(hub):
    from tests.hub_server import Fault

    hub.faults.append(Fault("rift_lr2e-4_s42/adapter_model", 404, {"X-Error-Code": "EntryNotFound"}))
    adapters, failures = open_sources([STUDY])
    assert len(adapters) == 27
    assert [f.source for f in failures] == [f"{STUDY}@{hub.study.commit}:adapters/rift_lr2e-4_s42"]


def test_a_survey_downloads_nothing(hub):
    offer = survey(parse(STUDY), cancelled=lambda: False)
    assert offer.choices[0].path == "adapters/dapo_lr2e-4_s42"
    assert {choice.path for choice in offer.choices} == {f"adapters/{run}" for run in RUNS}
    file = "adapters/sft_lr2e-4_s42/adapter_"
    whole = len(hub.study.files[f"{file}config.json"]) + len(hub.study.files[f"{file}model.safetensors"])
    assert offer.size(next(c for c in offer.choices if c.path.endswith("sft_lr2e-4_s42"))) == whole
    assert not downloads(hub)


def test_only_the_chosen_ones_are_downloaded(hub):
    seen = []
    found = fetch(
        parse(STUDY),
        choose=lambda offer: [c for c in offer.choices if "_lr5e-6_s42" in c.path],
        progress=seen.append,
        cancelled=lambda: False,
    )
    assert len(found) == 7
    assert len(downloads(hub)) == 7 + 1
    assert seen[0].done == 0
    assert seen[0].total == seen[-1].done == seen[-1].total


def test_a_branch_moves_and_a_pinned_source_does_not(hub, tmp_path):
    before = only(f"{STUDY}:adapters/sft_lr2e-4_s42").info
    hub.study.files["adapters/sft_lr2e-4_s42/adapter_config.json"] += b" "
    assert only(f"{STUDY}:adapters/sft_lr2e-4_s42").info.source != before.source
    assert only(before.source).info == before


def test_a_short_commit_is_explained(hub):
    assert "only with all of its 40 digits" in failure(f"{STUDY}@{hub.study.commit[:7]}")
