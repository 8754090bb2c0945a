"""`inspector receipt` as a command: sums, mixtures, text, bad input."""

import json
import shutil

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file, save_file

from inspector.cli.receipt import receipt
from inspector.common.errors import InspectorError
from tests.checking.receipt import merges


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A base, two adapters of it, and merges of both, of one, and of one at half."""
    place = tmp_path_factory.mktemp("receipt")
    base = merges.saved(merges.model(), place / "base")
    one, two = (merges.adapter(base, place / name, seed=n) for n, name in enumerate(("one", "two"), 1))
    merges.merged(base, place / "both", [one, two])
    merges.merged(base, place / "alone", [one])
    half = merges.merged(base, place / "half", [two], strength=0.5)
    merges.merged(half, place / "uneven", [one])
    return place


def asked(place, *words, merged="alone"):
    words = [*(str(place / w) if (place / w).exists() else w for w in words)]
    return CliRunner().invoke(
        receipt, [*words, "--base", str(place / "base"), "--merged", str(place / merged)], standalone_mode=False
    )


@pytest.mark.parametrize(
    ("merged", "verdict", "said"),
    [
        ("both", "contained", "the sum of one and two at strength 1.00 in 12 of 12 modules"),
        ("alone", "partial", "Contains one at strength 1.00 in 12 of 12 modules, not two."),
        ("uneven", "scaled", "one at 1.00, two at 0.50"),
        ("base", "absent", "Is the base"),
    ],
)
def test_a_sum(place, merged, verdict, said):
    done = asked(place, "one", "two", "--json", merged=merged)
    found = json.loads(done.stdout)
    assert (found["verdict"], done.return_value) == (verdict, verdict != "contained"), found["sentence"]
    assert said in found["sentence"]


def test_the_answer_of_a_single_merge(place):
    """D = W − W₀ by torch: the strength is ⟨D, ΔW⟩/‖ΔW‖² up to the rounding, what is left over ‖D − ΔW‖."""
    found = json.loads(asked(place, "one", "--json").stdout)
    assert found.keys() == {"version", "verdict", "strength", "sentence", "modules"}
    assert found["strength"]["low"] < 1 < found["strength"]["high"]
    before, after, factors = (
        load_file(place / name)
        for name in ("base/model.safetensors", "alone/model.safetensors", "one/adapter_model.safetensors")
    )
    path = "model.layers.2.mlp.down_proj"
    D = after[f"{path}.weight"].double() - before[f"{path}.weight"].double()
    B, A = (factors[f"base_model.model.{path}.lora_{side}.weight"].double() for side in "BA")
    module = next(module for module in found["modules"] if module["path"] == "2.mlp.down_proj")
    assert module["strength"] == pytest.approx(float((D * (2 * B @ A)).sum() / (2 * B @ A).square().sum()), abs=1e-3)
    assert module["left_over"] == pytest.approx(float((D - 2 * B @ A).norm()), rel=1e-2)
    assert module["left_over"] < module["expected_left_over"] < 3 * module["left_over"]


def test_the_text_has_the_sentence_the_strength_and_a_row_a_projection(place):
    lines = asked(place, "one").stdout.splitlines()
    assert lines[0] == "Contains one at strength 1.00 in 12 of 12 modules."
    assert lines[1].startswith("strength 1.000 (0.99")
    assert [line.split()[:3] for line in lines if "proj" in line] == [
        ["mlp.down_proj", "4", "1.00"],
        ["self_attn.q_proj", "4", "1.00"],
        ["self_attn.v_proj", "4", "1.00"],
    ]


def test_other_prefixes_are_the_same_modules(place, tmp_path):
    """As a class with a vision tower saves its language model."""
    folder = shutil.copytree(place / "alone", tmp_path / "renamed")
    tensors = load_file(folder / "model.safetensors")
    save_file({f"model.language_{key}": t for key, t in tensors.items()}, folder / "model.safetensors")
    done = asked(place, "one", merged=folder)
    assert done.stdout.startswith("Contains one at strength 1.00 in 12 of 12 modules.")


def test_bytes_rounded_away_are_said_to_be(place, tmp_path):
    small = merges.adapter(place / "base", tmp_path / "small", size=1e-9)
    merges.merged(place / "base", tmp_path / "merged", [small])
    done = asked(place, str(small), merged=tmp_path / "merged")
    assert done.return_value == 1
    assert done.stdout.startswith("Is the base: none of 30 matrices differs; bfloat16 rounds the whole update away.")


def test_the_experts_of_a_mixture(tmp_path):
    """PEFT has LoRAs on the parameters that hold all experts of a layer; files have each expert by itself."""
    base = merges.saved(merges.model("mixtral"), tmp_path / "base")
    config = {"target_modules": ["q_proj"], "target_parameters": ["mlp.experts.gate_up_proj", "mlp.experts.down_proj"]}
    one = merges.adapter(base, tmp_path / "one", **config)
    merges.merged(base, tmp_path / "merged", [one])
    found = json.loads(asked(tmp_path, "one", "--json", merged="merged").stdout)
    assert found["verdict"] == "contained", found["sentence"]
    assert len(found["modules"]) == 4 + 4 * 4 * 2


def bad(place, tmp_path, what):
    """The words that are wrong in this way."""
    folder = tmp_path / "x"
    if what == "an adapter":
        return ["one"], place / "two"
    if what == "unmerged":
        wrapped = merges.quietly(merges.PeftModel.from_pretrained, merges.loaded(place / "base"), place / "one")
        folder.mkdir()
        save_file(
            {k: v.contiguous() for k, v in wrapped.state_dict().items() if "lm_head" not in k}, folder / "m.safetensors"
        )
        shutil.copy(place / "base" / "config.json", folder)
        return ["one"], folder
    if what == "another base":
        merges.saved(merges.model("gpt2"), tmp_path / "gpt2")
        return [str(merges.adapter(tmp_path / "gpt2", folder))], place / "alone"
    if what == "nan":
        shutil.copytree(place / "one", folder)
        tensors = load_file(folder / "adapter_model.safetensors")
        tensors[min(tensors)][0] = torch.nan
        save_file(tensors, folder / "adapter_model.safetensors")
        return [str(folder)], place / "alone"
    return ["one"], folder


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("an adapter", "is an adapter, not a merged model"),
        ("unmerged", "not merged into it"),
        ("another base", "does not fit the base"),
        ("nan", "holds NaN or Inf"),
        ("missing", "No file or folder"),
    ],
)
def test_bad_input_is_a_sentence(place, tmp_path, what, said):
    words, merged = bad(place, tmp_path, what)
    done = asked(place, *words, merged=merged)
    assert isinstance(done.exception, InspectorError)
    assert said in str(done.exception)
