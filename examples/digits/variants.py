"""Make the folder variants again: one network, and what people make of it before they ship it.

Run `python examples/digits/variants.py` in an environment with the extra `examples`; with names
after it (`variants.py pruned fp16`) it makes only those, from the network that lies there. Nothing
is tampered with: every file is what the usual recipe gives. Everything is seeded; float arithmetic
differs in its last bits between machines and library versions, and new files then differ too.
"""

import logging
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from make import SEED, save_npz
from numpy.typing import NDArray
from onnxruntime import quantization
from onnxruntime.transformers.float16 import convert_float_to_float16
from onnxruntime.transformers.onnx_model import OnnxModel
from torch import nn
from torch.nn import functional
from torch.nn.utils.prune import L1Unstructured, global_unstructured, remove
from variants_network import Digits, export, folded, hard, network, scenes, split, train, write

Maker = Callable[[Digits], None]

FOLDER = Path(__file__).parent / "variants"
MADE = FOLDER / "made"  # what git does not keep
WIDTHS = (16, 16, 32, 32, 48, 48)
STUDENT_WIDTHS = (12, 12, 24, 24)
STUDENT_EPOCHS = 60
PRUNED = 0.8  # share of the weights
PRUNED_EPOCHS = 15
TEMPERATURE = 4.0  # of the distilled scores
CALIBRATION_BATCHES = 20


def main() -> None:
    """Make the variants that are named, or the network, the test data and all of them."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(mode=True)
    logging.getLogger().setLevel(logging.ERROR)  # the quantiser's hints on pre-processing
    names = sys.argv[1:] or ["test", "fp32", *VARIANTS]
    unknown = set(names) - {"test", "fp32", *VARIANTS}
    if unknown:
        sys.exit(f"no such variant: {', '.join(sorted(unknown))}; there are {', '.join(VARIANTS)}")
    MADE.mkdir(exist_ok=True)
    training, test = split()
    if "test" in names:
        pictures = scenes(test.pixels, torch.Generator().manual_seed(SEED + 1))
        save_npz(FOLDER / "test.npz", x=pictures.numpy(), y=test.labels.numpy())
    if "fp32" in names:
        export(train(network(WIDTHS), training, hard), FOLDER / "fp32.onnx")
    for name in [name for name in VARIANTS if name in names]:
        VARIANTS[name](training)
    rows = np.load(FOLDER / "test.npz")
    for path in [*FOLDER.glob("*.onnx"), *MADE.glob("*.onnx")]:
        right = scores(path, rows["x"]).argmax(axis=1) == rows["y"]
        print(
            f"{path.relative_to(FOLDER)}: {path.stat().st_size} bytes, accuracy {right.mean():.4f}"
        )


def parent() -> nn.Sequential:
    """Return the network of fp32.onnx, folded as it is there, for training."""
    model = folded(network(WIDTHS).eval())
    found = onnx.load(FOLDER / "fp32.onnx").graph.initializer
    weights = {item.name: torch.tensor(onnx.numpy_helper.to_array(item)) for item in found}
    model.load_state_dict({name: weights[name] for name in model.state_dict()})
    return model


def student(training: Digits) -> None:
    """Make student.onnx: a smaller network that learns the parent's scores (arXiv:1503.02531)."""
    teacher = parent()

    def soft(logits: torch.Tensor, seen: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            wanted = functional.softmax(teacher(seen) / TEMPERATURE, dim=1)
        given = functional.log_softmax(logits / TEMPERATURE, dim=1)
        apart = functional.kl_div(given, wanted, reduction="batchmean") * TEMPERATURE**2
        return 0.9 * apart + 0.1 * functional.cross_entropy(logits, labels)

    export(train(network(STUDENT_WIDTHS), training, soft, STUDENT_EPOCHS), FOLDER / "student.onnx")


def pruned(training: Digits) -> None:
    """Make pruned.onnx: the smallest weights of all are zero, the others trained on."""
    model = parent()
    layers = [layer for layer in model if isinstance(layer, nn.Conv2d)]
    global_unstructured([(layer, "weight") for layer in layers], L1Unstructured, amount=PRUNED)
    train(model, training, hard, PRUNED_EPOCHS, rate=1e-3)
    for layer in layers:
        remove(layer, "weight")
    export(model, MADE / "pruned.onnx")


def quantised(name: str, *, signed: bool, reduced: bool) -> Maker:
    """Return what makes one static INT8 variant, per channel, on scenes of the training rows."""

    def make(training: Digits) -> None:
        seen = scenes(training.pixels, torch.Generator().manual_seed(SEED + 2)).numpy()
        path = FOLDER / f"{name}.onnx"
        quantization.quantize_static(
            FOLDER / "fp32.onnx",
            path,
            Rows(np.array_split(seen, CALIBRATION_BATCHES)),
            quant_format=quantization.QuantFormat.QDQ,
            per_channel=True,
            reduce_range=reduced,
            activation_type=quantization.QuantType.QInt8
            if signed
            else quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            extra_options={"ActivationSymmetric": signed},
        )
        write(onnx.load(path), path)

    return make


class Rows(quantization.CalibrationDataReader):
    """Batches of rows, each given once, from which the quantiser takes its ranges."""

    def __init__(self, batches: list[NDArray[np.float32]]) -> None:
        self._batches = iter(batches)

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        """Return the next batch, or None after the last."""
        batch = next(self._batches, None)
        return None if batch is None else {"pixels": batch}


def fp16(_: Digits) -> None:
    """Make fp16.onnx: half precision inside, float32 at both ends."""
    proto = convert_float_to_float16(onnx.load(FOLDER / "fp32.onnx"), keep_io_types=True)
    OnnxModel(proto).topological_sort()  # the converter puts its first cast last
    write(proto, MADE / "fp16.onnx")


def optimised(_: Digits) -> None:
    """Make optimised.onnx: the graph as ONNX Runtime rewrote it for this machine's CPU."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(MADE / "optimised.onnx")
    options.log_severity_level = 3  # it warns that the file is for this CPU only, as it should be
    session(FOLDER / "fp32.onnx", options)


def session(path: Path, options: onnxruntime.SessionOptions) -> onnxruntime.InferenceSession:
    """Return a session on one thread of the CPU."""
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def scores(path: Path, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the logits [n, 10] that a variant gives."""
    (logits,) = session(path, onnxruntime.SessionOptions()).run(None, {"pixels": pixels})
    return np.asarray(logits)


VARIANTS: dict[str, Maker] = {
    "s8s8": quantised("s8s8", signed=True, reduced=False),
    "u8s8": quantised("u8s8", signed=False, reduced=False),
    "u8s8-reduced": quantised("u8s8-reduced", signed=False, reduced=True),
    "student": student,
    "pruned": pruned,
    "fp16": fp16,
    "optimised": optimised,
}


if __name__ == "__main__":
    main()
