"""Times and memory are listed on a busy machine, and a made-up figure is found beside them."""

import json
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


@pytest.fixture
def busy() -> Iterator[None]:
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(BUSY)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


@pytest.mark.slow
def test_what_hangs_on_the_machine_is_listed_and_the_rest_held_while_it_is_busy(
    auditor: Command, inside: Path, request: pytest.FixtureRequest
) -> None:
    out = inside / "out"
    audited = auditor("audit", "audit.yaml", "--only=quality.accuracy", *ONLY, "--out", "out")
    assert audited.code == 0, audited.said
    request.getfixturevalue("busy")
    again = auditor("reproduce", "out")
    assert again.code == 0, again.said
    assert all(f"hardware.{check} on cpu" in again.said for check in MEASURED)
    assert "hangs on the machine: resident_added" in again.said
    record = json.loads((out / RECORD).read_bytes())
    for reading in record["readings"]:
        if reading.get("metric") == "error_rate" and reading["check"] == "hardware.reliability":
            reading.update(value=0.5, low=0.4, high=0.6)
    (out / RECORD).write_bytes(encode_canonical(record))
    forged = auditor("reproduce", "out")
    assert forged.code == 1
    assert "failed hardware.reliability on cpu error_rate" in forged.said
