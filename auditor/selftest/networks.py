"""Small networks as values: layers with their weights, which a trainer fills and a file holds."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Singles: TypeAlias = NDArray[np.float32]
Shape: TypeAlias = tuple[int, ...]
HIDDEN, CHANNELS, DEEPER = 64, 12, 16
RESIDUAL = 8
TOKEN, WIDTH = 2, 24
"""The side of a token's square, and the numbers that it is made into."""
KERNEL = 3


@dataclass(frozen=True, slots=True, eq=False)
class Dense:
    """``x @ weight + bias``, of ``[in, out]`` and ``[out]``."""

    weight: Singles
    bias: Singles


@dataclass(frozen=True, slots=True, eq=False)
class Conv:
    """A convolution that keeps the size of its picture, ``[out, in, k, k]`` and ``[out]``."""

    weight: Singles
    bias: Singles


@dataclass(frozen=True, slots=True)
class Relu:
    """The positive part."""

    most: float | None = None


@dataclass(frozen=True, slots=True)
class Pool:
    """The largest of each 2 x 2 pixels."""


@dataclass(frozen=True, slots=True)
class Flatten:
    """All coordinates of a row in a line."""


@dataclass(frozen=True, slots=True, eq=False)
class Skip:
    """What comes in, plus what the inner layers make of it (He et al. 2016)."""

    inner: "Network"


@dataclass(frozen=True, slots=True)
class Cut:
    """A picture cut into squares of ``side``, each a token: ``[tokens, side * side]``."""

    side: int
    across: int


@dataclass(frozen=True, slots=True, eq=False)
class Each:
    """A dense layer on each token; its bias ``[out]``, or ``[tokens, out]``, which says where."""

    weight: Singles
    bias: Singles


@dataclass(frozen=True, slots=True, eq=False)
class Attend:
    """Each token's mean of all, by how much they match (Vaswani et al. 2017, one head).

    ``weight`` ``[width, 2 * width]`` makes what a token asks and what it answers to, one beside
    the other; ``bias`` ``[2 * width]``. A token gives itself.
    """

    weight: Singles
    bias: Singles


Layer: TypeAlias = Dense | Conv | Relu | Pool | Flatten | Skip | Cut | Each | Attend
Network: TypeAlias = tuple[Layer, ...]


def weights_of(network: Network) -> Iterator[Singles]:
    """Yield weight and bias of each layer that has them, from the input on."""
    for layer in network:
        match layer:
            case Dense() | Conv() | Each() | Attend():
                yield layer.weight
                yield layer.bias
            case Skip():
                yield from weights_of(layer.inner)
            case Relu() | Pool() | Flatten() | Cut():
                pass


def with_weights(network: Network, found: Iterator[Singles]) -> Network:
    """Return the network with other weights, in the order of ``weights_of``."""

    def changed(layer: Layer) -> Layer:
        match layer:
            case Dense() | Conv() | Each() | Attend():
                return replace(layer, weight=next(found), bias=next(found))
            case Skip():
                return Skip(with_weights(layer.inner, found))
            case Relu() | Pool() | Flatten() | Cut():
                return layer

    return tuple(changed(layer) for layer in network)


def logistic(shape: Shape, classes: int, rng: np.random.Generator) -> Network:
    """Return a linear model."""
    return (Flatten(), _dense(int(np.prod(shape)), classes, rng))


def perceptron(shape: Shape, classes: int, rng: np.random.Generator) -> Network:
    """Return a network of one hidden layer."""
    size = int(np.prod(shape))
    return (Flatten(), _dense(size, HIDDEN, rng), Relu(), _dense(HIDDEN, classes, rng))


def convolutional(shape: Shape, classes: int, rng: np.random.Generator) -> Network:
    """Return two convolutions, a pool and a linear layer on pictures ``[channels, h, w]``."""
    channels, high, wide = shape
    return (
        _conv(channels, CHANNELS, rng),
        Relu(),
        _conv(CHANNELS, DEEPER, rng),
        Relu(),
        Pool(),
        Flatten(),
        _dense(DEEPER * (high // 2) * (wide // 2), classes, rng),
    )


def residual(shape: Shape, classes: int, rng: np.random.Generator) -> Network:
    """Return a small network with two skips on pictures ``[channels, h, w]``."""
    channels, high, wide = shape
    return (
        _conv(channels, RESIDUAL, rng),
        Relu(),
        _skip(rng),
        Relu(),
        Pool(),
        _skip(rng),
        Relu(),
        Flatten(),
        _dense(RESIDUAL * (high // 2) * (wide // 2), classes, rng),
    )


def transformer(shape: Shape, classes: int, rng: np.random.Generator) -> Network:
    """Return a small vision transformer (Dosovitskiy et al. 2021): two blocks, without norms and
    without a token for the class, since all tokens are read.
    """
    _, high, wide = shape
    side = TOKEN * high // 8
    tokens = (high // side) * (wide // side)
    places = rng.normal(0, 0.3, (tokens, WIDTH)).astype(np.float32)
    return (
        Cut(side, wide // side),
        Each(_dense(side * side, WIDTH, rng).weight, places),
        *_block(rng),
        *_block(rng),
        Flatten(),
        _dense(tokens * WIDTH, classes, rng),
    )


ARCHITECTURES: Mapping[str, Callable[[Shape, int, np.random.Generator], Network]] = {
    "logistic": logistic,
    "mlp": perceptron,
    "cnn": convolutional,
    "resnet": residual,
    "vit": transformer,
}


def drawn(architecture: str, shape: Shape, classes: int, seed: int) -> Network:
    """Return an untrained network whose weights a seed draws (He et al. 2015)."""
    return ARCHITECTURES[architecture](shape, classes, np.random.default_rng(seed))


def _dense(fan: int, out: int, rng: np.random.Generator) -> Dense:
    weight = rng.normal(0, np.sqrt(2 / fan), (fan, out))
    return Dense(weight.astype(np.float32), np.zeros(out, dtype=np.float32))


def _conv(channels: int, out: int, rng: np.random.Generator) -> Conv:
    scale = np.sqrt(2 / (channels * KERNEL * KERNEL))
    weight = rng.normal(0, scale, (out, channels, KERNEL, KERNEL))
    return Conv(weight.astype(np.float32), np.zeros(out, dtype=np.float32))


def _skip(rng: np.random.Generator) -> Skip:
    first, last = _conv(RESIDUAL, RESIDUAL, rng), _conv(RESIDUAL, RESIDUAL, rng)
    return Skip((first, Relu(), replace(last, weight=last.weight / np.float32(2))))


def _block(rng: np.random.Generator) -> Network:
    """Return attention and a layer on each token, both behind skips."""
    asks = rng.normal(0, np.sqrt(1 / WIDTH), (WIDTH, 2 * WIDTH)).astype(np.float32)
    given, first, last = (_dense(WIDTH, WIDTH, rng).weight / np.float32(2) for _ in range(3))
    zeros = np.zeros(WIDTH, dtype=np.float32)
    return (
        Skip((Attend(asks, np.zeros(2 * WIDTH, dtype=np.float32)), Each(given, zeros))),
        Skip((Each(first, zeros), Relu(), Each(last, zeros))),
    )
