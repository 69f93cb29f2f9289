"""Broken, foreign and malicious model files."""

import os
import pickle
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from hostile import Break, Case, both, cut, edited, missing, swapped, written
from onnx import TensorProto, helper, numpy_helper

FLOAT, INT8, INT64 = TensorProto.FLOAT, TensorProto.INT8, TensorProto.INT64
MODEL = "model.onnx"
X = helper.make_tensor_value_info("x", FLOAT, [None, 3])
P = helper.make_tensor_value_info("p", FLOAT, [None, 1])
COPY = "Put the external data file beside the model"


def model(
    *nodes: onnx.NodeProto,
    inputs: Sequence[onnx.ValueInfoProto] = (X,),
    outputs: Sequence[onnx.ValueInfoProto] = (P,),
    weights: Sequence[onnx.TensorProto] = (),
    domain: str = "",
) -> Break:
    graph = helper.make_graph(list(nodes), "g", list(inputs), list(outputs), list(weights))
    opsets = [helper.make_opsetid("", 17)] + [helper.make_opsetid(domain, 1)] * bool(domain)
    made = helper.make_model(graph, opset_imports=opsets, ir_version=9)
    return written(MODEL, made.SerializeToString())


def tensor(name: str, value: object, kind: type = np.float32) -> onnx.TensorProto:
    return numpy_helper.from_array(np.asarray(value, kind), name)


def lying(name: str, kind: int, dims: list[int], raw: bytes) -> onnx.TensorProto:
    """A tensor that promises more numbers than it has."""
    return onnx.TensorProto(name=name, data_type=kind, dims=dims, raw_data=raw)


def elsewhere(location: str) -> Break:
    """A model whose weights are said to lie at another place."""
    weights = tensor("w", np.zeros((3, 1)))
    weights.ClearField("raw_data")
    weights.data_location = TensorProto.EXTERNAL
    weights.external_data.add(key="location", value=location)
    return model(helper.make_node("MatMul", ["x", "w"], ["p"]), weights=[weights])


def linked_weights(folder: Path) -> None:
    (folder / "w.bin").symlink_to(folder.parent / "w.bin")
    (folder.parent / "w.bin").write_bytes(bytes(12))


