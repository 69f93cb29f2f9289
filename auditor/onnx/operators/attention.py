"""Attention as ONNX Runtime fuses it, without a memory of earlier tokens."""

import math

import torch
from torch import Tensor

from auditor.twins.graphs import Attributes
from auditor.twins.operators.quantised import MICROSOFT
from auditor.twins.registry import operator

MASKED = -10000.0
TOKENS = 3
HEADS = 4


@operator("Attention", domain=MICROSOFT)
def attention(  # noqa: PLR0913, PLR0917 -- the inputs that ONNX Runtime gives this operator
    attributes: Attributes,
    x: Tensor,
    weights: Tensor,
    bias: Tensor | None = None,
    mask: Tensor | None = None,
    past: Tensor | None = None,
    addition: Tensor | None = None,
) -> Tensor:
    """Return the attention of tokens ``[n, tokens, width]`` to each other, of one projection.

    Raises ``ValueError`` with a memory of earlier tokens, or with rotary positions.
    """
    if past is not None or attributes.integer("do_rotary"):
        message = "attention with a memory or with rotary positions"
        raise ValueError(message)
    made = x @ weights if bias is None else x @ weights + bias
    third = made.shape[-1] // 3
    sizes = attributes.integers("qkv_hidden_sizes", [third] * 3)
    query, key, value = (
        _split(part, attributes.integer("num_heads")) for part in torch.split(made, sizes, -1)
    )
    return _attend(attributes, (query, key, value), mask, addition)


@operator("MultiHeadAttention", domain=MICROSOFT)
def multi_head_attention(  # noqa: PLR0913, PLR0917 -- the inputs that ONNX Runtime gives this operator
    attributes: Attributes,
    query: Tensor,
    key: Tensor | None = None,
    value: Tensor | None = None,
    bias: Tensor | None = None,
    mask: Tensor | None = None,
    addition: Tensor | None = None,
    past: Tensor | None = None,
) -> Tensor:
    """Return the attention of projected queries to keys, with heads to be split or split already.

    Raises ``ValueError`` with packed projections or a memory of earlier tokens.
    """
    if key is None or value is None or past is not None or query.dim() != TOKENS:
        message = "attention with packed projections or a memory"
        raise ValueError(message)
    parts = [query, key, value]
    if bias is not None:
        widths = [part.shape[-1] * (part.shape[1] if part.dim() == HEADS else 1) for part in parts]
        biases = torch.split(bias, widths)
        parts = [_biased(part, one) for part, one in zip(parts, biases, strict=True)]
    heads = attributes.integer("num_heads")
    split = [part if part.dim() == HEADS else _split(part, heads) for part in parts]
    return _attend(attributes, (split[0], split[1], split[2]), mask, addition)


def _biased(part: Tensor, bias: Tensor) -> Tensor:
    if part.dim() == HEADS:
        return part + bias.reshape(part.shape[1], 1, part.shape[-1])
    return part + bias


def _split(x: Tensor, heads: int) -> Tensor:
    """Return ``[n, tokens, width]`` as ``[n, heads, tokens, width / heads]``."""
    return x.reshape(x.shape[0], x.shape[1], heads, -1).transpose(1, 2)


def _attend(
    attributes: Attributes,
    parts: tuple[Tensor, Tensor, Tensor],
    mask: Tensor | None,
    addition: Tensor | None,
) -> Tensor:
    query, key, value = parts
    scale = attributes.number("scale") or 1 / math.sqrt(query.shape[-1])
    scores = scale * query @ key.transpose(-1, -2)
    hidden = attributes.number("mask_filter_value", MASKED)
    if mask is not None:
        scores = scores + _hiding(mask, scores) * hidden
    if attributes.integer("unidirectional"):
        later = torch.ones(scores.shape[-2:]).triu(1 + scores.shape[-1] - scores.shape[-2])
        scores = torch.where(later > 0, torch.finfo(scores.dtype).min, scores)
    if addition is not None:
        scores = scores + addition
    found = torch.softmax(scores, -1) @ value
    return found.transpose(1, 2).flatten(2)


def _hiding(mask: Tensor, scores: Tensor) -> Tensor:
    """Return 1 where a key is hidden, from lengths ``[n]`` or from flags that broadcast."""
    rows, keys = scores.shape[0], scores.shape[-1]
    if mask.shape == (rows,):
        return (torch.arange(keys) >= mask[:, None]).to(scores.dtype)[:, None, None]
    flags = (mask == 0).to(scores.dtype)
    if mask.dim() == 2:  # noqa: PLR2004 -- rows by keys
        return flags[:, None, None]
    if mask.dim() == TOKENS:
        return flags[:, None]
    message = f"an attention mask of the shape {tuple(mask.shape)}"
    raise ValueError(message)
