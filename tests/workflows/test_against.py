"""`--against`: the published adapters beside one's own, where the base is the same."""

from itertools import permutations

import pytest

from inspector.study.export import load
from inspector.study.module_id import same_base
from inspector.tables.studies import print_study, print_summary
from tests.acceptance.command import inspector
from tests.claims.studies import Numbers
from tests.hub_server import HubServer
from tests.makers import random_factors, write_adapter

BASE = "org/base-1B"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A set of two published adapters on a Hub; one's own are the first at thrice its size, and a stranger."""
    folder = tmp_path_factory.mktemp("against")
    published = {name: random_factors(seed=seed) for seed, name in enumerate(("sft", "dpo"))}
    for name, factors in published.items():
        write_adapter(folder / "repo" / name, factors, base=BASE)
    write_adapter(
        folder / "own", {path: (3 * B, A) for path, (B, A) in published["sft"].items()}, base="mirror/Base-1B"
    )
    write_adapter(folder / "stranger", random_factors(seed=7), base="org/other-7B")
    (folder / "set.yaml").write_text(
        f"title: Two\naddress: toy\nbase: {BASE}\n"
        "adapters: {sft: org/two:sft, dpo: org/two:dpo, more: org/two:more}\n"
        "reference: [sft, dpo]\nclaims:\n"
        "- {id: one, statement: s, metric: norm, adapters: [sft], relation: at least, value: 0}\n"
    )
    with HubServer() as hub:
        hub.add("org/two", folder / "repo")
        yield folder, hub


def test_the_nearest_published_one_where_and_how_far(place, tmp_path):
    folder, hub = place
    environment = hub.environment(tmp_path)
    done = inspector("analyze", folder / "own", "--against", folder / "set.yaml", "--metric", "norm", **environment)
    assert done.returncode == 0, done.stderr
    heading = next(line for line in done.stdout.splitlines() if "nearest of toy" in line)
    rows = [line.split() for line in done.stdout[done.stdout.index(heading) :].splitlines() if " ref." in line]
    assert rows[0][:6] == ["own", "ref.sft", "1.00", "1.00", "±", "0.00"]
    assert rows[0][-1] == "3"
    assert rows[0][6:-1] == ["all", "(1.00)"]
    assert rows[1][0] == "ref.dpo"
    assert abs(float(rows[1][1])) < 0.5


def test_the_answer_about_ones_own_comes_first(place, tmp_path):
    """Words, then numbers; the pairs of published adapters stay in the export."""
    folder, hub = place
    environment = hub.environment(tmp_path) | {"COLUMNS": "80"}
    done = inspector("analyze", folder / "own", "--against", folder / "set.yaml", "--tables", **environment)
    assert done.returncode == 0, done.stderr
    text = " ".join(done.stdout.split())
    assert text.startswith(
        "own is one direction with ref.sft: cosine 1.00, alike in all layers; it moved 3 times as far. nearest of toy"
    )
    assert text.index("nearest of toy") < text.index("3 adapters, ") < text.index("cosine, all modules")
    lines = done.stdout.splitlines()
    table = lines[lines.index("cosine, all modules") + 2 :][:5]
    assert [line.split() for line in table if "─" not in line] == [
        ["own"], ["own", "1.00"], ["ref.sft", "1.00"], ["ref.dpo", table[-1].split()[-1]],
    ]  # fmt: skip
    assert not any(line.split()[:2] == ["ref.sft", "ref.dpo"] for line in lines)
    assert "Not shown: 1 pair of published adapters with each other; --out FILE writes them as well." in text
    assert "sum of all" not in text
    out = tmp_path / "study.csv"
    inspector("analyze", folder / "own", "--against", folder / "set.yaml", "--out", out, **environment)
    assert "\ncosine,ref.sft,ref.dpo,global," in out.read_text()


def test_an_ordered_metric_is_of_ones_own_off_the_published(capsys):
    numbers = Numbers(names=("mine", "ref.a", "ref.b"))
    for n, (a, b) in enumerate(permutations(numbers.names, 2), 1):
        numbers.put("orthogonal_fraction_module", n / 10, a, b)
    print_study(numbers.study(), ["orthogonal_fraction_module"])
    lines = capsys.readouterr().out.splitlines()
    title = next(n for n, line in enumerate(lines) if "(column off row), all modules" in line)
    assert [line.split() for line in lines[title + 2 : title + 7] if "─" not in line] == [
        ["mine"], ["mine", "n/a"], ["ref.a", "0.10"], ["ref.b", "0.20"],
    ]  # fmt: skip


