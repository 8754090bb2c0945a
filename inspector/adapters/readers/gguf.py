"""The reader of llama.cpp's LoRA files: GGUF with `general.type` adapter.

ΔW = s·lora_b·lora_a with s = α/r, and 1 where `adapter.lora.alpha` is 0 [llama_adapter_lora_weight::get_scale]. For
Llama-type architectures the conversion permutes the rows of query and key projections; they are brought back into
Hugging Face's order, which needs the number of heads.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inspector.adapters.files.config_file import is_number
from inspector.adapters.files.listing import Folder
from inspector.adapters.files.weights import Weights
from inspector.adapters.model import Adapter, LoraModule, Scale
from inspector.adapters.options import ReadOptions
from inspector.adapters.readers.foreign_names import from_gguf
from inspector.adapters.readers.gguf_weights import gguf_weights, is_adapter, is_value
from inspector.adapters.readers.rope import halves, head_counts
from inspector.adapters.tensors.account import MISFIT, Verdict
from inspector.adapters.tensors.assemble import Facts, Part, assemble
from inspector.adapters.tensors.base_experts import FUSED
from inspector.adapters.tensors.grouping import Made, Slots, dtypes, fault, understand
from inspector.adapters.tensors.slots import Place
from inspector.adapters.tensors.stacked import STACKED, is_stack, stacked
from inspector.common.errors import InspectorError
from inspector.common.text import count, plain, some
from inspector.study.adapter_info import HealthIssue
from inspector.study.module_id import canonical

if TYPE_CHECKING:
    from torch import Tensor

FORMAT = "GGUF LoRA"
NAMES = {r".*\.gguf": FORMAT}
A, B = "lora_a", "lora_b"
PERMUTED = frozenset(
    """llama granite granitemoe granitehybrid deci baichuan xverse deepseek minicpm olmo arcee smollm3 mistral3
    internlm2 bailingmoe nanbeige chameleon""".split()  # noqa: SIM905 - a list of words
)
"""The architectures whose conversion in llama.cpp permutes query and key projections, as `LlamaModel.permute` does."""
NOT_PERMUTED = frozenset(
    """qwen qwen2 qwen2moe qwen2vl qwen3 qwen3moe qwen3vl qwen3next gemma gemma2 gemma3 gemma3n gemma-embedding phi2
    phi3 phimoe gpt2 gptj gptneox falcon starcoder starcoder2 stablelm command-r cohere2 olmo2 olmoe bloom mpt gpt-oss
    llama4 deepseek2 apertus mamba""".split()  # noqa: SIM905 - a list of words
)
NO_HEADS = Verdict(
    "ignored",
    "query and key rows in llama.cpp's rotary order, and no number of heads: put the model's config.json beside the "
    "file, or name the model with --base",
    "warning",
)
NORM = Verdict("ignored", "no matrix (a norm): no part of ΔW")


def places(folder: Folder) -> list[Path]:
    """The GGUF files that say they are adapters."""
    paths = [folder.path / name for name in folder.files(".gguf")]
    return [path for path in paths if is_adapter(path)]


def read(path: Path, name: str, source: str, read_options: ReadOptions) -> Adapter:
    """The adapter of a file, from its header. Raises InspectorError for a damaged file and another method than LoRA."""
    weights, metadata = gguf_weights(path)
    if (kind := metadata.get("adapter.type")) != "lora":
        raise InspectorError(f"{plain(path)} is a GGUF adapter of type {plain(kind, 40)!r}: only lora is supported.")
    architecture = str(metadata.get("general.architecture", ""))
    alpha = metadata.get("adapter.lora.alpha")
    alpha = float(alpha) if is_number(alpha) else None
    heads = head_counts(path.parent, read_options) if architecture in PERMUTED else None
    unnamed: list[str] = []
    place = partial(_place, architecture, unnamed)
    found = understand(weights.headers, place, partial(_parts, weights, read_options, alpha, heads), {"norm": NORM})
    alphas = {alpha} if alpha is not None else ()
    facts = Facts(FORMAT, _base(metadata), alphas, excluded=found.excluded, depends_on=str(heads or ""))
    said = []
    if architecture not in PERMUTED | NOT_PERMUTED:
        what = f"whether llama.cpp reorders query and key rows of {plain(architecture, 40)!r} is not known here"
        said.append(HealthIssue("warning", f"{what}: they are taken as they are"))
    if unnamed:
        names = sorted(set(unnamed))
        what = f"{count(len(names), 'module')} under llama.cpp's own names, which do not meet other formats'"
        said.append(HealthIssue("warning", f"{what}: {some(names)}"))
    return assemble(name, source, facts, found.parts, weights, found.verdicts, said)


def _base(metadata: Mapping[str, Any]) -> str:
    """The base, as far as the conversion noted it."""
    found = metadata.get("general.base_model.0.repo_url") or metadata.get("general.base_model.0.name") or ""
    return str(found).removeprefix("https://huggingface.co/")


def _place(architecture: str, unnamed: list[str], key: str) -> Place | None:
    """`blk.3.attn_q.weight.lora_a`: the tensor of the model, and which factor."""
    name, _, slot = key.rpartition(".")
    if slot not in {A, B}:
        return Place(name, "norm") if "_norm." in key else None
    name = name.removesuffix(".weight")
    path = from_gguf(name, architecture)
    if path is None:
        unnamed.append(name)
    return Place(path or name.replace("blk.", "model.layers.", 1), slot)


def _parts(
    weights: Weights,
    read_options: ReadOptions,
    alpha: float | None,
    heads: Mapping[str, int] | None,
    path: str,
    slots: Slots,
) -> Made | Verdict:
    if wrong := fault(slots, (A, B), is_value):
        return wrong
    a, b = slots[A], slots[B]
    # An embedding's rows are looked up: its lora_a is stored transposed.
    turned = path.endswith("embed_tokens")
    if is_stack(a.shape, b.shape):
        read, scale = lru_cache(maxsize=2)(weights.tensor), _scale(alpha, a.shape[1], read_options)
        return stacked(path, slots, (A, B), scale, read, is_parameter=path.endswith(FUSED))
    if len(a.shape) != 2 or len(b.shape) != 2:
        return STACKED if 3 in {len(a.shape), len(b.shape)} else MISFIT
    r, d_in = a.shape[::-1] if turned else a.shape
    if b.shape[1] != r:
        return MISFIT
    rotary = heads is not None and path.endswith(("self_attn.q_proj", "self_attn.k_proj"))
    count = (heads or {}).get(path.rpartition(".")[2], 0)
    if rotary and (not count or b.shape[0] % (2 * count)):
        return NO_HEADS

    def load() -> tuple[Tensor, Tensor]:
        up, down = weights.tensor(b.key), weights.tensor(a.key)
        return halves(up, count) if rotary else up, down.T.contiguous() if turned else down

    module = LoraModule(
        canonical(path), b.shape[0], d_in, r, _scale(alpha, r, read_options), dtypes(slots, (A, B)), path
    )
    return Made([Part(module, load, a.numel + b.numel)])


def _scale(alpha: float | None, r: int, read_options: ReadOptions) -> Scale:
    if alpha is None:
        return read_options.scale(r)
    return Scale(alpha / r, f"α/r = {alpha:g}/{r}") if alpha else Scale(1.0, "α 0: 1")
