"""The command answers at once, because it loads only what is asked for."""

import resource
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = Path(sys.executable).with_name("auditor")
HEAVY = ("torch", "onnxruntime", "onnx", "sqlalchemy", "alembic", "polars", "scipy", "numpy")
LONGEST = 0.5
TRIES = 5


def test_help_answers_in_under_half_a_second() -> None:
    taken = []
    for _ in range(TRIES):
        start = spent_by_children()
        shown = subprocess.run([COMMAND, "--help"], capture_output=True, text=True, check=True)
        taken.append(spent_by_children() - start)
        assert "Exit codes" in shown.stdout
    # The best of a few: a busy machine may slow any one of them, and speeds none up.
    assert min(taken) < LONGEST


def spent_by_children() -> float:
    """Seconds of processor time: others who wait for the same machine do not count."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@pytest.mark.parametrize("library", HEAVY)
def test_the_door_opens_without(library: str) -> None:
    script = f"import sys, auditor.cli.main; sys.exit({library!r} in sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.parametrize("name", ["checks", "disclose", "sign"])
def test_a_command_that_asks_no_store_loads_neither_database_nor_statistics(name: str) -> None:
    script = f"import sys, auditor.cli.commands.{name}; print(*sys.modules)"
    told = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    heavy = {"sqlalchemy", "alembic", "polars", "scipy", "onnx", "onnxruntime", "torch"}
    assert not heavy & set(told.stdout.split())
