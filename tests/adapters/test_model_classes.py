"""What PEFT adapts in every model class: ids are unique, layers and projections right, and other names meet."""

import re
import warnings
from collections import Counter

import pytest

from inspector.adapters.aligning import aligned
from inspector.adapters.model import Adapter, LoraModule, Scale
from inspector.names import module_ids, split, strip_wrappers
from inspector.study import AdapterInfo
from tests.adapters.model_classes import linear, of_diffusers, of_transformers

pytestmark = pytest.mark.slow

OTHERWISE_NAMED = {
    "CohereAsrForConditionalGeneration", "Cosmos3OmniForConditionalGeneration", "DeepseekV4ForCausalLM",
    "Dots3NoteForConditionalGeneration", "Ernie4_5_VLMoeForConditionalGeneration", "GPTNeoXForCausalLM",
    "GradiumPhononTTSForConditionalGeneration", "HyperCLOVAXVisionV2ForConditionalGeneration", "Inkling2ForCausalLM",
    "Inkling2ForConditionalGeneration", "InklingForConditionalGeneration", "KyutaiSpeechToTextForConditionalGeneration",
    "Lfm3VlForConditionalGeneration", "MiniMaxM3SparseForConditionalGeneration",
    "MistralLarge4ForConditionalGeneration", "Molmo2ForConditionalGeneration", "NemotronH_Omni_Reasoning_V3",
    "Nemotron3_5TranscribeForConditionalGeneration", "PaddleOCRVLForConditionalGeneration",
    "PI0ForConditionalGeneration", "QianfanOCRForConditionalGeneration", "Step3p7ForConditionalGeneration",
    "UnlimitedOcrForConditionalGeneration",
}  # fmt: skip
"""Classes whose checkpoints have another word for a tower or a head (`vision_model`, `vision_tower`)."""


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
    """Path -> its name in checkpoints, of what transformers only renames on loading."""
    from transformers.conversion_mapping import get_model_conversion_mapping
    from transformers.core_model_loading import WeightConverter, WeightRenaming, apply_converters, apply_renamings

    reverse = [found.reverse_transform() for found in get_model_conversion_mapping(model, add_legacy=True)[::-1]]
    renamings = [found for found in reverse if isinstance(found, WeightRenaming)]
    converters = [found for found in reverse if isinstance(found, WeightConverter)]
    older = {}
    for path in linear(model):
        key = f"{path}.weight"
        if apply_converters(key, converters)[1] is None:
            older[path] = apply_renamings(key, renamings).removesuffix(".weight")
    return older


def test_every_class_of_transformers():
    seen = Counter()
    for name, model in of_transformers():
        older = older_names(model)
        shapes = {path: shape for path, shape in linear(model).items() if path in older}
        apart, wrong = missed(shapes, older.__getitem__)
        assert not wrong, (name, wrong[:3])
        moved = [path for path in apart if split(path).tail == split(older[path]).tail]
        assert not moved or name in OTHERWISE_NAMED, (name, [(path, older[path]) for path in moved[:3]])
        seen.update(classes=1, older=sum(path != other for path, other in older.items()), apart=len(apart))
        look(name, model)
    print(dict(seen))
    assert seen["classes"] > 300
    assert seen["apart"] < seen["older"] / 4


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
