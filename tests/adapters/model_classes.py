"""Every model class of the installed transformers and diffusers, on the meta device, with few blocks a stack."""

import inspect
import warnings
from collections.abc import Iterator

import torch

_DEPTHS = {
    "num_hidden_layers", "num_layers", "n_layer", "n_layers", "depth", "encoder_layers", "decoder_layers",
    "num_decoder_layers", "num_encoder_layers",
}  # fmt: skip
_KINDS = {"layer_types", "mlp_layer_types", "layers_block_type", "attn_layer_types", "block_types"}
_BLOCKS = 4


def of_transformers() -> Iterator[tuple[str, torch.nn.Module]]:
    """Causal and vision-language models, speech, sequence to sequence; those that their default config can build."""
    import transformers
    from transformers.models.auto import modeling_auto as auto

    tables = (
        auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
        auto.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES,
        auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES,
        auto.MODEL_FOR_SPEECH_SEQ_2_SEQ_MAPPING_NAMES,
        auto.MODEL_FOR_CTC_MAPPING_NAMES,
        auto.MODEL_FOR_TEXT_TO_WAVEFORM_MAPPING_NAMES,
    )
    names = {name: kind for table in tables for kind, found in table.items() for name in _several(found)}
    for name, kind in names.items():
        made = getattr(transformers, name)
        config = made.config_class or transformers.models.auto.configuration_auto.CONFIG_MAPPING[kind]
        for fewer in (_cut, lambda config: config):
            model = _built(lambda made=made, config=config, fewer=fewer: made(fewer(config())))
            if model is not None:
                yield name, model
                break


def of_diffusers() -> Iterator[tuple[str, torch.nn.Module]]:
    """Transformers and U-Nets of image and video pipelines."""
    from diffusers import ModelMixin
    from diffusers.models import transformers, unets

    for module in (transformers, unets):
        for name, made in inspect.getmembers(module, inspect.isclass):
            if issubclass(made, ModelMixin):
                depths = {key: _BLOCKS for key in inspect.signature(made).parameters if key in {"num_layers", "depth"}}
                model = _built(lambda made=made, depths=depths: made(**depths)) or _built(made)
                if model is not None:
                    yield name, model


def linear(model: torch.nn.Module) -> dict[str, tuple[int, int]]:
    """The linear maps of a model: path -> (d_out, d_in)."""
    from transformers.pytorch_utils import Conv1D

    found = {}
    for path, module in model.named_modules():
        if isinstance(module, torch.nn.Linear | Conv1D):
            rows, columns = module.weight.shape
            found[path] = (columns, rows) if isinstance(module, Conv1D) else (rows, columns)
    return found


def _several(found):
    return (found,) if isinstance(found, str) else found


def _built(make):
    """The model on the meta device; None where a default config lacks what the class needs."""
    with warnings.catch_warnings(), torch.device("meta"):
        warnings.simplefilter("ignore")
        try:
            return make()
        except Exception:  # noqa: BLE001 - of any kind
            return None


def _cut(config):
    from transformers import PretrainedConfig

    for key, value in list(vars(config).items()):
        if isinstance(value, PretrainedConfig):
            _cut(value)
        elif key in _DEPTHS and isinstance(value, int) and value > _BLOCKS:
            setattr(config, key, _BLOCKS)
        elif key in _KINDS and isinstance(value, list):
            setattr(config, key, value[:_BLOCKS])
    return config
