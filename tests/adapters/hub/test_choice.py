"""Which files of a repo are downloaded: by their names, by a look at the head of large ones, then by their content."""

import pytest
import torch
from safetensors.torch import save_file

from inspector.adapters.hub.choice import choices
from inspector.adapters.opening import open_sources
from inspector.adapters.options import DEFAULTS, ReadOptions
from inspector.common.errors import InspectorError
from tests.adapters.hub.cases import failure, only
from tests.makers import write_random

LEAVE = ReadOptions(allow_pickle=True)


def files(names: str, top: str = "", read_options: ReadOptions = DEFAULTS) -> dict[str, list[str]]:
    """Path of each choice -> its files."""
    return {
        choice.path: list(choice.files) for choice in choices(names.split(), top, read_options) if not choice.refused
    }


def refusals(names: str, read_options: ReadOptions = DEFAULTS) -> list[str]:
    return [choice.refused for choice in choices(names.split(), "", read_options)]


def test_peft_folders_and_only_their_files():
    names = "README.md a/adapter_config.json a/adapter_model.safetensors a/adapter_model.bin a/tokenizer.json a/x.gguf"
    assert files(names) == {"a": ["a/adapter_config.json", "a/adapter_model.safetensors"]}


def test_shards_with_their_index():
    names = "adapter_config.json adapter_model-00001-of-00002.safetensors adapter_model-00002-of-00002.safetensors"
    assert files(f"{names} adapter_model.safetensors.index.json") == {
        "": [*names.split(), "adapter_model.safetensors.index.json"]
    }


def test_single_files_of_other_formats():
    assert files("adapters.safetensors adapter_config.json optimizer.npz") == {
        "adapters.safetensors": ["adapter_config.json", "adapters.safetensors"]
    }
    assert files("style.safetensors other.safetensors lora.gguf pytorch_lora_weights.bin") == {
        name: [name] for name in ("lora.gguf", "other.safetensors", "style.safetensors")
    }


def test_a_models_own_files_are_no_adapters():
    shards = "model-00001-of-00002.safetensors model-00002-of-00002.safetensors model.safetensors.index.json"
    for model in (shards, "model.safetensors", "diffusion_pytorch_model.fp16.safetensors consolidated.safetensors"):
        assert files(f"config.json lora.safetensors {model}") == {"lora.safetensors": ["lora.safetensors"]}


def test_pickles_with_leave_alone_and_never_beside_safetensors():
    assert refusals("adapter_config.json adapter_model.bin") != [""]
    assert files("adapter_config.json adapter_model.bin", read_options=LEAVE) == {
        "": ["adapter_config.json", "adapter_model.bin"]
    }
    assert files("adapter_0.pt optimizer.pt training_args.bin scheduler.pt", read_options=LEAVE) == {
        "adapter_0.pt": ["adapter_0.pt"]
    }
    assert "--allow-pickle" in refusals("adapter_0.pt")[0]
    assert files("my_lora.pt my_lora.safetensors", read_options=LEAVE) == {
        "my_lora.safetensors": ["my_lora.safetensors"]
    }


def test_a_full_model_only_against_a_base_and_only_where_there_is_no_adapter():
    model = "config.json model.safetensors tokenizer.json generation_config.json"
    assert "--base" in refusals(model)[0]
    based = ReadOptions(base=object())
    assert files(model, read_options=based) == {"": ["config.json", "model.safetensors"]}
    assert files(f"{model} adapter_config.json adapter_model.safetensors", read_options=based) == {
        "": ["adapter_config.json", "adapter_model.safetensors"]
    }


@pytest.mark.parametrize(
    ("top", "chosen"),
    [
        ("a", ["a/b"]),
        ("a/b", ["a/b"]),
        ("a/b/adapter_model.safetensors", ["a/b"]),
        ("a/b/adapter_config.json", ["a/b"]),
        ("style.safetensors", ["style.safetensors"]),
    ],
)
def test_a_part_of_a_repo(top, chosen):
    names = "a/b/adapter_config.json a/b/adapter_model.safetensors style.safetensors ab/x.safetensors"
    assert list(files(names, top)) == chosen


@pytest.mark.parametrize("top", ["c", "a/b/c", "README.md", "a/b/README.md", "adapter_config.json"])
def test_parts_that_are_no_adapter(top):
    with pytest.raises(InspectorError, match=r"is not there|is not a file of an adapter|holds no LoRA"):
        files("README.md a/b/adapter_config.json a/b/adapter_model.safetensors a/b/README.md", top)


