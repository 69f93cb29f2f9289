"""Audits of a Python function: predictions are measured, and what needs a file is a Gap."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_audits import AUDIT, write_example
from watching import Nobody

from auditor.domain.artifacts import Artifact, FileDigest
from auditor.domain.evidence_levels import assess_evidence_levels
from auditor.domain.policies import MinimumEvidence
from auditor.domain.readings import Gap, Measurement
from auditor.domain.record_isolation import read_isolation_levels
from auditor.domain.record_json import read_record
from auditor.domain.record_scope import RecordScope, find_record_scope, find_unbound_targets
from auditor.domain.records import AuditRecord
from auditor.domain.targets import EvidenceLevel
from auditor.errors import TargetError
from auditor.reports.html.run_details import describe_answering_model
from auditor.reports.schemas import validate_record
from auditor.targets.callable_model import describe_callable
from auditor.targets.config import OperatorTargets, require_operator_permission
from auditor.workflows.audit import run_audit
from auditor.workflows.prepare import prepare_audit, read_overridden_audit_file
from auditor.workflows.settings import AuditorSettings
from auditor.workflows.wiring import build_path_resolver, build_resolvers, callable_openers
from auditor.workflows.workspace import open_workspace

BRINGS = OperatorTargets(functions=frozenset({"python"}))


def score(rows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return what the small model answers."""
    return 1 / (1 + np.exp(-(rows @ np.array([6.0, 4.0, 0.0]) - 5)))


def write_audit(folder: Path, function: Callable[[Any], Any], artifact: str = "null") -> Path:
    write_example(folder)
    said = describe_callable(function)
    written = (
        f'{{name: python, callable: {{function: "{said.function}", source: "{said.source}"}}}}'
    )
    text = AUDIT.replace("[cpu]", f"[{written}]").replace(
        "artifact: model.onnx", f"artifact: {artifact}"
    )
    path = folder / "audit.yaml"
    path.write_text(text)
    return path


def audit(path: Path, function: Callable[[Any], Any], *only: str) -> AuditRecord:
    parts = build_resolvers(path.parent, BRINGS)
    file = read_overridden_audit_file(path.read_bytes(), path.name, parts, only=only)
    around = {**os.environ, "AUDITOR_HOME": str(path.parent / "home")}
    with (
        open_workspace(AuditorSettings.from_environment(around)) as place,
        prepare_audit(file, build_path_resolver(path), parts) as given,
    ):
        place.keep_inputs(given, build_path_resolver(path))
        prepared = place.informed(given)
        openers = callable_openers({"python": function})
        return run_audit(prepared, replace(place.surroundings(), openers=openers), Nobody())


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> AuditRecord:
    path = write_audit(tmp_path_factory.mktemp("function"), score)
    return audit(path, score)


def readings(record: AuditRecord, check: str) -> list[Measurement | Gap]:
    return [item for item in record.readings if item.check == check]


@pytest.mark.parametrize(
    "check", ["quality.accuracy", "quality.calibration", "fairness.groups", "evasion.linf_query"]
)
def test_what_asks_for_scores_alone_is_measured(record: AuditRecord, check: str) -> None:
    assert any(isinstance(item, Measurement) for item in readings(record, check))


@pytest.mark.parametrize(
    "check",
    [
        "evasion.linf", "hardware.latency", "hardware.memory",
        "hardware.cost", "hardware.placement", "hardware.parity", "hardware.faults",
        "hardware.variant", "provenance.artifact", "provenance.signature",
    ],
)  # fmt: skip
def test_what_needs_a_file_or_a_clock_is_a_gap_with_a_cure(record: AuditRecord, check: str) -> None:
    found = readings(record, check)
    assert found
    assert all(isinstance(item, Gap) and item.cure for item in found)


def test_no_check_breaks(record: AuditRecord) -> None:
    assert not [it for it in record.readings if isinstance(it, Gap) and "crashed" in it.reason]


def test_a_record_never_calls_a_function_native_or_isolated(record: AuditRecord) -> None:
    print_ = record.fingerprints["python"]
    assert print_.evidence is EvidenceLevel.SIMULATED
    assert not MinimumEvidence.NATIVE.accepts(print_.evidence)
    assert read_isolation_levels(record.request, record.fingerprints) == {}
    forged = {"python": replace(print_, evidence=EvidenceLevel.VERIFIED)}
    levels = assess_evidence_levels(record.request.targets, forged, record.readings)
    assert levels["python"] is EvidenceLevel.SIMULATED


def test_a_record_says_that_a_function_answered_and_speaks_for_no_file(record: AuditRecord) -> None:
    request = record.request
    assert (request.artifact, find_record_scope(record)) == (None, RecordScope.ENDPOINT)
    assert describe_answering_model(request) == "a Python function"
    file = Artifact("line", "1", (FileDigest("model.onnx", 1, "0" * 64),))
    named = replace(record, request=replace(request, artifact=file))
    assert "nothing is hidden" in find_unbound_targets(named)["python"]


def test_a_function_that_fails_is_a_gap_of_each_check(tmp_path: Path) -> None:
    def failing(rows: np.ndarray[Any, Any]) -> None:
        raise ValueError(len(rows))

    found = readings(audit(write_audit(tmp_path, failing), failing), "quality.accuracy")
    assert [item.reason for item in found if isinstance(item, Gap)]
    assert not [item for item in found if isinstance(item, Measurement)]


def test_one_that_fails_later_is_a_gap_of_the_checks_that_follow(tmp_path: Path) -> None:
    asked = []

    def tiring(rows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        asked.append(rows)
        return score(rows) if len(asked) < 3 else np.full(len(rows), np.nan)

    record = audit(write_audit(tmp_path, tiring), tiring, "quality.accuracy")
    (found,) = readings(record, "quality.accuracy")
    assert isinstance(found, Gap)
    assert "NaN or infinity" in found.detail


def test_a_function_beside_its_file_is_compared_and_still_speaks_for_itself(tmp_path: Path) -> None:
    path = write_audit(tmp_path, score, "model.onnx")
    record = audit(path, score, "hardware.parity", "quality.accuracy")
    flips = [item for item in readings(record, "hardware.parity") if item.metric == "flip_rate"]
    assert [item.value for item in flips if isinstance(item, Measurement)] == [0.0]
    assert find_record_scope(record) is RecordScope.ENDPOINT


def test_nobody_reproduces_a_record_without_its_function(record: AuditRecord) -> None:
    with pytest.raises(TargetError, match=r"score, which runs only from Python"):
        require_operator_permission(record.request, OperatorTargets(allows_code=True))


def test_a_record_of_a_function_follows_the_published_schema(record: AuditRecord) -> None:
    assert validate_record(json.loads(record.canonical())) == []
    assert read_record(record.canonical()) == record


def test_an_audit_file_alone_cannot_bring_a_function(tmp_path: Path) -> None:
    path = write_audit(tmp_path, score)
    parts = build_resolvers(tmp_path)
    with pytest.raises(TargetError, match="runs only from Python"):
        read_overridden_audit_file(path.read_bytes(), path.name, parts)
