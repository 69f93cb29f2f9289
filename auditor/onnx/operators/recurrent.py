"""ONNX recurrent layers (RNN, GRU and LSTM), and stateful layers from opset 27 on."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from auditor.onnx.graph import NodeAttributes
from auditor.onnx.operator_registry import register_operator

Activation = Callable[[Tensor], Tensor]
State = tuple[Tensor, ...]
Cell = Callable[[Tensor, State], State]
"""Takes what the input contributes to the gates and the state, and returns the state after it."""

PLAIN: dict[str, Activation] = {
    "relu": torch.relu,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "softsign": functional.softsign,
    "softplus": functional.softplus,
}
WITH_ALPHA: dict[str, tuple[float, Callable[[float], Activation]]] = {
    # a default for alpha, and the function of it
    "leakyrelu": (0.01, lambda alpha: lambda x: functional.leaky_relu(x, alpha)),
    "thresholdedrelu": (1.0, lambda alpha: lambda x: torch.where(x > alpha, x, 0 * x)),
    "elu": (1.0, lambda alpha: lambda x: functional.elu(x, alpha)),
}
WITH_BOTH: dict[str, tuple[float, float, Callable[[float, float], Activation]]] = {
    # defaults for alpha and beta, and the function of both
    "affine": (1.0, 0.0, lambda alpha, beta: lambda x: alpha * x + beta),
    "scaledtanh": (1.0, 1.0, lambda alpha, beta: lambda x: alpha * torch.tanh(beta * x)),
    "hardsigmoid": (0.2, 0.5, lambda alpha, beta: lambda x: torch.clamp(alpha * x + beta, 0, 1)),
}


@dataclass(frozen=True, slots=True)
class RecurrentWeights:
    """What one direction of a layer learned, and its settings; gates stand below each other."""

    weight: Tensor
    recurrence: Tensor
    bias: Tensor
    state_bias: Tensor
    peepholes: Tensor | None
    activations: list[Activation]
    attributes: NodeAttributes

    def bounded(self, x: Tensor) -> Tensor:
        """Clip what goes into an activation, where the layer says so."""
        clip = self.attributes.number("clip")
        return torch.clamp(x, -clip, clip) if clip else x


def layer_activations(
    attributes: NodeAttributes, defaults: list[str], directions: int
) -> list[Activation]:
    """Return the activation functions of a layer, those of its second direction behind.

    Raises ``KeyError`` for an unknown one.
    """
    told = attributes.values.get("activations") or defaults * directions
    alphas = iter(attributes.numbers("activation_alpha"))
    betas = iter(attributes.numbers("activation_beta"))
    made = []
    for item in told:
        name = (item.decode() if isinstance(item, bytes) else str(item)).lower()
        if name in PLAIN:
            made.append(PLAIN[name])
        elif name in WITH_ALPHA:
            default, of = WITH_ALPHA[name]
            made.append(of(next(alphas, default)))
        else:
            alpha, beta, of_both = WITH_BOTH[name]
            made.append(of_both(next(alphas, alpha), next(betas, beta)))
    return made


def rnn_cell(own: RecurrentWeights) -> Cell:
    """Return the plain recurrent cell."""

    def cell(x: Tensor, state: State) -> State:
        gate = x + state[0] @ own.recurrence.t() + own.state_bias
        return (own.activations[0](own.bounded(gate)),)

    return cell


def gru_cell(own: RecurrentWeights) -> Cell:
    """Return the gated recurrent unit; gates stand in the order update, reset, hidden."""
    size = own.recurrence.shape[1]
    gating, hidden = own.recurrence[: 2 * size], own.recurrence[2 * size :]
    bias, hidden_bias = own.state_bias[: 2 * size], own.state_bias[2 * size :]
    gate, activate = own.activations
    linear_before_reset = bool(own.attributes.integer("linear_before_reset"))

    def cell(x: Tensor, state: State) -> State:
        (h,) = state
        gates = gate(own.bounded(x[:, : 2 * size] + h @ gating.t() + bias))
        update, reset = gates.chunk(2, 1)
        if linear_before_reset:
            inner = reset * (h @ hidden.t() + hidden_bias)
        else:
            inner = (reset * h) @ hidden.t() + hidden_bias
        new = activate(own.bounded(x[:, 2 * size :] + inner))
        return ((1 - update) * new + update * h,)

    return cell


def lstm_cell(own: RecurrentWeights) -> Cell:
    """Return long short-term memory; gates stand in the order input, output, forget, cell."""
    gate, activate, finish = own.activations
    size = own.recurrence.shape[1]
    looks = torch.zeros(3 * size) if own.peepholes is None else own.peepholes
    look_in, look_out, look_forget = looks.chunk(3)
    coupled = bool(own.attributes.integer("input_forget"))

    def cell(x: Tensor, state: State) -> State:
        h, c = state
        gates = x + h @ own.recurrence.t() + own.state_bias
        enter, leave, forget, new = gates.chunk(4, 1)
        enter = gate(own.bounded(enter + look_in * c))
        kept = 1 - enter if coupled else gate(own.bounded(forget + look_forget * c))
        c = kept * c + enter * activate(own.bounded(new))
        return gate(own.bounded(leave + look_out * c)) * finish(c), c

    return cell


@register_operator("RNN", since=7)
def rnn(attributes: NodeAttributes, *inputs: Tensor | None) -> tuple[Tensor, ...]:
    """Return all hidden states and the last one of a plain recurrent layer."""
    return _layer(attributes, rnn_cell, ["Tanh"], inputs, 1)


@register_operator("GRU", since=7)
def gru(attributes: NodeAttributes, *inputs: Tensor | None) -> tuple[Tensor, ...]:
    """Return all hidden states and the last one of gated recurrent units."""
    return _layer(attributes, gru_cell, ["Sigmoid", "Tanh"], inputs, 1)


@register_operator("LSTM", since=7)
def lstm(attributes: NodeAttributes, *inputs: Tensor | None) -> tuple[Tensor, ...]:
    """Return all hidden states, the last one and the last cell of long short-term memory."""
    return _layer(attributes, lstm_cell, ["Sigmoid", "Tanh", "Tanh"], inputs, 2)


def _layer(
    attributes: NodeAttributes,
    cell: Callable[[RecurrentWeights], Cell],
    names: list[str],
    inputs: tuple[Tensor | None, ...],
    states: int,
) -> tuple[Tensor, ...]:
    """Run each direction; ``inputs`` are x, w, r, bias, lengths, a first state each, peepholes."""
    padded: list[Tensor | None] = [*inputs, *[None] * (8 - len(inputs))]
    x, w, r, bias, lengths = padded[:5]
    rest = padded[5:]
    if x is None or w is None or r is None:
        message = "a recurrent layer without weights"
        raise ValueError(message)
    batchwise = bool(attributes.integer("layout"))
    line = x.transpose(0, 1) if batchwise else x
    functions = layer_activations(attributes, names, w.shape[0])
    each = len(functions) // w.shape[0]
    found = []
    for at in range(w.shape[0]):
        learned = _learned(attributes, (w, r, bias, rest[2]), at, functions[each * at :][:each])
        first = tuple(_first(state, line, r, at, batchwise=batchwise) for state in rest[:states])
        backwards = at == 1 or attributes.text("direction", "forward") == "reverse"
        # Hidden states `[time, batch, size]` and the last state; padding gives zeros
        along_cell = cell(learned)
        state = first
        gates = line @ learned.weight.t() + learned.bias
        rows: list[Tensor] = []
        steps = range(len(line) - 1, -1, -1) if backwards else range(len(line))
        for step in steps:
            after = along_cell(gates[step], state)
            if lengths is None:
                state, row = after, after[0]
            else:
                valid = (lengths > step).reshape(-1, 1)
                row = torch.where(valid, after[0], torch.zeros_like(after[0]))
                pairs = zip(after, state, strict=True)
                state = tuple(torch.where(valid, new, old) for new, old in pairs)
            rows.append(row)
        found.append((torch.stack(rows[::-1] if backwards else rows), state))
    whole = torch.stack([rows for rows, _ in found], 1)
    lasts = [torch.stack(column) for column in zip(*(last for _, last in found), strict=True)]
    if batchwise:
        return (whole.permute(2, 0, 1, 3), *(last.transpose(0, 1) for last in lasts))
    return (whole, *lasts)


def _learned(
    attributes: NodeAttributes,
    parts: tuple[Tensor, Tensor, Tensor | None, Tensor | None],
    at: int,
    functions: list[Callable[[Tensor], Tensor]],
) -> RecurrentWeights:
    w, r, bias, peepholes = parts
    both = torch.zeros(2 * w.shape[1]) if bias is None else bias[at]
    own, of_state = both.chunk(2)
    looks = None if peepholes is None else peepholes[at]
    return RecurrentWeights(w[at], r[at], own, of_state, looks, functions, attributes)


def _first(state: Tensor | None, x: Tensor, r: Tensor, at: int, *, batchwise: bool) -> Tensor:
    if state is None:
        return x.new_zeros((x.shape[1], r.shape[2]))
    own = state.transpose(0, 1)[at] if batchwise else state[at]
    # One initial row serves every row: so a model of one row can run on several.
    return own.expand(x.shape[1], -1) if own.shape[0] == 1 else own


@register_operator("CausalConvWithState", since=27)
def causal_conv(
    attributes: NodeAttributes,
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


@register_operator("LinearAttention", since=27)
def linear_attention(  # noqa: PLR0913, PLR0917 -- the inputs that ONNX gives this operator
    attributes: NodeAttributes,
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
