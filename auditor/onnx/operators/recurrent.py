"""One step of recurrent layers: RNN, GRU and LSTM."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from auditor.twins.graphs import Attributes

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
class Learned:
    """What one direction of a layer learned, and its settings; gates stand below each other."""

    weight: Tensor
    recurrence: Tensor
    bias: Tensor
    state_bias: Tensor
    peepholes: Tensor | None
    activations: list[Activation]
    attributes: Attributes

    def bounded(self, x: Tensor) -> Tensor:
        """Clip what goes into an activation, where the layer says so."""
        clip = self.attributes.number("clip")
        return torch.clamp(x, -clip, clip) if clip else x


def activations(attributes: Attributes, defaults: list[str], directions: int) -> list[Activation]:
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


def rnn_cell(own: Learned) -> Cell:
    """Return the plain recurrent cell."""

    def cell(x: Tensor, state: State) -> State:
        gate = x + state[0] @ own.recurrence.t() + own.state_bias
        return (own.activations[0](own.bounded(gate)),)

    return cell


def gru_cell(own: Learned) -> Cell:
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


def lstm_cell(own: Learned) -> Cell:
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
