"""Which modules a config names, against PEFT's own function, and which of them a file lacks."""

import json

import pytest
from peft import LoraConfig
from peft.tuners.tuners_utils import _ExcludedModule, check_target_module_exists

from inspector.adapters.peft.config import read_config
from inspector.adapters.peft.targets import lacks
from inspector.study.module_id import Names

PATHS = [
    *(f"model.layers.{n}.{end}" for n in range(12) for end in ("self_attn.q_proj", "self_attn.v_proj", "mlp.up_proj")),
    *(f"model.layers.{n}.mlp.experts.{e}.up_proj" for n in (0, 3) for e in (0, 1, 3)),
    "model.vision_tower.blocks.3.q_proj", "model.layers.1.big_q_proj", "lm_head",
]  # fmt: skip


@pytest.mark.parametrize(
    "fields",
    [
        {"target_modules": ["q_proj", "up_proj"]},
        {"target_modules": ["layers.1.self_attn.q_proj", "v_proj", "lm_head"]},
        {"target_modules": r".*layers\.(1|11)\.(self_attn\.q|mlp\.up)_proj"},
        {"target_modules": "q_proj"},
        {"target_modules": r"layers\.1\..*|model\.layers\.2\..*"},
        {"target_modules": ["q_proj", "v_proj"], "exclude_modules": ["layers.1.self_attn.q_proj"]},
        {"target_modules": ["q_proj"], "exclude_modules": r".*vision_tower.*"},
        {"target_modules": ["q_proj", "up_proj"], "layers_to_transform": [1, 3]},
        {"target_modules": ["q_proj", "up_proj"], "layers_to_transform": 1},
        {"target_modules": ["model.layers.0.self_attn.q_proj", "v_proj"], "layers_to_transform": [3]},
        {"target_modules": ["q_proj", "up_proj"], "layers_to_transform": [3], "layers_pattern": "layers"},
        {"target_modules": ["up_proj"], "layers_to_transform": [1, 3], "layers_pattern": ["blocks", "experts"]},
        {"target_modules": ["q_proj", "lm_head"], "layers_to_transform": []},
    ],
    ids=lambda fields: "-".join(f"{v}" for v in fields.values()),
)
def test_the_modules_a_config_names_are_those_peft_would_change(tmp_path, fields):
    theirs = LoraConfig(r=4, **fields)
    (tmp_path / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": 4, "lora_alpha": 4, **fields}))
    named = lacks(read_config(tmp_path), Names(()))
    expected = [check_target_module_exists(theirs, path) for path in PATHS]
    wanted = [path for path, hit in zip(PATHS, expected, strict=True) if hit and not isinstance(hit, _ExcludedModule)]
    assert [path for path in PATHS if named(path)] == wanted
    assert 0 < len(wanted) < len(PATHS) or fields["target_modules"] == "q_proj"


def test_what_is_in_the_file_is_not_lacking(tmp_path):
    (tmp_path / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "target_modules": ["q_proj"]}))
    there = Names(["model.layers.0.self_attn.q_proj"])
    named = lacks(read_config(tmp_path), there)
    assert [n for n in range(3) if named(f"model.layers.{n}.self_attn.q_proj")] == [1, 2]
