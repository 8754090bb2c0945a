"""Estimates between sketches, by hand; and a file of them as it is read again."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from inspector.common.errors import InspectorError
from inspector.geometry.sketch_error import WIDTH, standard_error
from inspector.study.sketch_file import appending, is_part, read, schema
from inspector.study.sketches import SEED, VERSION, Sketch, Sketches

NONE = np.zeros(0, np.float32)


def sketch(name="a", modules="abcd", shapes=("q 8x6",), spreads=(0.5, 0.3, 0.2), **vectors):
    vectors = {"update": (1, 0, 0), "outputs": (1, 0, 0), "rows": (1, 0, 0)} | vectors
    return Sketch(
        name, f"org/{name}", "d", "peft", "base", "8", 12, "a0", "sft", None, "ok", ["one", "two"], True, 2.5, 1.5,
        1.25, 0.1, list(modules), list(shapes), *spreads, [3, 7], [2.0, 1.5],
        *(np.array(vectors[kind], dtype=np.float32) for kind in ("update", "outputs", "rows")), NONE, NONE,
    )  # fmt: skip


ONE = sketch("one", "abcd", spreads=(0.5, 0.3, 0.2), update=(1.1, 0, 0), outputs=(0.8, 0.6, 0), rows=(0, 0.6, 0.8))
MORE = (
    ONE,
    sketch("shares two", "abe", spreads=(0.4, 0.6, 0.7), update=(0.6, 0.8, 0), outputs=(1, 0, 0), rows=(0, 1, 0)),
    sketch("shares none", "fg", spreads=(0.9, 0.8, 1.0), update=(-1.1, 0, 0), outputs=(0, 1, 0), rows=(0, 0, 1)),
    sketch("another model", "abcd", shapes=["q 9x6"]),
    sketch("zero", ""),
)


@pytest.mark.parametrize(
    ("kind", "inner", "weights"),
    [
        ("update", (1.21, 0.66, -1.21), (1, 1, 1)),
        ("outputs", (1, 0.8, 0.6), (1, 12**0.5 / 2, np.nan)),
        ("rows", (1, 0.6, 0.8), (1, 12**0.5 / 2, np.nan)),
    ],
)
def test_estimates_are_means_over_the_modules_both_adapt(kind, inner, weights):
    """Of 4 and 3 modules 2 are shared: the unit sketches' product times √(4·3)/2. The update's is a cosine as it is."""
    found = Sketches(MORE)
    estimate = found.estimate(kind, 0)
    spreads = [getattr(s, f"{kind}_spread") for s in MORE[:3]]
    errors = [standard_error(np.float64(np.clip(c, -1, 1)), spreads[0], k) for c, k in zip(inner, spreads, strict=True)]
    np.testing.assert_allclose(estimate.value, [*np.multiply(inner, weights), np.nan, np.nan], rtol=1e-6)
    np.testing.assert_allclose(estimate.error, [*np.multiply(errors, weights), np.nan, np.nan], rtol=1e-6)
    if kind == "update":
        np.testing.assert_allclose([found.pair(0, j) for j in range(3)], inner, rtol=1e-6)
    assert np.isnan(found.estimate(kind, 4).value).all()
    assert np.isnan(found.estimate(kind, 3).value).tolist() == [True, True, True, False, True]
    assert (len(found), found.numbers("norm").tolist()) == (5, [2.5] * 5)


def test_a_model_is_one_as_long_as_no_projection_has_two_shapes():
    shapes = [("q 8x6",), ("k 4x6",), ("q 9x6",), ("q 8x6", "k 4x6"), ("k 5x6",), ("q 9x6",), ("my q 8x6", "my k 9x6")]
    assert Sketches([sketch(shapes=s) for s in shapes]).model.tolist() == [0, 0, 1, 0, 1, 1, 0]


@pytest.mark.parametrize("other", [{"version": VERSION + 1}, {"seed": SEED + 1}])
def test_sketches_of_another_version_are_not_compared(other):
    with pytest.raises(InspectorError, match="The sketch of b is of another version: sketch it again"):
        Sketches([sketch("a"), replace(sketch("b"), **other)])
    assert len(Sketches([])) == 0


def whole(name, source=None, seed=0):
    """A sketch as it is in a file: of the full width, with its layers."""
    rng = np.random.default_rng(seed)
    full = {kind: rng.standard_normal(WIDTH**2) for kind in ("update", "outputs", "rows")}
    layers = [rng.standard_normal(512).astype(np.float32) for _ in range(2)]
    found = replace(sketch(name, **full), update_by_layer=layers[0], outputs_by_layer=layers[1])
    return replace(found, source=source or found.source)


def written(path, *sketches):
    with appending(path) as part:
        for one in sketches:
            part.add(one)
    return path


def test_a_file_is_read_as_it_was_written_and_layers_only_if_asked_for(tmp_path):
    rows = [whole("a", seed=1), replace(whole("b", seed=2), step=7, scaled=False)]
    path = written(tmp_path / "x.parquet", *rows)
    for by_layer in (True, False):
        for row, found in zip(rows, read([path], by_layer=by_layer), strict=True):
            for name, value in row.as_row().items():
                expected = NONE if name.endswith("_by_layer") and not by_layer else value
                np.testing.assert_array_equal(getattr(found, name), expected, err_msg=name)
    assert [len(s.update_by_layer) for s in read([path])] == [0, 0]


def test_the_first_of_one_source_and_digest_counts(tmp_path):
    one = written(tmp_path / "1.parquet", whole("a"), whole("b"))
    two = written(tmp_path / "2.PARQUET", whole("c", "org/a"), replace(whole("d", "org/b"), digest="e"), whole("f"))
    assert [s.name for s in read([one, two])] == ["a", "b", "d", "f"]
    assert [s.name for s in read([two, one])] == ["c", "d", "f", "b"]
    with appending(two) as part:
        assert part.has == {("org/a", "d"), ("org/b", "e"), ("org/f", "d")}


def test_columns_are_of_the_types_of_a_sketch():
    types = {field.name: str(field.type) for field in schema()}
    assert {name: types[name] for name in ("name", "step", "version", "scaled", "norm")} == {
        "name": "string", "step": "int64", "version": "int64", "scaled": "bool", "norm": "double",
    }  # fmt: skip
    lists = {"modules": "string", "layers": "int64", "layer_norms": "double"}
    assert {name: types[name] for name in lists} == {name: f"list<item: {of}>" for name, of in lists.items()}
    for kind in ("update", "outputs", "rows"):
        assert types[kind] == "fixed_size_list<item: float>[4096]"
        assert types.get(f"{kind}_by_layer", "list<item: float>") == "list<item: float>"


def test_a_file_of_anything_else_is_refused(tmp_path):
    pq.write_table(pa.table({"name": ["a"]}), tmp_path / "plain.parquet")
    (tmp_path / "text.parquet").write_text("no parquet")
    for path in (tmp_path / "plain.parquet", tmp_path / "text.parquet", tmp_path / "gone.parquet"):
        assert not is_part(path)
        with pytest.raises(InspectorError, match="holds no sketches: name files that `inspector sketch` wrote"):
            read([path])
    assert not written(tmp_path / "none.parquet").exists(), "nothing was added"
    path = written(tmp_path / "part.parquet", whole("a"))
    assert is_part(path)
    assert not is_part(path.rename(tmp_path / "part.txt"))
    short = pa.table({"name": ["a"]}).replace_schema_metadata(schema().metadata)
    pq.write_table(short, tmp_path / "short.parquet")
    with pytest.raises(InspectorError, match=r"cannot be read \(.*source.*\): sketch it again"):
        read([tmp_path / "short.parquet"])
    with (
        pytest.raises(InspectorError, match=r"cannot be read \(.*source.*\): name another file"),
        appending(tmp_path / "short.parquet"),
    ):
        pass
