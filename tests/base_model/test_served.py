"""Which of a server's models is the base, and what contradicts it."""

import pytest

from inspector.base_model.served import Served, served_base
from inspector.common.errors import InspectorError

BASE = "org/Base-1B"


def models(*cards):
    return {card.name: card for card in cards}


@pytest.mark.parametrize(
    ("served", "found"),
    [
        (models(Served(BASE), Served("other"), Served("sft")), BASE),
        (models(Served("first"), Served("b", root="mirror/base-1b"), Served("sft")), "b"),
        (models(Served("first"), Served("/models/Base-1B"), Served("sft")), "/models/Base-1B"),
        (models(Served("alias", root="/data/x"), Served("sft")), "alias"),
        (models(Served("x"), Served("y"), Served("sft", parent="y")), "y"),
        (models(Served("x"), Served("dpo", parent="x"), Served("sft", parent="x")), "x"),
        ({}, BASE),
    ],
    ids=[
        "its name",
        "its root",
        "its path",
        "the only other",
        "its parent",
        "adapters are not bases",
        "nothing listed",
    ],
)
def test_the_base_is_what_the_server_says(served, found):
    assert served_base(served, {"sft": BASE}) == (found, "")


@pytest.mark.parametrize(
    ("served", "named", "said"),
    [
        (models(Served("x"), Served("y"), Served("sft")), "", "Which model of the server is the adapters' base: x, y?"),
        (
            models(Served("x", root="org/Other-2B"), Served("sft")),
            "",
            "is org/Other-2B, the base of sft is org/Base-1B",
        ),
        (
            models(Served("org/Other-2B"), Served("sft")),
            "",
            "'org/Other-2B' of the server is org/Other-2B, the base of",
        ),
        (models(Served("x"), Served("y"), Served("sft", parent="y")), "x", "on the base 'y', not on 'x'"),
    ],
)
def test_what_is_not_clear_or_contradicts_is_an_error(served, named, said):
    with pytest.raises(InspectorError, match="--base") as error:
        served_base(served, {"sft": BASE}, named)
    assert said in str(error.value)


def test_two_adapters_of_one_server_on_two_bases():
    served = models(Served("x"), Served("y"), Served("sft", parent="x"), Served("dpo", parent="y"))
    with pytest.raises(InspectorError, match="has 'dpo' on the base 'y', not on 'x'"):
        served_base(served, {"sft": BASE, "dpo": BASE})


def test_adapters_of_two_bases_need_a_word_unless_no_base_is_asked():
    served = models(Served("x"), Served("y"), Served("sft", parent="x"), Served("dpo", parent="y"))
    trained_on = {"sft": BASE, "dpo": "org/Other-2B"}
    with pytest.raises(InspectorError, match=r"different bases \(org/Base-1B, org/Other-2B\): choose one with --base"):
        served_base(served, trained_on)
    assert served_base(served, trained_on, needed=False) == ("x", "")
    served["y"] = Served("y", root="org/Third-3B")
    with pytest.raises(InspectorError, match="'y' of the server is org/Third-3B, the base of dpo is org/Other-2B"):
        served_base(served, trained_on, needed=False)


def test_a_base_under_two_names_is_one():
    served = models(Served("x", root="/m"), Served("y", root="/m"), Served("sft", parent="x"))
    assert served_base(served, {"sft": BASE}, "y") == ("y", "")


def test_the_user_may_say_that_two_names_are_one_model():
    served = models(Served("x", root="copies/base-4bit"), Served("sft"))
    found, caution = served_base(served, {"sft": BASE}, "x")
    assert found == "x"
    assert caution == "'x' of the server is copies/base-4bit, the base of sft is org/Base-1B"


def test_no_base_is_needed_where_none_is_asked():
    served = models(Served("x"), Served("y"), Served("sft"))
    assert served_base(served, {"sft": BASE}, needed=False) == (BASE, "")
    assert served_base(served, {"sft": ""}, needed=False) == ("base", "")
    with pytest.raises(InspectorError, match="names no base model"):
        served_base({}, {"sft": ""})
