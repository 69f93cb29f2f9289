"""What benchmarks of a call take from the child's timer is that call's time on the wall."""

import importlib
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
NAMES = ("figures", "session_overhead")


@pytest.fixture
def overhead(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])
    found = [importlib.import_module(name) for name in NAMES]
    yield found[-1]
    for name in NAMES:
        del sys.modules[name]


def test_each_way_gives_the_seconds_of_its_call(overhead: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    overhead.network(path)
    session = overhead.raw_session(path)
    rows = np.zeros((4, 1, overhead.SIDE, overhead.SIDE), dtype=np.float32)
    for way in (overhead.raw_way(session, rows), overhead.timed_way(session, rows)):
        start = time.perf_counter()
        told = way()
        assert 0 < told < time.perf_counter() - start
