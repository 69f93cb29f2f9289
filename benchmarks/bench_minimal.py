"""Libraries' minimum-norm attacks with their own settings, and how near they are judged to come.

A library's row counts at the size of its change where the ONNX target gets it wrong. A row that
stopped a rounding error short of the decision line is stretched by up to 1 % before it is given up.
"""

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import foolbox
import numpy as np
import torch
import torchattacks
from art.attacks.evasion import CarliniL2Method, DeepFool, ElasticNet
from art.estimators.classification import PyTorchClassifier
from bench_arenas import Target
from bench_models import BenchModel
from bench_peers import net_of
from torch import Tensor, nn

from auditor.attacks.evasion.norms import Norm, row_norms
from auditor.domain.tasks import Array, Floats

STRETCHES = (0.0, 1e-5, 1e-4, 1e-3, 1e-2)
CLASSES = 10
Craft = Callable[["Tally", Tensor, Tensor, tuple[float, ...]], list[Tensor]]
"""From a counting net, rows, labels and three budgets to one or more crafted batches."""


class Tally(nn.Module):
    """A net that counts rows forward and rows backward."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net
        self.forwards = 0
        self.passes = 0

    def forward(self, rows: Tensor) -> Tensor:
        """Return logits."""
        self.forwards += len(rows)
        logits: Tensor = self.net(rows)
        if logits.requires_grad:
            logits.register_hook(self._count)
        return logits

    def _count(self, cotangent: Tensor) -> None:
        self.passes += len(cotangent)


@dataclass(frozen=True, slots=True)
class Peer:
    """A library's attack in one norm, on the first ``rows`` rows."""

    name: str
    norm: Norm
    craft: Craft
    rows: int = 200


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """How far each row's nearest success is (infinite: none), and what it cost a row.

    ``forwards`` counts rows scored by the twin or the library's net, ``queries`` by the target.
    """

    tool: str
    distance: Floats
    seconds: float
    passes: float
    forwards: float
    queries: float = 0.0
    floor: float = 0.0


def run(peer: Peer, model: BenchModel, rows: int, budgets: tuple[float, ...]) -> Found:
    """Return what a peer finds on the first rows of a model, judged on its ONNX file."""
    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002 -- the libraries' own generator
    rows = min(rows, peer.rows)
    net = Tally(net_of(model)).eval()
    x, y = torch.from_numpy(model.rows[:rows]), torch.from_numpy(model.labels[:rows])
    start = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        crafted = peer.craft(net, x, y, budgets)
    seconds = time.process_time() - start
    found = [distance(model, peer.norm, item.detach().numpy()) for item in crafted]
    return Found(
        peer.name,
        np.min(found, axis=0),
        seconds / rows,
        net.passes / rows,
        net.forwards / rows,
    )


def distance(model: BenchModel, norm: Norm, crafted: Array) -> Floats:
    """Return the size of the change of each row that the target gets wrong, else infinity.

    A row that is wrong as it is has the distance 0.
    """
    rows = len(crafted)
    clean, labels = model.rows[:rows].astype(np.float64), model.labels[:rows]
    target = Target(model)
    nearest = np.where(target.predict(model.rows[:rows]).argmax(axis=1) == labels, np.inf, 0.0)
    change = np.nan_to_num(crafted.astype(np.float64) - clean)
    for stretch in STRETCHES:
        tried = np.clip(clean + (1 + stretch) * change, 0.0, 1.0).astype(np.float32)
        wrong = target.predict(tried).argmax(axis=1) != labels
        length = row_norms(tried.astype(np.float64) - clean, norm, 0)
        nearest = np.where(wrong, np.minimum(nearest, length), nearest)
    return nearest


def _foolbox(make: Callable[[], foolbox.Attack]) -> Craft:
    def craft(net: Tally, x: Tensor, y: Tensor, _: tuple[float, ...]) -> list[Tensor]:
        wrapped = foolbox.PyTorchModel(net, bounds=(0, 1), device="cpu")
        raw, _, _ = make()(wrapped, x, y, epsilons=None)
        return [raw]

    return craft


