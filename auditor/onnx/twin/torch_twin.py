"""Runs an ONNX graph on torch, operator by operator."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import torch

from auditor.errors import TwinError
from auditor.twins.deciding import decides_by_rows, spread
from auditor.twins.fusing import fused
from auditor.twins.graphs import Attributes, Graph, Node
from auditor.twins.registry import Operator, find
from auditor.twins.rounding import with_straight_ways
from auditor.twins.tensors import to_tensor

Values = dict[str, Any]
"""Values by name: a tensor, a list of tensors (a sequence), or ``None`` (an empty optional)."""
MISTAKES = (
    RuntimeError, ValueError, IndexError, TypeError, KeyError, NotImplementedError, OverflowError,
)  # fmt: skip
"""What torch raises when an operator is fed what it cannot take."""


@dataclass(frozen=True, slots=True)
class Step:
    """A node and the function that computes it; one that decides by rows takes one row a run."""

    node: Node
    function: Operator
    bodies: Mapping[str, "Body"] = field(default_factory=dict)
    by_rows: bool = False

    def apply(self, values: Values) -> Values:
        """Return the node's outputs by name. Raises ``TwinError`` that names the node."""
        try:
            given = [values[name] if name else None for name in self.node.inputs]
            while given and given[-1] is None:
                given.pop()
            made = self.function(self._attributes(values), *given)  # type: ignore[arg-type]  # absent inputs are None, as each operator's own signature says
        except MISTAKES as mistake:
            raise TwinError(
                f"the operator {self.node.label} cannot be computed here: {mistake}",
                cure="Attack the target directly (evasion.linf_query), or export without it.",
            ) from mistake
        made = made if isinstance(made, tuple) else (made,)
        named = zip(self.node.outputs, made, strict=False)  # some outputs are optional
        return {name: value for name, value in named if name}

    def _attributes(self, values: Values) -> Attributes:
        own = self.node.attributes
        if not self.bodies:
            return own
        bound = {name: partial(body.call, values) for name, body in self.bodies.items()}
        return replace(own, values={**own.values, **bound})


@dataclass(frozen=True, slots=True, eq=False)
class Body:
    """A sub-graph that sees outer values. It is compiled when it first runs, if it ever does."""

    graph: Graph
    captured: tuple[str, ...]
    compiled: list["Program"] = field(default_factory=list)

    def call(self, outer: Values, *given: Any) -> tuple[Any, ...]:  # noqa: ANN401 -- any value
        """Return the outputs of the sub-graph. Raises ``TwinError`` as a program does."""
        if not self.compiled:
            # What decides inside was looked at from outside, where it is known what rows are.
            self.compiled.append(compile_graph(self.graph, rows=()))
        seen = {name: outer[name] for name in self.captured if name in outer}
        values = self.compiled[0].run({**seen, **dict(zip(self.graph.inputs, given, strict=True))})
        return tuple(values[name] for name in self.graph.outputs)


@dataclass(frozen=True, slots=True, eq=False)
class Program:
    """A graph ready to run: constants as tensors, and only the steps that depend on an input."""

    graph: Graph
    steps: tuple[Step, ...]
    constants: Mapping[str, torch.Tensor]

    def run(self, feeds: Mapping[str, Any]) -> Values:
        """Return every value of the graph by name.

        Raises ``TwinError`` where an operator fails, or where several rows come at once and the
        model decides by what is in them: each row may have to go another way.
        """
        values: Values = {**self.constants, **feeds}
        for step in self.steps:
            if step.by_rows and _rows(feeds) > 1:
                raise TwinError(
                    f"the operator {step.node.label} decides for a whole batch by its rows",
                    cure="Export the model with a fixed batch of 1, or attack the target directly.",
                )
            values.update(step.apply(values))
        return values


def compile_graph(graph: Graph, *, rows: Iterable[str] | None = None) -> Program:
    """Fold constants and choose a function for each node that is left.

    ``rows`` names the values that hold rows; all inputs, where it is not told.
    Raises ``TwinError`` for the first operator that is not known.
    """
    graph = with_straight_ways(fused(graph))
    constants: Values = {name: _tensor(name, array) for name, array in graph.constants.items()}
    spoiled = spread(graph, set(graph.inputs if rows is None else rows))
    steps = []
    with torch.no_grad():
        for node in graph.nodes:
            step = _step(node, constants, spoiled)
            made = step.apply(constants) if _is_constant(node, constants) else None
            if made is not None and all(isinstance(item, torch.Tensor) for item in made.values()):
                constants.update(made)
            else:
                steps.append(step)
    arrays = {name: tensor.numpy() for name, tensor in constants.items()}
    left = replace(graph, nodes=tuple(step.node for step in steps), constants=arrays)
    return Program(left, tuple(steps), constants)


def _step(node: Node, constants: Values, rows: set[str]) -> Step:
    bodies = {name: _body(graph, node, constants) for name, graph in node.bodies.items()}
    return Step(node, find(node), bodies, by_rows=decides_by_rows(node, rows))


def _body(graph: Graph, node: Node, constants: Values) -> Body:
    seen = {name: constants[name].numpy() for name in node.captured if name in constants}
    captured = tuple(name for name in node.captured if name not in seen)
    return Body(replace(graph, constants={**seen, **graph.constants}), captured)


def _is_constant(node: Node, constants: Values) -> bool:
    return all(not name or name in constants for name in node.needs)


def _rows(feeds: Mapping[str, Any]) -> int:
    tensors = [value for value in feeds.values() if isinstance(value, torch.Tensor)]
    return max((value.shape[0] for value in tensors if value.dim()), default=0)


def cut_between(program: Program, values: Values) -> Node | None:
    """Return the first node that was given something with a gradient and returned none."""
    for node in program.graph.nodes:
        made = [values[name] for name in node.outputs if name in values]
        given = [values[name] for name in node.needs if name in values]
        if any(map(_flows, given)) and not any(map(_flows, made)):
            return node
    return None


def _flows(value: Any) -> bool:  # noqa: ANN401 -- any value
    items = value if isinstance(value, list) else [value]
    return any(isinstance(item, torch.Tensor) and item.requires_grad for item in items)


def _tensor(name: str, array: np.ndarray[Any, Any]) -> torch.Tensor:
    try:
        return to_tensor(array)
    except ValueError as mistake:
        raise TwinError(
            f"the constant {name!r} of the model is of an unsupported kind: {mistake}",
            cure="Attack the target directly (evasion.linf_query), or export without it.",
        ) from mistake
