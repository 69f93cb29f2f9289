"""The network of the folder variants: its pictures, its training, its ONNX file."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
import torch
from make import BRIGHTEST, SEED, TEST_ROWS
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

HERE = Path(__file__).parent
SIDE = 16  # pixels; the example's pictures have 8
EPOCHS = 40
BATCH_ROWS = 64
NOISE = 0.3  # standard deviation, in units of the brightest pixel

# From the logits, the pixels that gave them, and the labels.
Loss = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


class Digits(NamedTuple):
    """Pictures as the data set has them, [n, 1, 8, 8] pixels in 0..1, and what they show."""

    pixels: torch.Tensor
    labels: torch.Tensor


def split() -> tuple[Digits, Digits]:
    """Return the example's training and test rows."""
    digits = load_digits()
    pixels = (digits.images / BRIGHTEST).astype(np.float32)[:, np.newaxis]
    labels = digits.target.astype(np.int64)
    x_train, x_test, y_train, y_test = train_test_split(
        pixels, labels, test_size=TEST_ROWS, random_state=SEED, stratify=labels
    )
    if not np.array_equal(x_test, np.load(HERE / "test.npz")["x"]):
        sys.exit("the test rows are not those of test.npz: scikit-learn splits otherwise now")
    return (
        Digits(torch.from_numpy(x_train), torch.from_numpy(y_train)),
        Digits(torch.from_numpy(x_test), torch.from_numpy(y_test)),
    )


def scenes(pixels: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Return each picture as a poor camera sees it: [n, 1, 16, 16] pixels, multiples of 1/16.

    It is turned by up to 20 degrees, scaled by 0.8 to 1.2, moved by up to a tenth of its width,
    enlarged, and given Gaussian noise.
    """
    rows = len(pixels)
    turned = (torch.rand(rows, generator=generator) * 2 - 1) * torch.pi / 9
    scaled = 0.8 + 0.4 * torch.rand(rows, generator=generator)
    moved = 0.2 * (torch.rand(rows, 2, generator=generator) * 2 - 1)
    turns = torch.stack([turned.cos(), -turned.sin(), turned.sin(), turned.cos()], dim=1)
    places = torch.cat([(turns * scaled[:, None]).view(rows, 2, 2), moved[:, :, None]], dim=2)
    grid = functional.affine_grid(places, [rows, 1, SIDE, SIDE], align_corners=False)
    seen = functional.grid_sample(pixels, grid, align_corners=False)
    seen = seen + NOISE * torch.randn(seen.shape, generator=generator)
    return torch.round(seen.clamp(0, 1) * BRIGHTEST) / BRIGHTEST


def network(widths: tuple[int, ...]) -> nn.Sequential:
    """Return an untrained network: 3x3 convolutions, pooled after the second and the fourth."""
    torch.manual_seed(SEED)
    layers: list[nn.Module] = []
    for index, (inner, outer) in enumerate(zip((1, *widths), widths, strict=False)):
        layers += [nn.Conv2d(inner, outer, 3, padding=1, bias=False), nn.BatchNorm2d(outer)]
        layers.append(nn.ReLU())
        if index in {1, 3}:
            layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(widths[-1], 10))


def hard(logits: torch.Tensor, _: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return the cross-entropy with the labels."""
    return functional.cross_entropy(logits, labels)


def train(
    model: nn.Sequential,
    digits: Digits,
    loss: Loss,
    epochs: int = EPOCHS,
    rate: float = 4e-3,
) -> nn.Sequential:
    """Return the trained network; every epoch sees every picture in a scene of its own."""
    generator = torch.Generator().manual_seed(SEED)
    steps = epochs * -(-len(digits.pixels) // BATCH_ROWS)
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps)
    model.train()
    for _ in range(epochs):
        for rows in torch.randperm(len(digits.pixels), generator=generator).split(BATCH_ROWS):
            seen = scenes(digits.pixels[rows], generator)
            optimizer.zero_grad()
            loss(model(seen), seen, digits.labels[rows]).backward()
            optimizer.step()
            schedule.step()
    return model.eval()


def folded(model: nn.Sequential) -> nn.Sequential:
    """Return the trained function, each batch normalisation folded into its convolution."""
    layers: list[nn.Module] = []
    for layer in model:
        if isinstance(layer, nn.BatchNorm2d):
            layers[-1] = fuse_conv_bn_eval(layers[-1], layer)
        else:
            layers.append(layer)
    return nn.Sequential(*layers).eval()


def export(model: nn.Sequential, path: Path) -> None:
    """Write the network, folded, as one ONNX file that takes any number of rows."""
    program = torch.onnx.export(
        folded(model),
        (torch.zeros(2, 1, SIDE, SIDE),),
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
    # As in make.py: the file does not say which source line a node came from.
    for item in [*proto.graph.node, *proto.graph.input, *proto.graph.output, proto.graph]:
        item.ClearField("metadata_props")
        item.ClearField("doc_string")
    for item in [*proto.graph.value_info, *proto.graph.initializer]:
        item.ClearField("metadata_props")
    write(proto, path)


def write(proto: onnx.ModelProto, path: Path) -> None:
    """Write a model that the checker accepts; the same model gives the same bytes."""
    onnx.checker.check_model(proto, full_check=True)
    path.write_bytes(proto.SerializeToString(deterministic=True))
