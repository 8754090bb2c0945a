"""Two names of one base: told apart until the user says that they are one."""

import json

import pytest

from inspector.adapters.opening import open_sources
from inspector.adapters.options import ReadOptions, same_bases
from inspector.common.errors import InspectorError
from tests.acceptance.command import inspector
from tests.makers import random_factors, write_adapter

PACKED, PLAIN = "unsloth/Qwen3-4B-bnb-4bit", "Qwen/Qwen3-4B"
SAME = f"{PACKED}={PLAIN}"


@pytest.fixture
def two(tmp_path):
    for n, (name, base) in enumerate({"packed": PACKED, "plain": PLAIN}.items()):
        write_adapter(tmp_path / name, random_factors(seed=n), base=base)
    return str(tmp_path / "packed"), str(tmp_path / "plain")


def test_an_adapter_is_read_as_one_of_the_other_name(two):
    adapters, _ = open_sources(two, read_options=ReadOptions(same_base=same_bases([SAME])))
    assert [(a.base, a.info.base) for a in adapters] == [(PLAIN, PLAIN)] * 2
    said = [finding.text for a in adapters for finding in a.info.findings if "--same-base" in finding.text]
    assert said == [f"names the base {PACKED}, the same as {PLAIN} by --same-base"]


def test_analysis_and_merge_take_them_as_one(two, tmp_path):
    apart, told = inspector("analyze", *two), inspector("analyze", *two, "--same-base", SAME)
    assert "name different bases" in apart.stdout
    assert told.returncode == 0
    assert "different bases" not in told.stdout
    refused = inspector("merge-preview", *two, "--write", tmp_path / "sum")
    assert refused.returncode == 2
    assert "--same-base NAME=OTHER" in refused.stderr
    merged = inspector("merge-preview", *two, "--write", tmp_path / "sum", "--same-base", SAME)
    assert merged.returncode == 0, merged.stderr
    assert json.loads((tmp_path / "sum" / "adapter_config.json").read_text())["base_model_name_or_path"] == PLAIN


def test_it_is_among_the_words_that_repeat_a_study(two):
    assert ReadOptions(same_base=((PACKED, PLAIN),)).words == ("--same-base", SAME)


@pytest.mark.parametrize("text", ["Qwen3", "=Qwen3", "Qwen3="])
def test_what_is_no_two_names_is_refused(text):
    with pytest.raises(InspectorError, match="name the two as NAME=OTHER"):
        same_bases([text])
