"""Rounds networks to eight bits, as quantisers do: pairs of QuantizeLinear and DequantizeLinear."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from auditor.zoo.graphs import Sheet, plain
from auditor.zoo.layers import Conv, Dense, Layer, Network, Singles

LEVELS, LARGEST = 255, 127
NARROW = 63
"""The largest weight of 7 bits, whose products fit into 16 bits by pairs."""
Range = tuple[float, float]


def quantiser(
    ranges: Sequence[Range], *, largest: int = LARGEST, by_channel: bool = False
) -> Callable[[Sheet, str, Layer], str]:
    """Return what writes each layer with 8-bit inputs and weights.

    ``ranges`` are those of what goes into each layer that has weights, in their order; weights get
    one scale a layer, or one a channel.
    """
    left: Iterator[Range] = iter(ranges)

    def written(sheet: Sheet, value: str, layer: Layer) -> str:
        if not isinstance(layer, Dense | Conv):
            return plain(sheet, value, layer)
        seen = _rounded_input(sheet, value, next(left))
        weight = _rounded_weight(sheet, layer, largest, by_channel=by_channel)
        bias = sheet.hold(layer.bias)
        if isinstance(layer, Dense):
            return sheet.add("Gemm", seen, weight, bias)
        return sheet.add("Conv", seen, weight, bias, pads=[layer.weight.shape[-1] // 2] * 4)

    return written


def unbalanced(network: Network, spread: int, rng: np.random.Generator) -> Network:
    """Return the same function with the channels between the first two layers of unlike sizes.

    Channels are scaled by powers of two up to ``spread`` doublings and back, which ReLU lets
    through exactly; one scale a layer then rounds the small ones away (Nagel et al. 2019).
    """
    layers = list(network)
    first, second = [at for at, layer in enumerate(layers) if isinstance(layer, Dense | Conv)][:2]
    one, two = layers[first], layers[second]
    channels = one.bias.size if isinstance(one, Dense | Conv) else 0
    factor = (2.0 ** rng.integers(0, spread + 1, channels)).astype(np.float32)
    if isinstance(one, Dense) and isinstance(two, Dense):
        layers[first] = Dense(one.weight * factor, one.bias * factor)
        layers[second] = Dense(two.weight / factor[:, None], two.bias)
    elif isinstance(one, Conv) and isinstance(two, Conv):
        layers[first] = Conv(one.weight * factor[:, None, None, None], one.bias * factor)
        layers[second] = Conv(two.weight / factor[:, None, None], two.bias)
    else:
        message = "the first two layers with weights have to be of one kind"
        raise TypeError(message)
    return tuple(layers)


def _rounded_input(sheet: Sheet, value: str, seen: Range) -> str:
    low, high = min(seen[0], 0.0), max(seen[1], 0.0)
    scale = max(high - low, 1e-6) / LEVELS
    held = sheet.number(scale), sheet.hold(np.array(round(-low / scale), dtype=np.uint8))
    return sheet.add("DequantizeLinear", sheet.add("QuantizeLinear", value, *held), *held)


def _rounded_weight(sheet: Sheet, layer: Dense | Conv, largest: int, *, by_channel: bool) -> str:
    axis = 1 if isinstance(layer, Dense) else 0
    others = tuple(at for at in range(layer.weight.ndim) if at != axis)
    most = np.abs(layer.weight).max(axis=others if by_channel else None)
    scale: Singles = (np.maximum(most, 1e-6) / largest).astype(np.float32)
    shape = [-1 if at == axis else 1 for at in range(layer.weight.ndim)]
    spread = scale.reshape(shape) if by_channel else scale
    held = sheet.hold(np.round(layer.weight / spread).astype(np.int8))
    zero = np.zeros(scale.shape, dtype=np.int8)
    kept = sheet.hold(np.asarray(scale, dtype=np.float32)), sheet.hold(zero)
    more = {"axis": axis} if by_channel else {}
    return sheet.add("DequantizeLinear", held, *kept, **more)
