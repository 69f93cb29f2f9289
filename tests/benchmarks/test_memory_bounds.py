"""What an audit holds grows with its rows and its model no faster than the product promises.

Ten million rows of predictions are to fit into 4 GB, and a model of a gigabyte into three times its
size. What every further row and byte costs shows at a small part of that already; the size of the
process itself does not count.
"""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
NAMES = ("figures", "resident", "memory_bounds")
A_ROW = (4e9 - 0.5e9) / 10_000_000
"""Bytes: 4 GB less what a process holds before it has read a row."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="Linux tells it"),
]


@pytest.fixture
def bounds(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])
    yield importlib.import_module("memory_bounds")
    for name in NAMES:
        del sys.modules[name]


def folder(place: Path) -> Path:
    place.mkdir()
    return place


@pytest.mark.long
def test_a_further_row_of_predictions_costs_few_bytes(bounds: ModuleType, tmp_path: Path) -> None:
    counts = (200_000, 1_000_000)
    peaks = [bounds.audited(bounds.rows(folder(tmp_path / str(n)), n)).peak for n in counts]
    assert np.diff(peaks) / np.diff(counts) < A_ROW


@pytest.mark.parametrize("beside", [False, True], ids=["in-one-file", "weights-beside"])
def test_a_further_byte_of_the_model_costs_at_most_three(
    bounds: ModuleType, tmp_path: Path, *, beside: bool
) -> None:
    sizes = (32 << 20, 288 << 20)
    peaks = [
        bounds.audited(
            bounds.model(folder(tmp_path / str(n)), n, beside=beside), *bounds.LOOKING
        ).peak
        for n in sizes
    ]
    assert np.diff(peaks) / np.diff(sizes) < bounds.MOST_TIMES
