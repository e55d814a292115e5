"""Attention a few samples at a time, with a gradient written by hand, in reused memory.

By default PyTorch keeps every [steps, steps] table of the forward pass for the backward pass and
allocates new memory for each. The system has to clear that memory, page by page, which takes
longer than the computation. Here two small tables serve the whole batch, and the backward pass
recomputes the weights, as FlashAttention does (Dao et al., 2022, section 3.1).
"""

from typing import Any

import torch
from torch import Tensor, softmax
from torch.autograd import Function

from shared.errors import UserError

# Samples in a block: at 784 steps in float32 its two tables take 20 MB, which a cache can hold.
BLOCK = 4


def attend_in_blocks(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Compute softmax(query keyᵀ) value; all are [batch, steps, channels]."""
    if torch.jit.is_scripting():  # type: ignore[attr-defined]
        return attend_plainly(query, key, value)
    if torch.jit.is_tracing() or torch.compiler.is_exporting():  # type: ignore[attr-defined]
        return attend_plainly(query, key, value)
    # One allocation for both passes: if each allocated and freed its own, the heap would grow and
    # shrink, and the system would clear the memory every time.
    attended: Tensor = AttentionInBlocks.apply(query, key, value, make_tables(query))
    return attended


def attend_plainly(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Compute the same without blocks, for transformations that need autodiff's own operations."""
    return softmax(query @ key.mT, dim=-1) @ value


def blocks_of(batch: Tensor) -> list[slice]:
    """Return slices of [batch, ...] of at most BLOCK samples each."""
    return [slice(start, start + BLOCK) for start in range(0, len(batch), BLOCK)]


def make_tables(query: Tensor) -> Tensor:
    """Return memory for the scores and the weights of a block: [2, block, steps, steps]."""
    block, steps = min(BLOCK, len(query)), query.shape[1]
    return query.new_empty((2, block, steps, steps))


def write_weights(query: Tensor, key: Tensor, tables: Tensor) -> Tensor:
    """Write the scores of a block into the first table, and its weights into the second."""
    scores, weights = tables[:, : len(query)]  # [block, steps, steps] each
    torch.matmul(query, key.mT, out=scores)
    return softmax(scores, dim=-1, out=weights)


def thin_product(table: Tensor, thin: Tensor) -> Tensor:
    """Compute table @ thin, [block, steps, steps] by [block, steps, channels], as a transpose.

    PyTorch's batched product on a CPU is up to 13 times faster with the thin factor on the left.
    """
    return (thin.mT @ table.mT).mT


class AttentionInBlocks(Function):
    """The forward and the backward pass of `attend_in_blocks`."""

    @staticmethod
    def forward(query: Tensor, key: Tensor, value: Tensor, tables: Tensor) -> Tensor:
        """Compute attention block by block; nothing of shape [steps, steps] is kept."""
        attended = torch.empty_like(value)  # [batch, steps, channels]
        for block in blocks_of(query):
            weights = write_weights(query[block], key[block], tables)  # [block, steps, steps]
            attended[block] = thin_product(weights, value[block])
        return attended

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        """Save what the backward pass needs; it overwrites the tables, which are scratch memory."""
        query, key, value, ctx.tables = inputs
        ctx.save_for_backward(query, key, value, output)

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *inputs: Tensor) -> tuple[Tensor, int]:
        """Compute attention over one more axis, for torch.func.vmap."""
        return torch.func.vmap(attend_plainly, in_dims[:3])(*inputs[:3]), 0

    @staticmethod
    def jvp(ctx: Any, *tangents: Tensor) -> Tensor:
        """Raise UserError: PyTorch would use the derivative 0 without a message."""
        raise UserError(
            "The blocked form has no derivative in forward mode: use the vectorized form, which "
            "computes the same."
        )

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        """Compute the gradient by query, key and value from that by attended."""
        query, key, value, attended = ctx.saved_tensors
        if torch.is_grad_enabled():  # the gradient is itself differentiated
            pull_back = torch.func.vjp(attend_plainly, query, key, value)[1]
            return *pull_back(gradient), None
        by_query, by_key, by_value = (torch.empty_like(x) for x in (query, key, value))
        # A row of the softmax's gradient subtracts sum(weights * by_weights), which is this sum.
        shift = (gradient * attended).sum(dim=-1, keepdim=True)  # [batch, steps, 1]
        for block in blocks_of(query):
            weights = write_weights(query[block], key[block], ctx.tables)  # [block, steps, steps]
            by_value[block] = thin_product(weights.mT, gradient[block])
            scores = ctx.tables[0][: len(weights)]  # no longer needed: its memory is reused
            by_weights = torch.matmul(gradient[block], value[block].mT, out=scores)
            by_scores = by_weights.sub_(shift[block]).mul_(weights)  # [block, steps, steps]
            by_query[block] = thin_product(by_scores, key[block])
            by_key[block] = thin_product(by_scores.mT, query[block])
        return by_query, by_key, by_value, None