def test_another_base_is_said_and_nothing_is_downloaded(place, tmp_path):
    folder, hub = place
    hub.requests.clear()
    out = tmp_path / "study.json"
    done = inspector(
        "analyze", folder / "stranger", "--against", folder / "set.yaml", "--out", out, **hub.environment(tmp_path)
    )
    assert done.returncode == 3, done.stderr
    assert "stranger: trained on another base than org/base-1B: not comparable with toy" in done.stderr
    assert "Nothing could be compared with toy." in done.stderr
    assert hub.requests == []
    (only,) = load(out).adapters
    assert only.health == "warning"
    assert "another base than org/base-1B" in only.findings[-1].text


def test_what_is_said_of_many_is_said_once(place, tmp_path):
    folder, hub = place
    sources = [f"{name}={folder / 'stranger'}" for name in ("x", "y", "z")]
    done = inspector("analyze", *sources, "--against", folder / "set.yaml", **hub.environment(tmp_path))
    assert done.returncode == 3, done.stderr
    text = "trained on another base than org/base-1B: not comparable with toy"
    assert [line for line in done.stderr.splitlines() if text in line] == [f"warning: all 3 adapters: {text}"]
    assert " ".join(done.stdout.split()).count(text) == 1
    assert f"warning: all 3 adapters: {text}" in " ".join(done.stdout.split())


def test_a_set_without_a_module_in_common_is_no_comparison(place, tmp_path):
    """Nothing tells the bases apart, and nothing can be compared."""
    folder, hub = place
    write_adapter(tmp_path / "own", random_factors({"model.layers.0.mlp.up_proj": (6, 4)}, seed=3), base=BASE)
    args = ("analyze", tmp_path / "own", "--against", folder / "set.yaml", "--modules", "common")
    done = inspector(*args, **hub.environment(tmp_path))
    assert done.returncode == 3, done.stderr
    assert "Nothing could be compared with toy." in done.stderr


def test_published_ones_are_points_of_the_study(place, tmp_path):
    folder, hub = place
    out = tmp_path / "study.json"
    own = folder / "own", folder / "stranger"
    done = inspector("analyze", *own, "--against", folder / "set.yaml", "--out", out, **hub.environment(tmp_path))
    assert done.returncode == 0, done.stderr
    assert load(out).names == ("own", "stranger", "ref.sft", "ref.dpo")


def test_a_saved_study_has_no_adapters_to_compare(place, tmp_path):
    folder, _ = place
    (tmp_path / "study.json").write_text("{}")
    done = inspector("analyze", tmp_path / "study.json", "--against", folder / "set.yaml")
    assert done.returncode == 2
    assert "name its adapters to stand them against others" in done.stderr


def test_findings_about_ones_own_come_first(capsys):
    numbers = Numbers(names=("mine", "ref.a", "ref.b"))
    for a, b, cosine in (("ref.a", "ref.b", 0.95), ("mine", "ref.a", 0.1), ("mine", "ref.b", 0.15)):
        numbers.put("cosine", cosine, a, b)
    print_summary(numbers.put("norm", 1.0, "mine").study(), "toy")
    text = capsys.readouterr().out
    order = (
        "nearest of toy",
        "- mine stands apart",
        "Of the published adapters among themselves:",
        "- ref.a and ref.b are",
    )
    assert [text.index(part) for part in order] == sorted(text.index(part) for part in order)


def test_what_all_adapters_share_leaves_no_empty_table(capsys):
    print_study(Numbers(names=("mine", "other")).put("norm", 1.0, "mine").study(), ["norm"])
    assert capsys.readouterr().out.startswith("2 adapters, 8 modules, 4 layers: mine, other\nall: base org/base")


@pytest.mark.parametrize(("metric", "told"), [("cosine", True), ("norm", False)])
def test_a_study_of_one_metric_says_what_it_can(metric, told, capsys):
    numbers = Numbers(names=("mine", "ref.a", "ref.b"))
    numbers.put(metric, 0.5, *(("mine", "ref.a") if told else ("mine",)))
    print_study(numbers.study())
    text = " ".join(capsys.readouterr().out.split())
    assert ("mine goes part of the way with ref.a: cosine 0.50." in text) is told
    assert ("mine ref.a 0.50 – n/a" in text) is told
    assert "by chance" not in text
    assert "nothing in common" not in text
    assert "u1: abs" not in text
    assert "nan" not in text


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Qwen/Qwen3-4B", "Qwen/Qwen3-4B", True),
        ("unsloth/qwen3-4b", "Qwen/Qwen3-4B", True),
        ("/models/Qwen3-4B/", "Qwen/Qwen3-4B", True),
        ("", "Qwen/Qwen3-4B", True),
        ("Qwen/Qwen3-4B-Base", "Qwen/Qwen3-4B", False),
    ],
)
def test_one_base_under_several_names(one, other, same):
    assert same_base(one, other) is same
