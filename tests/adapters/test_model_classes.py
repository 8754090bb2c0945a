"""What PEFT adapts in every model class: ids are unique, layers and projections right, and other names meet."""

import re
import warnings
from collections import Counter, defaultdict

import pytest

from inspector.adapters.alignment import aligned
from inspector.adapters.checkpoint_names import _place, tables
from inspector.adapters.model import Adapter, LoraModule, Scale
from inspector.study.adapter_info import AdapterInfo
from inspector.study.module_id import generic, module_ids, split, strip_wrappers
from tests.adapters.model_classes import linear, of_diffusers, of_transformers

pytestmark = pytest.mark.slow


def adapter(name, shapes):
    ids = module_ids({path: d_out * d_in for path, (d_out, d_in) in shapes.items()})
    modules = {
        ids[path]: LoraModule(ids[path], *shape, 1, Scale(1.0, "test"), "F32", strip_wrappers(path))
        for path, shape in shapes.items()
    }
    return Adapter(AdapterInfo(name, name, "test"), modules, lambda _id: None)


def missed(shapes, rename):
    """The paths that do not meet under their other name, and those that meet another module."""
    renamed = {path: rename(path) for path in shapes}
    one, other = aligned([adapter("one", shapes), adapter("other", {renamed[p]: s for p, s in shapes.items()})])
    mine, theirs = ({m.path: id_ for id_, m in a.modules.items()} for a in (one, other))
    back = {id_: path for path, id_ in mine.items()}
    apart = [p for p in shapes if mine[strip_wrappers(p)] != theirs[strip_wrappers(renamed[p])]]
    wrong = [p for p in apart if theirs[strip_wrappers(renamed[p])] in back]
    return apart, wrong


