"""Trains small networks with torch, seeded and on one thread."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from auditor.selftest.networks import (
    WIDTH,
    ConvLayer,
    DenseLayer,
    FlattenLayer,
    MaxPoolLayer,
    Network,
    PatchSplit,
    ReluLayer,
    ResidualBlock,
    SelfAttention,
    Singles,
    TokenDense,
    list_weights,
    replace_weights,
)


@dataclass(frozen=True, slots=True)
class TrainingSettings:
    """How a network is trained: by Adam, with weights that ``decay`` (Loshchilov and Hutter 2019).

    Above 0, ``eps`` is how far each input is attacked first, by ``climbs`` projected steps from a
    random start (Madry et al. 2018); the first half of the epochs grows to it.
    """

    epochs: int = 20
    rate: float = 3e-3
    batch: int = 64
    decay: float = 0.0
    eps: float = 0.0
    climbs: int = 3


def train_network(
    network: Network, rows: Singles, labels: NDArray[np.int64], course: TrainingSettings, seed: int
) -> Network:
    """Return the network after a course on rows in 0..1 and their classes."""
    with _one_thread():
        generator = torch.Generator().manual_seed(seed)
        inputs, truth = torch.from_numpy(rows), torch.from_numpy(labels)
        values = [torch.tensor(value, requires_grad=True) for value in list_weights(network)]
        steps = -(-len(rows) // course.batch) * course.epochs
        optimiser = torch.optim.AdamW(values, course.rate, weight_decay=course.decay)
        slower = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.02, steps)
        for epoch in range(course.epochs):
            reach = course.eps * min(1.0, 2 * (epoch + 1) / course.epochs)
            order = torch.randperm(len(inputs), generator=generator)
            for chosen in torch.split(order, course.batch):
                seen = _attacked(network, values, (inputs[chosen], truth[chosen]), reach, course,
                                 generator)  # fmt: skip
                loss = functional.cross_entropy(_run(network, seen, iter(values)), truth[chosen])
                optimiser.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call] # torch has no type for it
                optimiser.step()
                slower.step()
        return replace_weights(network, (value.detach().numpy() for value in values))


def compute_logits(network: Network, rows: Singles) -> NDArray[np.float64]:
    """Return the logits ``[n, classes]``."""
    with _one_thread(), torch.no_grad():
        values = iter([torch.from_numpy(value) for value in list_weights(network)])
        found: NDArray[np.float64] = _run(network, torch.from_numpy(rows), values).double().numpy()
        return found


def measure_input_ranges(network: Network, rows: Singles) -> list[tuple[float, float]]:
    """Return the least and the greatest of what goes into each layer that has weights."""
    seen: list[tuple[float, float]] = []
    with _one_thread(), torch.no_grad():
        values = iter([torch.from_numpy(value) for value in list_weights(network)])
        _run(network, torch.from_numpy(rows), values, seen)
    return seen


def _attacked(  # noqa: PLR0913, PLR0917 -- what one attack takes
    network: Network,
    values: list[Tensor],
    batch: tuple[Tensor, Tensor],
    eps: float,
    course: TrainingSettings,
    generator: torch.Generator,
) -> Tensor:
    rows, labels = batch
    if not eps:
        return rows
    noise = 2 * torch.rand(rows.shape, generator=generator) - 1
    point = (rows + eps * noise).clamp(0, 1)
    for _ in range(course.climbs):
        point.requires_grad_(True)  # noqa: FBT003 -- as torch has it
        loss = functional.cross_entropy(_run(network, point, iter(values)), labels)
        (slope,) = torch.autograd.grad(loss, point)
        ahead = point.detach() + 1.5 * eps / course.climbs * slope.sign()
        point = ahead.clamp(rows - eps, rows + eps).clamp(0, 1)
    return point.detach()


def _run(
    network: Network,
    value: Tensor,
    weights: Iterator[Tensor],
    seen: list[tuple[float, float]] | None = None,
) -> Tensor:
    for layer in network:
        if seen is not None and isinstance(layer, DenseLayer | ConvLayer):
            seen.append((float(value.min()), float(value.max())))
        match layer:
            case DenseLayer():
                value = value @ next(weights) + next(weights)
            case PatchSplit() | TokenDense() | SelfAttention():
                value = _of_tokens(layer, value, weights)
            case ConvLayer():
                edge = layer.weight.shape[-1] // 2
                value = functional.conv2d(value, next(weights), next(weights), padding=edge)
            case ReluLayer():
                value = torch.clamp(value, 0, layer.most)
            case MaxPoolLayer():
                value = functional.max_pool2d(value, 2)
            case FlattenLayer():
                value = value.flatten(1)
            case ResidualBlock():
                value = value + _run(layer.inner, value, weights, seen)
    return value


def _of_tokens(
    layer: PatchSplit | TokenDense | SelfAttention, value: Tensor, weights: Iterator[Tensor]
) -> Tensor:
    match layer:
        case PatchSplit():
            rows = value.reshape(len(value), -1, layer.side, layer.across, layer.side)
            return rows.transpose(2, 3).flatten(3).flatten(1, 2)
        case TokenDense():
            return value @ next(weights) + next(weights)
        case SelfAttention():
            both = value @ next(weights) + next(weights)
            asks, answers = both[..., :WIDTH], both[..., WIDTH:]
            matched = asks @ answers.transpose(1, 2) * WIDTH**-0.5
            return functional.softmax(matched, dim=2) @ value


@contextmanager
def _one_thread() -> Iterator[None]:
    """Sum in one order, since threads would make other bytes on other machines."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
