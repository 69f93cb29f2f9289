"""Inputs and attributes of operators, drawn by a generator."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.random import Generator
from operator_runs import Array

Drawn = tuple[dict[str, Array], dict[str, Any]]


def floats(rng: Generator, *shape: int) -> Array:
    return rng.normal(size=shape).astype(np.float32)


def flag(rng: Generator) -> int:
    return int(rng.integers(2))


def window(rng: Generator, rank: int, kernel: list[int]) -> dict[str, Any]:
    drawn: dict[str, Any] = {"kernel_shape": kernel}
    drawn["strides"] = rng.integers(1, 4, rank).tolist()
    if flag(rng):
        drawn["dilations"] = rng.integers(1, 3, rank).tolist()
    mode = rng.choice(["NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"])
    if mode == "NOTSET":
        drawn["pads"] = [int(rng.integers(0, side)) for side in [*kernel, *kernel]]
    else:
        drawn["auto_pad"] = str(mode)
        drawn.pop("dilations", None)
    return drawn


def convolution(rng: Generator) -> Drawn:
    rank, group = int(rng.integers(1, 4)), int(rng.integers(1, 3))
    kernel = rng.integers(1, 4, rank).tolist()
    x = floats(rng, 2, 2 * group, *rng.integers(6, 10, rank))
    inputs = {"x": x, "w": floats(rng, 3 * group, 2, *kernel), "b": floats(rng, 3 * group)}
    return inputs, {**window(rng, rank, kernel), "group": group}


def transposed(rng: Generator) -> Drawn:
    rank, group = int(rng.integers(1, 3)), int(rng.integers(1, 3))
    kernel = rng.integers(2, 4, rank).tolist()
    x = floats(rng, 2, 2 * group, *rng.integers(4, 7, rank))
    drawn: dict[str, Any] = {"group": group, "strides": rng.integers(1, 4, rank).tolist()}
    mode = int(rng.integers(4))
    if mode == 0:
        drawn["pads"] = [int(rng.integers(0, 2)) for _ in range(2 * rank)]
        drawn["output_padding"] = [int(rng.integers(0, stride)) for stride in drawn["strides"]]
        drawn["dilations"] = rng.integers(1, 3, rank).tolist()
    elif mode == 1:
        drawn["auto_pad"] = str(rng.choice(["SAME_UPPER", "SAME_LOWER"]))
        drawn["strides"] = [min(2, side) for side in kernel]
    elif mode == 2:
        lengths = zip(x.shape[2:], drawn["strides"], kernel, strict=True)
        drawn["output_shape"] = [(n - 1) * step + side - 1 for n, step, side in lengths]
    weights = floats(rng, 2 * group, 3, *kernel)
    return {"x": x, "w": weights, "b": floats(rng, 3 * group)}, drawn


def pool(rng: Generator) -> Drawn:
    rank = int(rng.integers(1, 4))
    kernel = rng.integers(2, 4, rank).tolist()
    drawn = window(rng, rank, kernel)
    drawn["ceil_mode"] = flag(rng) if "auto_pad" not in drawn else 0
    return {"x": floats(rng, 2, 2, *rng.integers(7, 11, rank))}, drawn


def average(rng: Generator) -> Drawn:
    inputs, drawn = pool(rng)
    return inputs, {**drawn, "count_include_pad": flag(rng)}


def norm(rng: Generator) -> Drawn:
    inputs, drawn = pool(rng)
    return inputs, {**drawn, "p": int(rng.integers(1, 4))}


def resized(rng: Generator) -> Drawn:
    mode = str(rng.choice(["nearest", "linear", "cubic"]))
    x = floats(rng, 1, 2, *rng.integers(3, 8, 2))
    transform = rng.choice(
        ["half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric", "half_pixel_symmetric"]
    )
    drawn: dict[str, Any] = {"mode": mode, "coordinate_transformation_mode": str(transform)}
    if mode == "nearest":
        rounding = ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"]
        drawn["nearest_mode"] = str(rng.choice(rounding))
        if transform == "half_pixel_symmetric":
            # The centre falls on a pixel's border there, and the last bit decides.
            drawn["coordinate_transformation_mode"] = "half_pixel"
    if mode == "cubic":
        drawn["cubic_coeff_a"] = float(rng.choice([-0.75, -0.5]))
        drawn["exclude_outside"] = flag(rng)
    if flag(rng):
        sizes = np.array([1, 2, *rng.integers(2, 14, 2)])
        return {"x": x, "_roi": x, "_scales": x, "sizes": sizes}, drawn
    scales = np.array([1, 1, *rng.choice([0.5, 0.6, 0.8, 1.5, 2.0, 2.5, 3.0], 2)])
    return {"x": x, "_roi": x, "scales": scales.astype(np.float32)}, drawn


def padded(rng: Generator) -> Drawn:
    rank = int(rng.integers(1, 5))
    mode = str(rng.choice(["constant", "edge", "reflect", "wrap"]))
    x = floats(rng, *rng.integers(3, 6, rank))
    low = -1 if mode == "constant" else 0
    inputs = {"x": x, "pads": rng.integers(low, 3, 2 * rank), "value": floats(rng)}
    return inputs, {"mode": mode}


def reduced(rng: Generator) -> Drawn:
    rank = int(rng.integers(1, 5))
    x = np.abs(floats(rng, *rng.integers(2, 5, rank))) + np.float32(0.1)
    axes = rng.permutation(rank)[: int(rng.integers(1, rank + 1))] - rank * flag(rng)
    return {"x": x, "axes": np.sort(axes)}, {"keepdims": flag(rng)}


def best(rng: Generator) -> Drawn:
    rank = int(rng.integers(1, 4))
    x = rng.integers(0, 4, rng.integers(2, 6, rank)).astype(np.float32)
    return {"x": x}, {
        "axis": int(rng.integers(-rank, rank)),
        "keepdims": flag(rng),
        "select_last_index": flag(rng),
    }


def top(rng: Generator) -> Drawn:
    rank = int(rng.integers(1, 4))
    x = rng.integers(0, 9, rng.integers(3, 6, rank)).astype(np.float32)
    axis = int(rng.integers(-rank, rank))
    return {"x": x, "k": rng.integers(1, 4, 1)}, {"axis": axis, "largest": flag(rng)}


def gathered(rng: Generator) -> Drawn:
    x = floats(rng, *rng.integers(2, 5, 3))
    axis = int(rng.integers(-3, 3))
    length = x.shape[axis]
    return {"x": x, "i": rng.integers(-length, length, (2, 3))}, {"axis": axis}


def elements(rng: Generator) -> Drawn:
    x = floats(rng, *rng.integers(3, 6, 3))
    axis = int(rng.integers(-3, 3))
    shape = [int(rng.integers(1, length + 1)) for length in x.shape]
    length = x.shape[axis]
    return {"x": x, "i": rng.integers(-length, length, shape)}, {"axis": axis}


def scattered(rng: Generator) -> Drawn:
    inputs, drawn = elements(rng)
    places = np.argsort(rng.random(inputs["i"].shape), axis=drawn["axis"])
    drawn["reduction"] = str(rng.choice(["none", "add", "mul", "max", "min"]))
    if drawn["reduction"] == "none":
        inputs["i"] = places  # which of several writes to one place wins is not told
    return {**inputs, "new": floats(rng, *inputs["i"].shape)}, drawn


def deep(rng: Generator) -> Drawn:
    batched = flag(rng)
    x = floats(rng, 2, *rng.integers(3, 5, 3))
    depth = int(rng.integers(1, 4 - batched))
    lengths = np.array(x.shape[batched : batched + depth])
    shape = ([2] if batched else []) + [3, depth]
    return {"x": x, "i": rng.integers(-lengths, lengths, shape)}, {"batch_dims": batched}


def written(rng: Generator) -> Drawn:
    x = floats(rng, *rng.integers(3, 5, 3))
    depth = int(rng.integers(1, 4))
    every = np.stack(np.unravel_index(rng.permutation(3)[:2], (3,) * 1 + (1,) * (depth - 1)), -1)
    reduction = str(rng.choice(["none", "add", "mul", "max", "min"]))
    new = floats(rng, 2, *x.shape[depth:])
    return {"x": x, "i": every.astype(np.int64), "new": new}, {"reduction": reduction}


def sliced(rng: Generator) -> Drawn:
    x = floats(rng, *rng.integers(3, 8, 3))
    axes = rng.permutation(3)[:2]
    steps = rng.choice([-2, -1, 1, 2], 2)
    starts, ends = rng.integers(-9, 9, 2), rng.integers(-9, 9, 2)
    return {"x": x, "s": starts, "e": ends, "a": axes, "t": steps}, {}


def sampled(rng: Generator) -> Drawn:
    x, grid = floats(rng, 2, 2, 5, 6), rng.uniform(-1.3, 1.3, (2, 4, 3, 2)).astype(np.float32)
    return {"x": x, "grid": grid}, {
        "mode": str(rng.choice(["linear", "nearest", "cubic"])),
        "padding_mode": str(rng.choice(["zeros", "border", "reflection"])),
        "align_corners": flag(rng),
    }


def regions(rng: Generator) -> Drawn:
    corners = rng.uniform(0, 6, (3, 2))
    rois = np.concatenate([corners, corners + rng.uniform(0.5, 5, (3, 2))], 1).astype(np.float32)
    inputs = {"x": floats(rng, 2, 2, 8, 9), "rois": rois, "rows": rng.integers(0, 2, 3)}
    return inputs, {
        "output_height": 3,
        "output_width": 2,
        "sampling_ratio": int(rng.integers(0, 3)),
        "spatial_scale": float(rng.choice([0.5, 1.0])),
        "coordinate_transformation_mode": str(rng.choice(["half_pixel", "output_half_pixel"])),
    }


def recurrent(gates: int, states: int) -> Callable[[Generator], Drawn]:
    def draw(rng: Generator) -> Drawn:
        direction = str(rng.choice(["forward", "reverse", "bidirectional"]))
        ways = 2 if direction == "bidirectional" else 1
        steps, rows, width, size = 4, 3, 2, 3
        inputs = {
            "x": floats(rng, steps, rows, width),
            "w": floats(rng, ways, gates * size, width),
            "r": floats(rng, ways, gates * size, size),
            "b" if flag(rng) else "_b": floats(rng, ways, 2 * gates * size),
            "n" if flag(rng) else "_n": rng.integers(1, steps + 1, rows).astype(np.int32),
        }
        for state in range(states):
            inputs[f"s{state}"] = floats(rng, ways, rows, size)
        drawn: dict[str, Any] = {"hidden_size": size, "direction": direction}
        if flag(rng):
            drawn["clip"] = 0.7
        if gates == 3:
            drawn["linear_before_reset"] = flag(rng)
        if gates == 4:
            inputs["p" if flag(rng) else "_p"] = floats(rng, ways, 3 * size)
            drawn["input_forget"] = flag(rng)
        if gates == 1:
            drawn["activations"] = [str(rng.choice(["Tanh", "Relu", "Sigmoid"]))] * ways
        return inputs, drawn

    return draw
