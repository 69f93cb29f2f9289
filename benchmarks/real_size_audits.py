"""Audits of models of real size within the time of their budget, and AutoAttack beside one.

    python benchmarks/real_size_audits.py [--models resnet18 …] [--budgets ci] [--autoattack 100]

An audit runs as a user runs it, as a command, by the policy ``baseline``. Its target time is what
the budget gives (2 and 15 minutes); opening, writing and the report are apart. A rule is answered
where its outcome is no gap, or where the gap names the time. AutoAttack's ``apgd-ce`` and
``apgd-t`` (100 steps, 9 classes, torchattacks) attack the first rows of the same audit.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from bench_peers import stages
from figures import over, tell
from real_size_models import NETS, RealSizeModel, load_net, load_rows, make
from torch import nn

from auditor.domain.check_subject import seeded_permutation
from auditor.targets.isolation import KEPT_MEMORY

AUDITOR = Path(sys.executable).with_name("auditor")
AREA = "real size"
LIMITS = {"smoke": 120.0, "ci": 900.0}
APART = 60.0
"""Seconds that opening and the report may take besides."""
EPS, BATCH = 0.02, 50
MEMORY = 4 * 2**30


@dataclass(frozen=True, slots=True)
class Ran:
    """One audit: what it took, and its record."""

    wall: float
    cpu: float
    memory: int
    record: dict[str, Any]

    @property
    def unanswered(self) -> list[str]:
        """Rules that found no figure, and not for lack of time."""
        readings = self.record["readings"]
        return [
            found["rule"]
            for found in self.record["findings"]
            if found["outcome"] == "unknown"
            and found["readings"]
            and readings[found["readings"][0]].get("reason") not in {None, "over_budget"}
        ]

    def robust(self) -> tuple[float, int] | None:
        """Return the accuracy of the L-infinity attack at ``EPS``, and of how many rows."""
        for reading in self.record["readings"]:
            if _is_robust(reading, EPS):
                return reading["value"], reading["n"]
        return None

    def passes(self) -> int:
        """Return how many gradients that attack took at all its budgets, its first climbs too."""
        logs = [it["details"]["log"] for it in self.record["readings"] if _is_robust(it)]
        return sum(bill["passes"] for log in logs for bill in log)


def _is_robust(reading: dict[str, Any], eps: float | None = None) -> bool:
    named = reading["check"] == "evasion.linf" and reading.get("metric") == "robust_accuracy"
    named = named and "value" in reading  # a budget that had to wait has a gap
    return named and (eps is None or reading["params"]["eps"] == eps)


def audit(model: RealSizeModel, budget: str) -> Ran:
    """Audit a model as a command does."""
    with tempfile.TemporaryDirectory() as home:
        command = [AUDITOR, "audit", model.write_audit("baseline"), "--budget", budget,
                   "--out", Path(home) / "report"]  # fmt: skip
        before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        # One thread is for peers that are compared by their CPU; a user sets none
        around = {name: it for name, it in os.environ.items() if name != "OMP_NUM_THREADS"}
        done = subprocess.run(  # noqa: S603 -- our own command
            list(map(str, command)), env={**around, "AUDITOR_HOME": home}, check=False,
            capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode in {0, 1, 3}, done.stderr
        after, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter() - begun
        record = json.loads((Path(home) / "report" / "record.json").read_text(encoding="utf-8"))
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Ran(wall, cpu, after.ru_maxrss * 1024, record)


def measure(model: RealSizeModel, budget: str) -> Ran:
    """Audit, print and tell."""
    ran, what = audit(model, budget), f"{budget} audit of {model.name}"
    print(f"{what}: {ran.wall:.0f} s, {ran.cpu:.0f} CPU s, {ran.memory / 2**20:.0f} MiB")
    for found in ran.record["findings"]:
        print(f"    {found['rule']:24s} {found['outcome']}")
    print(f"    not answered: {', '.join(ran.unanswered) or 'none'}; robust {ran.robust()}")
    limit, less = LIMITS[budget], {"better": "less"}
    share = ran.wall / (limit + APART)
    against = f"the {limit / 60:g} min of the budget and 1 min besides"
    tell(over(AREA, f"{what}: wall time", [share], against, goal=1.0, **less))
    tell(
        over(AREA, f"{what}: memory of a process", [ran.memory / MEMORY], "4 GiB", goal=1.0, **less)
    )
    return ran


def autoattack(model: RealSizeModel, ran: Ran, most: int) -> None:
    """Attack the first rows of an audit with AutoAttack's two climbs, and compare."""
    found = ran.robust()
    assert found is not None, "the audit has no figure of the attack"
    rows, labels = load_rows(model)
    order = seeded_permutation(ran.record["request"]["seed"], len(rows))[: min(most, found[1])]
    net, x, y = load_net(model), torch.from_numpy(rows[order]), torch.from_numpy(labels[order])
    begun = time.process_time()
    left = [at for at in range(len(order)) if says(net, x[at : at + 1]) == int(y[at])]
    for craft in stages(net, EPS, 10, ("apgd-ce", "apgd-t")):
        for part in [left[at : at + BATCH] for at in range(0, len(left), BATCH)]:
            crafted = craft(x[part], y[part]).detach()
            kept = [says(net, one[None]) for one in crafted]
            left = [at for at in left if at not in part or kept[part.index(at)] == int(y[at])]
    seconds, share = time.process_time() - begun, len(left) / len(order)
    ours = ran.passes() * seconds_a_gradient(model.name) / found[1]
    print(f"AutoAttack apgd-ce + apgd-t, {len(order)} rows: {share:.3f}, {seconds:.0f} CPU s; "
          f"ours {found[0]:.3f} of {found[1]} rows")  # fmt: skip
    what, against = f"evasion.linf of {model.name} at {EPS:g}", "apgd-ce + apgd-t (torchattacks)"
    tell(over(AREA, f"{what}: robust accuracy above it", [found[0] - share], against,
              better="less", unit="", goal=0.02))  # fmt: skip
    tell(over(AREA, f"{what}: CPU of theirs for a row", [seconds / len(order) / ours], against,
              better="more", goal=10.0))  # fmt: skip


