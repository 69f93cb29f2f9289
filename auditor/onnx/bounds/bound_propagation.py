"""Bounds on the values of an ONNX network: interval propagation and CROWN.

Interval bounds include the rounding errors of the target.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from auditor.onnx.bounds.layers import LayeredNetwork, LayerKind, NetworkLayer
from auditor.onnx.bounds.relaxations import (
    CURVES,
    BoundingLines,
    WindowMaximum,
    find_contested_inputs,
    find_window_maxima,
)
from auditor.onnx.twin.torch_twin import Values

UNIT = 2.0**-24
"""Unit roundoff of float32, in which targets compute at the least."""
SPARE = 16
"""Roundings beside those of the sum itself: of folded and fused constants, of fused divisions."""


@dataclass(frozen=True, slots=True, eq=False)
class ValueInterval:
    """Limits ``[n, ...]`` of a value, and how far a target's rounding of this one step may go."""

    low: Tensor
    high: Tensor
    blur: Tensor

    @property
    def size(self) -> Tensor:
        """The largest absolute value inside."""
        return torch.maximum(self.low.abs(), self.high.abs())


Spans = dict[str, ValueInterval]


def propagate_layer(
    network: LayeredNetwork, layer: NetworkLayer, spans: Mapping[str, ValueInterval]
) -> Spans:
    """Return the limits of a layer's outputs, given those of its sources.

    Interval bounds of Gowal et al. (2018, arXiv 1810.12715, section 3), widened by what sums in
    float32 may err in any order (Higham 2002, Accuracy and Stability, lemma 3.1).
    """
    if layer.kind is LayerKind.AFFINE:
        given = {name: spans[name] for name in layer.sources}
        centre = network.apply(
            layer, {name: (span.low + span.high) / 2 for name, span in given.items()}
        )
        radius = _radius(
            network, layer, {name: (span.high - span.low) / 2 for name, span in given.items()}
        )
        found: Spans = {}
        rounded = layer.affine is not None and layer.affine.terms != 0
        size = {}
        if rounded:
            size = _radius(network, layer, {name: span.size for name, span in given.items()})
        for name in layer.targets:
            if name not in centre or not centre[name].is_floating_point():
                continue
            blur = torch.zeros_like(centre[name])
            if rounded:
                shift = layer_bias(network, layer)[name].abs()
                target = name
                terms = 0 if layer.affine is None else layer.affine.terms
                if terms < 0:
                    roundings_wide, narrow = (
                        torch.Size(network.shapes[name]).numel()
                        for name in (layer.sources[0], target)
                    )
                    terms = -(-roundings_wide // max(narrow, 1))
                blur = (terms + SPARE) * UNIT * (size[name] + shift)
            wide = radius[name] + blur
            found[name] = ValueInterval(centre[name] - wide, centre[name] + wide, blur)
        return found
    low = network.apply(layer, {name: spans[name].low for name in layer.sources})
    high = network.apply(layer, {name: spans[name].high for name in layer.sources})
    return {name: _grown(layer, low[name], high[name]) for name in layer.targets}


def _grown(layer: NetworkLayer, low: Tensor, high: Tensor) -> ValueInterval:
    """Return the limits of a function that grows in each of its inputs."""
    blur = torch.zeros_like(low)
    if layer.kind is LayerKind.CURVE:
        curve = CURVES[layer.node.domain, layer.node.operator]
        blur = curve.blur + curve.relative * torch.maximum(low.abs(), high.abs())
    return ValueInterval(low - blur, high + blur, blur)


def layer_bias(network: LayeredNetwork, layer: NetworkLayer) -> Values:
    """Return what an affine layer makes of one row of zeros: its bias."""
    _, made = network.zero_row(layer)
    return {name: value.detach() for name, value in made.items()}


def _radius(network: LayeredNetwork, layer: NetworkLayer, radii: Values) -> Values:
    affine = layer.affine
    if affine is None:
        message = f"{layer.node.label} is not affine"
        raise ValueError(message)
    if affine.radius is None and affine.weigh is None:
        made, shift = network.apply(layer, radii), layer_bias(network, layer)
        return {name: made[name] - shift[name] for name in layer.targets if name in made}
    inputs = network.inputs_of(layer, radii)
    if affine.radius is not None:
        outputs = affine.radius(inputs)
        return dict(zip(layer.node.outputs, outputs, strict=False))
    weighed = affine.weigh(inputs) if affine.weigh is not None else inputs
    # Names of their own: one constant may stand in two places and be weighed differently there.
    names = tuple("" if value is None else f"#{place}" for place, value in enumerate(weighed))
    step = replace(layer.step, node=replace(layer.node, inputs=names))
    return step.apply(dict(zip(names, weighed, strict=True)))


def propagate_intervals(network: LayeredNetwork, low: Tensor, high: Tensor) -> Spans:
    """Return the limits of every value for boxes ``[n, ...]`` of the input."""
    spans: Spans = {network.input: ValueInterval(low, high, torch.zeros_like(low))}
    for layer in network.layers:
        spans.update(propagate_layer(network, layer, spans))
    return spans


BENT = frozenset({"Relu", "LeakyRelu"})
MOST_NUMBERS = 2**18
"""How many numbers one backward pass may hold at its widest value."""
MOST_KEPT = 2**22
"""How many numbers a layer's transpose may have that is kept for all boxes: 32 MiB."""


class CrownBounds:
    """Carries linear functions of a network's values back to its input, over some boxes.

    Zhang et al. (2018, arXiv 1811.00866): each curve is replaced by a line below or above it, so
    that what is left is affine; an affine layer is passed by its transpose, which autograd knows.
    """

    def __init__(self, network: LayeredNetwork, low: Tensor, high: Tensor) -> None:
        self._network = network
        self._box = low, high
        self._makers = {name: layer for layer in network.layers for name in layer.targets}
        self._order = {id(layer): place for place, layer in enumerate(network.layers)}
        self._compared: dict[str, list[NetworkLayer]] = {}
        for layer in network.layers:
            if layer.kind is LayerKind.MAXIMUM:
                self._compared.setdefault(layer.sources[0], []).append(layer)
        self._lines: dict[int, BoundingLines] = {}
        self._choices: dict[int, WindowMaximum] = {}
        self.spans: Spans = {network.input: ValueInterval(low, high, torch.zeros_like(low))}

    def sweep(self, *, tighten: bool) -> Spans:
        """Bound every value in turn; what a curve or maximum is fed with by lines too, if asked.

        Only numbers that their interval leaves undecided are worth a backward pass.
        """
        straight = {self._network.input}
        for layer in self._network.layers:
            if layer.kind is not LayerKind.AFFINE:
                for name in layer.sources:
                    if tighten and name not in straight and self._maker(name) is LayerKind.AFFINE:
                        self._tighten(name, layer)
                self._relax(layer)
            elif straight.issuperset(layer.sources):
                straight.update(layer.targets)  # an interval of these is exact already
            self.spans.update(propagate_layer(self._network, layer, self.spans))
        return self.spans

    def lowest(self, name: str, functions: Tensor) -> Tensor:
        """Return lower bounds ``[k, n]`` of linear functions ``[k, n, ...]`` of one value."""
        step = self._step(len(functions[0]))
        return torch.cat([self._back(name, part) for part in torch.split(functions, step)])

    def _step(self, rows: int) -> int:
        widest = max(torch.Size(shape).numel() for shape in self._network.shapes.values())
        return max(1, MOST_NUMBERS // (widest * rows))

    def _maker(self, name: str) -> LayerKind | None:
        return self._makers[name].kind if name in self._makers else None

    def _relax(self, layer: NetworkLayer) -> None:
        span = self.spans[layer.sources[0]]
        if layer.kind is LayerKind.MAXIMUM:
            self._choices[id(layer)] = find_window_maxima(layer.node, span.low, span.high)
            return
        constants = self._network.constants_for(len(span.low))
        limits = [float(constants[name]) if name else None for name in layer.node.inputs[1:]]
        curve = CURVES[layer.node.domain, layer.node.operator]
        self._lines[id(layer)] = curve.relax(layer.node.attributes, limits, span.low, span.high)

    def _tighten(self, name: str, layer: NetworkLayer) -> None:
        """Bound the undecided numbers of a value by lines, and keep the tighter of both bounds."""
        span = self.spans[name]
        rows = len(span.low)
        low, high = span.low.reshape(rows, -1).clone(), span.high.reshape(rows, -1).clone()
        # Which numbers `[n, d]` of a value matter to a layer beyond their sign. What is surely on
        # one side of a bend is passed exactly, unless a maximum follows, which compares sizes.
        undecided_low, undecided_high = self.spans[name].low, self.spans[name].high
        wide = undecided_high > undecided_low
        if layer.kind is LayerKind.MAXIMUM:
            wide &= find_contested_inputs(layer.node, undecided_low, undecided_high)
        elif layer.node.operator in BENT:
            bends = (undecided_low < 0) & (undecided_high > 0)
            for maximum in self._compared.get(layer.targets[0], ()):
                rising = find_contested_inputs(
                    maximum.node, undecided_low.clamp(min=0), undecided_high.clamp(min=0)
                )
                bends |= (undecided_high > 0) & rising
            wide &= bends
        wanted = wide.reshape(len(undecided_low), -1).any(0).nonzero().flatten()
        for part in torch.split(wanted, max(1, self._step(rows) // 2)) if len(wanted) else ():
            below, above = self._by_lines(name, part, rows).reshape(2, len(part), rows)
            low[:, part] = torch.maximum(low[:, part], below.t())
            high[:, part] = torch.minimum(high[:, part], -above.t())
        self.spans[name] = replace(
            span, low=low.reshape(span.low.shape), high=high.reshape(span.high.shape)
        )

    def _by_lines(self, name: str, part: Tensor, rows: int) -> Tensor:
        """Return lower bounds ``[2 k, n]`` of ``k`` numbers of a value, then of their negatives."""
        layer, shape = self._makers[name], self._network.shapes[name]
        count = torch.Size(shape).numel()
        sources = sum(torch.Size(self._network.shapes[at]).numel() for at in layer.sources)
        if count * sources > MOST_KEPT:
            ones = torch.zeros((len(part), rows, count))
            ones[torch.arange(len(part)), :, part] = 1.0
            return self._back(name, torch.cat([ones, -ones]).reshape(-1, rows, *shape))
        # The first step back is the same for all boxes: rows of the layer's transpose.
        pulled, shift = self._transposed(layer, name)
        some = {
            at: weight[part].expand(-1, rows, *weight.shape[2:]) for at, weight in pulled.items()
        }
        weights = {at: torch.cat([weight, -weight]) for at, weight in some.items()}
        blur = self.spans[name].blur.reshape(rows, count)[:, part].t()
        moved = shift[part].expand(-1, rows)
        total = torch.cat([moved - blur, -moved - blur])
        return self._walk(self._order[id(layer)], weights, total)

    def _transposed(self, layer: NetworkLayer, name: str) -> tuple[dict[str, Tensor], Tensor]:
        kept = self._network.transposed
        if name not in kept:
            shape = self._network.shapes[name]
            ones = torch.eye(torch.Size(shape).numel()).reshape(-1, 1, *shape)
            parts = [self._pull(layer, {name: part}) for part in torch.split(ones, self._step(1))]
            pulled = {at: torch.cat([weights[at] for weights, _ in parts]) for at in parts[0][0]}
            kept[name] = pulled, torch.cat([shift for _, shift in parts])
        return kept[name]

    def _back(self, name: str, functions: Tensor) -> Tensor:
        place = self._order[id(self._makers[name])] + 1 if name in self._makers else 0
        return self._walk(place, {name: functions}, torch.zeros(functions.shape[:2]))

    def _walk(self, place: int, weights: dict[str, Tensor], total: Tensor) -> Tensor:
        """Carry linear functions back from before the layer at ``place``, and bound their sum."""
        for layer in reversed(self._network.layers[:place]):
            given = {target: weights.pop(target) for target in layer.targets if target in weights}
            if not given:
                continue
            for target, weight in given.items():
                blur = self.spans[target].blur
                if blur.any():
                    total = total - _dot(weight.abs(), blur)
            pulled, shift = self._pull(layer, given)
            total = total + shift
            for source, weight in pulled.items():
                weights[source] = weights[source] + weight if source in weights else weight
        if self._network.input in weights:
            low, high = self._box
            weight = weights[self._network.input]
            total = total + _dot(weight.clamp(min=0), low) + _dot(weight.clamp(max=0), high)
        # No number is infinite: a weight that overflowed proves nothing.
        return total.masked_fill(total == torch.inf, torch.nan)

    def _pull(
        self, layer: NetworkLayer, given: Mapping[str, Tensor]
    ) -> tuple[dict[str, Tensor], Tensor]:
        if layer.kind is LayerKind.AFFINE:
            zeros, made = self._network.zero_row(layer)
            names = [name for name in given if made[name].requires_grad]
            folded = [given[name].reshape(-1, *made[name].shape) for name in names]
            transpose_pulled = torch.autograd.grad(
                [made[name] for name in names],
                list(zeros.values()),
                folded,
                is_grads_batched=True,
                allow_unused=True,
                retain_graph=True,
            )
            shape = next(iter(given.values())).shape[:2]
            weights = {
                source: weight.reshape(*shape, *self._network.shapes[source])
                for source, weight in zip(layer.sources, transpose_pulled, strict=True)
                if weight is not None
            }
            shift = sum(
                (_dot(given[name], made[name].detach()) for name in given), torch.zeros(shape)
            )
            return weights, shift
        ((_, weight),) = given.items()
        source = layer.sources[0]
        up, down = weight.clamp(min=0), weight.clamp(max=0)
        if layer.kind is LayerKind.MAXIMUM:
            choice = self._choices[id(layer)]
            return {source: choice.pull(up, down)}, _dot(down, choice.ceiling)
        lines = self._lines[id(layer)]
        pulled = up * lines.low_slope + down * lines.high_slope
        return {source: pulled}, _dot(up, lines.low) + _dot(down, lines.high)


def _dot(weight: Tensor, value: Tensor) -> Tensor:
    """Return ``[k, n]`` products of ``[k, n, ...]`` with ``[n or 1, ...]``, which is often 0."""
    if not value.any():
        return torch.zeros(weight.shape[:2])
    return (weight * value).flatten(2).sum(2) if weight.dim() > 2 else weight * value  # noqa: PLR2004 -- k, n
