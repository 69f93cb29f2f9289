"""Half precision: a twin computes in float32 throughout, as ONNX Runtime does on a CPU."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper
from quantised_networks import TorchTwin, twin_of_file

from auditor.domain.tasks import Floats

RNG = np.random.default_rng(2)
node = helper.make_node
Rows = NDArray[np.float32]


def network(path: Path, *, kind: int, ends: int) -> None:
    """Write a network whose weights are of one type and whose input and output of another.

    Where the two differ, it casts on the way in and out.
    """
    cast = ends != kind
    first, last = ("h", "s") if cast else ("x", "scores")
    nodes = [
        node("Conv", [first, "k", "b"], ["c"], pads=[1] * 4), node("Relu", ["c"], ["r"]),
        node("MaxPool", ["r"], ["p"], kernel_shape=[2, 2], strides=[2, 2]),
        node("Flatten", ["p"], ["f"]), node("MatMul", ["f", "w"], ["m"]),
        node("Add", ["m", "v"], [last]),
    ]  # fmt: skip
    if cast:
        nodes = [
            node("Cast", ["x"], ["h"], to=kind), *nodes, node("Cast", ["s"], ["scores"], to=ends)
        ]  # fmt: skip
    shapes = {"k": (8, 1, 3, 3), "b": (8,), "w": (8 * 16, 10), "v": (10,)}
    weights = {name: RNG.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    graph = helper.make_graph(
        nodes,
        "half",
        [helper.make_tensor_value_info("x", ends, ["n", 1, 8, 8])],
        [helper.make_tensor_value_info("scores", ends, ["n", 10])],
        [
            helper.make_tensor(
                name, kind, value.shape,
                value.astype(helper.tensor_dtype_to_np_dtype(kind)).tobytes(), raw=True,
            )
            for name, value in weights.items()
        ],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, str(path))


def by_runtime(path: Path, rows: NDArray[np.floating]) -> Floats:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(["scores"], {"x": rows})[0], dtype=np.float64)


def rows() -> Rows:
    return RNG.random((200, 1, 8, 8), dtype=np.float32)


def test_half_weights_between_casts_are_computed_in_float32_even_by_the_runtime(
    tmp_path: Path,
) -> None:
    path, given = tmp_path / "half.onnx", rows()
    network(path, kind=TensorProto.FLOAT16, ends=TensorProto.FLOAT)
    found, wanted = twin_of_file(path).forward(given), by_runtime(path, given)
    np.testing.assert_allclose(found, wanted, atol=1e-6 * np.abs(wanted).max())


def test_half_inputs_and_outputs_differ_by_the_output_s_rounding_alone(tmp_path: Path) -> None:
    path, given = tmp_path / "half.onnx", rows().astype(np.float16)
    network(path, kind=TensorProto.FLOAT16, ends=TensorProto.FLOAT16)
    found = twin_of_file(path).forward(given.astype(np.float32))
    wanted = by_runtime(path, given)
    unit = np.spacing(np.abs(wanted).astype(np.float16)).astype(np.float64)
    assert np.abs(found - wanted).max() > 0
    # Half a unit, and the sums in float32 of terms that cancel.
    assert (np.abs(found - wanted) <= 0.5 * unit + 2e-5).all()


@pytest.mark.parametrize("kind", [TensorProto.FLOAT16, TensorProto.BFLOAT16])
def test_half_networks_have_gradients(tmp_path: Path, kind: int) -> None:
    path, given = tmp_path / "half.onnx", rows()
    network(path, kind=kind, ends=TensorProto.FLOAT)
    twin: TorchTwin = twin_of_file(path)
    way = RNG.normal(size=given.shape)
    cotangent = RNG.normal(size=twin.forward(given).shape)
    along = (twin.backward(cotangent) * way).reshape(len(given), -1).sum(1)
    ahead, behind = (
        twin.forward((given + sign * 1e-3 * way).astype(np.float32)) for sign in (1, -1)
    )
    slopes = (cotangent * (ahead - behind)).sum(1) / 2e-3
    assert np.corrcoef(along, slopes)[0, 1] > 0.99


def test_bfloat16_weights_are_the_numbers_that_they_store(tmp_path: Path) -> None:
    # No CPU kernel of the runtime takes bfloat16: the file is compared with its float32 copy.
    path, given = tmp_path / "half.onnx", rows()
    network(path, kind=TensorProto.BFLOAT16, ends=TensorProto.FLOAT)
    found = twin_of_file(path).forward(given)
    model = onnx.load(str(path))
    for item in model.graph.initializer:
        value = onnx.numpy_helper.to_array(item).astype(np.float32)
        item.CopyFrom(onnx.numpy_helper.from_array(value, item.name))
    for item in model.graph.node:
        if item.op_type == "Cast":
            item.attribute[0].i = TensorProto.FLOAT
    onnx.save(model, str(path))
    wanted = by_runtime(path, given)
    np.testing.assert_allclose(found, wanted, atol=1e-5 * np.abs(wanted).max())
