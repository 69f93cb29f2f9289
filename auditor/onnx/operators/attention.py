"""ONNX attention operators: opset 23 attention, and the fused ones of ONNX Runtime.

The fused ones support no cache of earlier tokens.
"""

import math

import torch
from torch import Tensor

from auditor.onnx.graph import NodeAttributes
from auditor.onnx.operator_registry import register_operator
from auditor.onnx.operators.quantised import MICROSOFT

MASKED = -10000.0
TOKENS = 3
HEADS = 4


@register_operator("Attention", domain=MICROSOFT)
def contrib_attention(  # noqa: PLR0913, PLR0917 -- the inputs that ONNX Runtime gives this operator
    attributes: NodeAttributes,
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


@register_operator("MultiHeadAttention", domain=MICROSOFT)
def multi_head_attention(  # noqa: PLR0913, PLR0917 -- the inputs that ONNX Runtime gives this operator
    attributes: NodeAttributes,
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
    attributes: NodeAttributes,
    parts: tuple[Tensor, Tensor, Tensor],
    mask: Tensor | None,
    addition: Tensor | None,
) -> Tensor:
    query, key, value = parts
    scale = attributes.number("scale") or 1 / math.sqrt(query.shape[-1])
    scores = scale * query @ key.transpose(-1, -2)
    hidden = attributes.number("mask_filter_value", MASKED)
    if mask is not None:
        # 1 where a key is hidden, from lengths `[n]` or from flags that broadcast
        rows, keys = scores.shape[0], scores.shape[-1]
        if mask.shape == (rows,):
            hiding = (torch.arange(keys) >= mask[:, None]).to(scores.dtype)[:, None, None]
        else:
            flags = (mask == 0).to(scores.dtype)
            if mask.dim() == 2:  # noqa: PLR2004 -- rows by keys
                hiding = flags[:, None, None]
            elif mask.dim() == TOKENS:
                hiding = flags[:, None]
            else:
                message = f"an attention mask of the shape {tuple(mask.shape)}"
                raise ValueError(message)
        scores = scores + hiding * hidden
    if attributes.integer("unidirectional"):
        later = torch.ones(scores.shape[-2:]).triu(1 + scores.shape[-1] - scores.shape[-2])
        scores = torch.where(later > 0, torch.finfo(scores.dtype).min, scores)
    if addition is not None:
        scores = scores + addition
    found = torch.softmax(scores, -1) @ value
    return found.transpose(1, 2).flatten(2)


PLAIN, CAPPED, BIASED, WEIGHTED = range(4)
"""At which step ``qk_matmul_output_mode`` shows how queries and keys match."""


@register_operator("Attention", since=23)
def attention(  # noqa: PLR0913, PLR0917 -- the inputs that ONNX gives this operator
    attributes: NodeAttributes,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor | None = None,
    past_key: Tensor | None = None,
    past_value: Tensor | None = None,
    valid: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return attended values, the keys and values seen so far, and how queries and keys match."""
    by_rows = q.dim() == 3  # noqa: PLR2004 -- heads stand side by side in the last axis
    if by_rows:
        q = _heads(q, attributes.integer("q_num_heads"))
        k, v = (_heads(x, attributes.integer("kv_num_heads")) for x in (k, v))
    before = 0 if past_key is None else past_key.shape[2]
    k = k if past_key is None else torch.cat([past_key, k], 2)
    v = v if past_value is None else torch.cat([past_value, v], 2)
    # What is added to scores: the mask, and minus infinity where a key is not seen
    queries, keys = (q.shape[2], k.shape[2])
    bias = torch.zeros(queries, keys)
    if mask is not None:
        padded_mask = _additive(mask)
        bias = bias + torch.nn.functional.pad(
            padded_mask, (0, keys - padded_mask.shape[-1]), value=-torch.inf
        )
    first: Tensor | int = before
    if valid is not None:
        first = (valid.reshape(-1, 1, 1, 1) - queries) if before == 0 else before
        bias = bias + _additive(torch.arange(keys) < valid.reshape(-1, 1, 1, 1))
    ahead = torch.arange(keys) - (torch.arange(queries).reshape(-1, 1) + first)
    if attributes.integer("is_causal"):
        bias = bias + _additive(ahead <= 0)
    left, right = (attributes.integer(f"{side}_window_size", -1) for side in ("left", "right"))
    if left >= 0:
        bias = bias + _additive(ahead >= -left)
    if right >= 0:
        bias = bias + _additive(ahead <= right)
    groups = q.shape[1] // k.shape[1]
    scale = attributes.number("scale", q.shape[3] ** -0.5)
    scores = (q * scale) @ k.repeat_interleave(groups, 1).transpose(2, 3)
    steps = [scores]
    cap = attributes.number("softcap")
    steps.append(cap * torch.tanh(scores / cap) if cap else scores)
    steps.append(steps[CAPPED] + bias)
    steps.append(_weights(steps[BIASED], bias))
    found = steps[WEIGHTED] @ v.repeat_interleave(groups, 1)
    if by_rows:
        found = found.transpose(1, 2).flatten(2)
    return found, k, v, steps[attributes.integer("qk_matmul_output_mode", PLAIN)]


def _heads(x: Tensor, count: int) -> Tensor:
    return x.reshape(*x.shape[:2], count, -1).transpose(1, 2)


def _weights(scores: Tensor, bias: Tensor) -> Tensor:
    """Return the softmax over keys; a query that may see none weighs none."""
    blind = torch.isneginf(bias.amax(-1, keepdim=True))
    if not bool(blind.any()):
        return torch.softmax(scores, -1)
    weights = torch.softmax(torch.where(blind, torch.zeros_like(scores), scores), -1)
    return torch.where(blind, torch.zeros_like(weights), weights)


def _additive(mask: Tensor) -> Tensor:
    if mask.dtype != torch.bool:
        return mask
    return torch.zeros(mask.shape).masked_fill(~mask, -torch.inf)
