"""Interval bounds: each value of a network between two numbers, rounding of the target included."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from auditor.twins.bounds.curves import CURVES
from auditor.twins.bounds.layers import Kind, Layer, Network
from auditor.twins.interpreting import Values

UNIT = 2.0**-24
"""Unit roundoff of float32, in which targets compute at the least."""
SPARE = 16
"""Roundings beside those of the sum itself: of folded and fused constants, of fused divisions."""


@dataclass(frozen=True, slots=True, eq=False)
class Span:
    """Limits ``[n, ...]`` of a value, and how far a target's rounding of this one step may go."""

    low: Tensor
    high: Tensor
    blur: Tensor

    @property
    def size(self) -> Tensor:
        """The largest absolute value inside."""
        return torch.maximum(self.low.abs(), self.high.abs())


Spans = dict[str, Span]


def through(network: Network, layer: Layer, spans: Mapping[str, Span]) -> Spans:
    """Return the limits of a layer's outputs, given those of its sources.

    Interval bounds of Gowal et al. (2018, arXiv 1810.12715, section 3), widened by what sums in
    float32 may err in any order (Higham 2002, Accuracy and Stability, lemma 3.1).
    """
    if layer.kind is Kind.AFFINE:
        return _affine(network, layer, spans)
    low = network.apply(layer, {name: spans[name].low for name in layer.sources})
    high = network.apply(layer, {name: spans[name].high for name in layer.sources})
    return {name: _grown(layer, low[name], high[name]) for name in layer.targets}


def _grown(layer: Layer, low: Tensor, high: Tensor) -> Span:
    """Return the limits of a function that grows in each of its inputs."""
    blur = torch.zeros_like(low)
    if layer.kind is Kind.CURVE:
        curve = CURVES[layer.node.domain, layer.node.operator]
        blur = curve.blur + curve.relative * torch.maximum(low.abs(), high.abs())
    return Span(low - blur, high + blur, blur)


def _affine(network: Network, layer: Layer, spans: Mapping[str, Span]) -> Spans:
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
            shift = shifts(network, layer)[name].abs()
            blur = _roundings(network, layer, name) * UNIT * (size[name] + shift)
        wide = radius[name] + blur
        found[name] = Span(centre[name] - wide, centre[name] + wide, blur)
    return found


def _roundings(network: Network, layer: Layer, target: str) -> int:
    terms = 0 if layer.affine is None else layer.affine.terms
    if terms < 0:
        wide, narrow = (
            torch.Size(network.shapes[name]).numel() for name in (layer.sources[0], target)
        )
        terms = -(-wide // max(narrow, 1))
    return terms + SPARE


def shifts(network: Network, layer: Layer) -> Values:
    """Return what an affine layer makes of one row of zeros: its bias."""
    zeros = {name: torch.zeros((1, *network.shapes[name])) for name in layer.sources}
    return network.apply(layer, zeros)


def _radius(network: Network, layer: Layer, radii: Values) -> Values:
    affine = layer.affine
    if affine is None:
        message = f"{layer.node.label} is not affine"
        raise ValueError(message)
    if affine.radius is None and affine.weigh is None:
        made, shift = network.apply(layer, radii), shifts(network, layer)
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


def propagate(network: Network, low: Tensor, high: Tensor) -> Spans:
    """Return the limits of every value for boxes ``[n, ...]`` of the input."""
    spans: Spans = {network.input: Span(low, high, torch.zeros_like(low))}
    for layer in network.layers:
        spans.update(through(network, layer, spans))
    return spans
