"""The differentiable twin: runs an ONNX graph on PyTorch with straight-through gradients.

Rounding has a gradient of zero almost everywhere, and integers have none. An attack that follows
it makes no progress, and the model seems robust without being so. So the gradient passes a rounding
as if it were not there, by the straight-through estimator (Bengio, Leonard and Courville 2013,
arXiv 1308.3432, section 4). The estimator changes gradients only, never values. Comparisons and
``ArgMax`` have no such path: there the identity does not approximate the step.

A program with a fixed batch size runs on any number of rows by ``batch_program``.
"""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from onnx import TensorProto
from torch import Tensor
from torch.nn import functional

from auditor.domain.tasks import Array, Floats
from auditor.errors import TwinError
from auditor.onnx.graph import STANDARD, GraphNode, NodeAttributes, OnnxGraph
from auditor.onnx.operator_registry import TorchOperator, find_operator
from auditor.onnx.output_heads import LogitTransform
from auditor.onnx.twin.data_dependent_branches import branches_on_rows, find_row_dependent_values
from auditor.onnx.twin.qdq_fusion import fuse_operators
from auditor.onnx.twin.torch_tensors import to_tensor

INTERNAL = "auditor"
"""The domain of nodes that we add to a model's own."""
FLOATS = frozenset(
    {TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BFLOAT16}
)
INTEGERS = frozenset(
    {
        TensorProto.INT8, TensorProto.INT16, TensorProto.INT32, TensorProto.INT64,
        TensorProto.UINT8, TensorProto.UINT16, TensorProto.UINT32, TensorProto.UINT64,
    }
)  # fmt: skip
BY_ELEMENT = frozenset({"Add", "Sub", "Mul", "Div", "Min", "Max", "Clip", "Neg", "Concat", "Sum"})
"""Arithmetic that real numbers follow as integers do, with all inputs."""
MOVING = frozenset(
    {"Identity", "Reshape", "Transpose", "Squeeze", "Unsqueeze", "Flatten", "Slice", "Gather"}
    | {"Expand", "Tile", "Pad", "Split"}
)
"""Operators that move the elements of their first input."""


def straight_through(exact: torch.Tensor, smooth: torch.Tensor) -> torch.Tensor:
    """Return the values of ``exact`` with the gradient of ``smooth``."""
    if not smooth.requires_grad:
        return exact
    return exact.detach() + (smooth - smooth.detach())


def add_straight_through(graph: OnnxGraph) -> OnnxGraph:
    """Return the graph with each cast back from integers given the gradient of what was cast."""
    smooth: dict[str, str] = {}
    nodes: list[GraphNode] = []
    for node in graph.nodes:
        if node.domain == INTERNAL:
            return graph  # it has its straight ways already
        nodes.extend(_beside(node, smooth))
    # All values but those of straight ways that lead nowhere
    ways: Mapping[str, GraphNode] = {
        name: node for node in nodes for name in node.outputs if name.endswith("/smooth")
    }
    wanted = {name for node in nodes if node.operator == "Attach" for name in node.inputs}
    open_ways = [name for name in wanted if name in ways]
    while open_ways:
        for name in ways[open_ways.pop()].inputs:
            if name in ways and name not in wanted:
                wanted.add(name)
                open_ways.append(name)
    used = {name for node in nodes for name in node.outputs if name not in ways or name in wanted}
    return replace(graph, nodes=tuple(node for node in nodes if used.intersection(node.outputs)))


def _beside(node: GraphNode, smooth: dict[str, str]) -> list[GraphNode]:
    """Return the node, and what computes the same in real numbers where integers do it here."""
    given = [name for name in node.inputs if name in smooth]
    if node.domain != STANDARD:
        return [node]
    if node.operator == "Cast":
        source, made = node.inputs[0], node.outputs[0]
        kind = node.attributes.integer("to")
        if kind in INTEGERS:
            smooth[made] = _name(made)
            return [node, _inner(node, "Smooth", (smooth.get(source, source),), _name(made))]
        if kind in FLOATS and source in smooth:
            return [_inner(node, "Attach", (source, smooth[source]), made)]
        return [node]
    shadowed = node.operator in BY_ELEMENT or (node.operator in MOVING and node.inputs[0] in smooth)
    if not given or not shadowed:
        return [node]
    first = node.inputs[:1] if node.operator in MOVING else node.inputs
    rest = node.inputs[len(first) :]
    outputs = tuple(_name(name) for name in node.outputs)
    inputs = (*(smooth.get(name, name) for name in first), *rest)
    smooth.update(zip(node.outputs, outputs, strict=True))
    return [node, replace(node, inputs=inputs, outputs=outputs)]


