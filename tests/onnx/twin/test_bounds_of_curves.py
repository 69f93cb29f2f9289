"""Lines around curves: nowhere on the wrong side, and no further away than need be."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from auditor.onnx.bounds.relaxations import CURVES, BoundingLines
from auditor.onnx.graph import NodeAttributes
from auditor.onnx.operator_registry import list_operators

NAMES = sorted(name for _, name in CURVES)
ends = st.floats(-8, 8).map(lambda value: round(value, 3))
widths = st.sampled_from([0.0, 1e-10, 1e-6, 1e-3, 0.1, 1.0, 3.0, 12.0])


def function(
    name: str, attributes: NodeAttributes, limits: list[float | None], x: Tensor
) -> Tensor:
    claims = [claim for claim in list_operators() if claim.name == name and claim.domain == ""]
    computed = list_operators()[max(claims, key=lambda claim: claim.since)]
    tensors = [None if limit is None else torch.tensor(limit, dtype=x.dtype) for limit in limits]
    found = computed(attributes, x, *tensors)
    assert isinstance(found, Tensor)
    return found


def around(
    name: str, low: float, high: float, said: NodeAttributes, limits: list[float | None]
) -> BoundingLines:
    relax = CURVES["", name].relax
    ends_of_it = (torch.tensor([end], dtype=torch.float64) for end in (low, high))
    return relax(said, limits, *ends_of_it)


@pytest.mark.parametrize("name", NAMES)
@given(low=ends, width=widths, bends=st.tuples(ends, ends))
def test_a_curve_lies_between_its_lines(
    name: str, low: float, width: float, bends: tuple[float, float]
) -> None:
    limits: list[float | None] = [*sorted(bends)] if name == "Clip" else []
    said, high = NodeAttributes({}), low + width
    lines = around(name, low, high, said, limits)
    x = torch.linspace(low, high, 401, dtype=torch.float64)
    y = function(name, said, limits, x)
    assert (lines.low_slope * x + lines.low <= y + 1e-8).all()
    assert (lines.high_slope * x + lines.high >= y - 1e-8).all()


@pytest.mark.parametrize("name", NAMES)
@given(low=ends)
def test_a_narrow_interval_leaves_no_room_between_the_lines(name: str, low: float) -> None:
    limits: list[float | None] = [-1.0, 1.0] if name == "Clip" else []
    high = low + 1e-4
    lines = around(name, low, high, NodeAttributes({}), limits)
    x = torch.linspace(low, high, 11, dtype=torch.float64)
    apart = (lines.high_slope - lines.low_slope) * x + lines.high - lines.low
    assert (apart <= 2.1e-4).all()


def test_the_lines_of_a_rectifier_are_those_of_the_paper() -> None:
    # Zhang et al. (2018), table 2: above u (x - l) / (u - l), below x or 0 by the larger part.
    lines = around("Relu", -1.0, 3.0, NodeAttributes({}), [])
    assert (float(lines.high_slope), float(lines.high)) == (0.75, 0.75)
    assert (float(lines.low_slope), float(lines.low)) == (1.0, 0.0)
    lines = around("Relu", -3.0, 1.0, NodeAttributes({}), [])
    assert (float(lines.high_slope), float(lines.high)) == (0.25, 0.75)
    assert (float(lines.low_slope), float(lines.low)) == (0.0, 0.0)


@pytest.mark.parametrize("name", ["Sigmoid", "Tanh"])
def test_on_one_side_of_its_bend_a_curve_touches_a_chord_and_a_tangent(name: str) -> None:
    for low, high in ((0.5, 2.0), (-2.0, -0.5)):
        lines = around(name, low, high, NodeAttributes({}), [])
        ends_of_it = torch.tensor([low, high], dtype=torch.float64)
        y = function(name, NodeAttributes({}), [], ends_of_it)
        chord = (lines.low_slope, lines.low) if low > 0 else (lines.high_slope, lines.high)
        np.testing.assert_allclose(chord[0] * ends_of_it + chord[1], y, atol=1e-12)
