"""Every tensor in exactly one class, and what is broken is a finding, not a crash."""

import json
import time

import pytest
import torch

from inspector.adapters.formats import read_adapter
from inspector.common.errors import InspectorError
from inspector.study.module_id import ModuleId
from inspector.study.study import Settings
from inspector.workflows import analyze
from inspector.workflows.convert import convert
from inspector.workflows.merge_preview import merge_preview
from tests.makers import TINY, lora_tensors, random_factors, write_adapter, write_config, write_random

Q0 = "base_model.model.model.layers.0.self_attn.q_proj"


def read(folder):
    return read_adapter(folder, "a", str(folder))


def texts(adapter, severity="warning"):
    return [f.text for f in adapter.info.findings if f.severity == severity]


def write(folder, tensors, **config):
    """An adapter of these tensors under their own keys."""
    return write_adapter(folder, {}, r=4, extra=tensors, **config)


def without(suffix):
    """The toy's tensors but layer 0's q_proj half of this name."""
    tensors = lora_tensors(random_factors())
    del tensors[f"{Q0}.{suffix}"]
    return tensors


@pytest.mark.parametrize(
    "prefix",
    [
        "",
        "base_model.model.",
        "base_model.model.base_model.model.",
        "_orig_mod.base_model.model.",
        "base_model.model._orig_mod.",
        "module.base_model.model.",
        "_fsdp_wrapped_module.base_model.model._fsdp_wrapped_module.",
    ],
)
def test_prefixes(tmp_path, prefix):
    adapter = read(write_adapter(tmp_path, random_factors(), prefix=prefix))
    assert len(adapter.modules) == len(TINY)
    assert ModuleId(2, "self_attn.v_proj") in adapter.modules
    assert adapter.info.findings == ()


@pytest.mark.parametrize("name", ["default", "policy", "1"])
def test_adapter_name_inside_the_keys(tmp_path, name):
    tensors = {key.replace(".weight", f".{name}.weight"): t for key, t in lora_tensors(random_factors()).items()}
    adapter = read(write(tmp_path, tensors))
    assert len(adapter.modules) == len(TINY)
    assert {t.role for t in adapter.tensors} == {"used"}


@pytest.mark.parametrize("half", ["lora_A.weight", "lora_B.weight"])
def test_missing_half(tmp_path, half):
    adapter = read(write(tmp_path, without(half)))
    assert len(adapter.modules) == len(TINY) - 1
    assert adapter.info.excluded == (ModuleId(0, "self_attn.q_proj"),)
    assert adapter.info.health == "error"
    other = {"lora_A.weight": "lora_B.weight", "lora_B.weight": "lora_A.weight"}[half]
    (said,) = texts(adapter, "error")
    assert said.startswith("1 tensor not understood, only A or only B of the module is there, without its ")
    assert said.endswith(f"{half.removesuffix('.weight')}: {Q0}.{other}")


def test_targets_and_patterns_that_meet_nothing_are_said(tmp_path):
    patterns = {"alpha_pattern": {"v_proj": 2, "k_proj": 4}, "rank_pattern": {r"layers\.9\..*": 4}}
    adapter = read(write_random(tmp_path / "list", target_modules=["q_proj", "v_proj", "query_key_value"], **patterns))
    assert texts(adapter) == [
        "alpha_pattern: no module is hit by k_proj",
        "rank_pattern: no module is hit by layers\\.9\\..*",
        "target_modules without a tensor in the file: query_key_value",
    ]
    for named in (r".*\.layers\.\d+\.self_attn\.(q|v)_proj", "all-linear"):
        assert texts(read(write_random(tmp_path / "one", target_modules=named))) == []


def test_only_halves_is_listed_as_an_error(tmp_path):
    tensors = {key: t for key, t in lora_tensors(random_factors()).items() if "lora_A" in key}
    adapter = read(write(tmp_path, tensors))
    assert (adapter.modules, adapter.info.health, adapter.info.tensors) == ({}, "error", len(TINY))
    assert "no LoRA pair" in texts(adapter, "error")[0]


