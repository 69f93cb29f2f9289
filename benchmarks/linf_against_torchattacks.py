"""Our Auto-PGD against torchattacks' on the same twin, rows and steps: accuracy and CPU seconds.

    pip install torchattacks
    python benchmarks/linf_against_torchattacks.py [--steps 20] [--eps 0.1] [--rounds 5]

Both climb the cross-entropy of one and the same torch graph, the twin of ``examples/digits``, on
one thread. Ours pays for asking the ONNX Runtime target as well, and its figure is the target's;
theirs is read off the twin, which flatters it. Rounds alternate, each with a seed of its own.
"""

import argparse
import json
import math
import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import onnxruntime
import torch
import torchattacks
from figures import Figure, tell

from auditor.attacks.evasion.apgd import AutoPgd
from auditor.attacks.evasion.attack_setup import AttackSetup
from auditor.attacks.evasion.budget_sweep import run_sweep
from auditor.attacks.evasion.goals import untargeted_goal
from auditor.attacks.evasion.losses import softmax
from auditor.attacks.evasion.suite_parser import AttackSuite
from auditor.checks.evasion.linf import LinfEvasionCheck
from auditor.domain.check_subject import report_nothing
from auditor.domain.models import ModelTiming
from auditor.domain.targets import Fingerprint, ModelInterface
from auditor.domain.tasks import Array, ClassificationTask, Floats, InputSpace
from auditor.onnx.twin.build import build_twin
from auditor.onnx.twin.torch_twin import TorchTwin

DIGITS = Path(__file__).parent.parent / "examples" / "digits"
CLASSES = tuple(str(digit) for digit in range(10))


@dataclass(frozen=True, slots=True)
class Round:
    """One paired run: robust accuracy and CPU seconds of both, one climb each.

    ``check`` is what evasion.linf's own grid and stages find.
    """

    ours: float
    check: float
    theirs: float
    our_seconds: float
    their_seconds: float


