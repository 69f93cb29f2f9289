"""Recurrent layers over whole sequences, in one direction or both."""

from collections.abc import Callable

import torch
from torch import Tensor

from auditor.twins.graphs import Attributes
from auditor.twins.operators.cells import (
    Cell,
    Learned,
    State,
    activations,
    gru_cell,
    lstm_cell,
    rnn_cell,
)
from auditor.twins.registry import operator


@operator("RNN", since=7)
def rnn(attributes: Attributes, *inputs: Tensor | None) -> tuple[Tensor, ...]:
    """Return all hidden states and the last one of a plain recurrent layer."""
    return _layer(attributes, rnn_cell, ["Tanh"], inputs, 1)


@operator("GRU", since=7)
def gru(attributes: Attributes, *inputs: Tensor | None) -> tuple[Tensor, ...]:
    """Return all hidden states and the last one of gated recurrent units."""
    return _layer(attributes, gru_cell, ["Sigmoid", "Tanh"], inputs, 1)


@operator("LSTM", since=7)
def lstm(attributes: Attributes, *inputs: Tensor | None) -> tuple[Tensor, ...]:
    """Return all hidden states, the last one and the last cell of long short-term memory."""
    return _layer(attributes, lstm_cell, ["Sigmoid", "Tanh", "Tanh"], inputs, 2)


def _layer(
    attributes: Attributes,
    cell: Callable[[Learned], Cell],
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
    functions = activations(attributes, names, w.shape[0])
    each = len(functions) // w.shape[0]
    found = []
    for at in range(w.shape[0]):
        learned = _learned(attributes, (w, r, bias, rest[2]), at, functions[each * at :][:each])
        first = tuple(_first(state, line, r, at, batchwise=batchwise) for state in rest[:states])
        backwards = at == 1 or attributes.text("direction", "forward") == "reverse"
        found.append(_along(learned, cell(learned), line, first, lengths, backwards=backwards))
    whole = torch.stack([rows for rows, _ in found], 1)
    lasts = [torch.stack(column) for column in zip(*(last for _, last in found), strict=True)]
    if batchwise:
        return (whole.permute(2, 0, 1, 3), *(last.transpose(0, 1) for last in lasts))
    return (whole, *lasts)


def _learned(
    attributes: Attributes,
    parts: tuple[Tensor, Tensor, Tensor | None, Tensor | None],
    at: int,
    functions: list[Callable[[Tensor], Tensor]],
) -> Learned:
    w, r, bias, peepholes = parts
    both = torch.zeros(2 * w.shape[1]) if bias is None else bias[at]
    own, of_state = both.chunk(2)
    looks = None if peepholes is None else peepholes[at]
    return Learned(w[at], r[at], own, of_state, looks, functions, attributes)


def _first(state: Tensor | None, x: Tensor, r: Tensor, at: int, *, batchwise: bool) -> Tensor:
    if state is None:
        return x.new_zeros((x.shape[1], r.shape[2]))
    own = state.transpose(0, 1)[at] if batchwise else state[at]
    # One initial row serves every row: so a model of one row can run on several.
    return own.expand(x.shape[1], -1) if own.shape[0] == 1 else own


def _along(  # noqa: PLR0913 -- what a walk along a sequence needs
    learned: Learned,
    cell: Cell,
    x: Tensor,
    state: State,
    lengths: Tensor | None,
    *,
    backwards: bool,
) -> tuple[Tensor, State]:
    """Return hidden states ``[time, batch, size]`` and the last state; padding gives zeros."""
    gates = x @ learned.weight.t() + learned.bias
    rows: list[Tensor] = []
    steps = range(len(x) - 1, -1, -1) if backwards else range(len(x))
    for step in steps:
        after = cell(gates[step], state)
        if lengths is None:
            state, row = after, after[0]
        else:
            valid = (lengths > step).reshape(-1, 1)
            row = torch.where(valid, after[0], torch.zeros_like(after[0]))
            pairs = zip(after, state, strict=True)
            state = tuple(torch.where(valid, new, old) for new, old in pairs)
        rows.append(row)
    return torch.stack(rows[::-1] if backwards else rows), state
