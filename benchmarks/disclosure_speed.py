"""Speed of binding evidence row by row, and of opening it: CPU of one core.

    python benchmarks/disclosure_speed.py [--rows 100000] [--columns 10]

Each figure is the best of --runs, beside a plain SHA-256 over the same bytes.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
from figures import over, tell

from auditor.domain.evidence import encode_evidence
from auditor.trust.disclosure import (
    CommitmentOpening,
    EvidenceLocation,
    build_full_opening,
    commit_evidence,
)

PLACE = EvidenceLocation("cpu", "quality.accuracy", "probabilities")
KEY = bytes(32)
GOAL = 0.3
"""Seconds of CPU that binding 100,000 rows of ten numbers may take."""


def best(job: Callable[[], object], runs: int) -> float:
    """Return the least CPU seconds of several runs."""
    found = []
    for _ in range(runs):
        begun = time.process_time()
        job()
        found.append(time.process_time() - begun)
    return min(found)


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--columns", type=int, default=10)
    parser.add_argument("--runs", type=int, default=5)
    asked = parser.parse_args()
    item = np.random.default_rng(7).normal(size=(asked.rows, asked.columns))
    bound = commit_evidence(KEY, PLACE, item, asked.rows)
    opening = build_full_opening(KEY, PLACE, item, bound).withhold(range(0, asked.rows, 10))
    raw = opening.emit()
    jobs: dict[str, Callable[[], object]] = {
        "plain digest": lambda: encode_evidence(item),
        "commitment": lambda: commit_evidence(KEY, PLACE, item, asked.rows),
        "all rows opened": lambda: build_full_opening(KEY, PLACE, item, bound),
        "opening written": opening.emit,
        "opening read and checked": lambda: CommitmentOpening.parse(raw).item(bound),
    }
    print(f"{asked.rows} rows of {asked.columns} numbers; an opening has {len(raw) / 1e6:.1f} MB")
    taken = {name: best(job, asked.runs) for name, job in jobs.items()}
    for name, seconds in taken.items():
        print(f"{name:26} {seconds:8.3f} s")
        if name != "plain digest":
            what = f"{name}, {asked.rows:,} rows of {asked.columns}: CPU of it"
            ratio = [seconds / taken["plain digest"]]
            tell(over("hashing", what, ratio, "a plain digest of the bytes", better="less"))
    print(f"goal of a commitment       {GOAL:8.3f} s")


if __name__ == "__main__":
    main()
