"""Our checks' suites as an attack inside AttackBench: its net, its budget, its measure.

    pip install 'attackbenchlib[attacks]'
    python benchmarks/evasion_attackbench.py [--rows 100] [--model hardened] [--norms linf l2]
        [--libraries original]

AttackBench (Cina et al. 2025, arXiv 2404.19460) watches the torch net that attacks run on: it
allows 2,000 passes a row, forward and backward together, and keeps the nearest success that it saw.
Ours takes that net for its target and its twin. Optimality is the library's, against the best of
all tools row by row.
"""

import argparse
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from bench_arenas import arena_of, one_thread
from bench_models import MAKERS, BenchModel, load
from bench_peers import net_of
from evasion_norms import BUDGETS, CHECKS, WIDEST
from figures import absent, over, tell
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from auditor.attacks.evasion.budget_sweep import run_sweep
from auditor.attacks.evasion.losses import softmax
from auditor.attacks.evasion.norms import Norm
from auditor.attacks.evasion.suite_parser import build_suite
from auditor.domain.budgets import Budget
from auditor.domain.check_subject import report_nothing
from auditor.domain.models import ModelTiming
from auditor.domain.targets import Fingerprint
from auditor.domain.tasks import Array, Floats

LIBRARIES = "original", "foolbox"
FIXED = frozenset({"apgd", "apgd_t", "bim", "fgm", "pgd", "bb", "bb_adv", "dataset"})
"""Attacks at one budget, of which the measure says nothing, and those that need more packages."""
OURS = "auditor "
BATCH = 50
"""The library compares each asked row with each row of a batch."""
Craft = Callable[[nn.Module, Tensor, Tensor], Tensor]


class Watched:
    """The net that the library watches, as target and as twin."""

    deterministic = True
    fingerprint = Fingerprint({}, {})
    source = "artifact"
    distance: dict[str, float] = {}  # noqa: RUF012 -- read by nobody here

    def __init__(self, net: nn.Module) -> None:
        self._net = net
        self._rows = self._logits = torch.zeros(0)

    def predict(self, inputs: Array) -> Floats:
        """Return logits."""
        with torch.no_grad():
            logits: Floats = self._net(torch.from_numpy(inputs)).numpy().astype(np.float64)
        return logits

    def probabilities(self, scores: Floats) -> Floats:
        """Return their softmax."""
        return softmax(scores)

    def time(self, inputs: Array, *, calls: int, warmup: int, batch_rows: int) -> ModelTiming:
        """Refuse: nothing here is timed so."""
        raise NotImplementedError

    def forward(self, inputs: Array) -> Floats:
        """Return logits, and keep the way back."""
        self._rows = torch.tensor(inputs, requires_grad=True)
        self._logits = self._net(self._rows)
        logits: Floats = self._logits.detach().numpy().astype(np.float64)
        return logits

    def backward(self, cotangent: Floats) -> Floats:
        """Pull back."""
        pulled = torch.from_numpy(cotangent.astype(np.float32))
        (slope,) = torch.autograd.grad(self._logits, self._rows, pulled, retain_graph=True)
        found: Floats = slope.numpy().astype(np.float64)
        return found


def ours(attacked: BenchModel, norm: Norm, stages: tuple[str, ...]) -> Craft:
    """Return a suite of ours as the library calls attacks, by these names of arguments."""

    def auditor(model: nn.Module, inputs: Tensor, labels: Tensor) -> Tensor:
        net, rows = Watched(model), inputs.numpy()
        arena = replace(
            arena_of(attacked, 1, norm),
            model=net,
            twin=net,
            rows=rows,
            labels=labels.numpy(),
            probabilities=softmax(net.predict(rows)),
        )
        budgets = (*BUDGETS[norm], WIDEST[norm])
        return torch.from_numpy(
            run_sweep(build_suite(stages, norm), arena, budgets, 0, report_nothing).crafted
        )

    return auditor


def peer(attack: Callable[..., Tensor]) -> Craft:
    """Return an attack of the library, shielded from the norm that its runner adds again."""

    def craft(model: nn.Module, inputs: Tensor, labels: Tensor) -> Tensor:
        return attack(model=model, inputs=inputs, labels=labels)

    return craft


