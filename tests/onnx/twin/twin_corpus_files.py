"""The whole corpus, and what a file must show to count as one that twins cover."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from twin_corpus import Entry
from twin_corpus_boosters import boosters
from twin_corpus_columns_files import columns_files
from twin_corpus_exports import exports
from twin_corpus_halves import halves
from twin_corpus_measure import Measured, measure
from twin_corpus_optimised import optimised
from twin_corpus_packages import packages
from twin_corpus_quantised import quantised

from auditor.targets.twin import LEAST_AGREEMENT, LEAST_CORRELATION, MOST_DIFFERENCE

IDENTICAL = 1e-6
"""Of integer files, whose sums have no rounding: what float32 may add behind them."""


@cache
def corpus() -> tuple[Entry, ...]:
    """Return every entry, none of them made yet."""
    return (
        *exports(), *halves(), *quantised(), *optimised(), *columns_files(), *boosters(),
        *packages(),
    )  # fmt: skip


def families() -> Mapping[str, tuple[Entry, ...]]:
    """Return the entries that need no network, family by family."""
    local = [entry for entry in corpus() if not entry.fetched]
    names = dict.fromkeys(entry.family for entry in local)
    return {name: tuple(entry for entry in local if entry.family == name) for name in names}


def measured(entry: Entry, root: Path) -> Measured:
    """Make an entry's file in a folder of its own under ``root``, and measure it."""
    folder = root / entry.name.replace("/", "_").replace(" ", "-")
    folder.mkdir(parents=True)
    return measure(entry, folder)


def shortfall(entry: Entry, seen: Measured) -> str:
    """Return what is missing for a file to count; nothing where it does, or cannot be run."""
    if not seen.opened:
        return ""
    if seen.problem:
        return seen.problem
    wanted = 1.0 if entry.quantised else LEAST_AGREEMENT
    if seen.difference > MOST_DIFFERENCE or seen.agreement < wanted:
        return (
            f"probabilities differ by up to {seen.difference:.1e}, "
            f"decisions agree on {seen.agreement:.1%}"
        )
    if entry.quantised and seen.scores > IDENTICAL:
        return f"scores differ by up to {seen.scores:.1e} of the largest"
    if seen.correlation < LEAST_CORRELATION:
        return f"slopes correlate by {seen.correlation:.2f} with those of the runtime"
    return seen.gate
