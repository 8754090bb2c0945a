"""Files that are not adapter: what each is said to be, and the way out, whatever command meets it."""

# ruff: noqa: E501 - a case a line

import io
import json
import os
import re
import socket
import struct
import subprocess
import sys
import tarfile
import warnings
import zipfile
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
import torch.distributed.checkpoint as dcp
from safetensors.torch import save, save_file

from inspector.adapters.files.placeholders import OF_WEIGHTS, by_name
from inspector.adapters.formats import read_adapter
from inspector.adapters.hub.choice import choices
from inspector.adapters.inventory import inventory
from inspector.adapters.opening import open_sources
from inspector.adapters.options import ReadOptions
from inspector.base_model.model_files import model_folder
from inspector.common.errors import InspectorError
from inspector.tasks.problems import load_problems
from inspector.workflows.convert import convert
from inspector.workflows.merge_preview import merge_preview
from tests.adapters.peft.merged import texts
from tests.makers import lora_tensors, random_factors, write_adapter, write_config, write_random
from trainer.recipes.file import read as read_recipe
from trainer.rollouts.schema import read_rollouts

PEFT = lora_tensors(random_factors())
X, A, B = torch.zeros(4, 4), torch.zeros(2, 4), torch.zeros(4, 2)
PICKLED = ReadOptions(allow_pickle=True)


def opened(path, read_options=PICKLED):
    """(the only adapter, "") or (None, why there is none)."""
    adapters, failures = open_sources([str(path)], read_options=read_options)
    return (adapters[0], "") if adapters else (None, failures[0].message)


