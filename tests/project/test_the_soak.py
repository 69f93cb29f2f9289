"""A service that works while its engine is exchanged loses nothing."""

import subprocess
import sys
from pathlib import Path

import pytest

SOAK = Path(__file__).resolve().parents[2] / "scripts" / "soak.py"


@pytest.mark.slow
@pytest.mark.long
def test_a_minute_of_work_with_another_engine_from_its_middle_on_loses_nothing() -> None:
    asked = [sys.executable, str(SOAK), "--minutes", "1", "--workers", "3"]
    done = subprocess.run(asked, check=False, capture_output=True, text=True, timeout=1500)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "nothing was lost, and nothing done twice" in done.stdout
    audits = int(done.stdout.split(" audits, ")[0].split()[-1])
    assert audits > 0