class Target:
    """The ONNX file on ONNX Runtime, in this process and on one thread."""

    deterministic = True
    fingerprint = Fingerprint({}, {})

    def __init__(self, path: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(path, options, ["CPUExecutionProvider"])
        self.queries = 0

    def predict(self, inputs: Array) -> Floats:
        """Return logits."""
        self.queries += len(inputs)
        name = self._session.get_inputs()[0].name
        logits: Floats = self._session.run(None, {name: inputs})[0].astype(np.float64)
        return logits

    def probabilities(self, scores: Floats) -> Floats:
        """Return their softmax."""
        return softmax(scores)

    def time(self, inputs: Array, *, calls: int, warmup: int, batch_rows: int) -> ModelTiming:
        """Refuse: nothing here is timed so."""
        raise NotImplementedError


class Counted:
    """The twin, with the passes that it made."""

    distance = {"max_difference": 0.0}  # noqa: RUF012 -- read by nobody here
    source = {"kind": "benchmark"}  # noqa: RUF012 -- the same

    def __init__(self, twin: TorchTwin) -> None:
        self.twin = twin
        self.passes = 0
        self.forward = twin.forward

    def backward(self, cotangent: Floats) -> Floats:
        """Count and pull back."""
        self.passes += len(cotangent)
        return self.twin.backward(cotangent)


class Module(torch.nn.Module):
    """The same twin as the module that torchattacks wants."""

    def __init__(self, twin: TorchTwin) -> None:
        super().__init__()
        self.twin = twin
        self.register_parameter("device", torch.nn.Parameter(torch.zeros(())))  # theirs looks

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Return logits."""
        return self.twin.logits(rows)


def make_twin(path: Path) -> TorchTwin:
    """Return the twin of the digits model."""
    interface = ModelInterface(
        "pixels", (1, 8, 8), "float32", None, "as_is", "logits", "logits", ""
    )
    twin = build_twin(path, interface)
    assert isinstance(twin, TorchTwin)
    return twin


def our_round(arena: AttackSetup, eps: float, steps: int, seed: int) -> float:
    """Return the robust accuracy that our sweep of this one budget finds on the target."""
    found = run_sweep(AttackSuite((AutoPgd(steps),)), arena, (eps,), seed, report_nothing)
    return float(np.isinf(found.breaking).mean())


def check_round(arena: AttackSetup, eps: float, seed: int) -> float:
    """Return the robust accuracy that the check evasion.linf finds with its own stages."""
    usual = LinfEvasionCheck()
    budgets = tuple(sorted({*(budget for budget in usual.eps if budget < eps), eps}))
    found = run_sweep(usual.suite, arena, budgets, seed, report_nothing)
    return float(np.isinf(found.breaking).mean())


def their_round(arena: AttackSetup, module: Module, eps: float, steps: int, seed: int) -> float:
    """Return the robust accuracy that torchattacks' APGD leaves on the twin."""
    torch.manual_seed(seed)
    attack = torchattacks.APGD(
        module, norm="Linf", eps=eps, steps=steps, n_restarts=1, loss="ce", seed=seed
    )
    rows, labels = torch.from_numpy(arena.rows), torch.from_numpy(arena.labels)
    crafted = attack(rows, labels)
    with torch.no_grad():
        said = module(crafted).argmax(1)
    return float((said == labels).double().mean())


def compare(eps: float, steps: int, rounds: int) -> list[Round]:
    """Return paired rounds on all test rows."""
    path = DIGITS / "model.onnx"
    twin, target = make_twin(path), Target(path)
    with np.load(DIGITS / "test.npz") as held:
        rows, labels = held["x"], held["y"].astype(np.int64)
    arena = AttackSetup(
        model=target,
        twin=Counted(twin),
        goal=untargeted_goal(ClassificationTask(CLASSES, CLASSES[-1], CLASSES[-1])),
        space=InputSpace(np.zeros(()), np.ones(()), np.zeros(()), np.ones((), dtype=np.bool_)),
        rows=rows,
        labels=labels,
        probabilities=softmax(target.predict(rows)),
    )
    module = Module(twin)
    our_round(arena, eps, 1, 0)  # the first call of each library pays for its start
    their_round(arena, module, eps, 1, 0)
    found = []
    for seed in range(rounds):
        ours, our_seconds = _timed(our_round, arena, eps, steps, seed)
        theirs, their_seconds = _timed(their_round, arena, module, eps, steps, seed)
        check = check_round(arena, eps, seed)
        found.append(Round(ours, check, theirs, our_seconds, their_seconds))
    return found


def _timed(work: object, *arguments: object) -> tuple[float, float]:
    started = time.process_time()
    value = work(*arguments)  # type: ignore[operator]  # one of the two rounds above
    return float(value), time.process_time() - started


def show(rounds: Sequence[Round]) -> None:
    """Print the rounds, and the mean log ratio of CPU seconds with its spread."""
    print("seed  ours   theirs   our CPU s   their CPU s   evasion.linf")
    for seed, item in enumerate(rounds):
        print(
            f"{seed:4} {item.ours:6.4f} {item.theirs:7.4f} "
            f"{item.our_seconds:10.3f} {item.their_seconds:12.3f} {item.check:13.4f}"
        )
    ratios = [math.log(item.their_seconds / item.our_seconds) for item in rounds]
    spread = statistics.stdev(ratios) / math.sqrt(len(ratios)) if len(ratios) > 1 else 0.0
    low, high = (math.exp(statistics.mean(ratios) + sign * 2 * spread) for sign in (-1, 1))
    mean = math.exp(statistics.mean(ratios))
    tell(
        Figure(
            area="attacks", name="Auto-PGD on digits: CPU of theirs, of ours", value=mean, low=low,
            high=high, n=len(rounds), against="torchattacks APGD", better="more",
        )
    )  # fmt: skip
    print(
        f"theirs takes {mean:.2f} x our CPU seconds ({low:.2f} to {high:.2f}, two standard errors)"
    )


def main() -> None:
    """Compare, and print a table or JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--eps", type=float, default=0.1)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    rounds = compare(chosen.eps, chosen.steps, chosen.rounds)
    if chosen.json:
        print(json.dumps([asdict(item) for item in rounds]))
    else:
        show(rounds)


if __name__ == "__main__":
    main()