def tensors(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(content, path)


def pickle(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(content, path)


def gguf_model(path):
    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_tensor("blk.0.attn_q.weight", np.zeros((4, 4), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def zipped(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("adapter_model.safetensors", save(PEFT))


def tarred(path):
    with tarfile.open(path, "w:gz") as archive:
        member = tarfile.TarInfo("adapter_model.safetensors")
        archive.addfile(member, io.BytesIO(b""))


ONNX = b"\x08\x08\x12\x07pytorch\x1a\x052.1.0:\x10" + bytes(16)
FILES = {
    "unet:0:up": (lambda p: tensors(p / "x.safetensors", {"unet:0:up": B, "unet:0:down": A}), "LoRA of cloneofsimo's"),
    "a list": (lambda p: pickle(p / "x.pt", [B, A, B, A]), "a list of tensors without names"),
    "sam": (lambda p: tensors(p / "x.safetensors", {"w_a_000": A, "w_b_000": B}), "LoRA of Segment Anything"),
    "sam2": (lambda p: tensors(p / "x.safetensors", {"encoder_w_a_000": A, "encoder_w_b_000": B}), "Segment Anything"),
    "sam pickled": (lambda p: pickle(p / "x.pth", {"w_a_000": A, "w_b_000": B}), "LoRA of Segment Anything"),
    "embeds": (lambda p: tensors(p / "x.safetensors", {"<cat>": X}), "a textual inversion"),
    "whole": (lambda p: tensors(p / "x.safetensors", {"model.layers.0.q_proj.weight": X}), "without the factors of a LoRA"),
    "gguf": (lambda p: gguf_model(p / "x.gguf"), "a GGUF model, a whole model and no adapter file: name the adapter"),
    "ggla": (lambda p: (p / "x.bin").write_bytes(struct.pack("<I", 0x67676C61) + bytes(40)), "llama.cpp before GGUF"),
    "ggml": (lambda p: (p / "x.bin").write_bytes(struct.pack("<I", 0x67676D6C) + bytes(40)), "a whole model in GGML"),
    "onnx": (lambda p: (p / "x.onnx").write_bytes(ONNX), r"\(ONNX, Core ML …\)"),
    "onnx as safetensors": (lambda p: (p / "x.safetensors").write_bytes(ONNX), r"\(ONNX, Core ML …\)"),
    "zip": (lambda p: zipped(p / "x.zip"), "a packed archive, .*: unpack it"),
    "zip as safetensors": (lambda p: zipped(p / "x.safetensors"), "a packed archive, .*: unpack it"),
    "tar.gz": (lambda p: tarred(p / "x.tar.gz"), "a packed archive, .*: unpack it"),
    "pickle as safetensors": (lambda p: pickle(p / "x.safetensors", PEFT), "a pickle of torch under another name"),
    "safetensors as x": (lambda p: (p / "x").write_bytes(save(PEFT)), "a safetensors file under another name"),
    "empty": (lambda p: (p / "x.pt").touch(), "is empty"),
    "LFS": (lambda p: (p / "x.bin").write_text("version https://git-lfs.github.com/spec/v1\n"), "`git lfs pull`"),
    "page": (lambda p: (p / "x.gguf").write_text("<!doctype html><html>Sign in"), "is a web page"),
    "refusal": (lambda p: (p / "x.safetensors").write_text('{"error": "Repository not found"}'), "is text, no valid file of weights"),
    "optimizer": (lambda p: pickle(p / "optimizer.pt", {"state": {}}), "the state of a training"),
    "lightning": (lambda p: pickle(p / "x.ckpt", {"state_dict": {"w": X}, "epoch": 1}), "its weights under `state_dict`"),
    "module": (lambda p: pickle(p / "x.pt", torch.nn.Linear(2, 2)), r"a whole module of torch.*save its state_dict\(\)"),
    "rank": (lambda p: pickle(p / "model_world_size_2_rank_0.pt", PEFT), r"a rank's shard.*verl\.model_merger"),
    "deepspeed": (lambda p: pickle(p / "mp_rank_00_model_states.pt", {"module": PEFT}), "part of a DeepSpeed checkpoint"),
}  # fmt: skip


@pytest.mark.parametrize(("make", "said"), FILES.values(), ids=FILES)
def test_a_file_is_named_with_what_it_is_and_the_way_out(tmp_path, make, said):
    make(tmp_path)
    (file,) = tmp_path.iterdir()
    found = [opened(file), *([opened(tmp_path)] if file.suffix in OF_WEIGHTS or by_name(file.name) else [])]
    for adapter, message in found:
        assert adapter is None
        assert str(file) in message
        assert re.search(said, message)
        assert ": " in message.partition(str(file))[2], "the way out"
        assert len(re.findall(r"[.?] [A-Z]", message)) <= 1, "one or two sentences"


def distributed(folder, state):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dcp.save(state, checkpoint_id=str(folder))


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_distributed_checkpoint_and_the_way_out_of_it_that_is_named(tmp_path, monkeypatch, wrapped):
    monkeypatch.chdir(tmp_path)
    distributed(Path("in", "pytorch_model_fsdp_0"), {"model": PEFT} if wrapped else PEFT)
    (part,) = Path("in").rglob("*.distcp")
    for path in ("in", part.parent, part, part.with_name(".metadata")):
        _, message = opened(path)
        assert "part of a checkpoint of torch.distributed" in message
    command = message.split("`")[1].split()
    assert command[:3] == ["python", "-m", "torch.distributed.checkpoint.format_utils"]
    subprocess.run([sys.executable, *command[1:]], check=True, capture_output=True)
    adapter, message = opened("adapter.pt")
    assert (
        "save what is under 'model' as adapter_model.safetensors" in message if wrapped else adapter.info.modules == 6
    )


def test_a_lora_only_checkpoint_of_a_trainer_has_its_scale_from_the_record_beside_it(tmp_path):
    actor = tmp_path / "global_step_5" / "actor"
    state = {key.replace(".weight", ".default.weight"): value for key, value in PEFT.items()}
    pickle(actor / "model_world_size_1_rank_0.pt", state)
    (actor / "lora_train_meta.json").write_text(json.dumps({"r": 4, "lora_alpha": 12, "task_type": None}))
    assert "--allow-pickle" in opened(tmp_path, ReadOptions())[1]
    adapter, _ = opened(tmp_path)
    assert adapter.info.scale == "3 (α/r = 12/4)"
    B, _ = adapter.load(next(iter(adapter.modules)))
    assert torch.equal(B, random_factors()["model.layers.0.self_attn.q_proj"][0])
    write_random(actor / "lora_adapter")
    assert [a.info.format for a in open_sources([str(tmp_path)])[0]] == ["PEFT LoRA"], "its export is enough"


@pytest.mark.parametrize("name", ["adapter_model.bin", "x.bin", "x.pt", "x.ckpt"])
def test_safetensors_under_a_pickles_name_are_read_without_leave_to_unpickle(tmp_path, name):
    (tmp_path / name).write_bytes(save(PEFT))
    if name == "adapter_model.bin":
        write_config(tmp_path, r=4, lora_alpha=8)
    adapter, _ = opened(tmp_path, ReadOptions())
    assert adapter.info.modules == 6
    said = any("PEFT does not load under this name" in text for text in texts(adapter, "warning"))
    assert said == (name == "adapter_model.bin")


def test_a_file_of_one_factor_says_which_is_missing(tmp_path):
    halves = {key: value for key, value in PEFT.items() if "lora_A" in key}
    tensors(tmp_path / "x.safetensors", halves)
    (tmp_path / "a").mkdir()
    write_adapter(tmp_path / "a", {"q": (torch.zeros(4, 2), torch.zeros(2, 4))})
    save_file(halves, tmp_path / "a" / "adapter_model.safetensors")
    for path in (tmp_path / "x.safetensors", tmp_path / "a"):
        adapter, _ = opened(path)
        assert texts(adapter, "error")[0] == (
            "no LoRA pair: the file has no lora_B of any module; save the adapter again with both factors"
        )
        with pytest.raises(InspectorError, match="cannot be converted: no LoRA pair: the file has no lora_B"):
            convert(str(path), tmp_path / "out")


def test_an_empty_shard_of_every_factor_is_the_reason_convert_gives(tmp_path):
    write_config(tmp_path / "a", r=4, lora_alpha=8)
    save_file({key: torch.zeros(0) for key in PEFT}, tmp_path / "a" / "adapter_model.safetensors")
    with pytest.raises(InspectorError, match=r"as ZeRO-3 and FSDP leave when they save ungathered; gather the weights"):
        convert(str(tmp_path / "a"), tmp_path / "out")


def test_weights_beside_an_adapter_are_named_unless_they_are_known(tmp_path):
    write_random(tmp_path)
    for name in ("new_embeddings.safetensors", "value_head.safetensors"):
        tensors(tmp_path / name, {"weight": X})
    for name in ("scorer.pt", "optimizer.pt", "scheduler.pt", "rng_state_0.pth", "training_args.bin", "scaler.pt"):
        pickle(tmp_path / name, {"a": X})
    tensors(tmp_path / "other_lora.safetensors", {f"{key}": value for key, value in PEFT.items()})
    adapter, _ = opened(tmp_path)
    said = "beside it and not read: new_embeddings.safetensors, scorer.pt, value_head.safetensors"
    assert [text for text in texts(adapter, "warning") if "beside" in text] == [
        f"{said}; what was trained there is in no number"
    ]


def test_a_file_that_shares_its_folder_says_nothing_of_its_neighbours(tmp_path):
    tensors(tmp_path / "one.safetensors", PEFT)
    tensors(tmp_path / "embeddings.safetensors", {"emb_params": X})
    assert not any("beside" in text for text in texts(opened(tmp_path)[0], "warning"))


def test_a_table_says_what_to_save_instead(tmp_path):
    (tmp_path / "x.csv").write_text("metric,a,b,scope,layer,module,k,value\n")
    with pytest.raises(InspectorError, match=r"is a table, no adapter and no study: save it as \.json"):
        convert(str(tmp_path / "x.csv"), tmp_path / "out")


def special(path, kind):
    """Puts a link to nothing, a pipe, a socket or a device there."""
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
    else:
        path.symlink_to("/dev/zero" if kind == "device" else "../gone")


SAID = {"pipe": "a named pipe", "socket": "a socket", "device": "a device", "link": r"leads nowhere \(to \.\./gone\)"}


@pytest.mark.parametrize("kind", SAID)
@pytest.mark.parametrize("name", ["x", "x.gguf", "a/adapter_model.safetensors", "a/adapter_model.bin", "only/x.pt"])
def test_what_is_no_file_is_refused_at_once_wherever_it_stands(tmp_path, monkeypatch, kind, name):
    monkeypatch.chdir(tmp_path)  # a socket's name is short
    path = Path(name)
    path.parent.mkdir(exist_ok=True)
    if path.parent.name == "a":
        write_config(Path("a"), r=4, lora_alpha=8)
    special(path, kind)
    _, message = opened(path.parts[0])
    assert re.search(f"{re.escape(name)} is .*{SAID[kind]}", message)
    with pytest.raises(InspectorError, match=SAID[kind]):
        inventory(path.parts[0])


@pytest.mark.parametrize("kind", SAID)
def test_a_config_that_is_no_file_is_named_where_its_scale_is_missed(tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    write_random(Path("a")).joinpath("adapter_config.json").unlink()
    special(Path("a/adapter_config.json"), kind)
    adapter, _ = opened("a")
    (said,) = [text for text in texts(adapter, "warning") if "no adapter_config.json" in text]
    assert re.search(SAID[kind], said)


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("x.jsonl", read_rollouts),
        ("x.parquet", read_rollouts),
        ("x.jsonl", lambda path: load_problems(str(path))),
        ("x.yaml", lambda path: read_recipe(str(path))),
        ("base/model.safetensors", lambda path: model_folder(str(path.parent), print, lambda: False)),
    ],
)
def test_a_pipe_is_not_waited_for_by_what_reads_other_files(tmp_path, name, read):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    if name.startswith("base"):
        (path.parent / "config.json").write_text("{}")
    os.mkfifo(path)
    with pytest.raises(InspectorError, match="a named pipe, which is not read"):
        read(path)


def test_a_config_whose_weights_are_elsewhere_says_what_is_there(tmp_path):
    write_config(tmp_path, r=4, lora_alpha=8)
    tensors(tmp_path / "lora.safetensors", PEFT)
    assert "PEFT's weights under another name: give it the name adapter_model.safetensors" in opened(tmp_path)[1]


def test_a_merge_and_a_reader_refuse_in_the_same_words(tmp_path):
    gguf_model(tmp_path / "x.gguf")
    for call in (
        lambda: read_adapter(tmp_path / "x.gguf", "x", "x"),
        lambda: convert(str(tmp_path / "x.gguf"), tmp_path / "out"),
        lambda: merge_preview([str(tmp_path / "x.gguf")], rank=None, dest=None, out=None, device="cpu"),
    ):
        with pytest.raises(InspectorError, match=r"a GGUF model, a whole model|No source is an adapter"):
            call()


def test_a_repo_without_an_adapter_is_told_what_it_holds():
    with pytest.raises(InspectorError, match="is a checkpoint of JAX, Keras or TensorFlow"):
        choices(["flax_model.msgpack", "config.json"], "flax_model.msgpack", ReadOptions())
    with pytest.raises(InspectorError, match=r"holds no LoRA adapter: \.metadata is part of a checkpoint"):
        choices(["ckpt/__0_0.distcp", "ckpt/.metadata", "config.json"], "", ReadOptions())
