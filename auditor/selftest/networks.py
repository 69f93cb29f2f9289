"""Small networks and forests of the selftest: architectures, random weights, and numpy training."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from onnx import helper

from auditor.attacks.privacy.shadow_training import ModelStack, ShadowTrainingSettings, train_stack
from auditor.domain.tasks import Floats
from auditor.selftest.onnx_parts import ML, OUTPUT, OnnxParts

Singles: TypeAlias = NDArray[np.float32]
Shape: TypeAlias = tuple[int, ...]
HIDDEN, CHANNELS, DEEPER = 64, 12, 16
RESIDUAL = 8
TOKEN, WIDTH = 2, 24
"""The side of a token's square, and the numbers that it is made into."""
KERNEL = 3


@dataclass(frozen=True, slots=True, eq=False)
class DenseLayer:
    """``x @ weight + bias``, of ``[in, out]`` and ``[out]``."""

    weight: Singles
    bias: Singles


@dataclass(frozen=True, slots=True, eq=False)
class ConvLayer:
    """A convolution that keeps the size of its picture, ``[out, in, k, k]`` and ``[out]``."""

    weight: Singles
    bias: Singles


@dataclass(frozen=True, slots=True)
class ReluLayer:
    """The positive part."""

    most: float | None = None


@dataclass(frozen=True, slots=True)
class MaxPoolLayer:
    """The largest of each 2 x 2 pixels."""


@dataclass(frozen=True, slots=True)
class FlattenLayer:
    """All coordinates of a row in a line."""


@dataclass(frozen=True, slots=True, eq=False)
class ResidualBlock:
    """What comes in, plus what the inner layers make of it (He et al. 2016)."""

    inner: "Network"


@dataclass(frozen=True, slots=True)
class PatchSplit:
    """A picture cut into squares of ``side``, each a token: ``[tokens, side * side]``."""

    side: int
    across: int


@dataclass(frozen=True, slots=True, eq=False)
class TokenDense:
    """A dense layer on each token; its bias ``[out]``, or ``[tokens, out]``, which says where."""

    weight: Singles
    bias: Singles


@dataclass(frozen=True, slots=True, eq=False)
class SelfAttention:
    """Each token's mean of all, by how much they match (Vaswani et al. 2017, one head).

    ``weight`` ``[width, 2 * width]`` makes what a token asks and what it answers to, one beside
    the other; ``bias`` ``[2 * width]``. A token gives itself.
    """

    weight: Singles
    bias: Singles


Layer: TypeAlias = (
    DenseLayer
    | ConvLayer
    | ReluLayer
    | MaxPoolLayer
    | FlattenLayer
    | ResidualBlock
    | PatchSplit
    | TokenDense
    | SelfAttention
)
Network: TypeAlias = tuple[Layer, ...]


def list_weights(network: Network) -> Iterator[Singles]:
    """Yield weight and bias of each layer that has them, from the input on."""
    for layer in network:
        match layer:
            case DenseLayer() | ConvLayer() | TokenDense() | SelfAttention():
                yield layer.weight
                yield layer.bias
            case ResidualBlock():
                yield from list_weights(layer.inner)
            case ReluLayer() | MaxPoolLayer() | FlattenLayer() | PatchSplit():
                pass


def replace_weights(network: Network, found: Iterator[Singles]) -> Network:
    """Return the network with other weights, in the order of ``list_weights``."""

    def changed(layer: Layer) -> Layer:
        match layer:
            case DenseLayer() | ConvLayer() | TokenDense() | SelfAttention():
                return replace(layer, weight=next(found), bias=next(found))
            case ResidualBlock():
                return ResidualBlock(replace_weights(layer.inner, found))
            case ReluLayer() | MaxPoolLayer() | FlattenLayer() | PatchSplit():
                return layer

    return tuple(changed(layer) for layer in network)


def build_logistic(shape: Shape, classes: int, rng: np.random.Generator) -> Network:
    """Return a linear model."""
    return (FlattenLayer(), _dense(int(np.prod(shape)), classes, rng))


