"""Accountants of differential privacy against Google's dp-accounting and Opacus: epsilon and time.

    python benchmarks/accounting_against_peers.py [--environments FOLDER]

dp-accounting asks for an old attrs and gets an environment of its own, which is thrown away unless
FOLDER keeps it; Opacus is taken from the extra `dp`, or gets one too. A peer that cannot be
installed is named, and left out. CPU seconds are those of the job alone, ours the best of several.
Ours are two bounds, between which each of theirs of the same kind must lie within 1 %.
"""

import argparse
import json
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

from figures import over, tell
from peers import asked, cpu, environment

from auditor.metrics.privacy_accounting.mechanisms import (
    central_limit_mu,
    gaussian_epsilon,
    renyi_epsilon,
)
from auditor.metrics.privacy_accounting.privacy_loss_distribution import DpSgdSteps, epsilon_bounds

SETTINGS = (
    (1.0, 0.0356, 560, 1e-5),
    (2.0, 0.0356, 560, 1e-5),
    (0.6, 0.0356, 560, 1e-5),
    (1.1, 0.00427, 14040, 1e-5),
    (0.8, 0.005, 1000, 1e-6),
    (5.0, 0.1, 1000, 1e-6),
)
AREA = "statistics"
GOAL, GOAL_SECONDS = 0.01, 1.0

GOOGLE = """
import json, sys, time, logging
logging.disable(logging.CRITICAL)
from dp_accounting import dp_event as e
from dp_accounting.pld import privacy_loss_distribution as p
from dp_accounting.rdp import rdp_privacy_accountant as r
found = []
for noise, rate, steps, delta in json.loads(sys.argv[1]):
    start = time.process_time()
    one = p.from_gaussian_mechanism(noise, value_discretization_interval=1e-4, sampling_prob=rate)
    pld = one.self_compose(steps).get_epsilon_for_delta(delta)
    spent = time.process_time() - start
    accountant = r.RdpAccountant()
    accountant.compose(e.PoissonSampledDpEvent(rate, e.GaussianDpEvent(noise)), steps)
    found.append({"pld": pld, "seconds": spent, "rdp": float(accountant.get_epsilon(delta))})
print(json.dumps({"found": found}))
"""
OPACUS = """
import json, sys, time, warnings
warnings.simplefilter("ignore")
from opacus.accountants import create_accountant
found = []
for noise, rate, steps, delta in json.loads(sys.argv[1]):
    said = {}
    for kind in ("prv", "rdp", "gdp"):
        accountant = create_accountant(kind)
        accountant.history = [(noise, rate, steps)]
        start = time.process_time()
        said[kind] = float(accountant.get_epsilon(delta=delta))
        said[kind + "_seconds"] = time.process_time() - start
    found.append(said)
print(json.dumps({"found": found}))
"""


def ours() -> list[dict[str, float]]:
    """Work each setting out, with the CPU seconds of both bounds."""
    found = []
    for noise, rate, steps, delta in SETTINGS:
        one = DpSgdSteps(noise, rate, steps)
        bracket = epsilon_bounds(one, delta)
        found.append(
            {
                "low": bracket.low,
                "high": bracket.high,
                "seconds": cpu(lambda one=one, delta=delta: epsilon_bounds(one, delta), 3),
                "rdp": renyi_epsilon(noise, rate, steps, delta),
                "gdp": gaussian_epsilon(central_limit_mu(noise, rate, steps), delta),
            }
        )
    return found


def show(google: list[dict[str, float]] | None, opacus: list[dict[str, float]] | None) -> None:
    """Print one line a setting, and how far off ours is at most."""
    farthest = slowest = 0.0
    took = []
    for place, (case, mine) in enumerate(zip(SETTINGS, ours(), strict=True)):
        print(f"\nnoise {case[0]:g}, rate {case[1]:g}, {case[2]:,} steps, delta {case[3]:g}")
        print(f"  ours    {mine['low']:.4f} .. {mine['high']:.4f} in {mine['seconds']:.2f} s")
        print(f"          rdp {mine['rdp']:.3f}, gdp (an approximation) {mine['gdp']:.3f}")
        slowest = max(slowest, mine["seconds"])
        took.append(mine["seconds"])
        if google is not None:
            said = google[place]
            off = max(abs(mine[end] / said["pld"] - 1) for end in ("low", "high"))
            farthest = max(farthest, off)
            print(f"  google  {said['pld']:.4f} in {said['seconds']:.2f} s, rdp {said['rdp']:.3f}")
        if opacus is not None:
            told = opacus[place]
            spent = told["prv_seconds"]
            print(
                f"  opacus  prv {told['prv']:.4f} in {spent:.2f} s, rdp {told['rdp']:.3f}, ", end=""
            )
            print(f"gdp {told['gdp']:.3f}: {told['gdp'] / mine['low'] - 1:+.0%} of the lower bound")
    what = f"epsilon of {len(SETTINGS)} settings"
    against = "dp-accounting"
    if google is not None:
        ratios = [said["seconds"] / seconds for said, seconds in zip(google, took, strict=True)]
        off = [farthest]
        tell(
            over(AREA, f"{what}: CPU of theirs, of ours", ratios, against),
            over(AREA, f"{what}: farthest from theirs", off, against, better="less", goal=GOAL,
                 unit="of it"),
        )  # fmt: skip
    if opacus is not None:
        ratios = [told["prv_seconds"] / spent for told, spent in zip(opacus, took, strict=True)]
        tell(over(AREA, f"{what}: CPU of the PRV of theirs, of ours", ratios, "opacus"))
    tell(over(AREA, f"{what}: slowest", [slowest], "nothing", better="less", unit="s",
              goal=GOAL_SECONDS))  # fmt: skip
    print(f"\nslowest {slowest:.2f} s (goal {GOAL_SECONDS:g} s); ", end="")
    print(f"farthest from google {farthest:.2%} (goal {GOAL:.0%})")


def main() -> None:
    """Install the peers, and print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--environments", type=Path)
    kept = parser.parse_args().environments
    with tempfile.TemporaryDirectory() as made:
        folder = kept or Path(made)
        told = json.dumps(SETTINGS)
        google = asked(environment(folder, "dp_accounting", ("dp-accounting",)), GOOGLE, told)
        python = Path(sys.executable) if find_spec("opacus") else environment(folder, "opacus")
        opacus = asked(python, OPACUS, told)
        show(google and google["found"], opacus and opacus["found"])


if __name__ == "__main__":
    main()
