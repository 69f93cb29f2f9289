"""ONNX models with planted defects: gradient masking, delays, prototypes, and triple redundancy.

The gradient masks keep the network's decisions; each has a mild clean twin.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper

from auditor.selftest.networks import Network, Shape, Singles
from auditor.selftest.onnx_writer import (
    INPUT,
    GraphBuilder,
    Step,
    finish_model_file,
    write_layer,
    write_layers,
)
from auditor.selftest.pictures import CLASSES, SMALL, Labels

STEEPNESS, MILD = 200.0, 8.0
HEIGHT, FAST, SLOW = 0.05, 300.0, 6.0
HOT, WARM = 30.0, 1.0
KEPT = 0.999


@dataclass(frozen=True, slots=True)
class GradientMask:
    """Steps before and behind a network, and what the first makes of rows to learn from."""

    before: Step | None = None
    after: Step | None = None
    learns: Callable[[Singles], Singles] = lambda rows: rows


def build_ramp_mask(steepness: float) -> GradientMask:
    """Return a ramp of each pixel's grey that makes it all but black or white where it is steep."""

    def before(sheet: GraphBuilder, value: str) -> str:
        middle = sheet.add("Sub", value, sheet.number(0.5))
        return sheet.add("Sigmoid", sheet.add("Mul", middle, sheet.number(steepness)))

    def learns(rows: Singles) -> Singles:
        with np.errstate(over="ignore"):
            steep: Singles = (1 / (1 + np.exp(-steepness * (rows - 0.5)))).astype(np.float32)
            return steep

    return GradientMask(before=before, learns=learns)


def build_wave_mask(speed: float) -> GradientMask:
    """Return a wave added to each pixel, whose slope drowns the pixel's own where it is fast."""

    def before(sheet: GraphBuilder, value: str) -> str:
        wave = sheet.add("Sin", sheet.add("Mul", value, sheet.number(speed)))
        return sheet.add("Add", value, sheet.add("Mul", wave, sheet.number(HEIGHT)))

    def learns(rows: Singles) -> Singles:
        moved: Singles = (rows + HEIGHT * np.sin(speed * rows)).astype(np.float32)
        return moved

    return GradientMask(before=before, learns=learns)


def build_softmax_mask(temperature: float) -> GradientMask:
    """Return a softmax of scores that are so much larger, mixed with a little of every class."""

    def after(sheet: GraphBuilder, value: str) -> str:
        hot = sheet.add("Softmax", sheet.add("Mul", value, sheet.number(temperature)), axis=1)
        kept = sheet.add("Mul", hot, sheet.number(KEPT))
        return sheet.add("Add", kept, sheet.number((1 - KEPT) / 10))

    return GradientMask(after=after)


MASKS: Mapping[str, Callable[[bool], GradientMask]] = {
    "steep": lambda planted: build_ramp_mask(STEEPNESS if planted else MILD),
    "wavy": lambda planted: build_wave_mask(FAST if planted else SLOW),
    "saturated": lambda planted: build_softmax_mask(HOT if planted else WARM),
}
"""By name: what hides gradients where it is planted, and what does not where it is not."""


ONCE = 1
BRIGHT = 0.5
"""The mean grey of a picture that no digit reaches."""


def build_loop_step(trips: int, *, for_bright: bool) -> Step:
    """Return a loop that multiplies pixels by one: ``trips`` times with every row, or with rows
    that are bright throughout, and once with others.
    """

    def before(sheet: GraphBuilder, value: str) -> str:
        many = sheet.hold(np.array(trips, dtype=np.int64))
        if for_bright:
            each = sheet.add("ReduceMean", value, axes=[1, 2, 3], keepdims=0)
            grey = sheet.add("ReduceMax", each, keepdims=0)
            slow = sheet.add("Greater", grey, sheet.number(BRIGHT))
            many = sheet.add("Where", slow, many, sheet.hold(np.array(ONCE, dtype=np.int64)))
        one = sheet.number(1.0)
        floats, whole, truth = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL
        body = helper.make_graph(
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
        return sheet.add("Loop", many, "", value, body=body)

    return before


FLOOR = 1e-4


def save_kernel_model(path: Path, rows: Singles, labels: Labels, reach: float) -> None:
    """Write a model whose logits are those of a vote of prototypes, by ``exp(-d^2 / reach^2)``.

    With the training rows as prototypes this is a Parzen classifier (Specht 1990): the file holds
    every row that it learnt from.
    """
    flat = rows.reshape(len(rows), -1)
    sheet = GraphBuilder()
    asked = sheet.add("Flatten", INPUT, axis=1)
    size = sheet.add("ReduceSumSquare", asked, axes=[1], keepdims=1)
    across = sheet.add("MatMul", asked, sheet.hold(-2 * flat.T))
    own = sheet.hold((flat**2).sum(axis=1)[None])
    away = sheet.add("Add", sheet.add("Add", across, size), own)
    near = sheet.add("Exp", sheet.add("Div", away, sheet.number(-(reach**2))))
    votes = sheet.add("MatMul", near, sheet.hold(np.eye(len(CLASSES), dtype=np.float32)[labels]))
    finish_model_file(
        path, sheet, sheet.add("Log", sheet.add("Add", votes, sheet.number(FLOOR))), SMALL
    )


def save_triplicated(path: Path, network: Network, shape: Shape, *, voting: bool) -> None:
    """Write three copies that vote by the median of each score, or whose mean is taken."""
    sheet = GraphBuilder()
    one, two, three = (write_layers(sheet, INPUT, network, write_layer) for _ in range(3))
    if voting:
        # 0 for what is no number, as infinity times a dark pixel: medians let it through
        one, two, three = (
            sheet.add("Where", sheet.add("IsNaN", value), sheet.number(0.0), value)
            for value in (one, two, three)
        )
        low, high = sheet.add("Min", one, two), sheet.add("Max", one, two)
        value = sheet.add("Max", low, sheet.add("Min", high, three))
    else:
        total = sheet.add("Add", sheet.add("Add", one, two), three)
        value = sheet.add("Mul", total, sheet.number(1 / 3))
    finish_model_file(path, sheet, value, shape)