def _inner(node: GraphNode, operator: str, inputs: tuple[str, ...], output: str) -> GraphNode:
    return replace(
        node, domain=INTERNAL, operator=operator, inputs=inputs, outputs=(output,),
        attributes=NodeAttributes({}),
    )  # fmt: skip


def _name(value: str) -> str:
    return f"{value}/smooth" if value else ""


Values = dict[str, Any]
"""Values by name: a tensor, a list of tensors (a sequence), or ``None`` (an empty optional)."""
MISTAKES = (
    RuntimeError, ValueError, IndexError, TypeError, KeyError, NotImplementedError, OverflowError,
)  # fmt: skip
"""What torch raises when an operator is fed what it cannot take."""


@dataclass(frozen=True, slots=True)
class ProgramStep:
    """A node and the function that computes it; one that decides by rows takes one row a run."""

    node: GraphNode
    function: TorchOperator
    bodies: Mapping[str, "SubgraphBody"] = field(default_factory=dict)
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

    def _attributes(self, values: Values) -> NodeAttributes:
        own = self.node.attributes
        if not self.bodies:
            return own
        bound = {name: partial(body.call, values) for name, body in self.bodies.items()}
        return replace(own, values={**own.values, **bound})


@dataclass(frozen=True, slots=True, eq=False)
class SubgraphBody:
    """A sub-graph that sees outer values. It is compiled when it first runs, if it ever does."""

    graph: OnnxGraph
    captured: tuple[str, ...]
    compiled: list["TorchProgram"] = field(default_factory=list)

    def call(self, outer: Values, *given: Any) -> tuple[Any, ...]:  # noqa: ANN401 -- any value
        """Return the outputs of the sub-graph. Raises ``TwinError`` as a program does."""
        if not self.compiled:
            # What decides inside was looked at from outside, where it is known what rows are.
            self.compiled.append(compile_graph(self.graph, rows=()))
        seen = {name: outer[name] for name in self.captured if name in outer}
        values = self.compiled[0].run({**seen, **dict(zip(self.graph.inputs, given, strict=True))})
        return tuple(values[name] for name in self.graph.outputs)


@dataclass(frozen=True, slots=True, eq=False)
class TorchProgram:
    """A graph ready to run: constants as tensors, and only the steps that depend on an input."""

    graph: OnnxGraph
    steps: tuple[ProgramStep, ...]
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


def compile_graph(graph: OnnxGraph, *, rows: Iterable[str] | None = None) -> TorchProgram:
    """Fold constants and choose a function for each node that is left.

    ``rows`` names the values that hold rows; all inputs, where it is not told.
    Raises ``TwinError`` for the first operator that is not known.
    """
    graph = add_straight_through(fuse_operators(graph))
    constants: Values = {name: _tensor(name, array) for name, array in graph.constants.items()}
    spoiled = find_row_dependent_values(graph, set(graph.inputs if rows is None else rows))
    steps = []
    with torch.no_grad():
        for node in graph.nodes:
            bodies = {name: _body(graph, node, constants) for name, graph in node.bodies.items()}
            step = ProgramStep(
                node, find_operator(node), bodies, by_rows=branches_on_rows(node, spoiled)
            )
            is_constant = all(not name or name in constants for name in node.needs)
            made = step.apply(constants) if is_constant else None
            if made is not None and all(isinstance(item, torch.Tensor) for item in made.values()):
                constants.update(made)
            else:
                steps.append(step)
    arrays = {name: tensor.numpy() for name, tensor in constants.items()}
    left = replace(graph, nodes=tuple(step.node for step in steps), constants=arrays)
    return TorchProgram(left, tuple(steps), constants)


def _body(graph: OnnxGraph, node: GraphNode, constants: Values) -> SubgraphBody:
    seen = {name: constants[name].numpy() for name in node.captured if name in constants}
    captured = tuple(name for name in node.captured if name not in seen)
    return SubgraphBody(replace(graph, constants={**seen, **graph.constants}), captured)


