"""Small networks of the layers that classifiers are made of, on pictures of 32 by 32."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

Maker = Callable[[], nn.Module]
WIDTH, HALF = 8, 16


def head(width: int, classes: int = 10) -> nn.Sequential:
    """Return global average pooling and a linear layer."""
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, classes))


def body(*between: nn.Module) -> nn.Sequential:
    """Return two convolutions with ``between`` after each."""
    return nn.Sequential(
        nn.Conv2d(3, WIDTH, 3, padding=1, stride=2),
        *between,
        nn.Conv2d(WIDTH, WIDTH, 3, padding=1),
        *between,
        head(WIDTH),
    )


def plain(activation: nn.Module | None = None) -> nn.Sequential:
    """Return convolutions, pooling and two linear layers."""
    act = activation or nn.ReLU()
    return nn.Sequential(
        nn.Conv2d(3, WIDTH, 3), act, nn.MaxPool2d(2), nn.Conv2d(WIDTH, WIDTH, 3), act,
        nn.MaxPool2d(2, ceil_mode=True), nn.Flatten(), nn.Linear(WIDTH * 49, 24), act,
        nn.Dropout(), nn.Linear(24, 10),
    )  # fmt: skip


def lenet() -> nn.Sequential:
    """Return LeNet-5 (LeCun 1998) on one channel."""
    return nn.Sequential(
        nn.Conv2d(1, 6, 5), nn.Tanh(), nn.AvgPool2d(2), nn.Conv2d(6, 16, 5), nn.Tanh(),
        nn.AvgPool2d(2), nn.Flatten(), nn.Linear(400, 120), nn.Tanh(), nn.Linear(120, 84),
        nn.Tanh(), nn.Linear(84, 10),
    )  # fmt: skip


class Residual(nn.Module):
    """Two convolutions beside the identity."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, WIDTH, 3, stride=2, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(WIDTH)
        self.one = nn.Conv2d(WIDTH, WIDTH, 3, padding=1, bias=False)
        self.inner = nn.BatchNorm2d(WIDTH)
        self.two = nn.Conv2d(WIDTH, WIDTH, 3, padding=1, groups=2)
        self.head = head(WIDTH)

    def forward(self, rows: Tensor) -> Tensor:
        """Return logits."""
        left = functional.relu(self.norm(self.stem(rows)))
        right = self.two(functional.relu(self.inner(self.one(left))))
        return self.head(functional.relu(left + right))


class Upsampling(nn.Module):
    """Smaller and larger again, as a decoder does it."""

    def __init__(self, mode: str) -> None:
        super().__init__()
        self.mode = mode
        self.down = nn.Conv2d(3, WIDTH, 3, stride=2, padding=1)
        self.after = nn.Conv2d(WIDTH, WIDTH, 3)
        self.head = head(WIDTH)

    def forward(self, rows: Tensor) -> Tensor:
        """Return logits."""
        small = functional.relu(self.down(rows))
        smooth = {} if self.mode == "nearest" else {"align_corners": self.mode == "bicubic"}
        large = functional.interpolate(small, scale_factor=2.0, mode=self.mode, **smooth)
        return self.head(functional.relu(self.after(large)))


class InFront(nn.Module):
    """A network behind fixed steps: a normalisation, or another order of axes."""

    def __init__(self, inner: nn.Module, step: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.inner, self.step = inner, step

    def forward(self, rows: Tensor) -> Tensor:
        """Return what the network gives."""
        return self.inner(self.step(rows))


def normalise(rows: Tensor) -> Tensor:
    """Return rows with the mean and spread of ImageNet taken out."""
    mean, spread = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    return (rows - mean[:, None, None]) / spread[:, None, None]


def channels_first(rows: Tensor) -> Tensor:
    """Return pictures with their channels in front."""
    return rows.permute(0, 3, 1, 2)


class Pieces(nn.Module):
    """Slices, joins, padding, shuffles and gates in one pass."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, HALF, 3, padding=1, padding_mode="reflect", dilation=1)
        self.second = nn.Conv2d(2, WIDTH, 3, dilation=2)
        self.head = nn.Linear(WIDTH, 10)

    def forward(self, rows: Tensor) -> Tensor:
        """Return logits."""
        gated = functional.glu(self.first(rows), dim=1)
        shuffled = functional.pixel_shuffle(gated, 2)
        joined = torch.cat([shuffled[:, :, ::2], shuffled[:, :, 1::2]], dim=1)
        padded = functional.pad(self.second(joined[:, :2]), (1, 1, 0, 2), value=0.1)
        left, right = padded.clamp(-3, 3).chunk(2, dim=1)
        stacked = torch.cat([torch.maximum(left, right), torch.minimum(left, right)], dim=1)
        return self.head(stacked.amax(dim=3).mean(dim=2) + stacked.std(dim=(2, 3)))


ACTIVATIONS: Mapping[str, Maker] = {
    "prelu": lambda: nn.PReLU(WIDTH),
    "silu": nn.SiLU,
    "gelu": nn.GELU,
    "gelu_tanh": lambda: nn.GELU(approximate="tanh"),
    "hardswish": nn.Hardswish,
    "elu": nn.ELU,
    "softplus": nn.Softplus,
    "leaky": lambda: nn.LeakyReLU(0.1),
    "mish": nn.Mish,
    "selu": nn.SELU,
    "celu": lambda: nn.CELU(0.7),
    "relu6": nn.ReLU6,
    "hardsigmoid": nn.Hardsigmoid,
    "hardtanh": nn.Hardtanh,
    "softsign": nn.Softsign,
    "logsigmoid": nn.LogSigmoid,
}
NORMS: Mapping[str, Maker] = {
    "groupnorm": lambda: nn.GroupNorm(2, WIDTH),
    "instancenorm": lambda: nn.InstanceNorm2d(WIDTH, affine=True),
    "layernorm": lambda: nn.LayerNorm([WIDTH, 16, 16]),
    "rmsnorm": lambda: nn.RMSNorm([WIDTH, 16, 16]),
    "localresponse": lambda: nn.LocalResponseNorm(3),
}
NETS: Mapping[str, tuple[Maker, str]] = {
    "cnn": (plain, "pictures32"),
    "cnn_bn": (lambda: body(nn.BatchNorm2d(WIDTH), nn.ReLU()), "pictures32"),
    "lenet": (lenet, "grey32"),
    "residual": (Residual, "pictures32"),
    "nearest": (lambda: Upsampling("nearest"), "pictures32"),
    "bilinear": (lambda: Upsampling("bilinear"), "pictures32"),
    "bicubic": (lambda: Upsampling("bicubic"), "pictures32"),
    "transposed": (
        lambda: body(nn.ConvTranspose2d(WIDTH, WIDTH, 3, stride=2, output_padding=1), nn.ReLU()),
        "pictures32",
    ),
    "normalised": (lambda: InFront(plain(), normalise), "pictures32"),
    "channels_last": (lambda: InFront(plain(), channels_first), "pictures_last"),
    "pieces": (Pieces, "pictures32"),
    "probabilities": (lambda: nn.Sequential(plain(), nn.Softmax(1)), "pictures32"),
    "log_probabilities": (lambda: nn.Sequential(plain(), nn.LogSoftmax(1)), "pictures32"),
    **{name: (lambda make=make: body(make()), "pictures32") for name, make in ACTIVATIONS.items()},
    **{
        name: (lambda make=make: body(make(), nn.ReLU()), "pictures32")
        for name, make in NORMS.items()
    },
}