def says(net: nn.Module, row: torch.Tensor) -> int:
    """Return the class of one picture."""
    with torch.no_grad():
        return int(net(row).argmax(1))


def seconds_a_gradient(name: str) -> float:
    """Return the CPU seconds of a gradient of one row in torch, in memory kept as a twin's is."""
    command, around = [sys.executable, __file__, "--gradient", name], {**os.environ, **KEPT_MEMORY}
    told = subprocess.run(command, env=around, check=True, capture_output=True, text=True)  # noqa: S603
    return float(told.stdout.split()[-1])


def time_a_gradient(model: RealSizeModel) -> float:
    """Return the CPU seconds of a pass forward and backward of one row."""
    net, row = load_net(model), torch.from_numpy(load_rows(model)[0][:1])
    for parameter in net.parameters():  # an attack pulls none for the weights
        parameter.requires_grad_(requires_grad=False)
    net(row.clone().requires_grad_()).sum().backward()
    begun = time.process_time()
    for _ in range(5):
        net(row.clone().requires_grad_()).sum().backward()
    return (time.process_time() - begun) / 5


def main() -> None:
    """Audit the models."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", default=[*NETS, "lightgbm"])
    parser.add_argument("--budgets", nargs="+", default=list(LIMITS))
    parser.add_argument("--rows", type=int, default=500)
    parser.add_argument("--autoattack", type=int, default=0, help="rows of resnet18")
    parser.add_argument("--gradient", help="time a gradient of this model, and nothing else")
    asked = parser.parse_args()
    if asked.gradient is not None:
        print(time_a_gradient(make(asked.gradient, asked.rows)))
        return
    for name in asked.models:
        model = make(name, asked.rows)
        for budget in asked.budgets:
            ran = measure(model, budget)
            if (name, budget) == ("resnet18", "ci") and asked.autoattack:
                autoattack(model, ran, asked.autoattack)


if __name__ == "__main__":
    main()
