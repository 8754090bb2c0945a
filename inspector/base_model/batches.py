"""Examples in batches of similar length; half the batch where memory runs out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from inspector.base_model.encode import Encoded
from inspector.common.errors import CancelledError, InspectorError

if TYPE_CHECKING:
    from torch import Tensor


class Batches:
    """The size of a batch, remembered from one pass to the next: it only ever shrinks."""

    def __init__(self, size: int, note: Callable[[str], None], cancelled: Callable[[], bool]) -> None:
        self.size = size
        self._note, self._cancelled = note, cancelled

    def run(self, examples: Sequence[Encoded], work: Callable[[list[int]], None]) -> None:
        """Call `work` with the indices of one batch after the other, longest examples first.

        `work` must leave nothing behind when it fails. Raises CancelledError between two batches, and
        InspectorError when not even one example fits.
        """
        order = sorted(range(len(examples)), key=lambda i: -len(examples[i].ids))
        at = 0
        while at < len(order):
            if self._cancelled():
                raise CancelledError("Cancelled between two batches.")
            if self._fits(order[at : at + self.size], work):
                at += self.size
            else:
                self._halve(len(examples[order[at]].ids))

    def _fits(self, indices: list[int], work: Callable[[list[int]], None]) -> bool:
        try:
            work(indices)
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            return False
        return True

    def _halve(self, length: int) -> None:
        """Outside of the except block, so that the failed batch's tensors are free again."""
        import torch

        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        if self.size == 1:
            raise InspectorError(f"Out of memory on a single example of {length} tokens: use a larger device.")
        self.size //= 2
        self._note(f"out of memory: going on with batches of {self.size}")


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on a GPU or on the CPU."""
    import torch

    words = ("out of memory", "can't allocate memory", "cannot allocate memory", "not enough memory")
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or any(w in str(error).lower() for w in words)


def padded(examples: Sequence[Encoded], device: str, filler: int) -> tuple[Tensor, Tensor]:
    """(ids, mask), both (batch, longest), padded on the right: positions are those of the example alone."""
    import torch

    longest = max(len(e.ids) for e in examples)
    ids = torch.full((len(examples), longest), filler, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, example in enumerate(examples):
        ids[row, : len(example.ids)] = torch.tensor(example.ids)
        mask[row, : len(example.ids)] = 1
    return ids.to(device), mask.to(device)


def filler_of(tokenizer: Any) -> int:
    """A token to pad with; the mask hides it."""
    for token in (tokenizer.pad_token_id, tokenizer.eos_token_id):
        if token is not None:
            return int(token)
    return 0
