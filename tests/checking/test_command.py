"""One file that changes under the check does not stop the others."""

import json

import pytest

from inspector.adapters.given import NOTHING
from inspector.checking import command
from inspector.errors import InspectorError
from tests.makers import write_random


@pytest.fixture
def rewritten(monkeypatch):
    """Opening rewrites the adapter named `gone` before its values are read."""

    def after(sources, given):
        opened = real(sources, given)
        for adapter in opened[0]:
            if adapter.info.name == "gone":
                adapter.files[0].write_bytes(b"other")
        return opened

    real = command.opened
    monkeypatch.setattr(command, "opened", after)


def test_the_others_are_checked(tmp_path, capsys, rewritten):
    sources = [str(write_random(tmp_path / name)) for name in ("one", "gone", "two")]
    assert command.check(sources, given=NOTHING, as_text=False) == 3
    out, err = capsys.readouterr()
    report = json.loads(out)
    assert [a["name"] for a in report["adapters"]] == ["one", "two"]
    assert report["failures"][0]["source"] == sources[1]
    assert "changed since it was opened" in err


def test_the_last_line_counts_what_could_not_be_opened(tmp_path, capsys):
    sources = [str(write_random(tmp_path / name)) for name in ("one", "bad")]
    (tmp_path / "bad" / "adapter_model.safetensors").write_bytes(b"12")
    assert command.check([*sources, str(tmp_path / "gone")], given=NOTHING) == 3
    assert capsys.readouterr().out.splitlines()[-1] == "1 adapter: 1 ok; 2 could not be opened."
    assert command.check(sources[:1], given=NOTHING) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "1 adapter: 1 ok."


def test_none_is_bad_input(tmp_path, rewritten):
    with pytest.raises(InspectorError, match="changed since it was opened"):
        command.check([str(write_random(tmp_path / "gone"))], given=NOTHING)
