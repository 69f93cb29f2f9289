"""Files in half precision and with weights stored in fewer bits."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.transformers.float16 import convert_float_to_float16
from twin_corpus import Entry
from twin_corpus_exports import EVERYTHING, by_dynamo_in, by_torchscript, quiet

COARSE = 0.1
"""Half precision resolves a thousandth of a score."""


def converted(path: Path, *, name: str, keep: bool) -> None:
    """Convert a float32 file to float16; ``keep`` leaves its ends in float32."""
    by_torchscript(path, name=name, opset=17)
    with quiet():
        onnx.save(convert_float_to_float16(onnx.load(str(path)), keep_io_types=keep), str(path))


def stored(path: Path, *, name: str, kind: int) -> None:
    """Store a float32 file's weights in ``kind``, with a cast behind each."""
    by_torchscript(path, name=name, opset=17)
    model = onnx.load(str(path))
    casts = []
    for item in model.graph.initializer:
        if item.data_type != TensorProto.FLOAT:
            continue
        array, plain = numpy_helper.to_array(item), item.name
        smaller = array.astype(helper.tensor_dtype_to_np_dtype(kind))
        item.CopyFrom(numpy_helper.from_array(smaller, f"{plain}/stored"))
        casts.append(helper.make_node("Cast", [item.name], [plain], to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.save(model, str(path))


def _entry(label: str, name: str, make: Callable[..., None], step: float = COARSE) -> Entry:
    ready = partial(make, name=name)
    kind = EVERYTHING[name][1]
    return Entry(f"{name}/{label}", "half precision", ready, kind, step=step, logits=True)


def halves() -> list[Entry]:
    """Return the files in half precision."""
    tall = {"opset": 17, "dtype": torch.float16}
    return [
        *[
            _entry("float16-inside", name, partial(converted, keep=True))
            for name in ("cnn", "residual", "mlp", "mobilenet_v2", "encoder", "conv1d")
        ],
        *[_entry("float16", n, partial(converted, keep=False)) for n in ("cnn_bn", "mixer")],
        *[_entry("torch-half", name, partial(by_torchscript, **tall)) for name in ("cnn", "mlp")],
        *[
            _entry("dynamo-half", n, partial(by_dynamo_in, dtype=torch.float16))
            for n in ("cnn_bn", "mlp")
        ],
        *[
            _entry(f"stored-{label}", name, partial(stored, kind=kind), 0.02)
            for label, kind in (("bfloat16", TensorProto.BFLOAT16), ("half", TensorProto.FLOAT16))
            for name in ("cnn", "mlp")
        ],
    ]