def tools(model: BenchModel, norm: Norm, libraries: Sequence[str]) -> dict[str, Craft]:
    """Return our two suites and the library's minimum-norm attacks by name."""
    from attackbench import get_attack, list_attacks  # noqa: PLC0415 -- not in every environment

    found: dict[str, Craft] = {}
    for budget in (Budget.CI, Budget.FULL):
        stages = tuple(str(stage) for stage in CHECKS[norm].presets[budget]["stages"])  # type: ignore[union-attr]
        found[f"{OURS}{budget.value}: {', '.join(stages)}"] = ours(model, norm, stages)
    for library in libraries:
        for _, name in list_attacks(norm.value, library):
            if name not in FIXED:
                found[f"{library} {name}"] = peer(get_attack(library, name, norm.value))
    return found


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """What the library says of one tool, and what it cost a row."""

    tool: str
    results: dict[str, object]
    seconds: float

    def text(self, norm: Norm, optimality: float) -> str:
        """Return one line of the table."""
        distance = np.array(self.results["distances"][norm.value])  # type: ignore[index]
        passes = np.mean(self.results["num_forwards"]) + np.mean(self.results["num_backwards"])
        broken = np.isfinite(distance).mean()
        return (
            f"{norm.value:5s} {self.tool:58s} {optimality:6.3f} {broken:6.3f} "
            f"{np.median(distance):8.4f} {passes:6.0f} {1e3 * self.seconds:8.1f} ms"
        )


def watched(model: BenchModel, rows: int, norm: Norm, libraries: Sequence[str]) -> list[Line]:
    """Let the library run every tool on the first rows."""
    import attackbench  # noqa: PLC0415 -- not in every environment

    x, y = torch.from_numpy(model.rows[:rows]), torch.from_numpy(model.labels[:rows])
    batches = DataLoader(TensorDataset(x, y), batch_size=BATCH)
    found = []
    for tool, craft in tools(model, norm, libraries).items():
        start = time.process_time()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            results = attackbench.run_attack(net_of(model), batches, craft, norm.value)
        found.append(Line(tool, results, (time.process_time() - start) / rows))
        failed = sum(results["batch_failures"])
        print(f"{norm.value:5s} {tool} ran, {failed} batches failed", flush=True)
    return found


def show(norm: Norm, lines: list[Line]) -> None:
    """Print the table, the best first."""
    from attackbench import compare_attacks_optimality  # noqa: PLC0415 -- as above

    ranked = compare_attacks_optimality(
        [line.results for line in lines], norm.value, [line.tool for line in lines]
    )["optimality_scores"]
    for line in sorted(lines, key=lambda line: -ranked[line.tool]):
        if line.tool.startswith(OURS):
            what = f"{norm.value}, {line.tool}: optimality by AttackBench"
            peers = "the nearest that any tool saw, row by row"
            tell(over("attacks", what, [ranked[line.tool]], peers, unit="", goal=0.95))
        print(line.text(norm, ranked[line.tool]), flush=True)


def main() -> None:
    """Run and print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100)
    parser.add_argument("--model", default="hardened", choices=list(MAKERS))
    parser.add_argument("--norms", nargs="+", default=[norm.value for norm in Norm])
    parser.add_argument("--libraries", nargs="+", default=LIBRARIES, choices=LIBRARIES)
    asked = parser.parse_args()
    one_thread()
    (model,) = load((asked.model,))
    rows = min(asked.rows, len(model.rows))
    print(f"{model.name}, {rows} rows: norm, tool, optimality, share broken, median distance,")
    print("passes a row (forward and backward), CPU a row with the library's own book-keeping")
    for norm in (Norm(name) for name in asked.norms):
        try:
            show(norm, watched(model, rows, norm, asked.libraries))
        except ModuleNotFoundError as missing:
            print(f"{norm.value:5s} not run, {missing}")
            absent(f"optimality by AttackBench, {norm.value}", str(missing))


if __name__ == "__main__":
    main()
