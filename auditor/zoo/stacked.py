"""Dense networks that numpy trains, where nothing asks for gradients of the input or pictures."""

import numpy as np
from numpy.typing import NDArray

from auditor.domain.tasks import Floats
from auditor.shadows.stacks import Stack
from auditor.shadows.training import Settings, train_stack
from auditor.zoo.layers import Dense, Flatten, Layer, Network, Relu


def dense(
    rows: NDArray[np.generic],
    labels: NDArray[np.int64],
    classes: int,
    settings: Settings,
    seed: int,
) -> Network:
    """Return a network that learnt from all rows, which it takes as they are."""
    everything = np.ones((1, len(rows)), dtype=np.bool_)
    return unscaled(train_stack(rows, labels, classes, everything, settings, seed=seed))


def unscaled(stack: Stack) -> Network:
    """Return a stack's first network, with its scaling in the first layer."""
    weights: list[Floats] = [layer[0].astype(np.float64) for layer in stack.weights]
    biases: list[Floats] = [layer[0].astype(np.float64) for layer in stack.biases]
    weights[0] = weights[0] / stack.scaling.width[:, None]
    biases[0] = biases[0] - stack.scaling.middle @ weights[0]
    layers: list[Layer] = [Flatten()]
    for at, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        layers += [Relu()] if at else []
        layers.append(Dense(weight.astype(np.float32), bias.astype(np.float32)))
    return tuple(layers)
