"""Linear bounds, carried backwards from the scores to the input (CROWN)."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import torch
from torch import Tensor

from auditor.twins.bounds.curves import CURVES, Lines
from auditor.twins.bounds.intervals import Span, Spans, through
from auditor.twins.bounds.layers import Kind, Layer, Network
from auditor.twins.bounds.maxima import Choice, choose, contested

BENT = frozenset({"Relu", "LeakyRelu"})
MOST_NUMBERS = 2**18
"""How many numbers one backward pass may hold at its widest value."""


class Crown:
    """Carries linear functions of a network's values back to its input, over some boxes.

    Zhang et al. (2018, arXiv 1811.00866): each curve is replaced by a line below or above it, so
    that what is left is affine; an affine layer is passed by its transpose, which autograd knows.
    """

    def __init__(self, network: Network, low: Tensor, high: Tensor) -> None:
        self._network = network
        self._box = low, high
        self._makers = {name: layer for layer in network.layers for name in layer.targets}
        self._order = {id(layer): place for place, layer in enumerate(network.layers)}
        self._compared: dict[str, list[Layer]] = {}
        for layer in network.layers:
            if layer.kind is Kind.MAXIMUM:
                self._compared.setdefault(layer.sources[0], []).append(layer)
        self._lines: dict[int, Lines] = {}
        self._choices: dict[int, Choice] = {}
        self.spans: Spans = {network.input: Span(low, high, torch.zeros_like(low))}

    def sweep(self, *, tighten: bool) -> Spans:
        """Bound every value in turn; what a curve or maximum is fed with by lines too, if asked.

        Only numbers that their interval leaves undecided are worth a backward pass.
        """
        straight = {self._network.input}
        for layer in self._network.layers:
            if layer.kind is not Kind.AFFINE:
                for name in layer.sources:
                    if tighten and name not in straight and self._maker(name) is Kind.AFFINE:
                        self._tighten(name, layer)
                self._relax(layer)
            elif straight.issuperset(layer.sources):
                straight.update(layer.targets)  # an interval of these is exact already
            self.spans.update(through(self._network, layer, self.spans))
        return self.spans

    def lowest(self, name: str, functions: Tensor) -> Tensor:
        """Return lower bounds ``[k, n]`` of linear functions ``[k, n, ...]`` of one value."""
        step = self._step(len(functions[0]))
        return torch.cat([self._back(name, part) for part in torch.split(functions, step)])

    def _step(self, rows: int) -> int:
        widest = max(torch.Size(shape).numel() for shape in self._network.shapes.values())
        return max(1, MOST_NUMBERS // (widest * rows))

    def _maker(self, name: str) -> Kind | None:
        return self._makers[name].kind if name in self._makers else None

    def _relax(self, layer: Layer) -> None:
        span = self.spans[layer.sources[0]]
        if layer.kind is Kind.MAXIMUM:
            self._choices[id(layer)] = choose(layer.node, span.low, span.high)
            return
        constants = self._network.constants_for(len(span.low))
        limits = [float(constants[name]) if name else None for name in layer.node.inputs[1:]]
        curve = CURVES[layer.node.domain, layer.node.operator]
        self._lines[id(layer)] = curve.relax(layer.node.attributes, limits, span.low, span.high)

    def _tighten(self, name: str, layer: Layer) -> None:
        """Bound the undecided numbers of a value by lines, and keep the tighter of both bounds."""
        span = self.spans[name]
        rows = len(span.low)
        low, high = span.low.reshape(rows, -1).clone(), span.high.reshape(rows, -1).clone()
        wanted = self._undecided(name, layer).any(0).nonzero().flatten()
        for part in torch.split(wanted, max(1, self._step(rows) // 2)) if len(wanted) else ():
            ones = torch.zeros((len(part), rows, low.shape[1]))
            ones[torch.arange(len(part)), :, part] = 1.0
            both = torch.cat([ones, -ones]).reshape(-1, *span.low.shape)
            below, above = self._back(name, both).reshape(2, len(part), rows)
            low[:, part] = torch.maximum(low[:, part], below.t())
            high[:, part] = torch.minimum(high[:, part], -above.t())
        self.spans[name] = replace(
            span, low=low.reshape(span.low.shape), high=high.reshape(span.high.shape)
        )

    def _undecided(self, name: str, layer: Layer) -> Tensor:
        """Return which numbers ``[n, d]`` of a value matter to a layer beyond their sign.

        What is surely on one side of a bend is passed exactly, unless a maximum follows, which
        compares sizes.
        """
        low, high = self.spans[name].low, self.spans[name].high
        wide = high > low
        if layer.kind is Kind.MAXIMUM:
            wide &= contested(layer.node, low, high)
        elif layer.node.operator in BENT:
            bends = (low < 0) & (high > 0)
            for maximum in self._compared.get(layer.targets[0], ()):
                rising = contested(maximum.node, low.clamp(min=0), high.clamp(min=0))
                bends |= (high > 0) & rising
            wide &= bends
        return wide.reshape(len(low), -1)

    def _back(self, name: str, functions: Tensor) -> Tensor:
        weights = {name: functions}
        total = torch.zeros(functions.shape[:2])
        for layer in self._before(name):
            given = {target: weights.pop(target) for target in layer.targets if target in weights}
            if not given:
                continue
            for target, weight in given.items():
                total = total - _dot(weight.abs(), self.spans[target].blur)
            pulled, shift = self._pull(layer, given)
            total = total + shift
            for source, weight in pulled.items():
                weights[source] = weights[source] + weight if source in weights else weight
        if self._network.input in weights:
            low, high = self._box
            weight = weights[self._network.input]
            total = total + _dot(weight.clamp(min=0), low) + _dot(weight.clamp(max=0), high)
        return total

    def _before(self, name: str) -> Iterator[Layer]:
        if name in self._makers:
            place = self._order[id(self._makers[name])]
            yield from reversed(self._network.layers[: place + 1])

    def _pull(self, layer: Layer, given: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], Tensor]:
        if layer.kind is Kind.AFFINE:
            return self._transpose(layer, given)
        ((_, weight),) = given.items()
        source = layer.sources[0]
        up, down = weight.clamp(min=0), weight.clamp(max=0)
        if layer.kind is Kind.MAXIMUM:
            choice = self._choices[id(layer)]
            return {source: choice.pull(up, down)}, _dot(down, choice.ceiling)
        lines = self._lines[id(layer)]
        pulled = up * lines.low_slope + down * lines.high_slope
        return {source: pulled}, _dot(up, lines.low) + _dot(down, lines.high)

    def _transpose(
        self, layer: Layer, given: Mapping[str, Tensor]
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Pull weights ``[k, n, ...]`` through an affine layer, all as if each were its own row."""
        zeros = {
            source: torch.zeros((1, *self._network.shapes[source]), requires_grad=True)
            for source in layer.sources
        }
        with torch.enable_grad():
            made = self._network.apply(layer, zeros)
        names = [name for name in given if made[name].requires_grad]
        folded = [given[name].reshape(-1, *made[name].shape) for name in names]
        pulled = torch.autograd.grad(
            [made[name] for name in names],
            list(zeros.values()),
            folded,
            is_grads_batched=True,
            allow_unused=True,
        )
        shape = next(iter(given.values())).shape[:2]
        weights = {
            source: weight.reshape(*shape, *self._network.shapes[source])
            for source, weight in zip(layer.sources, pulled, strict=True)
            if weight is not None
        }
        shift = sum((_dot(given[name], made[name].detach()) for name in given), torch.zeros(shape))
        return weights, shift


def _dot(weight: Tensor, value: Tensor) -> Tensor:
    """Return ``[k, n]`` products of ``[k, n, ...]`` with ``[n or 1, ...]``."""
    return (weight * value).flatten(2).sum(2) if weight.dim() > 2 else weight * value  # noqa: PLR2004 -- k, n