def test_four_levels_down_is_too_deep():
    names = "a/b/c/adapter_model.safetensors a/b/c2/d/adapter_model.safetensors"
    assert list(files(names)) == ["a/b/c"]
    assert list(files(names, "a")) == ["a/b/c", "a/b/c2/d"]


# With a server: what is downloaded, and what becomes of it


def kohya(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = {}
    for name, (d_out, d_in) in {"q_proj": (24, 16), "v_proj": (8, 16)}.items():
        key = f"lora_te_text_model_encoder_layers_0_self_attn_{name}"
        tensors |= {f"{key}.lora_down.weight": torch.randn(4, d_in), f"{key}.lora_up.weight": torch.randn(d_out, 4)}
        tensors[f"{key}.alpha"] = torch.tensor(4.0)
    save_file(tensors, path)


def downloads(hub) -> set[str]:
    return {path.rpartition("/")[2] for method, path in hub.requests if method == "GET" and "resolve" in path}


def test_single_files_are_read_by_their_content(hub, tmp_path):
    kohya(tmp_path / "styles" / "ink.safetensors")
    kohya(tmp_path / "styles" / "oil.safetensors")
    save_file({"emb_params": torch.randn(2, 4)}, tmp_path / "styles" / "embedding.safetensors")
    (tmp_path / "styles" / "preview.png").write_bytes(b"png")
    repo = hub.add("org/styles", tmp_path / "styles")
    adapters, failures = open_sources(["org/styles"])
    assert not failures
    assert [(a.info.name, a.info.source) for a in adapters] == [
        ("ink", f"org/styles@{repo.commit}:ink.safetensors"),
        ("oil", f"org/styles@{repo.commit}:oil.safetensors"),
    ]
    assert "preview.png" not in downloads(hub)
    hub.requests.clear()
    assert only("org/styles:oil.safetensors").info.name == "oil"
    assert only(adapters[0].info.source).info == adapters[0].info


def test_large_files_are_looked_at_first(hub, tmp_path, monkeypatch):
    from inspector.adapters.hub import fetch as module

    monkeypatch.setattr(module, "LARGE", 1000)
    kohya(tmp_path / "mixed" / "ink.safetensors")
    save_file({"unet.conv.weight": torch.randn(64, 64)}, tmp_path / "mixed" / "checkpoint.safetensors")
    (tmp_path / "mixed" / "q4.gguf").write_bytes(b"GGUF\3\0\0\0" + b"general.architecture" + b"\0" * 5000)
    hub.add("org/mixed", tmp_path / "mixed")
    assert only("org/mixed").info.name == "ink"
    gets = [path for method, path in hub.requests if method == "GET" and "resolve" in path]
    assert sorted(path.rpartition("/")[2] for path in gets) == sorted(
        ["checkpoint.safetensors", "ink.safetensors", "ink.safetensors", "q4.gguf"]
    )
    assert hub.ranges == ["bytes=0-65535"] * 3


def test_a_repo_without_adapters_says_so(hub, tmp_path):
    (tmp_path / "model").mkdir()
    save_file({"model.embed_tokens.weight": torch.randn(4, 4)}, tmp_path / "model" / "model.safetensors")
    (tmp_path / "model" / "config.json").write_text('{"model_type": "llama"}')
    hub.add("org/model", tmp_path / "model")
    assert "org/model is a whole model and no adapter: name what it was tuned from with --base." in failure("org/model")
    assert not downloads(hub)


def test_an_empty_repo_says_so(hub, tmp_path):
    (tmp_path / "empty").mkdir()
    commit = hub.add("org/plain", tmp_path / "empty").commit
    assert failure("org/plain") == f"org/plain holds no files (at {commit[:7]})."
    assert failure("org/plain:runs") == f"org/plain:runs is not there (at {commit[:7]})."


def test_a_pickle_beside_others_is_one_failure(hub, tmp_path):
    write_random(tmp_path / "runs" / "a")
    folder = write_random(tmp_path / "runs" / "b")
    (folder / "adapter_model.safetensors").rename(folder / "adapter_model.bin")
    hub.add("org/runs", tmp_path / "runs")
    adapters, failures = open_sources(["org/runs"])
    assert [a.info.name for a in adapters] == ["a"]
    assert [f.message for f in failures] == [
        "org/runs:b is a pickle, which is opened only with --allow-pickle (nothing in it is run even then)."
    ]
    assert "adapter_model.bin" not in downloads(hub)
