"""Trains a logistic regression by DP-SGD, with gradients a record in numpy (Abadi et al. 2016)."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditor.metrics.privacy_accounting.canaries import CanaryHook

CLASSES = 10
NOISE = 1.0
RATE, STEPS, CLIP, LEARNING = 0.0356, 560, 1.0, 0.5
Floats = NDArray[np.float64]


def train(
    X: NDArray[np.float32],  # noqa: N803 -- the contract's name
    y: NDArray[np.int64],
    seed: int,
) -> Callable[[NDArray[np.float32]], Floats]:
    """Return the model's probabilities ``[n, classes]`` of rows ``[n, ...]``."""
    weights = train_weights(X, y, seed, None)
    return lambda rows: to_probabilities(add_bias_column(rows) @ weights)


def dp_train(data: Mapping[str, Any], settings: Mapping[str, Any]) -> Mapping[str, NDArray[Any]]:
    """Train with canaries, and say what the noisy steps showed of them."""
    hook = CanaryHook(data, settings)
    train_weights(data["inputs"], data["labels"], int(settings["seed"]), hook)
    return hook.seen()


def train_weights(
    rows: NDArray[np.float32], labels: NDArray[np.int64], seed: int, hook: CanaryHook | None
) -> Floats:
    """Return the weights ``[features + 1, classes]``, the last row the bias."""
    rng = np.random.default_rng(seed)
    inputs = add_bias_column(rows)
    weights = np.zeros((inputs.shape[1], CLASSES))
    for _ in range(STEPS):
        drawn = np.flatnonzero(rng.random(len(inputs)) < RATE)
        wrong = to_probabilities(inputs[drawn] @ weights) - np.eye(CLASSES)[labels[drawn]]
        own = np.einsum("bd,bc->bdc", inputs[drawn], wrong).reshape(len(drawn), -1)
        whole = own if hook is None else hook.join(own, drawn)
        length = np.linalg.norm(whole, axis=1, keepdims=True)
        noisy = (whole * np.minimum(1.0, CLIP / np.maximum(length, 1e-12))).sum(axis=0)
        noisy += NOISE * CLIP * rng.standard_normal(len(noisy))
        if hook is not None:
            hook.saw(noisy[own.shape[1] :], len(drawn))
        step = noisy[: own.shape[1]].reshape(weights.shape) / (RATE * len(inputs))
        weights -= LEARNING * step
    return weights


def add_bias_column(rows: NDArray[np.float32]) -> Floats:
    """Return rows ``[n, features + 1]`` whose last column is 1."""
    found = np.asarray(rows, dtype=np.float64).reshape(len(rows), -1)
    return np.concatenate([found, np.ones((len(found), 1))], axis=1)


def to_probabilities(logits: Floats) -> Floats:
    """Return probabilities, row by row."""
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    found: Floats = raised / raised.sum(axis=1, keepdims=True)
    return found
