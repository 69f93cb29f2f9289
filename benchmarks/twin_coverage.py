"""How many files of the field have a twin: a corpus of ONNX classifiers, measured one by one.

    python benchmarks/twin_coverage.py [--only TEXT] [--fetch]

Prints, for each file, its opset, the largest differences of probabilities and of scores from ONNX
Runtime, the share of equal decisions, the correlation of the twin's slopes with central
differences of ONNX Runtime, the seconds it took, its operators, and what is missing. ``--only``
takes the files whose name or family holds TEXT; ``--fetch`` adds those that pip downloads.
"""

import argparse
import logging
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import torch
from figures import over, tell

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "onnx" / "twin"))

from twin_corpus import Entry
from twin_corpus_files import corpus, measured, shortfall
from twin_corpus_measure import Measured

COLUMNS = "file", "opset", "probs", "scores", "agree", "slopes", "s"


def main() -> None:
    """Measure the chosen files and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="")
    parser.add_argument("--fetch", action="store_true")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    logging.disable(logging.WARNING)
    chosen = [
        entry
        for entry in corpus()
        if asked.only in f"{entry.name}|{entry.family}" and (asked.fetch or not entry.fetched)
    ]
    print("{:40} {:>5} {:>8} {:>8} {:>7} {:>7} {:>5}".format(*COLUMNS))
    with tempfile.TemporaryDirectory() as folder:
        outcomes = [row(entry, Path(folder)) for entry in chosen]
    summarise(chosen, outcomes)


def row(entry: Entry, folder: Path) -> str:
    """Measure one file, print its line, and return what it lacks."""
    start = time.perf_counter()
    seen = measured(entry, folder)
    seconds = time.perf_counter() - start
    lacking = shortfall(entry, seen) if seen.opened else f"not run: {seen.problem}"
    print(
        f"{entry.name:40} {seen.opset:5} {seen.difference:8.1e} {seen.scores:8.1e} "
        f"{seen.agreement:7.1%} {seen.correlation:7.3f} {seconds:5.1f} "
        f"{operators(seen)}{' | ' * bool(lacking)}{lacking}",
        flush=True,
    )
    return lacking


def operators(seen: Measured, most: int = 60) -> str:
    """Return the operators' names, cut to what a line holds."""
    listed = " ".join(seen.operators)
    return listed if len(listed) <= most else f"{listed[:most]}…"


def summarise(entries: Iterable[Entry], outcomes: Iterable[str]) -> None:
    """Print, family by family, how many files are covered of those that ONNX Runtime runs."""
    ran, covered = Counter[str](), Counter[str]()
    for entry, lacking in zip(entries, outcomes, strict=True):
        runs = not lacking.startswith("not run")
        ran[entry.family] += runs
        covered[entry.family] += runs and not lacking
    print()
    for family, files in ran.items():
        print(f"{family:40} {covered[family]:4} of {files}")
    share = covered.total() / max(ran.total(), 1)
    tell(over("attacks", "files of the corpus that have a twin", [share],
              f"the {ran.total()} that ONNX Runtime runs", unit="of them"))  # fmt: skip
    print(f"{'all':40} {covered.total():4} of {ran.total()} ({covered.total() / ran.total():.1%})")


if __name__ == "__main__":
    main()
