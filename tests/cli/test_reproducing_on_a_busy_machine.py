"""Whole records reproduce on a busy machine, and a made-up figure is found beside its times."""

import json
import math
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from auditor.domain.json import encode_canonical
from auditor.reports.folder import RECORD

Command = Callable[..., Any]
BUSY = 4
MEASURED = ("memory", "reliability", "placement", "sponge", "latency", "timing_leak", "cost")
ONLY = [f"--only=hardware.{check}" for check in MEASURED]
EXAMPLES = Path(__file__).parents[2] / "examples"
LOADS = [*["while True: pass"] * BUSY, "room = bytearray(2**26)\nwhile True: bytes(room)"]
ROUNDS = 3


@pytest.fixture
def busy() -> Iterator[None]:
    loops = [subprocess.Popen([sys.executable, "-c", load]) for load in LOADS]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


@pytest.mark.slow
def test_what_depends_on_the_machine_is_listed_and_the_rest_held_while_it_is_busy(
    auditor: Command, inside: Path, request: pytest.FixtureRequest
) -> None:
    out = inside / "out"
    audited = auditor("audit", "audit.yaml", "--only=quality.accuracy", *ONLY, "--out", "out")
    assert audited.code == 0, audited.said
    request.getfixturevalue("busy")
    again = auditor("reproduce", "out")
    assert again.code == 0, again.said
    assert all(f"hardware.{check} on cpu" in again.said for check in MEASURED)
    assert "depends on the machine: resident_added" in again.said
    record = json.loads((out / RECORD).read_bytes())
    for reading in record["readings"]:
        if reading.get("metric") == "error_rate" and reading["check"] == "hardware.reliability":
            reading.update(value=0.5, low=0.4, high=0.6)
    (out / RECORD).write_bytes(encode_canonical(record))
    forged = auditor("reproduce", "out")
    assert forged.code == 1
    assert "failed hardware.reliability on cpu error_rate" in forged.said


@pytest.mark.slow
def test_a_whole_record_reproduces_round_by_round_while_the_machine_is_busy(
    auditor: Command, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    out = tmp_path / "out"
    audited = auditor(
        "audit", EXAMPLES / "docstrings" / "audit.yaml", "--budget", "smoke", "--out", out
    )
    assert (out / RECORD).exists(), audited.said
    request.getfixturevalue("busy")
    for _ in range(ROUNDS):
        again = auditor("reproduce", out)
        assert again.code == 0, again.said
        assert "Reproduced: " in again.said
        assert "timings and memory figures not compared" in again.said
    record = json.loads((out / RECORD).read_bytes())
    exact = next(
        reading
        for reading in record["readings"]
        if reading.get("metric") == "nll" and reading["check"] == "quality.accuracy"
    )
    assert exact["repeat"] == "exact"
    exact["value"] = math.nextafter(exact["value"], math.inf)
    (out / RECORD).write_bytes(encode_canonical(record))
    forged = auditor("reproduce", out)
    assert forged.code == 1
    assert "Not reproduced: " in forged.said
    assert "failed quality.accuracy on cpu nll" in forged.said
