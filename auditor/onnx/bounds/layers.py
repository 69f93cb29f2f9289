"""An ONNX network as layers for bound propagation: affine, curved and max layers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import torch
from torch import Tensor

from auditor.errors import TwinError
from auditor.onnx.bounds.relaxations import AFFINE, CURVES, AffineOperator
from auditor.onnx.graph import GraphNode
from auditor.onnx.twin.torch_twin import ProgramStep, TorchProgram, Values

PROBES = 3
MAXIMA = frozenset({"MaxPool", "GlobalMaxPool"})
SHAPES = frozenset({"Shape", "Size"})
CURE = "Judge by evasion.linf what attacks find, or export without it."


class LayerKind(StrEnum):
    """How bounds pass through a layer."""

    AFFINE = "affine"
    CURVE = "curve"
    MAXIMUM = "maximum"


@dataclass(frozen=True, slots=True, eq=False)
class NetworkLayer:
    """A node that depends on the input's values through ``sources``, and makes ``targets``.

    ``affine`` says how it sums, where it is affine.
    """

    step: ProgramStep
    kind: LayerKind
    sources: tuple[str, ...]
    targets: tuple[str, ...]
    affine: AffineOperator | None = None

    @property
    def node(self) -> GraphNode:
        """The node of the graph."""
        return self.step.node


@dataclass(frozen=True, slots=True, eq=False)
class LayeredNetwork:
    """Layers in order, constants in float64, and the shape of each value of one row.

    ``plain`` are nodes that depend on shapes alone.
    """

    input: str
    output: str
    layers: tuple[NetworkLayer, ...]
    plain: tuple[ProgramStep, ...]
    constants: Mapping[str, Tensor]
    shapes: Mapping[str, tuple[int, ...]]
    known: dict[int, Values] = field(default_factory=dict)
    traced: dict[int, tuple[Values, Values]] = field(default_factory=dict)
    transposed: dict[str, tuple[Values, Tensor]] = field(default_factory=dict)

    def constants_for(self, rows: int) -> Values:
        """Return constants, and what the shapes of a batch of ``rows`` come to."""
        if rows not in self.known:
            values = dict(self.constants)
            for step in self.plain:
                stand_ins = {
                    name: torch.zeros(1).expand(rows, *self.shapes[name])
                    for name in step.node.inputs
                    if name and name not in values
                }
                values.update(step.apply({**values, **stand_ins}))
            self.known[rows] = values
        return self.known[rows]

    def zero_row(self, layer: NetworkLayer) -> tuple[Values, Values]:
        """Return a row of zeros of an affine layer's sources, and what it makes of them: its bias.

        Autograd knows the way back from the one to the other, and so the layer's transpose.
        """
        if id(layer) not in self.traced:
            with torch.enable_grad():
                zeros = {
                    source: torch.zeros((1, *self.shapes[source]), requires_grad=True)
                    for source in layer.sources
                }
                self.traced[id(layer)] = zeros, self.apply(layer, zeros)
        return self.traced[id(layer)]

    def inputs_of(self, layer: NetworkLayer, values: Mapping[str, Tensor]) -> list[Tensor | None]:
        """Return a layer's inputs in order, with ``values`` for its sources."""
        rows = len(values[layer.sources[0]])
        every = {**self.constants_for(rows), **values}
        return [every[name] if name else None for name in layer.node.inputs]

    def apply(self, layer: NetworkLayer, values: Mapping[str, Tensor]) -> Values:
        """Return a layer's outputs by name, of ``values`` for its sources, in float64."""
        if layer.affine is not None and layer.affine.own is not None:
            made = layer.affine.own(self.inputs_of(layer, values))
            named = zip(layer.node.outputs, made, strict=False)
            return {name: value for name, value in named if name}
        rows = len(values[layer.sources[0]])
        return layer.step.apply({**self.constants_for(rows), **values})


def trace_layers(program: TorchProgram, output: str, row: tuple[int, ...]) -> LayeredNetwork:
    """Sort a program's steps into layers.

    Raises ``TwinError`` that names the first node through which no bounds pass here, and where
    rows of one batch depend on each other.
    """
    name = next(iter(program.graph.inputs))
    # Run a few rows in two orders, to learn shapes and that rows do not touch each other
    probe = torch.rand((PROBES, *row), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        ahead, back = program.run({name: probe}), program.run({name: probe.flip(0)})
    shapes = {}
    for key, value in ahead.items():
        if key in program.constants or not value.is_floating_point():
            continue
        if value.shape[:1] != (PROBES,) or not torch.allclose(value.flip(0), back[key], atol=1e-5):
            raise TwinError(f"the rows of a batch meet in the value {key!r}", cure=CURE)
        shapes[key] = tuple(value.shape[1:])
    constants = {
        key: value.to(torch.float64) if value.is_floating_point() else value
        for key, value in program.constants.items()
    }
    fixed, layers, plain = set(constants), list[NetworkLayer](), list[ProgramStep]()
    for step in program.steps:
        sources = tuple(dict.fromkeys(n for n in step.node.inputs if n and n not in fixed))
        if not sources or step.node.operator in SHAPES:
            plain.append(step)
            fixed.update(step.node.outputs)
        else:
            layers.append(_layer(step, sources, constants))
    network = LayeredNetwork(name, output, tuple(layers), tuple(plain), constants, shapes)
    if output in fixed or output not in shapes:
        raise TwinError("the scores do not depend on the input", cure="Export the model again.")
    return network


def _layer(
    step: ProgramStep, sources: tuple[str, ...], constants: Mapping[str, Tensor]
) -> NetworkLayer:
    node = step.node
    targets = tuple(name for name in node.outputs if name)
    key = (node.domain, node.operator)
    if key in AFFINE:
        affine = AFFINE[key](node, sources, constants)
        if affine is not None:
            return NetworkLayer(step, LayerKind.AFFINE, sources, targets, affine)
    elif key in CURVES and sources == node.inputs[:1] and CURVES[key].grows(node.attributes):
        return NetworkLayer(step, LayerKind.CURVE, sources, targets)
    elif node.operator in MAXIMA:
        return NetworkLayer(step, LayerKind.MAXIMUM, sources, targets[:1])
    raise TwinError(f"no bounds can be propagated through the operator {node.label}", cure=CURE)