def test_every_command_says_why_there_is_no_module(tmp_path):
    tensors = {key: torch.zeros(0) for key in lora_tensors(random_factors())}
    ungathered = str(write(tmp_path / "zero3", tensors))
    for act in (
        lambda: convert(ungathered, tmp_path / "dest"),
        lambda: merge_preview([ungathered], rank=None, dest=None, out=None, device="cpu"),
        lambda: analyze.measured([ungathered], Settings(device="cpu")),
    ):
        with pytest.raises(InspectorError, match="as ZeRO-3 and FSDP leave when they save ungathered"):
            act()


@pytest.mark.parametrize(
    ("B", "A", "reason"),
    [
        (torch.zeros(0), torch.zeros(0), "1-D or zero-size factor"),
        (torch.zeros(24, 0), torch.zeros(0, 16), "1-D or zero-size factor"),
        (torch.zeros(96), torch.zeros(4, 16), "1-D or zero-size factor"),
        (torch.zeros(24, 4), torch.zeros(8, 16), "B·A does not multiply"),
        (torch.zeros(16, 4, 1), torch.zeros(8, 16), "B·A does not multiply"),  # MergedLinear, enable_lora
        (torch.zeros(24, 4, 3, 3), torch.zeros(4, 16, 3, 3), "B·A does not multiply"),
        (
            torch.zeros(24, 4, dtype=torch.int8),
            torch.zeros(4, 16, dtype=torch.int8),
            "factors of a type that is not a float",
        ),
    ],
)
def test_factors_that_are_no_pair(tmp_path, B, A, reason):
    tensors = lora_tensors(random_factors()) | {f"{Q0}.lora_A.weight": A, f"{Q0}.lora_B.weight": B}
    adapter = read(write(tmp_path, tensors))
    assert len(adapter.modules) == len(TINY) - 1
    assert adapter.info.excluded == (ModuleId(0, "self_attn.q_proj"),)
    assert reason in texts(adapter, "error")[0]


def test_two_tensors_for_one_module(tmp_path):
    tensors = lora_tensors(random_factors())
    tensors |= {key.removeprefix("base_model.model."): t.clone() for key, t in tensors.items() if key.startswith(Q0)}
    adapter = read(write(tmp_path, tensors))
    assert len(adapter.modules) == len(TINY) - 1
    assert "4 tensors not understood, several tensors claim the same module" in texts(adapter, "error")[0]


def test_other_tensors(tmp_path):
    extra = {
        "base_model.model.score.weight": "modules_to_save",
        "base_model.model.score.modules_to_save.default.bias": "modules_to_save",
        "base_model.model.model.layers.0.self_attn.q_proj.bias": "bias",
        "base_model.model.model.embed_tokens.weight": "weights of the base",
        "base_model.model.model.embed_tokens.token_adapter.trainable_tokens_delta": "trainable tokens",
        "base_model.model.model.norm.lora_E": "no tensor of a LoRA",
        "whatever": "no tensor of a LoRA",
    }
    tensors = {key: torch.zeros(2, 2) for key in extra}
    adapter = read(write_adapter(tmp_path, random_factors(), extra=tensors, modules_to_save=["score", "score"]))
    reasons = {t.key: t.reason for t in adapter.tensors if t.role != "used"}
    assert reasons.keys() == extra.keys()
    assert all(reasons[key].startswith(start) for key, start in extra.items())
    assert {t.role for t in adapter.tensors if t.key in {"whatever", "base_model.model.model.norm.lora_E"}} == {
        "unknown"
    }
    assert len(adapter.modules) == len(TINY)


