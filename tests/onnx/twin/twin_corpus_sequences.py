"""Networks for columns and sequences: perceptrons, recurrent ones, transformers."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional
from twin_corpus_nets import Maker

WIDTH = 16


class Recurrent(nn.Module):
    """The last hidden state of a recurrent layer, and a linear one."""

    def __init__(self, kind: type[nn.RNNBase], *, both: bool = False) -> None:
        super().__init__()
        self.layer = kind(8, WIDTH, num_layers=2, batch_first=True, bidirectional=both)
        self.head = nn.Linear(WIDTH * (2 if both else 1), 10)

    def forward(self, rows: Tensor) -> Tensor:
        """Return logits."""
        states, _ = self.layer(rows)
        return self.head(states[:, -1])


class Mixer(nn.Module):
    """MLP-Mixer (Tolstikhin 2021): across the tokens, then across the channels."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Conv2d(3, WIDTH, 8, stride=8)
        self.before, self.between = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.tokens = nn.Sequential(nn.Linear(16, 24), nn.GELU(), nn.Linear(24, 16))
        self.channels = nn.Sequential(nn.Linear(WIDTH, 24), nn.GELU(), nn.Linear(24, WIDTH))
        self.head = nn.Linear(WIDTH, 10)

    def forward(self, rows: Tensor) -> Tensor:
        """Return logits."""
        seen = self.embed(rows).flatten(2).transpose(1, 2)
        seen = seen + self.tokens(self.before(seen).transpose(1, 2)).transpose(1, 2)
        seen = seen + self.channels(self.between(seen))
        return self.head(seen.mean(dim=1))


class Encoder(nn.Module):
    """A transformer encoder over the rows of a digit."""

    def __init__(self, *, first: bool) -> None:
        super().__init__()
        self.embed = nn.Linear(8, WIDTH)
        self.place = nn.Parameter(torch.randn(8, WIDTH))
        layer = nn.TransformerEncoderLayer(WIDTH, 2, 32, batch_first=True, norm_first=first)
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(WIDTH, 10)

    def forward(self, rows: Tensor) -> Tensor:
        """Return logits."""
        return self.head(self.layers(self.embed(rows) + self.place).mean(dim=1))


class Attention(nn.Module):
    """Causal scaled dot-product attention written out, with rotary positions and RMSNorm."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.RMSNorm(8)
        self.ask, self.key, self.value = nn.Linear(8, WIDTH), nn.Linear(8, WIDTH), nn.Linear(8, 16)
        self.head = nn.Linear(WIDTH, 10)

    def forward(self, rows: Tensor) -> Tensor:
        """Return logits."""
        seen = self.norm(rows)
        parts = [turn(layer(seen)) for layer in (self.ask, self.key)]
        value = self.value(seen)[:, None]
        mixed = functional.scaled_dot_product_attention(
            parts[0][:, None], parts[1][:, None], value, is_causal=True
        )
        return self.head(mixed[:, 0, -1])


def turn(states: Tensor) -> Tensor:
    """Rotate halves of the channels by their place in the sequence."""
    places = torch.arange(states.shape[1], dtype=states.dtype)[:, None]
    rates = torch.exp(-torch.arange(WIDTH // 2, dtype=states.dtype) / 2)
    angle = places * rates
    left, right = states.chunk(2, dim=-1)
    turned = (left * angle.cos() - right * angle.sin(), left * angle.sin() + right * angle.cos())
    return torch.cat(turned, dim=-1)


class Bilinear(nn.Module):
    """Products of features by einsum and bmm, norms and gathers of columns."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(10, 8, 8) / 4)
        self.register_buffer("columns", torch.tensor([3, 1, 4, 1, 5, 2, 6, 0]))

    def forward(self, rows: Tensor) -> Tensor:
        """Return logits."""
        picked = functional.normalize(rows[:, :, self.columns], dim=2)
        pair = torch.bmm(picked, rows.transpose(1, 2))
        scores = torch.einsum("nij,cij->nc", pair, self.weight)
        return (
            scores
            - torch.logsumexp(rows, dim=(1, 2))[:, None]
            + rows.cumsum(1).amax((1, 2))[:, None]
        )


def conv1d() -> nn.Sequential:
    """Return convolutions along a sequence."""
    return nn.Sequential(
        nn.Conv1d(8, WIDTH, 3, padding=1), nn.BatchNorm1d(WIDTH), nn.ReLU(), nn.MaxPool1d(2),
        nn.Conv1d(WIDTH, WIDTH, 3, dilation=1, groups=4), nn.SiLU(), nn.AdaptiveAvgPool1d(1),
        nn.Flatten(), nn.Linear(WIDTH, 10),
    )  # fmt: skip


def mlp(features: int, classes: int, *after: nn.Module) -> nn.Sequential:
    """Return two linear layers with batch normalisation between."""
    return nn.Sequential(
        nn.Linear(features, WIDTH), nn.BatchNorm1d(WIDTH), nn.ReLU(), nn.Linear(WIDTH, classes),
        *after,
    )  # fmt: skip


SEQUENCES: Mapping[str, tuple[Maker, str]] = {
    "mlp": (lambda: mlp(64, 10), "flat"),
    "binary_sigmoid": (lambda: mlp(30, 1, nn.Sigmoid()), "breast_cancer"),
    "binary_logit": (lambda: mlp(30, 1), "breast_cancer"),
    "mixer": (Mixer, "pictures32"),
    "lstm": (lambda: Recurrent(nn.LSTM), "sequence"),
    "lstm_both_ways": (lambda: Recurrent(nn.LSTM, both=True), "sequence"),
    "gru": (lambda: Recurrent(nn.GRU), "sequence"),
    "rnn": (lambda: Recurrent(nn.RNN), "sequence"),
    "conv1d": (conv1d, "sequence"),
    "encoder": (lambda: Encoder(first=False), "sequence"),
    "encoder_norm_first": (lambda: Encoder(first=True), "sequence"),
    "attention": (Attention, "sequence"),
    "bilinear_forms": (Bilinear, "sequence"),
}
