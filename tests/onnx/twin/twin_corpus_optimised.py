"""Files that ONNX Runtime optimised and wrote out again, with the operators that it fuses."""

from functools import partial
from pathlib import Path
from typing import Any

import onnxruntime
from onnxruntime.transformers.optimizer import optimize_model
from twin_corpus import Entry
from twin_corpus_exports import EVERYTHING, by_dynamo, by_torchscript
from twin_corpus_quantised import COARSE, COMPARED, STATIC, static, unlogged

SILENT = 4
LEVELS: Any = onnxruntime.GraphOptimizationLevel
EXTENDED = ("cnn", "cnn_bn", "residual", "mlp", "gelu", "silu", "mixer", "encoder", "vit", "leaky",
            "mobilenet_v2", "convnext", "attention", "hardsigmoid", "gelu_tanh")  # fmt: skip
FOR_THIS_CHIP = ("cnn",)


def written_out(path: Path, *, name: str, level: str, way: str = "") -> None:
    """Write what a session makes of a float file, or of one quantised by ``STATIC[way]``."""
    source = path.with_name("source.onnx")
    if way in STATIC:
        static(source, name=name, way=way)
    elif way == "dynamo" or name == "attention":
        by_dynamo(source, name=name, opset=20)
    else:
        by_torchscript(source, name=name, opset=17)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = getattr(LEVELS, f"ORT_ENABLE_{level}")
    options.optimized_model_filepath = str(path)
    options.log_severity_level = SILENT
    options.intra_op_num_threads = 1
    onnxruntime.InferenceSession(str(source), options, providers=["CPUExecutionProvider"])


def for_transformers(path: Path, *, name: str) -> None:
    """Write what the optimiser for transformers makes of a float file."""
    source = path.with_name("source.onnx")
    by_torchscript(source, name=name, opset=17)
    with unlogged():
        made = optimize_model(str(source), "bert", num_heads=2, hidden_size=16, opt_level=1)
        made.save_model_to_file(str(path))


def optimised() -> list[Entry]:
    """Return the files with fused operators."""
    family = "optimised by the runtime"
    return [
        *[
            Entry(
                f"{name}/{level.lower()}", family,
                partial(written_out, name=name, level=level), EVERYTHING[name][1],
                step=0.01, logits=True,
            )
            for level, names in (("EXTENDED", EXTENDED), ("ALL", FOR_THIS_CHIP)) for name in names
        ],
        *[
            Entry(
                f"{name}/{way}-extended", family,
                partial(written_out, name=name, level="EXTENDED", way=way),
                EVERYTHING[name][1], step=COARSE, rows=COMPARED, quantised=True, logits=True,
            )
            for way in ("qdq", "qdq-per-channel") for name in ("cnn", "residual", "mlp")
        ],
        *[
            Entry(
                f"{name}/transformers", family, partial(for_transformers, name=name),
                EVERYTHING[name][1], logits=True,
            )
            for name in ("encoder", "encoder_norm_first")
        ],
    ]  # fmt: skip