def adapted(model):
    """What PEFT's `all-linear` adapts, as it names it in files; all linear maps where it refuses the model."""
    from peft import LoraConfig, get_peft_model

    shapes = linear(model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            made = get_peft_model(model, LoraConfig(r=1, target_modules="all-linear"), low_cpu_mem_usage=True)
        except (ValueError, NotImplementedError):
            return shapes
    return {f"base_model.model.{path}": shapes.get(path, (1, 1)) for path in made.base_model.targeted_module_names}


def look(name, model):
    """Ids of what is adapted, checked; a line of the table."""
    decoder = language_model(model)
    shapes = adapted(model)
    sizes = {path: d_out * d_in for path, (d_out, d_in) in shapes.items()}
    ids = module_ids(sizes)
    assert len(set(ids.values())) == len(shapes) > 0, name
    for path, id_ in ids.items():
        assert path.endswith(id_.projection), (name, path)
        if id_.layer is not None:
            assert f".{id_.layer}." in path, (name, path)
        if decoder and (found := re.fullmatch(rf".*\.{decoder}\.(?:layers|layer|h|blocks)\.(\d+)\.(.+)", path)):
            assert id_.layer == int(found[1]), (name, path)
            assert f".{id_.path}".endswith(f".{found[2]}"), (name, path)
    stacks = {id_.path.removesuffix(split(path).tail.split(".", 2)[-1]) for path, id_ in ids.items() if id_.layer == 0}
    print(f"{name:50} {len(ids):5} modules, {len({i.layer for i in ids.values()} - {None}):2} layers {sorted(stacks)}")
    return shapes


def language_model(model):
    """The path of the decoder that transformers itself names, escaped; nothing where it names none."""
    try:
        decoder = model.get_decoder()
    except (AttributeError, NotImplementedError):
        return ""
    return next((re.escape(path) for path, module in model.named_modules() if module is decoder), "")


def older_names(model):
    """Path -> its name in checkpoints, of what transformers only renames on loading, and by it finds the path again.

    First with what it renames in checkpoints of all models, then without.
    """
    from transformers.conversion_mapping import get_model_conversion_mapping
    from transformers.core_model_loading import WeightConverter, WeightRenaming, apply_converters, apply_renamings

    loading = [r for r in get_model_conversion_mapping(model) if isinstance(r, WeightRenaming)]
    for legacy in True, False:
        reverse = [r.reverse_transform() for r in get_model_conversion_mapping(model, add_legacy=legacy)[::-1]]
        renamings = [r for r in reverse if isinstance(r, WeightRenaming)]
        converters = [r for r in reverse if isinstance(r, WeightConverter)]
        keys = [f"{path}.weight" for path in linear(model)]
        older = {key: apply_renamings(key, renamings) for key in keys if apply_converters(key, converters)[1] is None}
        found = {old: apply_renamings(old, loading) for old in sorted(older.values())}
        yield {
            key.removesuffix(".weight"): old.removesuffix(".weight")
            for key, old in older.items()
            if old == key or found[old] == key
        }


def turns_rows(converter):
    """Whether the rows of a weight are in another order in checkpoints: rotary embeddings of interleaved halves."""
    return any(type(operation).__name__ == "PermuteForRope" for operation in converter.operations)


def turned_names(model):
    """Path -> its name in checkpoints, of what has its rows in another order there."""
    from transformers.conversion_mapping import get_model_conversion_mapping
    from transformers.core_model_loading import WeightConverter, WeightRenaming, apply_converters, apply_renamings

    rules = get_model_conversion_mapping(model)[::-1]
    turning = [r.reverse_transform() for r in rules if isinstance(r, WeightConverter) and turns_rows(r)]
    renamings = [r.reverse_transform() for r in rules if isinstance(r, WeightRenaming)]
    keys = {path: apply_converters(f"{path}.weight", turning) for path in linear(model)}
    return {path: apply_renamings(key, renamings).removesuffix(".weight") for path, (key, turn) in keys.items() if turn}


def may_be_turned(older):
    """Whether a module of this name has its rows in another order in the checkpoints of some model."""
    return any(c.rename_source_key(f"{older}.weight")[1] for t in tables() for c in t.converted if turns_rows(c))


def test_every_class_of_transformers():
    """Every older name meets today's, but for names that stand for rows in another order in some model's checkpoints.

    Those never meet: `attention.wq` of Mistral's vision tower is turned, that of its decoder and of Molmo2 is not.
    """
    seen = Counter()
    for name, model in of_transformers():
        for older in older_names(model):
            shapes = {path: shape for path, shape in linear(model).items() if path in older}
            apart, wrong = missed(shapes, older.__getitem__)
            assert not wrong, (name, wrong[:3])
            unmet = [(path, older[path]) for path in apart if not may_be_turned(older[path])]
            assert not unmet, (name, unmet[:3])
            seen.update(older=sum(path != other for path, other in older.items()), apart=len(apart))
            if turned := turned_names(model):
                names = older | turned
                apart, wrong = missed({p: linear(model)[p] for p in names}, names.__getitem__)
                assert not wrong, (name, wrong[:3])
                assert turned.keys() <= set(apart), name
            seen.update(turned=len(turned))
        seen.update(classes=1)
        look(name, model)
    print(dict(seen))
    assert seen["classes"] > 300
    assert 0 < seen["apart"] < seen["older"] / 100
    assert seen["turned"] > 0


def test_no_table_takes_a_module_for_another():
    """Neither under its name of today nor under an older one, for the whole of a model and for every part of it."""
    for name, model in of_transformers():
        modules = {generic(f".{path}."): path for path in linear(model)}
        names = {path: path for path in modules.values()}
        for older in older_names(model):
            names |= {older[path]: path for path in modules.values() if path in older}
        heads = {split(path).head for path in names}
        places = {".".join((*head[:n], "")) for head in heads for n in range(1, len(head) + 1)}
        for table in tables():
            for place in ("", *places):
                found = defaultdict(set)
                for path, new in table._replace(place=place).newer(names).items():
                    found[_place(new)].add(names[path])
                assert all(len(those) == 1 for those in found.values()), (name, table.model, place)


def test_every_class_of_diffusers():
    """Names of trainers for image models: underscores, prefixes of ComfyUI and of pipelines."""
    classes = 0
    for name, model in of_diffusers():
        shapes = linear(model)
        for rename in (
            lambda path: path.replace(".", "_"),
            lambda path: f"diffusion_model.{path}",
            lambda path: f"transformer.{path}",
            lambda path: f"unet.{path.replace('.', '_')}",
        ):
            assert missed(shapes, rename) == ([], []), name
        look(name, model)
        classes += 1
    assert classes > 75
