"""What a config's fields of any kind come to: one row a case."""

import json

import pytest

from inspector.adapters.options import DEFAULTS, ReadOptions
from inspector.adapters.peft.config import PeftConfig, read_config
from inspector.adapters.peft.patterns import Patterns
from inspector.adapters.peft.scale import Scaling


def config(folder, **fields):
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": 4, "lora_alpha": 8} | fields))
    return read_config(folder)


@pytest.mark.parametrize(
    ("field", "value", "name", "found"),
    [
        ("target_modules", ["q", "v", "q"], "targets", ("q", "v")),
        ("target_modules", "all-linear", "targets", ("all-linear",)),
        ("target_modules", {"q": 1}, "targets", ()),
        ("target_modules", ["a.b"], "selects", (r"a\.b",)),
        ("exclude_modules", "a.b", "excludes", ("^(?:a.b)",)),
        ("layers_to_transform", 3, "layers", (3,)),
        ("layers_to_transform", [3, "4", True, 0], "layers", (3, 0)),
        ("layers_to_transform", None, "layers", ()),
        ("layers_pattern", "blocks", "layers_pattern", ("blocks",)),
        ("layer_replication", [[0, 4], [2, 5]], "layer_replication", ((0, 4), (2, 5))),
        ("layer_replication", [[0, 4], [2, 5, 6]], "layer_replication", ()),
        ("layer_replication", [[0, 4], [-1, 5]], "layer_replication", ()),
        ("layer_replication", [[0, 999_999]], "layer_replication", ((0, 999_999),)),
        ("layer_replication", [[0, 10**6]], "layer_replication", ()),
        ("layer_replication", [[0, 1]] * 1000, "layer_replication", ((0, 1),) * 1000),
        ("layer_replication", [[0, 1]] * 1001, "layer_replication", ()),
        ("layer_replication", [[0, True]], "layer_replication", ()),
        ("enable_lora", [True, False, True], "enabled", (True, False, True)),
        ("enable_lora", [False, False], "enabled", ()),
        ("enable_lora", [True, 1], "enabled", ()),
        ("enable_lora", [True] * 16, "enabled", (True,) * 16),
        ("enable_lora", [True] * 17, "enabled", ()),
        ("alora_invocation_tokens", [0, 5], "invocation", (0, 5)),
        ("alora_invocation_tokens", [], "invocation", ()),
        ("trainable_token_indices", [1, 2], "tokens", {"": (1, 2)}),
        ("trainable_token_indices", {"a": [1], "b": "x", "c": [1.5]}, "tokens", {"a": (1,)}),
        ("token_indices", [3], "tokens", {"": (3,)}),
        ("peft_version", "0.21.3.dev0", "version", (0, 21)),
        ("peft_version", None, "version", ()),
        ("init_lora_weights", "PiSSA", "init", "pissa"),
        ("init_lora_weights", True, "init", ""),
        ("modules_to_save", ["x"], "modules_to_save", ("x",)),
        ("task_type", "QUESTION_ANS", "modules_to_save", ("qa_outputs",)),
        ("r", "4", "r", None),
        ("rank_pattern", {"a": 2, "b": "x", "c": True}, "rank_pattern", {"a": 2.0}),
        ("base_model_name_or_path", 7, "base", ""),
        ("use_rslora", 1, "rslora", True),
    ],
)
def test_a_field(tmp_path, field, value, name, found):
    assert getattr(config(tmp_path, **{field: value}), name) == found


def test_settings_that_say_nothing_are_none(tmp_path):
    nothing = {"bias": "none", "lora_bias": False, "modules_to_save": None, "trainable_token_indices": {}}
    assert config(tmp_path, **nothing, task_type="IMAGE").settings == {}
    said = {"bias": "all", "lora_bias": True, "modules_to_save": ["x"], "trainable_token_indices": [1]}
    assert config(tmp_path, **said, task_type="CAUSAL_LM").settings == said | {"task_type": "CAUSAL_LM"}