def build_perceptron(shape: Shape, classes: int, rng: np.random.Generator) -> Network:
    """Return a network of one hidden layer."""
    size = int(np.prod(shape))
    return (FlattenLayer(), _dense(size, HIDDEN, rng), ReluLayer(), _dense(HIDDEN, classes, rng))


def build_cnn(shape: Shape, classes: int, rng: np.random.Generator) -> Network:
    """Return two convolutions, a pool and a linear layer on pictures ``[channels, h, w]``."""
    channels, high, wide = shape
    return (
        _conv(channels, CHANNELS, rng),
        ReluLayer(),
        _conv(CHANNELS, DEEPER, rng),
        ReluLayer(),
        MaxPoolLayer(),
        FlattenLayer(),
        _dense(DEEPER * (high // 2) * (wide // 2), classes, rng),
    )


def build_resnet(shape: Shape, classes: int, rng: np.random.Generator) -> Network:
    """Return a small network with two skips on pictures ``[channels, h, w]``."""
    channels, high, wide = shape
    return (
        _conv(channels, RESIDUAL, rng),
        ReluLayer(),
        _skip(rng),
        ReluLayer(),
        MaxPoolLayer(),
        _skip(rng),
        ReluLayer(),
        FlattenLayer(),
        _dense(RESIDUAL * (high // 2) * (wide // 2), classes, rng),
    )


def build_vision_transformer(shape: Shape, classes: int, rng: np.random.Generator) -> Network:
    """Return a small vision transformer (Dosovitskiy et al. 2021): two blocks, without norms and
    without a token for the class, since all tokens are read.
    """
    _, high, wide = shape
    side = TOKEN * high // 8
    tokens = (high // side) * (wide // side)
    places = rng.normal(0, 0.3, (tokens, WIDTH)).astype(np.float32)
    return (
        PatchSplit(side, wide // side),
        TokenDense(_dense(side * side, WIDTH, rng).weight, places),
        *_block(rng),
        *_block(rng),
        FlattenLayer(),
        _dense(tokens * WIDTH, classes, rng),
    )


ARCHITECTURES: Mapping[str, Callable[[Shape, int, np.random.Generator], Network]] = {
    "logistic": build_logistic,
    "mlp": build_perceptron,
    "cnn": build_cnn,
    "resnet": build_resnet,
    "vit": build_vision_transformer,
}


def draw_network(architecture: str, shape: Shape, classes: int, seed: int) -> Network:
    """Return an untrained network whose weights a seed draws (He et al. 2015)."""
    return ARCHITECTURES[architecture](shape, classes, np.random.default_rng(seed))


def _dense(fan: int, out: int, rng: np.random.Generator) -> DenseLayer:
    weight = rng.normal(0, np.sqrt(2 / fan), (fan, out))
    return DenseLayer(weight.astype(np.float32), np.zeros(out, dtype=np.float32))


def _conv(channels: int, out: int, rng: np.random.Generator) -> ConvLayer:
    scale = np.sqrt(2 / (channels * KERNEL * KERNEL))
    weight = rng.normal(0, scale, (out, channels, KERNEL, KERNEL))
    return ConvLayer(weight.astype(np.float32), np.zeros(out, dtype=np.float32))


def _skip(rng: np.random.Generator) -> ResidualBlock:
    first, last = _conv(RESIDUAL, RESIDUAL, rng), _conv(RESIDUAL, RESIDUAL, rng)
    return ResidualBlock((first, ReluLayer(), replace(last, weight=last.weight / np.float32(2))))


def _block(rng: np.random.Generator) -> Network:
    """Return attention and a layer on each token, both behind skips."""
    asks = rng.normal(0, np.sqrt(1 / WIDTH), (WIDTH, 2 * WIDTH)).astype(np.float32)
    given, first, last = (_dense(WIDTH, WIDTH, rng).weight / np.float32(2) for _ in range(3))
    zeros = np.zeros(WIDTH, dtype=np.float32)
    return (
        ResidualBlock(
            (SelfAttention(asks, np.zeros(2 * WIDTH, dtype=np.float32)), TokenDense(given, zeros))
        ),
        ResidualBlock((TokenDense(first, zeros), ReluLayer(), TokenDense(last, zeros))),
    )


@dataclass(frozen=True, slots=True)
class SklearnForest:
    """Decision trees that vote, as scikit-learn grew them."""

    trees: tuple[Any, ...]

    def scores(self, rows: Floats) -> Floats:
        """Return probabilities ``[n, classes]``."""
        asked = np.asarray(rows, dtype=np.float32)
        votes = [_shares(tree)[tree.apply(asked)] for tree in self.trees]
        return np.asarray(np.mean(votes, axis=0), dtype=np.float64)

    def parts(self, into: str = OUTPUT) -> OnnxParts:
        """Return the operator, which writes ``into`` that name."""
        # The attributes of the operator: every node of every tree, and every leaf's shares
        trees = self.trees
        nodes: dict[str, list[Any]] = {
            name: [] for name in ("treeids", "nodeids", "featureids", "values", "modes")
        } | {"truenodeids": [], "falsenodeids": []}
        leaves: dict[str, list[Any]] = {
            name: [] for name in ("treeids", "nodeids", "ids", "weights")
        }
        for number, tree in enumerate(trees):
            shares = _shares(tree) / len(trees)
            for ensemble_node in range(tree.node_count):
                leaf = tree.children_left[ensemble_node] < 0
                nodes["treeids"].append(number)
                nodes["nodeids"].append(ensemble_node)
                nodes["featureids"].append(0 if leaf else int(tree.feature[ensemble_node]))
                nodes["values"].append(0.0 if leaf else float(tree.threshold[ensemble_node]))
                nodes["modes"].append("LEAF" if leaf else "BRANCH_LEQ")
                nodes["truenodeids"].append(0 if leaf else int(tree.children_left[ensemble_node]))
                nodes["falsenodeids"].append(0 if leaf else int(tree.children_right[ensemble_node]))
                if leaf:
                    for place, share in enumerate(shares[ensemble_node]):
                        leaves["treeids"].append(number)
                        leaves["nodeids"].append(ensemble_node)
                        leaves["ids"].append(place)
                        leaves["weights"].append(float(share))
        ensemble = {
            **{f"nodes_{name}": values for name, values in nodes.items()},
            **{f"target_{name}": values for name, values in leaves.items()},
            "n_targets": shares.shape[1],
            "post_transform": "NONE",
            "aggregate_function": "SUM",
        }
        node = helper.make_node("TreeEnsembleRegressor", ["x"], [into], domain=ML, **ensemble)
        first = self.trees[0]
        return OnnxParts((node,), (), first.n_features, _shares(first).shape[1])


def _shares(tree: Any) -> Floats:  # noqa: ANN401 -- scikit-learn's
    counts = tree.value[:, 0, :]
    shares: Floats = counts / counts.sum(axis=1, keepdims=True)
    return shares


def train_dense(
    rows: NDArray[np.generic],
    labels: NDArray[np.int64],
    classes: int,
    settings: ShadowTrainingSettings,
    seed: int,
) -> Network:
    """Return a network that learnt from all rows, which it takes as they are."""
    everything = np.ones((1, len(rows)), dtype=np.bool_)
    return fold_scaling(train_stack(rows, labels, classes, everything, settings, seed=seed))


def fold_scaling(stack: ModelStack) -> Network:
    """Return a stack's first network, with its scaling in the first layer."""
    weights: list[Floats] = [layer[0].astype(np.float64) for layer in stack.weights]
    biases: list[Floats] = [layer[0].astype(np.float64) for layer in stack.biases]
    weights[0] = weights[0] / stack.scaling.width[:, None]
    biases[0] = biases[0] - stack.scaling.middle @ weights[0]
    layers: list[Layer] = [FlattenLayer()]
    for at, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        layers += [ReluLayer()] if at else []
        layers.append(DenseLayer(weight.astype(np.float32), bias.astype(np.float32)))
    return tuple(layers)
