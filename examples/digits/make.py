"""Make everything in this folder again: the data, the network, and its ONNX file.

Run `python examples/digits/make.py` in an environment with the extra `examples`. Everything is
seeded; the data come out bit for bit, the weights as far as torch's arithmetic agrees between
machines, so a new model.onnx needs a new signature.
"""

import io
import zipfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from recipe import train
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

HERE = Path(__file__).parent
SEED = 7
TEST_ROWS = 450
BRIGHTEST = 16  # the data set counts 0 to 16 ink pixels in each 4x4 block of the scan


def main() -> None:
    """Split, train, export, and say how good the exported model is."""
    digits = load_digits()
    pictures = (digits.images / BRIGHTEST).astype(np.float32)[:, np.newaxis]
    x_train, x_test, y_train, y_test = train_test_split(
        pictures,
        digits.target.astype(np.int64),
        test_size=TEST_ROWS,
        random_state=SEED,
        stratify=digits.target,
    )
    save_npz(HERE / "train.npz", x=x_train, y=y_train)
    save_npz(HERE / "test.npz", x=x_test, y=y_test)
    export(train(x_train, y_train, SEED), HERE / "model.onnx")
    session = onnxruntime.InferenceSession(HERE / "model.onnx", providers=["CPUExecutionProvider"])
    (logits,) = session.run(None, {"pixels": x_test})
    accuracy = float(np.mean(logits.argmax(axis=1) == y_test))
    print(f"{len(x_train)} training rows, {len(x_test)} test rows, test accuracy {accuracy:.4f}")
    print("Now sign it: auditor sign model.onnx --out model.sig")
    print("and put the public half of the key, which that names, in place of model.pub")


def export(model: nn.Module, path: Path) -> None:
    """Write the network as one ONNX file that takes any number of rows."""
    program = torch.onnx.export(
        model,
        (torch.zeros(2, 1, 8, 8),),
        input_names=["pixels"],
        output_names=["logits"],
        dynamic_shapes=({0: torch.export.Dim("rows")},),
        opset_version=18,
        dynamo=True,
        verbose=False,
    )
    if program is None:
        message = "the exporter returned no program"
        raise RuntimeError(message)
    proto = program.model_proto
    # The exporter notes where in which source file each node came from; the file says only what
    # the network is, so that it does not change when the script moves.
    for item in [*proto.graph.node, *proto.graph.input, *proto.graph.output, proto.graph]:
        item.ClearField("metadata_props")
        item.ClearField("doc_string")
    for item in [*proto.graph.value_info, *proto.graph.initializer]:
        item.ClearField("metadata_props")
    onnx.checker.check_model(proto, full_check=True)
    path.write_bytes(proto.SerializeToString(deterministic=True))


def save_npz(path: Path, **arrays: NDArray[np.generic]) -> None:
    """Write a compressed .npz whose bytes do not depend on the clock."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            buffer = io.BytesIO()
            np.save(buffer, array, allow_pickle=False)
            member = zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0))
            member.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(member, buffer.getvalue())


if __name__ == "__main__":
    main()
