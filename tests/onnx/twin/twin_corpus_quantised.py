"""What ONNX Runtime's quantisers make of the networks, calibrated on their rows."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
from onnxruntime import quantization
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType
from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer
from onnxruntime.quantization.shape_inference import quant_pre_process
from twin_corpus import Entry
from twin_corpus_exports import EVERYTHING, by_torchscript, quiet
from twin_corpus_rows import Rows, rows_of

COARSE = 0.05
COMPARED, ONE_REQUEST = 256, 64
QDQ, OPERATORS = QuantFormat.QDQ, QuantFormat.QOperator
U8, S8, U16, S16 = QuantType.QUInt8, QuantType.QInt8, QuantType.QUInt16, QuantType.QInt16
STATIC: Mapping[str, Mapping[str, Any]] = {
    "qdq": {"quant_format": QDQ, "activation_type": U8, "weight_type": S8},
    "qdq-signed": {"quant_format": QDQ, "activation_type": S8, "weight_type": S8},
    "qdq-per-channel": {
        "quant_format": QDQ, "activation_type": U8, "weight_type": S8, "per_channel": True,
    },
    "qdq-signed-per-channel": {
        "quant_format": QDQ, "activation_type": S8, "weight_type": S8, "per_channel": True,
        "extra_options": {"ActivationSymmetric": True},
    },
    "qdq-16-bit": {
        "quant_format": QDQ, "activation_type": U16, "weight_type": S8,
        "extra_options": {"UseQDQContribOps": True},
    },
    "operators": {"quant_format": OPERATORS, "activation_type": U8, "weight_type": U8},
    "operators-signed": {"quant_format": OPERATORS, "activation_type": S8, "weight_type": S8},
    "operators-per-channel": {
        "quant_format": OPERATORS, "activation_type": U8, "weight_type": S8, "per_channel": True,
        "reduce_range": True,
    },
}  # fmt: skip
DYNAMIC: Mapping[str, Mapping[str, Any]] = {
    "dynamic": {"weight_type": S8},
    "dynamic-unsigned-per-channel": {"weight_type": U8, "per_channel": True},
}
STATIC_NETS = ("cnn", "cnn_bn", "residual", "mlp", "mobilenet_v2", "lenet", "densenet")
DYNAMIC_NETS = ("mlp", "encoder", "lstm", "cnn")
FIRST_ONLY = ("conv1d", "shufflenet", "encoder", "leaky", "nearest", "mixer", "hardswish")
"""Networks that show further operators, quantised in one way of each format."""


class Calibration(CalibrationDataReader):
    """Hands the quantiser a few batches of rows."""

    def __init__(self, rows: Rows) -> None:
        self._batches = iter(np.split(rows, 4))

    def get_next(self) -> dict[str, Rows] | None:
        """Return the next batch."""
        batch = next(self._batches, None)
        return None if batch is None else {"x": batch}


@contextmanager
def unlogged() -> Iterator[None]:
    """Keep the quantisers' advice out of the tests' output."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with quiet():
            yield
    finally:
        logging.disable(before)


@cache
def fused(name: str) -> bytes:
    """Return a float file with its normalisations folded, as the quantisers want it."""
    with TemporaryDirectory() as folder, unlogged():
        plain, ready = Path(folder) / "plain.onnx", Path(folder) / "ready.onnx"
        by_torchscript(plain, name=name, opset=17, learned=True)
        quant_pre_process(str(plain), str(ready), skip_symbolic_shape=True)
        return ready.read_bytes()


def static(path: Path, *, name: str, way: str) -> None:
    """Quantise weights and activations by ``STATIC[way]``."""
    source = path.with_name("float.onnx")
    source.write_bytes(fused(name))
    reader = Calibration(rows_of(EVERYTHING[name][1], 32))
    with unlogged():
        quantization.quantize_static(str(source), str(path), reader, **STATIC[way])


def dynamic(path: Path, *, name: str, way: str) -> None:
    """Quantise weights, and activations when they come, by ``DYNAMIC[way]``."""
    source = path.with_name("float.onnx")
    source.write_bytes(fused(name))
    with unlogged():
        quantization.quantize_dynamic(str(source), str(path), **DYNAMIC[way])


def few_bits(path: Path, *, name: str, bits: int, symmetric: bool) -> None:
    """Quantise the weights of matrix products in blocks, to ``bits`` each."""
    by_torchscript(path, name=name, opset=17)
    with unlogged():
        quantiser = MatMulNBitsQuantizer(
            onnx.load(str(path)), bits=bits, block_size=16, is_symmetric=symmetric
        )
        quantiser.process()
    quantiser.model.save_model_to_file(str(path))


def _entry(name: str, way: str, **more: Any) -> Entry:  # noqa: ANN401 -- the entry's other fields
    make = {**dict.fromkeys(STATIC, static), **dict.fromkeys(DYNAMIC, dynamic)}[way]
    return Entry(
        f"{name}/{way}", more.pop("family"), partial(make, name=name, way=way),
        EVERYTHING[name][1], step=COARSE, logits=True, **{"rows": COMPARED, **more},
    )  # fmt: skip


def quantised() -> list[Entry]:
    """Return the files with integers inside."""
    wide = [way for way in STATIC if "16-bit" in way]
    qdq = [way for way in STATIC if way.startswith("qdq") and way not in wide]
    operators = [way for way in STATIC if way not in {*qdq, *wide}]
    exact = {"quantised": True}
    return [
        *[_entry(n, way, family="int8 qdq", **exact) for way in qdq for n in STATIC_NETS[:5]],
        # The runtime computes 16-bit groups in single precision: a step more or less comes out.
        *[_entry(n, way, family="int16 qdq") for way in wide for n in STATIC_NETS[:5]],
        *[_entry(n, "qdq", family="int8 qdq", **exact) for n in (*STATIC_NETS[5:], *FIRST_ONLY)],
        *[
            _entry(name, way, family="int8 operators", **exact)
            for way in operators for name in STATIC_NETS[:5]
        ],
        *[
            _entry(name, "operators", family="int8 operators", **exact)
            for name in (*STATIC_NETS[5:], *FIRST_ONLY)
        ],
        *[
            # The scales are those of a request, so that all rows must fit into one.
            _entry(name, way, family="dynamic and few bits", rows=ONE_REQUEST)
            for way in DYNAMIC for name in DYNAMIC_NETS
        ],
        *[
            Entry(
                f"{name}/{bits}-bit{'-symmetric' * even}", "dynamic and few bits",
                partial(few_bits, name=name, bits=bits, symmetric=even), EVERYTHING[name][1],
                rows=COMPARED, logits=True,
            )
            for name, bits, even in (
                ("encoder", 4, False), ("encoder", 8, True), ("mixer", 4, True),
            )
        ],
    ]  # fmt: skip
