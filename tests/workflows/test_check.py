"""One file that changes under the check does not stop the others."""

import json

import pytest
import torch

from inspector.adapters.options import DEFAULTS
from inspector.common.errors import InspectorError
from inspector.workflows import check
from tests.makers import random_factors, write_adapter, write_random

Q0 = "model.layers.0.self_attn.q_proj"


@pytest.fixture
def rewritten(monkeypatch):
    """Opening rewrites the adapter named `gone` before its values are read."""

    def after(sources, given):
        opened = real(sources, given)
        for adapter in opened[0]:
            if adapter.info.name == "gone":
                adapter.files[0].write_bytes(b"other")
        return opened

    real = check.opened
    monkeypatch.setattr(check, "opened", after)


def test_the_others_are_checked(tmp_path, capsys, rewritten):
    sources = [str(write_random(tmp_path / name)) for name in ("one", "gone", "two")]
    assert check.check(sources, read_options=DEFAULTS, as_text=False) == 3
    out, err = capsys.readouterr()
    report = json.loads(out)
    assert [a["name"] for a in report["adapters"]] == ["one", "two"]
    assert report["failures"][0]["source"] == sources[1]
    assert "changed since it was opened" in err


def test_the_last_line_counts_what_could_not_be_opened(tmp_path, capsys):
    sources = [str(write_random(tmp_path / name)) for name in ("one", "bad")]
    (tmp_path / "bad" / "adapter_model.safetensors").write_bytes(b"12")
    assert check.check([*sources, str(tmp_path / "gone")], read_options=DEFAULTS) == 3
    assert capsys.readouterr().out.splitlines()[-1] == "1 adapter: 1 ok; 2 could not be opened."
    assert check.check(sources[:1], read_options=DEFAULTS) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "1 adapter: 1 ok."


def test_none_is_bad_input(tmp_path, rewritten):
    with pytest.raises(InspectorError, match="changed since it was opened"):
        check.check([str(write_random(tmp_path / "gone"))], read_options=DEFAULTS)


@pytest.fixture
def zoo(tmp_path):
    """Two adapters and one whose update holds NaN; any other name is not there."""
    B, A = random_factors()[Q0]
    write_random(tmp_path / "one")
    write_random(tmp_path / "two", 1)
    write_adapter(tmp_path / "nan", {Q0: (B * torch.nan, A)})
    return lambda *names: [str(tmp_path / name) for name in names]


@pytest.mark.parametrize(
    ("names", "code"),
    [
        (("one",), 0),
        (("one", "two"), 0),
        (("nan",), 1),
        (("one", "nan"), 1),
        (("nan", "one", "gone"), 1),
        (("one", "gone"), 3),
        (("one", "two", "gone", "away"), 3),
    ],
)
def test_exit_codes_and_what_is_reported(zoo, names, code, capsys):
    assert check.check(zoo(*names), read_options=DEFAULTS, as_text=False) == code
    out, err = capsys.readouterr()
    report = json.loads(out)
    opened = [name for name in names if name in {"one", "two", "nan"}]
    assert [a["name"] for a in report["adapters"]] == opened
    assert [a["holds"] for a in report["adapters"]] == [name != "nan" for name in opened]
    assert (report["together"] is None) == (len(opened) == 1)
    assert [f["source"] for f in report["failures"]] == [s for s in zoo(*names) if s.endswith(("gone", "away"))]
    assert all(f["message"] in err for f in report["failures"])
    assert out.startswith('{\n  "version"')


def test_without_any_adapter_the_one_cause_or_that_there_is_none(zoo, capsys):
    with pytest.raises(InspectorError, match="gone"):
        check.check(zoo("gone"), read_options=DEFAULTS)
    assert capsys.readouterr().err == ""
    with pytest.raises(InspectorError, match=r"No adapter could be opened\."):
        check.check(zoo("gone", "away"), read_options=DEFAULTS)
    assert capsys.readouterr().err.count("\n") == 2


def test_text_is_the_default_and_lists_tensors_if_asked(zoo, capsys):
    check.check(zoo("one", "two"), read_options=DEFAULTS)
    text = capsys.readouterr().out
    assert text.splitlines()[0] == "one"
    assert "lora_A" not in text
    check.check(zoo("one"), read_options=DEFAULTS, tensors=True)
    assert "lora_A" in capsys.readouterr().out
