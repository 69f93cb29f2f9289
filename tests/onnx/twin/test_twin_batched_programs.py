import numpy as np
import onnx
import pytest
import torch
from onnx import helper
from small_models import make_model

from auditor.errors import TwinError
from auditor.onnx.graph import read_graph
from auditor.onnx.twin.torch_twin import batch_program, compile_graph, find_cut_node

RNG = np.random.default_rng(12)
WEIGHTS = RNG.normal(size=(3, 3)).astype(np.float32)
node = helper.make_node


def heads(batch: int) -> onnx.ModelProto:
    """Attention whose shapes hold the batch in several places, as exports for one row have it."""
    nodes = [
        node("Transpose", ["x"], ["t"], perm=[1, 0, 2]),
        node("Reshape", ["t", "merged"], ["m"]),
        node("MatMul", ["m", "w"], ["z"]),
        node("Reshape", ["z", "apart"], ["a"]),
        node("Transpose", ["a"], ["b"], perm=[1, 0, 2]),
        node("Softmax", ["b"], ["s"]),
        node("ReduceMax", ["s", "axis"], ["scores"], keepdims=0),
    ]
    constants = {
        "w": WEIGHTS, "axis": np.array([1]),
        "merged": np.array([4 * batch, 3]), "apart": np.array([4, batch, 3]),
    }  # fmt: skip
    return make_model(nodes, constants, [batch, 4, 3], opset=18)


@pytest.mark.parametrize("fixed", [1, 2])
@pytest.mark.parametrize("rows", [2, 5])
def test_rows_at_once_score_as_rows_one_by_one(fixed: int, rows: int) -> None:
    program = compile_graph(read_graph(heads(fixed)))
    x = torch.from_numpy(RNG.normal(size=(rows, 4, 3)).astype(np.float32)).requires_grad_()
    found = batch_program(program, fixed).run({"x": x})["scores"]
    padded = torch.cat([x, x[-1:]]) if rows % fixed else x
    parts = [program.run({"x": part})["scores"] for part in torch.split(padded, fixed)]
    wanted = torch.cat(parts)[:rows]
    torch.testing.assert_close(found, wanted)
    (one,) = torch.autograd.grad(found.square().sum(), x)
    (other,) = torch.autograd.grad(wanted.square().sum(), x)
    torch.testing.assert_close(one, other)


def test_what_cuts_a_gradient_is_still_found() -> None:
    nodes = [
        node("ArgMax", ["x"], ["best"], axis=1, name="winner"),
        node("Cast", ["best"], ["scores"], to=onnx.TensorProto.FLOAT),
    ]
    program = batch_program(compile_graph(read_graph(make_model(nodes, {}, [1, 4]))), 1)
    values = program.run({"x": torch.rand(3, 4).requires_grad_()})
    found = find_cut_node(program, values)
    assert found is not None
    assert found.name == "winner"


def test_control_flow_that_values_decide_is_refused() -> None:
    def branch(operator: str) -> onnx.GraphProto:
        out = helper.make_tensor_value_info("o", 1, None)
        return helper.make_graph([node(operator, ["x"], ["o"])], "branch", [], [out])

    nodes = [
        node("ReduceSum", ["x"], ["sum"], keepdims=0),
        node("Greater", ["sum", "zero"], ["c"]),
        node("If", ["c"], ["scores"], then_branch=branch("Relu"), else_branch=branch("Neg")),
    ]
    model = make_model(nodes, {"zero": np.array(0, dtype=np.float32)}, [1, 4])
    with pytest.raises(TwinError, match="If"):
        batch_program(compile_graph(read_graph(model)), 1).run({"x": torch.rand(3, 4)})