@pytest.mark.parametrize("saved", [["classifier", "score"], None])
@pytest.mark.parametrize(
    ("task", "head"), [("SEQ_CLS", "score"), ("SEQ_CLS", "classifier.out_proj"), ("TOKEN_CLS", "classifier")]
)
def test_a_head_and_its_bias_have_one_account(tmp_path, saved, task, head):
    """Also where the config does not name the head, as PEFT once wrote it."""
    extra = {f"base_model.model.{head}.weight": torch.zeros(3, 16), f"base_model.model.{head}.bias": torch.zeros(3)}
    adapter = read(write_adapter(tmp_path, random_factors(), extra=extra, task_type=task, modules_to_save=saved))
    assert {(t.role, t.reason) for t in adapter.tensors if t.key in extra} == {
        ("ignored", "modules_to_save: absolute values, no update without the base (--base)")
    }
    assert len(adapter.info.findings) == 1


def test_an_unknown_head_and_its_bias_have_one_account(tmp_path):
    extra = {f"base_model.model.head.{end}": torch.zeros(3, 3) for end in ("weight", "bias")}
    adapter = read(write_adapter(tmp_path, random_factors(), extra=extra))
    (finding,) = adapter.info.findings
    assert finding.text.startswith("2 tensors not understood, no tensor of a LoRA: ")


def test_fp8_factors_load(tmp_path):
    adapter = read(write_adapter(tmp_path, random_factors(dtype=torch.float8_e4m3fn)))
    B, A = adapter.load(ModuleId(0, "self_attn.q_proj"))
    assert (B.double() @ A.double()).isfinite().all()
    assert adapter.info.dtype == "F8_E4M3"


def test_no_lora_alpha_takes_pefts_default(tmp_path):
    factors = random_factors(r=4)
    write_adapter(tmp_path, factors)
    config = json.loads((tmp_path / "adapter_config.json").read_text())
    del config["lora_alpha"]
    (tmp_path / "adapter_config.json").write_text(json.dumps(config))
    adapter = read(tmp_path)
    assert adapter.info.scale == "2 (α/r = 8/4)"
    assert texts(adapter) == ["the config has no lora_alpha: PEFT's default 8 is taken"]


def test_a_config_of_just_the_base(tmp_path):
    write_random(tmp_path)
    (tmp_path / "adapter_config.json").write_text('{"base_model": "org/base"}')
    adapter = read(tmp_path)
    assert (adapter.info.base, len(adapter.modules)) == ("org/base", len(TINY))
    assert any("base_model" in text for text in texts(adapter, "info"))


def test_no_config(tmp_path):
    write_random(tmp_path)
    (tmp_path / "adapter_config.json").unlink()
    adapter = read(tmp_path)
    assert "the scale of ΔW is unknown" in texts(adapter)[0]
    assert not adapter.info.scaled


@pytest.mark.parametrize("base", [None, 7])
def test_no_base(tmp_path, base):
    assert read(write_random(tmp_path, base=base)).info.base == ""


@pytest.mark.parametrize("targets", ["all-linear", None, r".*\.(q|v)_proj", ["nowhere"]])
def test_targets_of_every_kind(tmp_path, targets):
    adapter = read(write_random(tmp_path, target_modules=targets))
    assert len(adapter.modules) == len(TINY)
    if targets is None:
        assert adapter.info.targets == ("q_proj", "v_proj")


@pytest.mark.parametrize("r", [0, -1, "8", 10**30, 2.5, None])
def test_the_rank_is_that_of_the_tensors(tmp_path, r):
    write_random(tmp_path, r=4, alpha=8)
    config = json.loads((tmp_path / "adapter_config.json").read_text()) | {"r": r}
    (tmp_path / "adapter_config.json").write_text(json.dumps(config))
    adapter = read(tmp_path)
    assert adapter.info.scale == "2 (α/r = 8/4)"
    assert adapter.info.health == "warning"


def test_another_rank_than_the_config_says(tmp_path):
    adapter = read(write_adapter(tmp_path, random_factors(r=4), r=8, alpha=8))
    assert adapter.info.scale == "2 (α/r = 8/4)"
    assert f"{len(TINY)} modules with another rank than the config says" in texts(adapter)[0]


