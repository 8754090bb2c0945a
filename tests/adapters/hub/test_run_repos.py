"""A repo with an adapter at its root, or a run folder of it, is that adapter, as the same folder here."""

from dataclasses import replace

import pytest

from inspector.adapters.opening import open_sources
from inspector.adapters.options import ReadOptions
from tests.adapters.hub.cases import failure, only
from tests.adapters.run_folders import LAYOUTS, transformers

ALL = ReadOptions(checkpoints=True)


def names(source, read_options):
    adapters, failures = open_sources([source], read_options=read_options)
    assert all(failure.skipped for failure in failures)
    return [adapter.info.name for adapter in adapters]


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.__name__)
def test_a_repo_means_what_the_folder_means(hub, tmp_path, layout):
    layout(tmp_path / "out", 1)
    repo = hub.add("org/out", tmp_path / "out")
    found, here = only("org/out").info, only(str(tmp_path / "out")).info
    assert (found.name, found.findings) == (here.name, here.findings)
    assert [path for method, path in hub.requests if method == "GET" and "checkpoint-" in path] == []
    assert names("org/out", ALL) == LAYOUTS[layout]
    again = only(f"out={found.source}").info
    if found.source == f"org/out@{repo.commit}":
        assert again == found
    else:  # a file that is named says nothing of its folder
        assert again == replace(found, findings=())


def test_patterns_and_names(hub, tmp_path):
    transformers(tmp_path / "run", 1)
    hub.add("org/out", tmp_path)
    for source, expected in {
        "org/out": ["run"],
        "org/out:run": ["run"],
        "org/out:run/checkpoint-*": ["run/checkpoint-20", "run/checkpoint-100"],
        "x=org/out:r*/checkpoint-*": ["x/run/checkpoint-20", "x/run/checkpoint-100"],
        "x=org/out:run/checkpoint-2?": ["x"],
        "org/out:*": ["run"],
    }.items():
        assert names(source, ReadOptions()) == expected
    assert failure("org/out:step-*").startswith("org/out:step-* holds no adapter, or is not there (at ")


def test_weights_beside_an_adapter_are_named_and_not_downloaded(hub, tmp_path):
    """Those of a folder's adapter; a single file of its own name shares its folder with whatever is there."""
    transformers(tmp_path / "out", 1)
    for name in ("new_embeddings.safetensors", "scorer.pt", "optimizer.pt", "model.safetensors", "notes.txt"):
        (tmp_path / "out" / name).write_bytes(b"weights")
    hub.add("org/out", tmp_path / "out")
    (said,) = [f.text for f in only("org/out").info.findings if "beside it and not read" in f.text]
    assert said.startswith("beside it and not read: new_embeddings.safetensors, scorer.pt; what was trained there")
    assert not [path for method, path in hub.requests if "embeddings" in path or "scorer" in path]
