"""Maxima of windows lie between one of their inputs and a ceiling."""

import numpy as np
import onnx
import pytest
import torch
from onnx import helper
from small_models import make_model
from torch import Tensor

from auditor.errors import TwinError
from auditor.onnx.bounds.relaxations import find_contested_inputs, find_window_maxima
from auditor.onnx.graph import GraphNode, read_graph
from auditor.onnx.operators.convolutions import global_max_pool, max_pool

SETTINGS: dict[str, dict[str, object]] = {
    "apart": {"kernel_shape": [2, 2], "strides": [2, 2]},
    "overlapping": {"kernel_shape": [3, 3], "strides": [1, 2], "pads": [1, 1, 1, 1]},
    "gaps": {"kernel_shape": [2, 2], "dilations": [2, 2], "strides": [1, 1]},
    "automatic": {"kernel_shape": [3, 2], "strides": [2, 2], "auto_pad": "SAME_UPPER"},
    "global": {},
}


def node_of(name: str, **more: object) -> GraphNode:
    operator = "GlobalMaxPool" if name == "global" else "MaxPool"
    made: onnx.NodeProto = helper.make_node(operator, ["x"], ["scores"], **SETTINGS[name], **more)
    return read_graph(make_model([made], {}, ["n", 2, 6, 5])).nodes[0]


def pooled(node: GraphNode, x: Tensor) -> Tensor:
    computed = global_max_pool if node.operator == "GlobalMaxPool" else max_pool
    return computed(node.attributes, x)


def limits(width: float) -> tuple[Tensor, Tensor]:
    rng = np.random.default_rng(0)
    low = torch.from_numpy(rng.normal(size=(3, 2, 6, 5)))
    return low, low + torch.from_numpy(width * rng.random((3, 2, 6, 5)))


@pytest.mark.parametrize("width", [0.0, 0.3, 2.0])
@pytest.mark.parametrize("name", list(SETTINGS))
def test_a_maximum_lies_between_an_input_and_a_ceiling(name: str, width: float) -> None:
    node, (low, high) = node_of(name), limits(width)
    choice = find_window_maxima(node, low, high)
    shape = pooled(node, low).shape
    for place in range(shape[2] * shape[3]):
        pick = torch.zeros((1, *shape)).flatten(3)
        pick[..., place] = 1.0
        pick = pick.reshape(1, *shape)
        below, above = choice.pull(pick, 0 * pick)[0], choice.pull(0 * pick, -pick)[0]
        for share in torch.linspace(0, 1, 9):
            noise = torch.rand(low.shape, generator=torch.Generator().manual_seed(place))
            x = low + (high - low) * (noise if share > 0.5 else share)
            most = pooled(node, x).flatten(2)[..., place]
            ceiling = choice.ceiling.flatten(2)[..., place]
            assert ((below * x).sum((2, 3)) <= most + 1e-12).all()
            assert (ceiling - (above * x).sum((2, 3)) >= most - 1e-12).all()


@pytest.mark.parametrize("name", list(SETTINGS))
def test_where_numbers_are_known_so_is_the_maximum(name: str) -> None:
    node, (low, _) = node_of(name), limits(0.0)
    choice = find_window_maxima(node, low, low)
    assert choice.decided.all()
    assert not find_contested_inputs(node, low, low).any()


@pytest.mark.parametrize("name", list(SETTINGS))
def test_what_may_be_largest_of_an_open_window_is_contested(name: str) -> None:
    node, (low, high) = node_of(name), limits(0.5)
    open_to, marked = (
        ~find_window_maxima(node, low, high).decided,
        find_contested_inputs(node, low, high),
    )
    raised = torch.where(marked, high, low)
    top = pooled(node, high)
    assert torch.equal(pooled(node, raised)[open_to], top[open_to])
    assert 0 < marked.sum() < marked.numel()


def test_windows_that_round_up_are_refused_by_name() -> None:
    low, high = limits(1.0)
    with pytest.raises(TwinError, match="MaxPool"):
        find_window_maxima(node_of("apart", ceil_mode=1), low, high)
