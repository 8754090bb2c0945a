"""A pair over the modules both adapt: the same alone and beside others, against dense vectors and closed forms."""

import numpy as np
import pytest
import torch

from inspector.analysis import analyse
from inspector.geometry.chance import angle_chance, direction_chance
from inspector.names import ModuleId
from inspector.printing.studies import print_study
from inspector.shared import pair_chance, pair_interference
from inspector.study import Settings
from inspector.takeaways import takeaways
from tests.memory import adapter, random_adapter

Q, V = {"self_attn.q_proj": (24, 16)}, {"self_attn.q_proj": (24, 16), "self_attn.v_proj": (8, 16)}
SETTINGS = Settings(k=3, sides=("left", "right"))
METRICS = ("u1", "v1", "subspace_overlap", "subspace_overlap_right", "principal_angle", "principal_angle_right")


@pytest.mark.parametrize("metric", METRICS)
def test_chance_of_a_pair_is_the_same_alone_and_beside_others(metric):
    pair = [random_adapter("a", 1, shapes=Q, r=2), random_adapter("b", 2, shapes=Q, r=2)]
    others = [
        random_adapter("c", 3, shapes=V),
        random_adapter("d", 4, shapes=V),
        *(random_adapter(f"e{n}", n, shapes={"self_attn.q_proj": (48, 32)}) for n in range(3)),
    ]
    alone, beside = analyse(pair, SETTINGS), analyse([*pair, *others], SETTINGS)
    expected = pair_chance(alone, metric, 0, 1)
    np.testing.assert_array_equal(pair_chance(beside, metric, 0, 1), expected)
    np.testing.assert_array_equal(expected, np.atleast_1d(alone.block(f"{metric}_chance", "global")[0]))


def test_chance_of_a_pair_in_closed_form():
    study = analyse([random_adapter("a", 1, r=2), random_adapter("b", 2), random_adapter("c", 3, shapes=Q)], SETTINGS)
    both = pair_chance(study, "subspace_overlap", 0, 1)
    assert both == pytest.approx((3 / 24 + 3 / 8) / 2), "k of the wider one, mean over q and v"
    assert pair_chance(study, "subspace_overlap", 0, 2) == pytest.approx(3 / 24)
    assert pair_chance(study, "u1", 1, 2) == pytest.approx(direction_chance(24))
    np.testing.assert_allclose(pair_chance(study, "principal_angle", 1, 2), angle_chance(24, 3))
    only_v = np.array([module.projection == "v_proj" for module in study.modules])
    assert pair_chance(study, "subspace_overlap", 0, 1, only_v) == pytest.approx(3 / 8)
    assert np.isnan(pair_chance(study, "subspace_overlap", 0, 2, only_v)).all()


def test_modules_of_one_side_do_not_make_a_pair_collide():
    """Zeros take a cosine of 0.4 below 0.2: the class and the finding go by the modules both adapt."""
    rng = np.random.default_rng(5)

    def factors(own, of=None):
        A = torch.from_numpy(rng.standard_normal((4, 40)))
        return (of[0], 0.45 * of[1] + A) if of else (torch.from_numpy(rng.standard_normal((60, 4))), own * A)

    here, elsewhere = ModuleId(0, "q_proj"), [ModuleId(layer, "v_proj") for layer in range(3)]
    one = {here: factors(1)}
    two = {here: factors(1, one[here])} | {module: factors(1.5) for module in elsewhere}
    study = analyse([adapter("one", one), adapter("two", two)], Settings(k=4))
    dense = [(B @ A).numpy().ravel() for B, A in (one[here], two[here])]
    found = pair_interference(study, 0, 1)
    assert found.cosine == pytest.approx(np.dot(*dense) / np.prod([np.linalg.norm(x) for x in dense]))
    assert study.block("cosine", "global")[0, 1, 0] < 0.2 < found.cosine
    assert found.overlap == pytest.approx(1)
    assert found.kind == "reinforcing"
    assert "merging" not in {told.kind for told in takeaways(study)}


def test_adapters_without_a_common_module_are_told_so_in_one_line(capsys):
    foreign = random_adapter("c", 3, shapes={"attn.c_attn": (48, 16)})
    print_study(analyse([random_adapter("a", 1), foreign], SETTINGS))
    alone = capsys.readouterr().out
    assert "The two have no module of the same name and shape to compare." in alone
    assert "top-0" not in alone
    assert "energy ratio" not in alone
    assert "cosine" not in alone
    print_study(analyse([random_adapter("a", 1), random_adapter("b", 2), foreign], SETTINGS))
    assert "interference, all modules" in capsys.readouterr().out
