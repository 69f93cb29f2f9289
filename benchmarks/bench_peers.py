"""AutoAttack as it was published, put together from library parts, and its parts alone.

Croce & Hein 2020: APGD-CE (100 steps), targeted APGD-DLR (100 steps, 9 classes), targeted FAB
(100 steps, 9 classes) and Square (5,000 queries), one restart each, every attack only on rows that
those before it left standing. torchattacks' own ``AutoAttack`` runs its parts with 10 steps.
"""

from collections.abc import Callable

import numpy as np
import torch
import torchattacks
from bench_arenas import twin_of
from bench_models import BenchModel
from torch import Tensor, nn

from auditor.domain.tasks import Array
from auditor.onnx.twin.torch_twin import TorchTwin

BATCH = 250
PICTURES = 4
Crafting = Callable[[Tensor, Tensor], Tensor]


class Module(nn.Module):
    """A twin as the module that libraries want: for a model that torch does not hold."""

    def __init__(self, twin: TorchTwin) -> None:
        super().__init__()
        self.twin = twin
        self.register_parameter("device", nn.Parameter(torch.zeros(())))  # libraries look

    def forward(self, rows: Tensor) -> Tensor:
        """Return logits."""
        return self.twin.logits(rows)


class AsPicture(nn.Module):
    """A net of tables that takes their rows as pictures one pixel high, as libraries expect."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, rows: Tensor) -> Tensor:
        """Return logits."""
        return self.net(rows.flatten(1))


def net_of(model: BenchModel) -> nn.Module:
    """Return the torch net of a model, or its twin where there is none."""
    net = model.net if model.net is not None else Module(twin_of(model))
    return (net if model.rows.ndim == PICTURES else AsPicture(net)).eval()


def stages(net: nn.Module, eps: float, classes: int, names: tuple[str, ...]) -> list[Crafting]:
    """Return published attacks by name: apgd-ce, apgd-t, fab-t, square."""
    targets = min(classes, 10)
    loss = "dlr" if classes > 3 else "ce"
    made = {
        "apgd-ce": lambda: torchattacks.APGD(net, eps=eps, steps=100, n_restarts=1, loss="ce"),
        "apgd-t": lambda: (
            torchattacks.APGDT(net, eps=eps, steps=100, n_restarts=1, n_classes=targets)
            if classes > 3
            else torchattacks.APGD(net, eps=eps, steps=100, n_restarts=1, loss=loss)
        ),
        "fab-t": lambda: torchattacks.FAB(
            net, eps=eps, steps=100, n_restarts=1, multi_targeted=True, n_classes=targets
        ),
        "square": lambda: torchattacks.Square(net, eps=eps, n_queries=5000, n_restarts=1),
    }
    return [made[name]() for name in names]


def auto_attack(model: BenchModel, rows: int, names: tuple[str, ...], seed: int = 0) -> Array:
    """Return each row's crafted input after the attacks, each on what still stands."""
    torch.manual_seed(seed)
    np.random.seed(seed)  # noqa: NPY002 -- the libraries' own generator
    net = net_of(model)
    x, y = torch.from_numpy(model.rows[:rows]), torch.from_numpy(model.labels[:rows])
    x = x if x.dim() == PICTURES else x[:, None, None, :]
    crafted = x.clone()
    with torch.no_grad():
        standing = net(x).argmax(1) == y
    for attack in stages(net, model.eps, int(model.labels.max()) + 1, names):
        for batch in torch.nonzero(standing)[:, 0].split(BATCH):
            found = attack(x[batch], y[batch]).detach()
            with torch.no_grad():
                broken = net(found).argmax(1) != y[batch]
            crafted[batch[broken]] = found[broken]
            standing[batch[broken]] = False
    return crafted.numpy().reshape(model.rows[:rows].shape)