def _rows(feeds: Mapping[str, Any]) -> int:
    tensors = [value for value in feeds.values() if isinstance(value, torch.Tensor)]
    return max((value.shape[0] for value in tensors if value.dim()), default=0)


def find_cut_node(program: TorchProgram, values: Values) -> GraphNode | None:
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


FLOOR = 1e-30
"""The smallest probability that a logarithm is taken of."""
AXES_OF_AN_IMAGE_BATCH = 4
FEW = 2
"""Rows of a run that are so large that a run alone keeps a processor busy."""
MOST_THREADS = 4
"""Each holds what one run makes of its rows. How many there are changes no number."""
T = TypeVar("T")


def _log(scores: Tensor) -> Tensor:
    return torch.log(torch.clamp(scores, min=FLOOR))


def _log_odds(column: Tensor) -> Tensor:
    return torch.cat([_log(1 - column), _log(column)], 1)


def _beside_zero(column: Tensor) -> Tensor:
    return torch.cat([torch.zeros_like(column), column], 1)


FINISHES: Mapping[LogitTransform, Callable[[Tensor], Tensor]] = {
    LogitTransform.AS_IS: lambda values: values,
    LogitTransform.LOG: _log,
    LogitTransform.LOG_SIGMOID: functional.logsigmoid,
    LogitTransform.BINARY_AS_IS: _beside_zero,
    LogitTransform.BINARY_LOG_ODDS: _log_odds,
}


class TorchTwin:
    """A compiled graph with one input, and what turns its value into logits.

    ``batch`` is the number of rows that one run takes; ``None`` means any, of which ``run`` at a
    time.
    """

    def __init__(
        self,
        program: TorchProgram,
        *,
        value: str,
        finish: LogitTransform,
        batch: int | None,
        run: int = 1024,
    ) -> None:
        self.program = program
        self.value = value
        self._input = next(iter(program.graph.inputs))
        self._finish = finish
        self._batch = batch
        self._run = run
        self._parts: list[_Part] = []
        # Threads start with the first rows of several parts; torch computes without the GIL
        self._pool = ThreadPoolExecutor(min(MOST_THREADS, os.cpu_count() or 1))

    def forward(self, x: Array) -> Floats:
        """Return ``[n, classes]`` logits, up to a constant a row, of rows as the model takes them.

        Raises ``TwinError`` where an operator fails, or where no gradient would come back.
        """
        self._parts = []  # before more is held
        rows = _parts(_as_rows(x), self._batch, self._run)
        self._parts = self._each(self._enter, [part.detach().requires_grad_() for part in rows])
        found = torch.cat([part.logits.detach() for part in self._parts])[: len(x)]
        logits: Floats = found.to(torch.float64).numpy()
        return logits

    def backward(self, cotangent: Floats) -> Floats:
        """Return the gradient of ``sum(cotangent * logits)`` in the rows of the last forward pass.

        Raises ``TwinError`` when there was none.
        """
        if not self._parts:
            raise TwinError("a gradient was asked for before a forward pass", cure="Call forward.")
        lacking = sum(len(part.rows) for part in self._parts) - len(cotangent)
        given = np.ascontiguousarray(cotangent, dtype=np.float32)
        # Rows that only fill up a fixed batch pull nothing
        pulled = functional.pad(torch.from_numpy(given), (0, 0, 0, lacking))
        seeds = torch.split(pulled, [len(part.rows) for part in self._parts])
        gradients = self._each(_Part.pull, self._parts, seeds)
        gradient = torch.cat(gradients)[: len(cotangent)]
        found: Floats = gradient.to(torch.float64).contiguous().numpy()
        return found

    def _enter(self, rows: Tensor) -> "_Part":
        return _Part(rows, self.logits(rows))

    def _each(self, run: Callable[..., T], *parts: Sequence[Any]) -> list[T]:
        """Run every part, side by side where there are several: none sees another's numbers."""
        several = len(parts[0]) > 1
        return list(self._pool.map(run, *parts) if several else map(run, *parts))

    def logits(self, rows: Tensor) -> Tensor:
        """Return the logits of a tensor of rows, with the graph that gradients come back through.

        Raises ``TwinError`` as ``forward`` does.
        """
        values = self.program.run({self._input: rows})
        scores = values[self.value]
        wanted = rows.requires_grad and torch.is_grad_enabled()
        if wanted and not scores.requires_grad:
            node = find_cut_node(self.program, values)
            where = (
                "the scores do not depend on the input"
                if node is None
                else f"{node.label} cuts it off"
            )
            raise TwinError(
                f"no gradient reaches the input: {where}",
                cure="Attack the target directly (evasion.linf_query).",
            )
        if scores.numel() % len(rows):
            raise TwinError(
                f"{scores.numel()} scores came out for {len(rows)} rows",
                cure="Export the model with an open batch axis.",
            )
        return FINISHES[self._finish](scores.reshape(len(rows), -1))


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """The rows of one run, and their logits with the graph that gradients come back through."""

    rows: Tensor
    logits: Tensor

    def pull(self, cotangent: Tensor) -> Tensor:
        """Return the gradient of ``sum(cotangent * logits)`` in the rows."""
        # The slope of this number is the cotangent itself. Handing it over beside the logits would
        # have torch bring in its symbolic shapes: a quarter of a second, for nothing.
        value = torch.dot(self.logits.reshape(-1), cotangent.reshape(-1))
        (gradient,) = torch.autograd.grad(value, self.rows, retain_graph=True)
        return gradient


