"""A file that is wrong is refused with file, claim, field and, where one is near, the right name."""

import re

import pytest

from inspector.claims.bundled import addresses, claim_set
from inspector.claims.model import RELATIONS
from inspector.claims.reading import read
from inspector.common.errors import InspectorError
from tests.claims.studies import HEAD, claim, claims

GOOD = "metric: cosine; pairs: [[a, b]]; relation: about; value: 0.5; tolerance: 0.1"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (GOOD.replace("cosine", "cosin"), "claim one, metric: no metric 'cosin'. Did you mean cosine?"),
        (GOOD.replace("about", "abuot"), "claim one, relation: 'abuot' is none of about, at least"),
        (GOOD.replace("about", "abuot"), "Did you mean about?"),
        (GOOD.replace("[a, b]", "[a, lots]"), "no adapter 'lots' is among the set's. Did you mean lost?"),
        (GOOD.replace("[a, b]", "[a, a]"), "a stands beside itself"),
        (GOOD.replace("[[a, b]]", "[a, b]"), "pairs: must be all, or a list of pairs"),
        (GOOD.replace("0.5", "half"), "claim one, value: must be a number, not 'half'"),
        (GOOD.replace("0.5", ".nan"), "value: must be a number"),
        (GOOD.replace("0.5", "[0.5, 0.6]"), "value: must be one number, or one for each of 1"),
        (GOOD.replace("; tolerance: 0.1", ""), "tolerance: is missing: about needs to know how near"),
        (GOOD.replace("0.1", "-0.1"), "tolerance: must not be negative"),
        (GOOD + "; tolerence: 1", "no field 'tolerence' is known. Did you mean tolerance?"),
        (GOOD + "; k: 1", "k: cosine has no such index"),
        (GOOD + "; prompts: gsm8k", "prompts: cosine is measured on none"),
        (GOOD + "; statistic: argmin layer", "argmin layer is asked over layers: say which"),
        (GOOD + "; layers: [1, 2, 3]", "layers: must be all, one layer, or [first, last]"),
        (GOOD + "; adapters: [a]", "cosine is a number of pairs: name them (and only them)"),
        (GOOD + "; than: {pairs: [[a, c]]}", "than: goes with the relation less than"),
        (GOOD + "; over: {pears: [[a, c]]}", "claim one, over: no field 'pears' is known. Did you mean pairs?"),
        ("metric: norm; pairs: [[a, b]]; relation: at least; value: 1", "norm is a number of adapters"),
        ("metric: principal_angle; pairs: [[a, b]]; relation: at least; value: 1", "k: says which numbers of"),
        ("metric: lens_depth; adapters: [a]; relation: at least; value: 1", "prompts: is missing"),
        ("metric: accuracy; adapters: [a]; relation: at least; value: 1", "prompts: is missing"),
        ("metric: barrier_mean; pairs: [[a, b]]; relation: at least; value: 1", "prompts: is missing"),
        ("metric: barrier_mean_rollouts; pairs: [[a, b]]; relation: at least; value: 1", "prompts: is missing"),
        ("metric: cka; pairs: [[a, b]]; layers: all; relation: at least; value: 1", "prompts: is missing"),
        ("metric: [cosine, norm]; pairs: [[a, b]]; relation: at least; value: 1", "are not numbers of the same things"),
        ("metric: cosine; pairs: [[a, b]]; relation: between; value: 1", "value: must be [low, high]"),
        ("metric: cosine; pairs: [[a, b]]; relation: less than", "than: goes with the relation less than"),
        ("relation: at least; value: 1", "metric: is missing"),
    ],
)
def test_a_wrong_claim_is_named_with_its_field(tmp_path, fields, said):
    with pytest.raises(InspectorError) as error:
        claims(tmp_path, claim(fields))
    assert re.match(r"toy\.yaml: claim \w+(, [a-z_]+)?: ", str(error.value)), "file, claim, field, then what is wrong"
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_every_fault_is_said_at_once(tmp_path):
    text = (
        claim(f"{GOOD.replace('cosine', 'cosin')}; relations: x", "first")
        + claim(GOOD.replace("[a, b]", "[a, lots]").replace("about", "abuot").replace("0.1", "-0.1"), "second")
        + claim(f"{GOOD}; contradicts: [third, none]", "third")
    )
    with pytest.raises(InspectorError) as error:
        claims(tmp_path, text, HEAD.replace("lost:", "lost:, a/b: c/d"))
    assert str(error.value).splitlines() == [
        "toy.yaml has 6 faults:",
        "  adapters: 'a/b' is not a name: printable, without = and /.",
        "  claim first: no field 'relations' is known. Did you mean relation?",
        "  claim first, metric: no metric 'cosin'. Did you mean cosine?",
        f"  claim second, relation: 'abuot' is none of {', '.join(RELATIONS)}. Did you mean about?",
        "  claim second, tolerance: must not be negative.",
        "  claim second, pairs: no adapter 'lots' is among the set's. Did you mean lost?",
    ]
    with pytest.raises(InspectorError) as error:
        claims(tmp_path, claim(f"{GOOD}; contradicts: [third, none, two]", "third") + claim(GOOD, "two") * 2)
    assert str(error.value).splitlines()[1:] == [
        "  claims: two claims have the id 'two'.",
        "  claim third, contradicts: 'third' is no other claim's id.",
        "  claim third, contradicts: 'none' is no other claim's id.",
    ]