@pytest.mark.parametrize(
    ("fields", "r", "alpha", "ranks"),
    [
        ({"peft_type": "LORA", "lora_alpha": 2, "alpha": 3, "rank_pattern": {"q": 5}}, 4, 2, {"q": 5}),
        ({"peft_type": "LOHA", "lora_alpha": 2, "alpha": 3, "rank_pattern": {"q": 5}}, 4, 3, {"q": 5}),
        ({"peft_type": "LOKR", "lora_alpha": 2, "alpha": 3}, 4, 3, {}),
        ({"peft_type": "ADALORA", "init_r": 6, "lora_alpha": 2, "rank_pattern": {"q": 5}}, 6, 2, {}),
        ({"peft_type": "ADALORA"}, 12, 8, {}),
        ({"peft_type": "lora"}, 4, 8, {}),
    ],
)
def test_each_method_has_its_own_rank_and_alpha(tmp_path, fields, r, alpha, ranks):
    found = config(tmp_path, **fields)
    assert (found.r, found.alpha, found.rank_pattern) == (r, alpha, ranks)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, []),
        ({"r": 1}, []),
        ({"r": 4.0}, []),
        ({"r": 0}, ["the config's r is 0"]),
        ({"r": 4.5}, ["the config's r is 4.5"]),
        ({"rank_pattern": {"q": "x"}}, ["rank_pattern has values"]),
        ({"alpha_pattern": {"q": 1, "v": None}}, ["alpha_pattern has values"]),
        ({"alpha_pattern": [1]}, ["alpha_pattern has values"]),
        ({"peft_type": "ADALORA", "rank_pattern": {"q": [True]}}, []),
        ({"peft_type": "VERA", "r": 0, "later": 1}, []),
        ({"peft_type": "LOHA"}, ["the config has no alpha: PEFT's default 8 is taken"]),
        ({"peft_type": "LOKR", "r": 0}, ["the config has no alpha: ", "the config's r is 0"]),
        ({"later": 1}, ["config keys PEFT 0.21 does not have, not used: later"]),
    ],
)
def test_what_is_odd_about_a_config(tmp_path, fields, said):
    found = [f.text for f in config(tmp_path, **fields).findings]
    assert len(found) == len(said)
    assert all(text.startswith(start) for text, start in zip(found, said, strict=True))


@pytest.mark.parametrize(
    ("settings", "rank"),
    [({"r": 4}, 4), ({"r": 4, "rank_pattern": {"q": 6}}, 6), ({"r": 4, "rank_pattern": {"v": 6}}, 4), ({"r": None}, 8),
     ({"r": 0}, 8), ({"r": 1}, 1), ({"r": 2.0**31}, 8), ({"r": 2**31 - 1}, 2**31 - 1)],
)  # fmt: skip
def test_the_rank_that_a_config_gives_a_module(settings, rank):
    assert Scaling(PeftConfig(**settings), DEFAULTS).configured("base_model.model.layers.0.q") == rank


@pytest.mark.parametrize(
    ("settings", "options", "scale", "origin"),
    [
        ({"r": 6, "alpha": 3.0}, {}, 3 / (6 + 1e-5), "α/(r + 1e-5) = 3/(6 + 1e-5)"),
        ({"r": None, "alpha": 3.0}, {}, 3 / (4 + 1e-5), "α/(r + 1e-5) = 3/(4 + 1e-5)"),
        ({"r": 0, "alpha": 3.0}, {}, 3 / (4 + 1e-5), "α/(r + 1e-5) = 3/(4 + 1e-5)"),
        ({"r": 6, "alpha": 0.0}, {}, 4 / (6 + 1e-5), "α/(r + 1e-5) = 4/(6 + 1e-5)"),
        ({"r": 6, "alpha": None}, {}, None, "no α, r = 4"),
        ({"r": 6, "alpha": None}, {"alpha": 2.0}, 0.5, "α/r = 2/4, α as given"),
    ],
)
def test_the_scale_of_adalora(settings, options, scale, origin):
    found = Scaling(PeftConfig(peft_type="ADALORA", **settings), ReadOptions(**options)).adalora(4)
    assert (found.value, found.origin) == (scale, origin)


@pytest.mark.parametrize(
    ("table", "path", "hits"),
    [
        (["q", "a.q", "b.q"], "a.q", ["q", "a.q"]),
        (["a.q", "q"], "a.q", ["a.q", "q"]),
        (["^a.q", "^q"], "a.q", ["^a.q"]),
        ([r"a\.q", "^a\\.q", ".q"], "a.q", [r"a\.q", "^a\\.q"]),
        (["[ab].q", "[ab]", "q$"], "x.a.q", ["[ab].q", "q$"]),
        (["q"], "a.big_q", []),
        ([], "a.q", []),
    ],
)
def test_the_keys_that_hit_a_path(table, path, hits):
    patterns = Patterns(dict.fromkeys(table, 1.0))
    assert [key for key, _ in patterns.hits(path)] == hits
    assert patterns.idle() == [key for key in table if key not in hits]
    assert patterns.dropped == []


@pytest.mark.parametrize(
    ("key", "name"), [("q|" * 499 + "qq", "qq"), ("(q{100}){100}", "q" * 10_000), ("q{2,}", "qqq")]
)
def test_a_regex_of_bounded_length_and_repeats_is_used(key, name):
    patterns = Patterns({key: 1.0})
    assert patterns.hits(f"a.{name}") == [(key, 1.0)]
    assert patterns.dropped == patterns.idle() == []


@pytest.mark.parametrize("key", ["q|" * 500 + "q", "(q{100}){101}", "q{10001}", "q{2,10001}", "q{2,}|["])
def test_a_longer_or_a_larger_one_is_dropped(key):
    patterns = Patterns({key: 1.0})
    assert patterns.hits("a.q") == patterns.idle() == []
    assert patterns.dropped == [key]


def test_of_regexes_the_first_five_hundred_are_used():
    keys = [f"(q{n}|q)" for n in range(501)]
    patterns = Patterns(dict.fromkeys(keys, 1.0))
    assert patterns.dropped == keys[500:]
    assert [key for key, _ in patterns.hits("q")] == keys[:500]
