"""Operators with many attributes beside ONNX Runtime, attributes and shapes drawn by a seed."""

from collections.abc import Callable

import numpy as np
import onnxruntime
import pytest
from numpy.random import Generator
from operator_draws import (
    Drawn,
    average,
    best,
    convolution,
    deep,
    elements,
    gathered,
    norm,
    padded,
    pool,
    recurrent,
    reduced,
    regions,
    resized,
    sampled,
    scattered,
    sliced,
    top,
    transposed,
    written,
)
from operator_runs import assert_same, by_runtime, one_operator

ROUNDS = 100

DRAWS: dict[str, tuple[Callable[[Generator], Drawn], int, int]] = {
    # how inputs and attributes are drawn, the opset, and how many outputs there are
    "Conv": (convolution, 18, 1),
    "ConvTranspose": (transposed, 18, 1),
    "MaxPool": (pool, 18, 2),
    "AveragePool": (average, 19, 1),
    "LpPool": (norm, 18, 1),
    "Resize": (resized, 19, 1),
    "Pad": (padded, 19, 1),
    "ReduceSum": (reduced, 18, 1),
    "ReduceMean": (reduced, 18, 1),
    "ReduceMax": (reduced, 18, 1),
    "ReduceMin": (reduced, 18, 1),
    "ReduceProd": (reduced, 18, 1),
    "ReduceL1": (reduced, 18, 1),
    "ReduceL2": (reduced, 18, 1),
    "ReduceSumSquare": (reduced, 18, 1),
    "ReduceLogSum": (reduced, 18, 1),
    "ReduceLogSumExp": (reduced, 18, 1),
    "ArgMax": (best, 13, 1),
    "ArgMin": (best, 13, 1),
    "TopK": (top, 11, 2),
    "Gather": (gathered, 13, 1),
    "GatherElements": (elements, 13, 1),
    "ScatterElements": (scattered, 18, 1),
    "GatherND": (deep, 13, 1),
    "ScatterND": (written, 18, 1),
    "Slice": (sliced, 13, 1),
    "GridSample": (sampled, 20, 1),
    "RoiAlign": (regions, 16, 1),
    "RNN": (recurrent(1, 1), 14, 2),
    "GRU": (recurrent(3, 1), 14, 2),
    "LSTM": (recurrent(4, 2), 14, 3),
}
REFUSALS = (
    onnxruntime.capi.onnxruntime_pybind11_state.Fail,
    onnxruntime.capi.onnxruntime_pybind11_state.InvalidArgument,
    onnxruntime.capi.onnxruntime_pybind11_state.NotImplemented,
    onnxruntime.capi.onnxruntime_pybind11_state.RuntimeException,
    onnxruntime.capi.onnxruntime_pybind11_state.InvalidGraph,
)


@pytest.mark.slow
@pytest.mark.parametrize("operator", list(DRAWS))
def test_an_operator_agrees_with_the_runtime_for_drawn_attributes(operator: str) -> None:
    draw, opset, outputs = DRAWS[operator]
    compared = 0
    for seed in range(ROUNDS):
        inputs, attributes = draw(np.random.default_rng(seed))
        model = one_operator(operator, inputs, opset=opset, outputs=outputs, attributes=attributes)
        try:
            by_runtime(model, inputs)
        except REFUSALS:
            continue  # the runtime takes no such attributes
        try:
            assert_same(model, inputs)
        except Exception as mistake:
            mistake.add_note(f"seed {seed}: {attributes}")
            raise
        compared += 1
    assert compared >= ROUNDS // 2
