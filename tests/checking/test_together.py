"""What keeps adapters from being compared, from their headers."""

import torch

from inspector.adapters.files.base_weights import BaseWeights
from inspector.adapters.formats import read_adapter
from inspector.adapters.options import ReadOptions
from inspector.checking.together import together
from inspector.study.module_id import ModuleId
from tests.base_model.tiny_model import saved_base, tiny_model, tiny_tokenizer
from tests.makers import random_factors, write_adapter


def adapter(folder, shapes, **config):
    folder = write_adapter(folder, random_factors(shapes), **config)
    return read_adapter(folder, folder.name, str(folder))


def toy(prefix="model.layers", ends=("q_proj", "v_proj"), d_out=16, layers=3):
    return {f"{prefix}.{layer}.self_attn.{end}": (d_out, 16) for layer in range(layers) for end in ends}


def test_alike_adapters_have_nothing_to_say(tmp_path):
    found = together([adapter(tmp_path / name, toy()) for name in "ab"])
    assert (found.findings(), found.common, found.modules, len(found.families)) == ((), 6, 6, 1)


def test_different_bases(tmp_path):
    bases = {"a": "org/one", "b": "org/two", "c": "org/one", "d": None}
    found = together([adapter(tmp_path / name, toy(), base=base) for name, base in bases.items()])
    assert found.bases == {"org/one": ("a", "c"), "org/two": ("b",), "": ("d",)}
    (finding,) = found.findings()
    assert (finding.severity, finding.text) == ("warning", "2 different bases: org/one (a, c); org/two (b)")


def test_prefixes_that_do_not_meet(tmp_path):
    one = adapter(tmp_path / "one", toy())
    # A tower beside the language model keeps its whole path: the same layers there are other modules.
    tower = adapter(tmp_path / "tower", toy("vision_tower.encoder.layers"))
    found = together([one, tower])
    assert found.families == (("one",), ("tower",))
    assert (found.common, found.modules, found.same_ends) == (0, 12, True)
    (finding,) = found.findings()
    assert finding.severity == "warning"
    assert "the same projections under prefixes that do not meet" in finding.text
    assert "model.layers.N.self_attn.q_proj" in finding.text
    assert "vision_tower.encoder.layers.N.self_attn.q_proj" in finding.text


def test_other_targets_are_not_called_prefixes(tmp_path):
    found = together([adapter(tmp_path / "a", toy(ends=("q_proj",))), adapter(tmp_path / "b", toy(ends=("o_proj",)))])
    assert not found.same_ends
    assert "other targets" in found.findings()[0].text


def test_a_third_adapter_may_join_two(tmp_path):
    ends = {"a": ("q_proj",), "b": ("o_proj",), "c": ("q_proj", "o_proj")}
    found = together([adapter(tmp_path / name, toy(ends=e)) for name, e in ends.items()])
    assert found.families == (("a", "b", "c"),)
    assert "0 of 6 modules are in all adapters" in found.findings()[0].text


def test_aligned_prefixes_are_told(tmp_path):
    found = together([adapter(tmp_path / "a", toy()), adapter(tmp_path / "b", toy("model.language_model.layers"))])
    assert (found.common, found.modules) == (6, 6)
    assert found.aliases == (("model.language_model.layers.N", "model.layers.N"),)
    assert [f.severity for f in found.findings()] == ["info"]


def test_other_shapes_are_named(tmp_path):
    found = together([adapter(tmp_path / "a", toy()), adapter(tmp_path / "b", toy(d_out=8, layers=2))])
    assert found.misshapen == tuple(ModuleId(n, f"self_attn.{e}") for n in range(2) for e in ("q_proj", "v_proj"))
    assert any("shapes differ, not compared there: 0.self_attn.q_proj" in f.text for f in found.findings())


def test_the_base_given_for_a_full_fine_tune_is_no_other_base(tmp_path):
    base = saved_base(tmp_path / "base")
    tiny_model(tiny_tokenizer(), seed=1).save_pretrained(tmp_path / "tuned")
    read_options = ReadOptions(BaseWeights("some/name", lambda: base))
    tuned = read_adapter(tmp_path / "tuned", "tuned", "tuned", read_options)
    found = together([tuned, adapter(tmp_path / "a", toy(d_out=32, layers=2), base="org/tiny")])
    assert found.bases == {"org/tiny": ("a",)}
    assert len(found.families) == 1


def test_an_adapter_without_modules_is_left_out(tmp_path):
    broken = adapter(tmp_path / "broken", {}, r=4, extra={"x": torch.zeros(2)})
    found = together([adapter(tmp_path / "a", toy()), broken])
    assert (found.families, found.common) == ((("a",),), 6)


def test_the_example_of_a_family_is_its_first_adapters_first_module(tmp_path):
    shapes = {"a": ("q_proj", "v_proj"), "b": ("v_proj",), "c": ("o_proj",)}
    found = together([adapter(tmp_path / name, toy(ends=ends, layers=1)) for name, ends in shapes.items()])
    assert found.families == (("a", "b"), ("c",))
    assert found.examples == ("model.layers.N.self_attn.q_proj", "model.layers.N.self_attn.o_proj")