def endless() -> Break:
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["on"]), helper.make_node("Identity", ["v"], ["w"])],
        "body",
        [
            helper.make_tensor_value_info("i", INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("v", FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("w", FLOAT, None),
        ],
    )
    return model(
        helper.make_node("Loop", ["trips", "start", "x"], ["v"], body=body),
        helper.make_node("MatMul", ["v", "m"], ["p"]),
        weights=[
            tensor("trips", 2**62, np.int64),
            tensor("start", True, np.bool_),  # noqa: FBT003 -- the value of a tensor
            tensor("m", np.zeros((3, 1))),
        ],
    )


def hungry() -> Break:
    """A model whose answer to any row passes through 64 GiB of zeros."""
    return model(
        helper.make_node("ConstantOfShape", ["shape"], ["much"]),
        helper.make_node("ReduceSum", ["much"], ["sum"], keepdims=0),
        helper.make_node("MatMul", ["x", "m"], ["z"]),
        helper.make_node("Add", ["z", "sum"], ["p"]),
        weights=[tensor("shape", [2**34], np.int64), tensor("m", np.zeros((3, 1)))],
    )


def target(setting: str) -> Break:
    return edited("audit.yaml", ("targets: [cpu]", f"targets: [{{name: board, {setting}}}]"))


def classes(count: int) -> Break:
    scores = helper.make_tensor_value_info("p", FLOAT, [None, count])
    return model(
        helper.make_node("MatMul", ["x", "w"], ["p"]),
        outputs=[scores],
        weights=[tensor("w", np.eye(3, count))],
    )


def reading(kind: int, shape: list[int | None]) -> Break:
    """A model that copies an input of another kind or width."""
    rows = helper.make_tensor_value_info("x", kind, shape)
    wide = helper.make_tensor_value_info("p", kind, shape)
    return model(helper.make_node("Identity", ["x"], ["p"]), inputs=[rows], outputs=[wide])


def folder_in_place(path: Path) -> None:
    path.mkdir()
    (path / "weights.bin").write_bytes(b"1")


MODELS = {
    "that is not there": Case(
        (f"audit.yaml:3: model.artifact: {MODEL} does not exist", "Fix the path"), missing(MODEL)
    ),
    "of 0 bytes": Case((MODEL, "is empty", "Export"), written(MODEL, b"")),
    "of random bytes": Case(
        (MODEL, "ONNX", "Export"), written(MODEL, np.random.default_rng(1).bytes(4096))
    ),
    "cut in half": Case((MODEL, "cut", "Export"), cut(MODEL, 0.5)),
    "cut by one byte": Case((MODEL, "cut", "Export"), cut(MODEL, 0.999)),
    "of text": Case((MODEL, "ONNX", "Export"), written(MODEL, "weights: [1, 2, 3]\n")),
    "that is a pickle": Case(
        (MODEL, "ONNX", "Export"), written(MODEL, pickle.dumps({"layers": [1.0] * 40}))
    ),
    "that is an archive": Case(
        (MODEL, "ONNX", "Export"), written(MODEL, b"PK\x03\x04" + bytes(99))
    ),
    "that is a folder": Case(
        (MODEL, "folder", "Name the model's file"), swapped(MODEL, folder_in_place)
    ),
    "that is a pipe": Case((MODEL, "not a regular file", "Name"), swapped(MODEL, os.mkfifo)),
    "that is a device": Case(
        (MODEL, "not a regular file", "Name"),
        swapped(MODEL, lambda path: path.symlink_to("/dev/zero")),
    ),
    "that links to itself": Case(
        (MODEL, "symbolic links", "Name"), swapped(MODEL, lambda path: path.symlink_to(path))
    ),
    "without a graph": Case(
        (MODEL, "no ONNX graph", "exported to ONNX"), written(MODEL, b"\x08\x09")
    ),
    "with an operator of its own": Case(
        (MODEL, "evil.example:Spy", "Export the model with operators of the standard domain"),
        model(helper.make_node("Spy", ["x"], ["p"], domain="evil.example"), domain="evil.example"),
        code=3,
        gap="model_failed",
    ),
    "with an operator that nobody knows": Case(
        (MODEL, "no operator ai.onnx:Teleport", "standard"),
        model(helper.make_node("Teleport", ["x"], ["p"])),
        code=3,
        gap="model_failed",
    ),
    "with control characters in its names": Case(
        (MODEL, "standard"),
        model(helper.make_node("[/]\x1b[31mRed\x07", ["x"], ["p"])),
        code=3,
        gap="model_failed",
    ),
    "without its external data": Case((MODEL, "'w'", "'w.bin'", COPY), elsewhere("w.bin")),
    "whose external data leaves the folder": Case(
        (MODEL, "'w'", "outside the model's folder", "in its own folder"),
        elsewhere("../home/signer.key"),
        code=3,
        gap="model_failed",
    ),
    "whose external data is an absolute path": Case(
        (MODEL, "'w'", "outside the model's folder", "in its own folder"),
        elsewhere("/etc/passwd"),
        code=3,
        gap="model_failed",
    ),
    "whose external data is a link": Case(
        (MODEL, "'w'", "'w.bin'", COPY), both(elsewhere("w.bin"), linked_weights)
    ),
    "with several inputs": Case(
        ("the model has several inputs (x, y)", "Export the model with one input"),
        model(
            helper.make_node("Add", ["x", "y"], ["p"]),
            inputs=[X, helper.make_tensor_value_info("y", FLOAT, [None, 3])],
        ),
        code=3,
        gap="model_failed",
    ),
    "without inputs": Case(
        ("the model has no input", "Export the model with one input"),
        model(helper.make_node("Identity", ["c"], ["p"]), inputs=(), weights=[tensor("c", [[1]])]),
        code=3,
        gap="model_failed",
    ),
    "without outputs": Case(
        (MODEL, "has no output", "Export the model with its scores"),
        model(helper.make_node("Identity", ["x"], ["p"]), outputs=()),
        code=3,
        gap="model_failed",
    ),
    "of other classes": Case(
        ("2 classes", "'p' (64, 3)", "Name the model's classes in `task.classes`"), classes(3)
    ),
    "of wider rows": Case(
        ("(3,)", "'x' takes [any, 5]", "Give the data the shape"), reading(FLOAT, [None, 5])
    ),
    "that reads text": Case(
        ("'x'", "takes text", "input.text"),
        reading(TensorProto.STRING, [None, 3]),
        code=3,
        gap="model_failed",
    ),
    "that gives NaN": Case(
        ("row 0 with nan", "division by zero"),
        model(helper.make_node("MatMul", ["x", "w"], ["p"]), weights=[tensor("w", [[np.nan]] * 3)]),
        code=3,
        gap="model_failed",
    ),
    "that answers with fewer rows": Case(
        ("rows", "first axis"),
        model(
            helper.make_node("ReduceMean", ["x"], ["m"], axes=[0], keepdims=1),
            helper.make_node("MatMul", ["m", "w"], ["p"]),
            weights=[tensor("w", np.ones((3, 1)))],
        ),
        code=3,
        gap="model_failed",
    ),
    "of int8 garbage": Case(
        (MODEL, "Check that the model runs"),
        model(
            helper.make_node("DequantizeLinear", ["w", "s"], ["f"]),
            helper.make_node("MatMul", ["x", "f"], ["p"]),
            weights=[lying("w", INT8, [3, 1], b"\x80"), tensor("s", 0.1)],
        ),
        code=3,
        gap="model_failed",
    ),
    "that promises a giant tensor": Case(
        (MODEL,),
        model(
            helper.make_node("MatMul", ["x", "w"], ["p"]),
            weights=[lying("w", FLOAT, [3, 2**40], bytes(12))],
        ),
        code=3,
        gap="model_failed",
    ),
    "that never answers": Case(
        ("'line'", "'board'", "did not answer within 1.5 s", "`time_limit`", "endless loop"),
        both(endless(), target("time_limit: 1.5")),
        code=3,
        gap="model_hung",
    ),
    "that takes all memory": Case(
        ("'line'", "'board'", "more memory", "(2 GiB)", "`memory_limit`"),
        both(hungry(), target(f"memory_limit: {2**31}")),
        code=3,
        gap="model_out_of_memory",
    ),
}