def test_no_more_than_twenty_faults_are_spelled_out(tmp_path):
    wrong = GOOD.replace("cosine", "cosin")
    with pytest.raises(InspectorError) as error:
        claims(tmp_path, "".join(claim(wrong, f"c{n}") for n in range(23)))
    lines = str(error.value).splitlines()
    assert (len(lines), lines[0], lines[-1]) == (22, "toy.yaml has 23 faults:", "  … and 3 more")


@pytest.mark.parametrize(
    ("fields", "count"),
    [
        ("metric: norm; adapters: [a, b]", 2),
        ("metric: norm; adapters: [a, b, c]; statistic: mean", 1),
        ("metric: cosine; pairs: [[a, b], [a, c], [b, c]]", 3),
        ("metric: cosine; pairs: [[a, b], [a, c]]; layers: all", 1),
        ("metric: cosine; pairs: [[a, b], [a, c]]; modules: q_proj", 1),
        ("metric: principal_angle; pairs: [[a, b], [b, c]]; k: [1, 2, 4]", 6),
        ("metric: lmc_loss; prompts: x; pairs: [[a, b]]; alphas: [0, 0.5]", 2),
    ],
)
def test_as_many_values_as_numbers_that_are_compared(tmp_path, fields, count):
    for values in range(1, 8):
        text = claim(f"{fields}; relation: about; tolerance: 1; value: {[float(n) for n in range(values)]}")
        if values in {1, count}:
            assert len(claims(tmp_path, text).claims[0].value) == values
            continue
        said = f"one for each of {count}" if count > 1 else "value: must be one."
        with pytest.raises(InspectorError, match=said):
            claims(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("title: x\nadapters: {a: b/c}\n", "toy.yaml, claims: is missing"),
        ("title: x\nadapters: {a: b/c}\nclaims: [5]\n", "toy.yaml: claim 1: must be fields"),
        ("title: x\nadapters: [a]\nclaims: []\n", "adapters: must map names to sources"),
        ("title: x\nadapters: {a/b: c}\n", "'a/b' is not a name"),
        ("- 1\n", "toy.yaml: must be fields"),
        ("title: x\ntitle: y\n", "toy.yaml, line 2: 'title' twice."),
        ("title: [\n", "toy.yaml, line 2:"),
        ("a: !!python/object/apply:os.system [id]\n", "could not determine a constructor"),
        pytest.param("[" * 5000, "is not YAML", id="nested"),
        (HEAD + claim(GOOD) + claim(GOOD), "toy.yaml, claims: two claims have the id 'one'."),
        ("titel: x\n", "no field 'titel' is known. Did you mean title?"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path, text, said):
    file = tmp_path / "toy.yaml"
    file.write_text(text)
    with pytest.raises(InspectorError) as error:
        read(file)
    assert said in str(error.value)


def test_nested_aliases_are_refused_without_being_written_out(tmp_path):
    """Nine levels of nine: a billion entries, if anyone spelled them out."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]
    with pytest.raises(InspectorError, match="no field 'a0' is known"):
        claims(tmp_path, "", "\n".join(lines))
    bomb = "\n".join([*lines[:0], "title: &t [x]", "adapters: {a: *t}", "claims: []"])
    with pytest.raises(InspectorError, match="must be text, not a list"):
        claims(tmp_path, "", bomb)


@pytest.mark.parametrize(("claim_id", "kind"), [("5", "the int 5"), ("[x]", "a list")])
def test_a_claim_without_a_name_goes_by_its_number(tmp_path, claim_id, kind):
    with pytest.raises(InspectorError, match=f"^toy.yaml: claim 2, id: must be text, not {kind}"):
        claims(tmp_path, claim(GOOD) + claim(GOOD, claim_id))


@pytest.mark.parametrize("over", [0, 1])
def test_a_file_has_a_million_bytes_at_most(tmp_path, over):
    text = HEAD + claim(GOOD)
    file = tmp_path / "toy.yaml"
    file.write_text(text + "#" * (1_000_000 + over - len(text.encode())), encoding="utf-8")
    if not over:
        assert len(read(file).claims) == 1
        return
    with pytest.raises(InspectorError, match="has more than 1 MB: no set of claims is that long"):
        read(file)


def test_a_number_that_yaml_takes_for_text(tmp_path):
    found = claims(tmp_path, claim("metric: cosine; pairs: [[a, b]]; relation: at most; value: 1e-9"))
    assert found.claims[0].value == (1e-9,)


def test_sources_begin_at_the_files_folder(tmp_path):
    head = "title: x\nadapters: {a: ./near, b: org/repo}\nclaims:\n"
    found = claims(tmp_path, claim(GOOD), head)
    assert found.sources() == [f"a={tmp_path}/near", "b=org/repo"]
    assert found.address == "toy"


def test_control_characters_do_not_survive(tmp_path):
    found = claims(tmp_path, claim(GOOD).replace("so it is", '"so \\e[31m it is"'))
    assert found.claims[0].statement == "so [31m it is"


def test_the_bundled_sets_can_be_read():
    assert set(addresses()) == {
        "demo", "arxiv:2606.23740", "arxiv:2410.21228", "arxiv:2405.09673", "arxiv:2506.11618", "arxiv:2410.19735",
        "thinkingmachines:lora",
    }  # fmt: skip
    for address in addresses():
        found = claim_set(address)
        assert found.address == address
        assert all(claim.cited.text and claim.statement.endswith(".") for claim in found.claims)


def test_bundled_sets_by_file_name_and_what_is_none(tmp_path):
    """A path that is mistyped never stands for a bundled set, or a check of one's own would pass unread."""
    assert claim_set("claims/demo.yaml") == claim_set("demo")
    for name in ("demo.yaml", "mine/claims/demo.yaml", str(tmp_path / "demo.yaml"), "./claims/demo.yaml"):
        with pytest.raises(InspectorError, match=r"No claims .*: name a \.yaml file"):
            claim_set(name)
    with pytest.raises(InspectorError, match=r"No claims 'dmo'.*Did you mean demo\?"):
        claim_set("dmo")


@pytest.mark.parametrize("name", ["~nobody-here/x.yaml", "x" * 5000 + ".yaml", "a\0b.yaml", "", ".", "/"])
def test_a_name_that_is_no_file(name):
    with pytest.raises(InspectorError, match="No claims"):
        claim_set(name)


def test_every_definition_that_the_studys_words_allow():
    found = {claim.id: claim.metrics for claim in claim_set("arxiv:2606.23740").claims}
    assert found["orth-offline-grpo"] == ("orthogonal_fraction_global", "orthogonal_fraction_module")
    assert found["lmc-barrier-dpo"] == ("barrier_mean", "barrier_chord", "barrier_strict")
    assert len(found["erank"]) == 4
