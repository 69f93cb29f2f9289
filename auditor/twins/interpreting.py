"""Runs an ONNX graph on torch, operator by operator."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch

from auditor.errors import TwinError
from auditor.twins.graphs import Graph, Node
from auditor.twins.registry import Operator, find
from auditor.twins.tensors import to_tensor

Values = dict[str, torch.Tensor]
MISTAKES = (RuntimeError, ValueError, IndexError, TypeError, KeyError, NotImplementedError)
"""What torch raises when an operator is fed what it cannot take."""


@dataclass(frozen=True, slots=True)
class Step:
    """A node and the function that computes it."""

    node: Node
    function: Operator

    def apply(self, values: Values) -> Values:
        """Return the node's outputs by name. Raises ``TwinError`` that names the node."""
        try:
            given = [values[name] if name else None for name in self.node.inputs]
            while given and given[-1] is None:
                given.pop()
            made = self.function(self.node.attributes, *given)  # type: ignore[arg-type]  # absent inputs are None, as each operator's own signature says
        except MISTAKES as mistake:
            raise TwinError(
                f"the operator {self.node.label} cannot be computed here: {mistake}",
                cure="Attack the target directly (evasion.linf_query), or export without it.",
            ) from mistake
        made = made if isinstance(made, tuple) else (made,)
        named = zip(self.node.outputs, made, strict=False)  # some outputs are optional
        return {name: value for name, value in named if name}


@dataclass(frozen=True, slots=True, eq=False)
class Program:
    """A graph ready to run: constants as tensors, and only the steps that depend on an input."""

    graph: Graph
    steps: tuple[Step, ...]
    constants: Mapping[str, torch.Tensor]

    def run(self, feeds: Mapping[str, torch.Tensor]) -> Values:
        """Return every value of the graph by name."""
        values = {**self.constants, **feeds}
        for step in self.steps:
            values.update(step.apply(values))
        return values


def compile_graph(graph: Graph) -> Program:
    """Fold constants and choose a function for each node that is left.

    Raises ``TwinError`` for the first operator that is not known.
    """
    constants: Values = {}
    for name, array in graph.constants.items():
        constants[name] = _tensor(name, array)
    steps = []
    with torch.no_grad():
        for node in graph.nodes:
            step = Step(node, find(node))
            if all(not name or name in constants for name in node.inputs):
                constants.update(step.apply(constants))
            else:
                steps.append(step)
    arrays = {name: tensor.numpy() for name, tensor in constants.items()}
    left = replace(graph, nodes=tuple(step.node for step in steps), constants=arrays)
    return Program(left, tuple(steps), constants)


def cut_between(program: Program, values: Values) -> Node | None:
    """Return the first node that was given something with a gradient and returned none."""
    for node in program.graph.nodes:
        made = [values[name] for name in node.outputs if name in values]
        flows = any(name and values[name].requires_grad for name in node.inputs)
        if flows and not any(value.requires_grad for value in made):
            return node
    return None


def _tensor(name: str, array: object) -> torch.Tensor:
    try:
        return to_tensor(array)  # type: ignore[arg-type]  # arrays of the graph
    except ValueError as mistake:
        raise TwinError(
            f"the constant {name!r} of the model is of an unsupported kind: {mistake}",
            cure="Attack the target directly (evasion.linf_query), or export without it.",
        ) from mistake
