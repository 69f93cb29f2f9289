"""Scaled dot-product attention (opset 23 on), with caches, masks, windows and grouped heads."""

import torch
from torch import Tensor

from auditor.twins.graphs import Attributes
from auditor.twins.registry import operator

PLAIN, CAPPED, BIASED, WEIGHTED = range(4)
"""At which step ``qk_matmul_output_mode`` shows how queries and keys match."""


@operator("Attention", since=23)
def attention(  # noqa: PLR0913, PLR0917 -- the inputs that ONNX gives this operator
    attributes: Attributes,
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
    bias = _bias(attributes, (q.shape[2], k.shape[2]), mask, valid, before)
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


def _bias(
    attributes: Attributes,
    lengths: tuple[int, int],
    mask: Tensor | None,
    valid: Tensor | None,
    before: int,
) -> Tensor:
    """Return what is added to scores: the mask, and minus infinity where a key is not seen."""
    queries, keys = lengths
    bias = torch.zeros(queries, keys)
    if mask is not None:
        bias = bias + _padded(_additive(mask), keys)
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
    return bias


def _additive(mask: Tensor) -> Tensor:
    if mask.dtype != torch.bool:
        return mask
    return torch.zeros(mask.shape).masked_fill(~mask, -torch.inf)


def _padded(mask: Tensor, keys: int) -> Tensor:
    return torch.nn.functional.pad(mask, (0, keys - mask.shape[-1]), value=-torch.inf)