def _as_rows(x: Array) -> Tensor:
    rows = torch.from_numpy(np.array(x, dtype=np.float32, order="C", copy=True))
    if rows.dim() == AXES_OF_AN_IMAGE_BATCH:
        # Convolutions on the CPU are markedly faster with the channels innermost.
        return rows.contiguous(memory_format=torch.channels_last)
    return rows


def _parts(rows: Tensor, batch: int | None, run: int) -> list[Tensor]:
    if batch is None:
        # Of large rows, two go side by side rather than together
        at_once = min(run, -(-len(rows) // 2)) if run <= FEW else run
        return [rows] if len(rows) <= at_once else list(torch.split(rows, at_once))
    lacking = -len(rows) % batch
    full = torch.cat([rows, rows[-1:].expand(lacking, *rows.shape[1:])]) if lacking else rows
    return list(torch.split(full, batch))


def logits_agree(left: NDArray[np.float64], right: NDArray[np.float64], tolerance: float) -> bool:
    """Whether two sets of logits say the same, relative to their size."""
    scale = max(1.0, float(np.abs(right).max(initial=0.0)))
    return left.shape == right.shape and bool(np.abs(left - right).max() <= tolerance * scale)


@dataclass(frozen=True, slots=True, eq=False)
class BatchedProgram(TorchProgram):
    """Runs the program for each ``fixed`` rows, all of them in one pass of ``torch.func.vmap``.

    The last rows are filled up by repeating the last one. Control flow that values decide cannot
    be run so, and raises ``TwinError`` that names the operator.
    """

    fixed: int = 1

    def run(self, feeds: Mapping[str, Any]) -> Values:
        """Return the program's outputs for all rows of its one input.

        Where no gradient comes back, the values of the first rows alone, all of them, so that who
        looks for what cut it off finds it.
        """
        ((name, rows),) = feeds.items()
        lacking = -len(rows) % self.fixed
        full = torch.cat([rows, rows[-1:].expand(lacking, *rows.shape[1:])]) if lacking else rows
        parts = full.reshape(-1, self.fixed, *rows.shape[1:])

        def run_one(part: torch.Tensor) -> tuple[torch.Tensor, ...]:
            values = super(BatchedProgram, self).run({name: part})
            return tuple(values[output] for output in self.graph.outputs)

        found = torch.func.vmap(run_one)(parts)
        if rows.requires_grad and not any(value.requires_grad for value in found):
            return super(BatchedProgram, self).run({name: parts[0]})
        pairs = zip(self.graph.outputs, found, strict=True)
        return {**feeds, **{output: value.flatten(0, 1)[: len(rows)] for output, value in pairs}}


def batch_program(program: TorchProgram, fixed: int) -> BatchedProgram:
    """Return a program for any number of rows from one that takes exactly ``fixed``."""
    return BatchedProgram(program.graph, program.steps, program.constants, fixed)
