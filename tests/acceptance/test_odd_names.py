"""Names with control characters, or of any length: written as they were read, and never taken for one another."""

import json
import re

import pytest
import torch
from peft import LoraConfig
from safetensors import safe_open
from safetensors.torch import load_file
from torch import nn

from inspector.adapters.formats import read_adapter
from inspector.adapters.locate import expand
from inspector.adapters.opening import open_sources
from inspector.adapters.peft.factors import Factors
from inspector.adapters.peft.writer import write_peft
from inspector.adapters.sources import Local
from inspector.analysis.analyse import analyse
from inspector.common.errors import InspectorError
from inspector.study import export
from inspector.study.study import Settings
from tests.acceptance.command import inspector
from tests.adapters.peft.models import assert_same, our_deltas, peft_deltas, reloaded, saved, trained
from tests.makers import random_factors, write_adapter

LONG = "x" * 700
NAMES = [
    "q_proj", "q\u200b_proj", "q\u202e_proj", "q\u00a0proj", "q proj", "a\nb", "a+b(1)", "a.b[2]", "axb[2]",
    f"{LONG}a", f"{LONG}b", f"{LONG}\u200bc",
]  # fmt: skip
PATHS = [f"model.layers.{layer}.{name}" for layer in range(2) for name in NAMES]


