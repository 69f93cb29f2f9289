"""Layers that carry a state along a sequence (opset 27 on)."""

import torch
from torch import Tensor
from torch.nn import functional

from auditor.twins.graphs import Attributes
from auditor.twins.registry import operator


@operator("CausalConvWithState", since=27)
def causal_conv(
    attributes: Attributes,
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    past: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Return each channel's convolution with what came before, and the end of what was seen."""
    width = weight.shape[2] - 1
    line = functional.pad(x, (width, 0)) if past is None else torch.cat([past, x], 2)
    found = functional.conv1d(line, weight, bias, groups=x.shape[1])
    if attributes.text("activation", "none") in {"silu", "swish"}:
        found = functional.silu(found)
    return found, line[:, :, line.shape[2] - width :]


@operator("LinearAttention", since=27)
def linear_attention(  # noqa: PLR0913, PLR0917 -- the inputs that ONNX gives this operator
    attributes: Attributes,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    past: Tensor | None = None,
    decay: Tensor | None = None,
    beta: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Return what queries read from a state that keys and values are written into, and the state.

    The state fades by ``exp(decay)``; with ``beta`` only what the state lacks is written.
    """
    heads, own = attributes.integer("q_num_heads"), attributes.integer("kv_num_heads")
    q, k, v = _heads(query, heads), _heads(key, own), _heads(value, own)
    scale = attributes.number("scale") or q.shape[-1] ** -0.5
    state = k.new_zeros((len(k), own, k.shape[-1], v.shape[-1])) if past is None else past
    read = []
    for step in range(q.shape[2]):
        if decay is not None:
            state = state * torch.exp(decay[:, step].reshape(len(k), own, -1, 1))
        now = k[:, :, step].unsqueeze(-1)
        new = v[:, :, step].unsqueeze(-2)
        if beta is not None:
            lack = new - now.transpose(-1, -2) @ state
            new = lack * beta[:, step].reshape(len(k), -1, 1, 1)
        state = state + now @ new
        seen = state.repeat_interleave(heads // own, 1)
        read.append(scale * (q[:, :, step].unsqueeze(-2) @ seen).squeeze(-2))
    return torch.stack(read, 1).flatten(2), state


def _heads(x: Tensor, count: int) -> Tensor:
    return x.reshape(*x.shape[:2], count, -1).transpose(1, 2)
