"""The published figure of another library: its Auto-PGD on the same twin, rows and steps."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from fetching import out_of_reach_skips

ROOT = Path(__file__).parent.parent.parent
BENCHMARK = ROOT / "benchmarks" / "linf_against_torchattacks.py"
TORCHATTACKS = "torchattacks==3.5.1"

pytestmark = [pytest.mark.slow, pytest.mark.fetches]


@pytest.fixture(scope="module")
def torchattacks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with torchattacks alone: its own pins would turn back our other packages."""
    folder = tmp_path_factory.mktemp("torchattacks")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", "."]
    out_of_reach_skips([*pip, TORCHATTACKS], folder)
    return folder


def test_robust_accuracy_on_the_digits_is_not_above_that_of_torchattacks(
    torchattacks: Path,
) -> None:
    path = os.pathsep.join([str(torchattacks), str(ROOT)])
    command = [sys.executable, str(BENCHMARK), "--json", "--eps", "0.1", "--steps", "20"]
    ran = subprocess.run(
        [*command, "--rounds", "4"],
        check=True,
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
    )
    rounds = json.loads(ran.stdout.strip().splitlines()[-1])
    assert len(rounds) == 4
    for item in rounds:
        assert 0.3 < item["check"] <= item["theirs"] < 0.7
        assert abs(item["ours"] - item["theirs"]) < 0.02  # one climb each: the same algorithm