@pytest.mark.parametrize("alpha", ["16", None, True, [1], float("nan")])
def test_alpha_that_is_no_number(tmp_path, alpha):
    with pytest.raises(InspectorError, match=r"lora_alpha is .* not a number"):
        read(write_random(tmp_path, alpha=alpha))


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("RANDLORA", "drawn from a random seed"),
        ("IA3", "multiplies weights"),
        ("PROMPT_TUNING", "virtual tokens"),
        ("LN_TUNING", "vectors of norms"),
        ("SHIRA", "not supported"),
        ("WHATEVER", "not supported"),
    ],
)
def test_other_methods_are_refused_by_name(tmp_path, kind, why):
    with pytest.raises(InspectorError, match=rf"peft_type {kind}: .*{why}.*Supported are LORA, ADALORA, LOHA, LOKR"):
        read(write_random(tmp_path, peft_type=kind))


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"init_lora_weights": "corda"}, "changed the base weights"),
        ({"init_lora_weights": "loftq"}, "changed the base weights"),
        ({"init_lora_weights": "lora_ga"}, "changed the base weights"),
        ({"kasa_config": {"beta": 1}}, "KaSA"),
        ({"use_qalora": True}, "QALoRA"),
        ({"use_bdlora": {"nblocks": 2}}, "BD-LoRA"),
    ],
)
def test_variants_that_are_not_s_B_A(tmp_path, config, reason):
    adapter = read(write_random(tmp_path, **config))
    assert (adapter.modules, adapter.info.health) == ({}, "error")
    assert reason in texts(adapter, "error")[0]
    assert adapter.info.parameters > 0


def test_unknown_init_is_a_warning(tmp_path):
    adapter = read(write_random(tmp_path, init_lora_weights="milora"))
    assert len(adapter.modules) == len(TINY)
    assert "'milora' is unknown" in texts(adapter)[0]


def test_keys_twice_in_the_config(tmp_path):
    write_random(tmp_path)
    (tmp_path / "adapter_config.json").write_text('{"peft_type": "LORA", "lora_alpha": 1, "lora_alpha": 8}')
    adapter = read(tmp_path)
    assert adapter.info.alpha == "8"
    assert "keys twice (lora_alpha)" in texts(adapter)[0]


@pytest.mark.parametrize(
    "pattern",
    [r"((((a+)+)+)+)+q_pro", r"(.*)*(.*)*(.*)*x", r"(((x{999}){999}){999}){999}", "(" * 400, "q_proj" * 1000, "["],
)
def test_hostile_patterns_take_no_time(tmp_path, pattern):
    started = time.process_time()
    factors = random_factors({f"model.layers.{layer}.{'a' * 60}.q_proj": (4, 4) for layer in range(30)})
    adapter = read(write_adapter(tmp_path, factors, alpha=8, alpha_pattern={pattern: 2, "layers.0.*q_proj": 3}))
    assert time.process_time() - started < 60  # without a limit the first of them would not end today
    assert adapter.info.alpha == "3-8"


def test_control_characters_and_length(tmp_path):
    factors = random_factors({"model.layers.0.\x1b[2J\u202eq_proj": (4, 4), f"model.{'x' * 5000}": (4, 4)})
    adapter = read(write_adapter(tmp_path, factors, base="evil\x1b]0;title\x07/base\nname" + "y" * 500))
    shown = [
        adapter.info.base,
        *adapter.info.targets,
        *(str(m) for m in adapter.modules),
        *(t.key for t in adapter.tensors),
    ]
    shown += [f.text for f in adapter.info.findings]
    assert all(text.isprintable() and len(text) <= 400 for text in shown)
    assert len(adapter.modules) == 2
    for module in adapter.modules:
        assert adapter.load(module)[0].shape == (4, 4)


def test_config_alone_and_weights_of_another_format(tmp_path):
    write_config(tmp_path / "config", r=4)
    with pytest.raises(InspectorError, match="a config without its weights"):
        read(tmp_path / "config")
    (tmp_path / "mlx").mkdir()
    (tmp_path / "mlx" / "adapters.safetensors").write_bytes(b"x")
    with pytest.raises(InspectorError, match="no adapter that could be recognised"):
        read(tmp_path / "mlx")
