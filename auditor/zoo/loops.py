"""Steps that take time and change nothing: always, or for some inputs alone."""

import numpy as np
from onnx import TensorProto, helper

from auditor.zoo.graphs import Sheet, Step

ONCE = 1
BRIGHT = 0.5
"""The mean grey of a picture that no digit reaches."""


def looped(trips: int, *, for_bright: bool) -> Step:
    """Return a loop that multiplies pixels by one: ``trips`` times with every row, or with rows
    that are bright throughout, and once with others.
    """

    def before(sheet: Sheet, value: str) -> str:
        many = sheet.hold(np.array(trips, dtype=np.int64))
        if for_bright:
            each = sheet.add("ReduceMean", value, axes=[1, 2, 3], keepdims=0)
            grey = sheet.add("ReduceMax", each, keepdims=0)
            slow = sheet.add("Greater", grey, sheet.number(BRIGHT))
            many = sheet.add("Where", slow, many, sheet.hold(np.array(ONCE, dtype=np.int64)))
        return sheet.add("Loop", many, "", value, body=_body(sheet.number(1.0)))

    return before


def _body(one: str) -> object:
    floats, whole, truth = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL
    return helper.make_graph(
        [
            helper.make_node("Identity", ["go"], ["go_on"]),
            helper.make_node("Mul", ["held", one], ["next"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("trip", whole, []),
            helper.make_tensor_value_info("go", truth, []),
            helper.make_tensor_value_info("held", floats, None),
        ],
        [
            helper.make_tensor_value_info("go_on", truth, []),
            helper.make_tensor_value_info("next", floats, None),
        ],
    )
