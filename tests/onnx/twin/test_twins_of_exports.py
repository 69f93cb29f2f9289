import warnings
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from fetching import from_wheel
from onnx import numpy_helper
from small_models import interface, run

from auditor.onnx.twin.build import build_twin

MODEL, GIVEN, PUBLISHED = (
    f"qonnx/data/onnx/mnist-conv/{name}"
    for name in ("model.onnx", "test_data_set_0/input_0.pb", "test_data_set_0/output_0.pb")
)
ZOO = {
    MODEL: "2f06e72de813a8635c9bc0397ac447a601bdbfa7df4bebc278723b958831c9bf",
    GIVEN: "e934e1029a1d31f3471236dd366bd7a7e55c76e6b245a221d55ed9eec600b89e",
    PUBLISHED: "cb94055e8e7938cc2bbc245ba43b7529384cd45cb6846d0fe51f557e18372aac",
}


class Convolutional(torch.nn.Module):
    """The layers that small picture classifiers are made of."""

    def __init__(self) -> None:
        super().__init__()
        self.body = torch.nn.Sequential(
            torch.nn.Conv2d(3, 8, 3, padding=1),
            torch.nn.BatchNorm2d(8),
            torch.nn.ReLU(),
            torch.nn.MaxPool2d(2),
            torch.nn.Conv2d(8, 8, 3, padding=1, groups=2),
            torch.nn.GELU(),
            torch.nn.AdaptiveAvgPool2d(2),
            torch.nn.Flatten(),
            torch.nn.Dropout(),
            torch.nn.LayerNorm(32),
            torch.nn.Linear(32, 4),
        )

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Return logits."""
        return self.body(rows)


class Perceptron(torch.nn.Module):
    """A small network for columns, with the shapes taken from the input."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = torch.nn.Linear(6, 8), torch.nn.Linear(8, 3)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Return logits."""
        hidden = torch.nn.functional.hardswish(self.first(rows.view(rows.shape[0], -1)))
        return torch.log_softmax(self.second(hidden), dim=1)


class Recurrent(torch.nn.Module):
    """A network for sequences: both directions of one layer, then another kind of cell."""

    def __init__(self) -> None:
        super().__init__()
        self.first = torch.nn.LSTM(3, 4, batch_first=True, bidirectional=True)
        self.second = torch.nn.GRU(8, 5, batch_first=True)
        self.last = torch.nn.Linear(5, 3)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Return logits."""
        hidden, _ = self.first(rows)
        return self.last(self.second(hidden)[0][:, -1])


class Attentive(torch.nn.Module):
    """A transformer's layer over the columns of a picture that was made larger."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, norm_first=True)
        self.last = torch.nn.Linear(8, 3)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Return logits."""
        larger = torch.nn.functional.interpolate(rows, scale_factor=2, mode="bilinear")
        return self.last(self.layer(larger.mean(1)).mean(1))


NETWORKS = {
    "convolutional": (Convolutional, (3, 8, 8)),
    "perceptron": (Perceptron, (6,)),
    "recurrent": (Recurrent, (5, 3)),
    "attentive": (Attentive, (2, 4, 4)),
}


def export(module: torch.nn.Module, example: torch.Tensor, path: Path, opset: int) -> None:
    names = {"input_names": ["x"], "output_names": ["scores"], "opset_version": opset}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporters deprecate each other
        if opset < 18:
            torch.onnx.export(
                module, (example,), str(path), dynamo=False, dynamic_axes={"x": {0: "n"}}, **names
            )
            return
        rows = torch.export.Dim("n", min=1, max=1024)
        torch.onnx.export(
            module, (example,), str(path), dynamo=True, dynamic_shapes=({0: rows},), **names
        )


@pytest.mark.slow
@pytest.mark.parametrize("opset", [13, 14, 18, 20, 23])
@pytest.mark.parametrize("name", list(NETWORKS))
def test_what_torch_exports_has_a_twin(tmp_path: Path, name: str, opset: int) -> None:
    if name == "attentive" and opset < 14:
        return  # torch exports no attention to such an opset
    torch.manual_seed(1)
    make, shape = NETWORKS[name]
    module = make().eval()
    rows = torch.rand(5, *shape)
    path = tmp_path / "model.onnx"
    export(module, rows[:2], path, opset)
    twin = build_twin(path, interface(shape))
    logits = twin.forward(rows.numpy())
    np.testing.assert_allclose(logits, run(path, rows.numpy(), "scores"), rtol=1e-4, atol=1e-5)

    cotangent = torch.rand(5, logits.shape[1])
    leaf = rows.clone().requires_grad_()
    wanted = torch.autograd.grad((module(leaf) * cotangent).sum(), leaf)[0]
    np.testing.assert_allclose(
        twin.backward(cotangent.numpy().astype(np.float64)), wanted.numpy(), rtol=1e-3, atol=1e-6
    )


@pytest.mark.slow
@pytest.mark.fetches
def test_the_zoos_mnist_network_gives_its_own_published_output(tmp_path: Path) -> None:
    files = from_wheel("qonnx==1.0.0", ZOO, tmp_path)
    path = tmp_path / "model.onnx"
    path.write_bytes(files[MODEL])

    found = interface((1, 28, 28), name="Input3", output="Plus214_Output_0", fixed_batch=1)
    twin = build_twin(path, found)
    given, published = (
        numpy_helper.to_array(onnx.load_tensor_from_string(files[name]))
        for name in (GIVEN, PUBLISHED)
    )
    several = np.concatenate([given, np.zeros_like(given), given])
    logits = twin.forward(several)
    np.testing.assert_allclose(logits[0], published[0], rtol=1e-4, atol=2e-3)
    np.testing.assert_array_equal(logits[0], logits[2])
