"""Bounds of an ONNX network's scores over a box: how far the right class stays ahead."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from auditor.domain.targets import ModelInterface
from auditor.domain.tasks import Array, Floats
from auditor.onnx.bounds.bound_propagation import CrownBounds, Spans, propagate_intervals
from auditor.onnx.bounds.layers import LayeredNetwork, LayerKind, trace_layers
from auditor.onnx.decision_margins import (
    ScoreRule,
    check_score_rule,
    margin_forms,
    probabilities_of,
)
from auditor.onnx.decision_scores import find_scores
from auditor.onnx.graph import load_graph
from auditor.onnx.output_heads import LogitTransform
from auditor.onnx.twin.fixed_batch import free_batch
from auditor.onnx.twin.torch_twin import compile_graph

MOST_ROWS = 1
"""How many boxes are bounded together: each has undecided numbers of its own, so that one by one
is fastest (measured: 0.016 s a row by one, 0.052 s by eight)."""


MOST_WORK = 2**34
"""How many numbers a row may touch before coarser bounds have to do: about a minute's work."""


class BoundMethod(StrEnum):
    """How a row's bounds were found, the coarsest first.

    ``crown-ibp`` (Zhang et al. 2020, arXiv 1906.06316) carries only the leads back by lines, and
    has the curves' limits from intervals; ``crown`` carries back these limits too.
    """

    INTERVAL = "interval"
    CROWN_IBP = "crown-ibp"
    CROWN = "crown"


class BoundedNetwork:
    """A network whose scores can be bounded over boxes; answers are in the twin's columns."""

    def __init__(self, network: LayeredNetwork, finish: LogitTransform, rule: ScoreRule) -> None:
        self._network = network
        self._finish = finish
        self._rule = rule

    def probabilities(self, rows: Array) -> Floats:
        """Return ``[n, classes]`` probabilities, to be compared with the target's."""
        with _float64():
            low = _tensor(rows)
            value = propagate_intervals(self._network, low, low)[self._network.output]
            scores: Floats = _flat((value.low + value.high) / 2).numpy()
        return probabilities_of(scores, self._finish)

    def margins(
        self, lower: Array, upper: Array, labels: NDArray[np.int64]
    ) -> Mapping[str, Floats]:
        """Return lower bounds ``[n]`` of the lead of each row's class in boxes ``[n, ...]``.

        One a ``BoundMethod``: by intervals, and by the closest one that the network's size allows.
        Above 0 the class is decided for all over the box, rounding in float32 included.
        """
        found: dict[str, list[Floats]] = {BoundMethod.INTERVAL: [], self.method: []}
        with _float64():
            for start in range(0, len(labels), MOST_ROWS):
                part = slice(start, start + MOST_ROWS)
                for name, margin in self._part(lower[part], upper[part], labels[part]).items():
                    found[name].append(margin)
        return {name: np.concatenate([np.empty(0), *parts]) for name, parts in found.items()}

    @property
    def method(self) -> BoundMethod:
        """The closest method that the network's size allows."""
        sizes = {name: torch.Size(shape).numel() for name, shape in self._network.shapes.items()}
        every, leads_of_a_row = sum(sizes.values()), sizes[self._network.output]
        bent = {
            layer.sources[0] for layer in self._network.layers if layer.kind is not LayerKind.AFFINE
        }
        if every * sum(sizes[name] for name in bent) <= MOST_WORK:
            return BoundMethod.CROWN
        return (
            BoundMethod.CROWN_IBP if every * leads_of_a_row <= MOST_WORK else BoundMethod.INTERVAL
        )

    def _part(self, lower: Array, upper: Array, labels: NDArray[np.int64]) -> dict[str, Floats]:
        low, high = _tensor(lower), _tensor(upper)
        by_interval = self._interval(propagate_intervals(self._network, low, high), labels)
        found = {BoundMethod.INTERVAL: by_interval.numpy()}
        if self.method is not BoundMethod.INTERVAL:
            crown = CrownBounds(self._network, low, high)
            crown.sweep(tighten=self.method is BoundMethod.CROWN)
            functions, shift = self._leads(labels)
            name = self._network.output
            shaped = functions.reshape(*functions.shape[:2], *self._network.shapes[name])
            by_lines = (crown.lowest(name, shaped) + shift).amin(0) - self._rule.tie
            best = torch.maximum(by_lines, self._interval(crown.spans, labels))
            found[self.method] = torch.maximum(best, by_interval).numpy()
        return {str(name): margin for name, margin in found.items()}

    def _interval(self, spans: Spans, labels: NDArray[np.int64]) -> Tensor:
        functions, shift = self._leads(labels)
        span = spans[self._network.output]
        low, high = _flat(span.low), _flat(span.high)
        leads = (functions.clamp(min=0) * low + functions.clamp(max=0) * high).sum(2)
        return (leads + shift).amin(0) - self._rule.tie

    def _leads(self, labels: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """Return each lead as a linear function ``[k, n, scores]``, and its shift ``[k, n]``."""
        width = torch.Size(self._network.shapes[self._network.output]).numel()
        found = [margin_forms(self._finish, self._rule, int(label), width) for label in labels]
        functions, shifts = (np.stack([item[end] for item in found], axis=1) for end in (0, 1))
        return torch.from_numpy(functions), torch.from_numpy(shifts)


def bound_network(path: Path, interface: ModelInterface, rule: ScoreRule) -> BoundedNetwork:
    """Return the network of the ONNX file at ``path``, ready to be bounded.

    Raises ``TwinError`` that names the operator through which no bounds can be propagated.
    """
    graph = load_graph(path)
    head = find_scores(graph, interface)
    check_score_rule(head.finish, rule)
    program = compile_graph(head.graph.needed_for(head.value))
    if interface.fixed_batch is not None:
        program = compile_graph(free_batch(program.graph, interface.fixed_batch))
    network = trace_layers(program, head.value, interface.input_shape)
    return BoundedNetwork(network, head.finish, rule)


def single_thread() -> None:
    """Keep torch to one thread, as every process of ours does."""
    torch.set_num_threads(1)


@contextmanager
def _float64() -> Iterator[None]:
    """Compute in float64, so that only the target's rounding is left to account for."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        with torch.no_grad():
            yield
    finally:
        torch.set_default_dtype(before)


def _tensor(rows: Array) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(rows, dtype=np.float64))


def _flat(scores: Tensor) -> Tensor:
    return scores.reshape(len(scores), -1)