class Odd(nn.Module):
    """A model whose modules have such names."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.model = nn.Module()
        self.model.layers = nn.ModuleList([nn.Module() for _ in range(2)])
        for path in PATHS:
            *above, name = path.split(".", 3)[2:]
            owner = self.model.layers[int(above[0])]
            *between, last = name.split(".")
            for part in between:
                if not hasattr(owner, part):
                    owner.add_module(part, nn.Module())
                owner = getattr(owner, part)
            owner.add_module(last, nn.Linear(16, 24, bias=False, dtype=torch.float64))

    def forward(self, x):
        return x


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    """One adapter of it, with another rank and α in half of the modules."""
    names = [path for n, path in enumerate(PATHS) if n % 2]
    config = LoraConfig(
        r=4, lora_alpha=8, target_modules=PATHS,
        rank_pattern={f"^{re.escape(path)}": 3 for path in names},
        alpha_pattern={f"^{re.escape(path)}": 5 for path in names},
    )  # fmt: skip
    return saved(trained(Odd(), config), tmp_path_factory.mktemp("odd") / "a")


def opened(folder):
    return read_adapter(folder, "a", str(folder))


def keys(folder):
    with safe_open(folder / "adapter_model.safetensors", framework="np") as file:
        return sorted(file.keys())


def test_every_module_is_read_under_its_name(odd):
    adapter = opened(odd)
    assert sorted(module.path for module in adapter.modules.values()) == sorted(PATHS)
    assert all(id_.path.isprintable() and len(id_.path) < 320 for id_ in adapter.modules)
    assert [id_.layer for id_ in adapter.modules] == [0] * len(NAMES) + [1] * len(NAMES)
    assert adapter.info.findings == ()
    assert {(m.rank, m.scale.value) for m in adapter.modules.values()} == {(4, 2.0), (3, 5 / 3)}


def test_convert_writes_the_names_that_were_read(odd, tmp_path):
    done = inspector("convert", odd, tmp_path / "out")
    assert (done.returncode, keys(tmp_path / "out")) == (0, keys(odd))
    assert_same(our_deltas(opened(tmp_path / "out")), our_deltas(opened(odd)))
    assert opened(tmp_path / "out").info.findings == ()
    assert_same(peft_deltas(reloaded(Odd(), tmp_path / "out")), our_deltas(opened(odd)))


def test_a_merge_writes_the_names_that_were_read(odd, tmp_path):
    done = inspector("merge-preview", f"a={odd}:0.5", f"b={odd}:0.25", "--write", tmp_path / "out")
    assert (done.returncode, keys(tmp_path / "out")) == (0, keys(odd))
    expected = {id_: 0.75 * delta for id_, delta in our_deltas(opened(odd)).items()}
    assert_same(our_deltas(opened(tmp_path / "out")), expected)
    assert_same(peft_deltas(reloaded(Odd(), tmp_path / "out")), expected)


def test_a_saved_study_opens_with_every_module(odd, tmp_path):
    study = analyse([opened(odd)], Settings())
    for suffix in (".json", ".parquet"):
        export.save(study, tmp_path / f"study{suffix}")
        again = export.load(tmp_path / f"study{suffix}")
        assert again.modules == study.modules
        assert len(set(again.modules)) == len(PATHS)
        assert again.block("norm", "module").tolist() == study.block("norm", "module").tolist()


def test_a_saved_study_keeps_long_names_of_its_own_apart(tmp_path):
    factors = random_factors({f"model.layers.0.{name}_proj": (16, 16) for name in "ab"})
    study = analyse([opened(write_adapter(tmp_path / "a", factors))], Settings())
    export.save(study, tmp_path / "study.json")
    document = (tmp_path / "study.json").read_text()
    for name in "ab":
        document = document.replace(f"{name}_proj", f"{LONG}{name}_proj")
    (tmp_path / "long.json").write_text(document)
    assert len(set(export.load(tmp_path / "long.json").modules)) == 2


def test_halves_at_two_paths_are_not_one_module(tmp_path):
    (half, other), B = ["model.layers.0.q_proj", "transformer.h.0.q_proj"], torch.ones(8, 2)
    extra = {f"{half}.lora_A.weight": torch.ones(2, 8), f"{other}.lora_B.weight": B}
    adapter = opened(write_adapter(tmp_path / "a", random_factors(r=2), extra=extra))
    assert [record.reason for record in adapter.tensors if record.role == "unknown"] == [
        f"only A or only B of the module is there, without its lora_{factor}" for factor in "BA"
    ]


def test_names_that_would_be_one_module_are_refused(tmp_path):
    factors = Factors(torch.ones(8, 2), torch.ones(2, 8), 1.0)
    with pytest.raises(InspectorError, match=r"^x and module\.x would be one module in a PEFT folder: rename one"):
        write_peft(tmp_path / "out", {"x": factors, "module.x": factors}, base="")
    with pytest.raises(InspectorError, match="cannot be written: the name is not valid text"):
        write_peft(tmp_path / "out", {"x\ud800": factors}, base="")
    assert not (tmp_path / "out").exists()


def test_a_pattern_hits_no_module_that_only_looks_like_its_own(tmp_path):
    modules = {
        f"model.layers.0.{name}": Factors(torch.ones(8, r), torch.ones(r, 8), 1 / r)
        for r, name in enumerate(["mlp_up", "mlp.up", "mlp-up"], 2)
    }
    write_peft(tmp_path / "out", modules, base="")
    config = json.loads((tmp_path / "out" / "adapter_config.json").read_text())
    found = {
        path: [r for key, r in config["rank_pattern"].items() if re.match(rf"(.*\.)?({key})$", path)]
        for path in modules
    }
    assert {path: (ranks or [config["r"]])[0] for path, ranks in found.items()} == {
        path: factors.A.shape[0] for path, factors in modules.items()
    }


@pytest.mark.parametrize("base", [f"/scratch/{'folder/' * 40}base", "org/ba\u200bse"])
def test_the_base_is_written_as_it_was_read(base, tmp_path):
    write_adapter(tmp_path / "a", random_factors(), base=base)
    assert inspector("convert", tmp_path / "a", tmp_path / "b").returncode == 0
    assert inspector("merge-preview", tmp_path / "a", tmp_path / "b", "--write", tmp_path / "c").returncode == 0
    for folder in "bc":
        config = json.loads((tmp_path / folder / "adapter_config.json").read_text())
        assert config["base_model_name_or_path"] == base


def test_a_folder_with_an_odd_name_is_opened_again_by_its_source(tmp_path):
    folder = write_adapter(tmp_path / "my\u00a0run\u200b", random_factors())
    (adapter,), failures = open_sources([str(folder)])
    assert (adapter.info.source, failures) == (str(folder), [])
    assert [place.path for place in expand(Local(folder))] == [folder]
    assert "\u200b" not in inspector("check", folder).stdout
    listed = json.loads(inspector("ls", folder.parent, "--json").stdout)
    assert listed["sources"][0]["adapters"][0]["source"] == str(folder)


def test_tensors_of_long_names_stay_apart_in_the_account(tmp_path):
    extra = {f"{LONG}{end}": torch.ones(2) for end in "ab"}
    adapter = opened(write_adapter(tmp_path / "a", random_factors(), extra=extra))
    assert len({record.key for record in adapter.tensors}) == len(
        load_file(tmp_path / "a" / "adapter_model.safetensors")
    )
