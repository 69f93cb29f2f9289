"""Our accountants against Google's, freshly installed into an environment of its own."""

import json
import runpy
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from auditor.domain.privacy_claims import AdjacencyRelation
from auditor.metrics.privacy_accounting.privacy_loss_distribution import DpSgdSteps, epsilon_bounds

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"
pytestmark = [pytest.mark.slow, pytest.mark.fetches]


def test_googles_epsilon_lies_within_our_bounds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])
    script: Mapping[str, Any] = runpy.run_path(str(BENCHMARKS / "accounting_against_peers.py"))
    python = script["environment"](tmp_path, "dp_accounting", ("dp-accounting",))
    if python is None:
        pytest.skip("dp-accounting cannot be installed here")
    told = script["asked"](python, script["GOOGLE"], json.dumps(script["SETTINGS"]))
    assert told is not None
    for case, said in zip(script["SETTINGS"], told["found"], strict=True):
        noise, rate, steps, delta = case
        found = epsilon_bounds(DpSgdSteps(noise, rate, steps, AdjacencyRelation.ADD_REMOVE), delta)
        assert found.low <= said["pld"] * 1.0002
        assert found.high == pytest.approx(said["pld"], rel=0.01)
        assert found.low == pytest.approx(said["pld"], rel=0.01)