def _art(make: Callable[[PyTorchClassifier, int], object]) -> Craft:
    def craft(net: Tally, x: Tensor, y: Tensor, _: tuple[float, ...]) -> list[Tensor]:
        judge = PyTorchClassifier(
            net, nn.CrossEntropyLoss(), x.shape[1:], CLASSES, clip_values=(0, 1), device_type="cpu"
        )
        found = make(judge, len(x)).generate(x.numpy(), np.eye(CLASSES)[y.numpy()])  # type: ignore[attr-defined]
        return [torch.from_numpy(found)]

    return craft


def _fab(norm: str, *, targeted: bool) -> Craft:
    """Run single runs: ``forward`` keeps a row's first success, not its nearest one."""

    def craft(net: Tally, x: Tensor, y: Tensor, budgets: tuple[float, ...]) -> list[Tensor]:
        attack = torchattacks.FAB(
            net, norm=norm, eps=budgets[-1], steps=100, n_classes=CLASSES, multi_targeted=True
        )
        attack.device = torch.device("cpu")
        if not targeted:
            with torch.no_grad():
                return [attack.attack_single_run(x, y)]
        found = []
        for rank in range(2, CLASSES + 1):
            attack.target_class = rank
            with torch.no_grad():
                found.append(attack.attack_single_run_targeted(x, y))
        return found

    return craft


def _apgd_l2(net: Tally, x: Tensor, y: Tensor, budgets: tuple[float, ...]) -> list[Tensor]:
    return [
        torchattacks.APGD(net, norm="L2", eps=eps, steps=100, n_restarts=1)(x, y) for eps in budgets
    ]


def _box(name: str, norm: Norm, rows: int = 200) -> Peer:
    make = vars(foolbox.attacks)[name]
    return Peer(f"foolbox {name}", norm, _foolbox(make), rows)


def _carlini(judge: PyTorchClassifier, rows: int) -> CarliniL2Method:
    return CarliniL2Method(judge, batch_size=rows, verbose=False)


def _deepfool(judge: PyTorchClassifier, rows: int) -> DeepFool:
    return DeepFool(judge, batch_size=rows, verbose=False)


def _elastic(judge: PyTorchClassifier, rows: int) -> ElasticNet:
    return ElasticNet(judge, batch_size=rows, decision_rule="L1", verbose=False)


PEERS = (
    _box("LInfFMNAttack", Norm.LINF),
    _box("LinfDeepFoolAttack", Norm.LINF),
    _box("LinfinityBrendelBethgeAttack", Norm.LINF, 20),
    Peer("torchattacks FAB", Norm.LINF, _fab("Linf", targeted=False)),
    Peer("torchattacks FAB-T", Norm.LINF, _fab("Linf", targeted=True)),
    _box("L2FMNAttack", Norm.L2),
    _box("DDNAttack", Norm.L2),
    _box("L2DeepFoolAttack", Norm.L2),
    _box("L2BrendelBethgeAttack", Norm.L2, 20),
    Peer("ART CarliniL2Method", Norm.L2, _art(_carlini), 50),
    Peer("ART DeepFool", Norm.L2, _art(_deepfool)),
    Peer("torchattacks FAB", Norm.L2, _fab("L2", targeted=False)),
    Peer("torchattacks FAB-T", Norm.L2, _fab("L2", targeted=True)),
    Peer("torchattacks APGD", Norm.L2, _apgd_l2),
    _box("L1FMNAttack", Norm.L1),
    _box("L1BrendelBethgeAttack", Norm.L1, 20),
    Peer("ART ElasticNet", Norm.L1, _art(_elastic), 20),
    Peer("torchattacks FAB", Norm.L1, _fab("L1", targeted=False)),
    Peer("torchattacks FAB-T", Norm.L1, _fab("L1", targeted=True)),
    _box("L0FMNAttack", Norm.L0),
    _box("L0BrendelBethgeAttack", Norm.L0, 20),
)
"""Slow ones take fewer rows. Brendel & Bethge's attacks need numba."""
