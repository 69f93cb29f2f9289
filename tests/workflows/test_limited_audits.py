"""An audit with little time: attacks see fewer rows, and a second run sees the same ones."""

import random
import subprocess
import sys
import time
from pathlib import Path

import interrupted_audits
import numpy as np
import pytest
from interrupted_audits import Stopping, audited, paced, write_interrupted
from sklearn.linear_model import LogisticRegression

import auditor
from auditor.attacks.gradient_masking.gradient_survey import EXAMINED_ROWS
from auditor.domain.findings import Outcome
from auditor.domain.readings import Gap, GapReason, Measurement
from auditor.errors import AuditorError, CancelledError, UsageError


@pytest.fixture
def report(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> auditor.AuditReport:
    """Return an audit of a linear model whose attack has time for a part of its 500 rows."""
    monkeypatch.setenv("AUDITOR_HOME", str(tmp_path / "home"))
    rng = np.random.default_rng(7)
    rows = rng.random((600, 40), dtype=np.float32)
    labels = (rows @ rng.normal(size=40) > 0).astype(int)
    spec = auditor.AuditSpec.build(
        LogisticRegression(max_iter=500).fit(rows, labels),
        auditor.Dataset(rows, labels),
        input={"domain": [0.0, 1.0]},
        only=["evasion.linf", "evasion.masking", "quality.accuracy"],
    )
    # Asked for beside the audit file, as the option of the command is
    return spec.audit(max_minutes=request.param, progress=False, out=tmp_path / "report")


@pytest.mark.parametrize("report", [0.02], indirect=True)
def test_an_attack_without_time_for_all_rows_is_cut_and_repeated_to_the_row(
    report: auditor.AuditReport, tmp_path: Path
) -> None:
    assert report.record.request.max_minutes == 0.02
    robust = [
        it
        for it in report.record.readings
        if isinstance(it, Measurement) and it.metric == "robust_accuracy"
    ]
    assert robust
    for reading in robust:
        assert reading.details["rows_asked"] == 500
        assert reading.n is not None
        assert 0 < reading.n < 500
        assert not reading.doubted
    (examined,) = (it for it in report.record.readings if getattr(it, "metric", "") == "believable")
    assert isinstance(examined, Measurement)
    assert examined.value is True
    assert EXAMINED_ROWS <= examined.n < examined.details["rows_asked"]  # type: ignore[operator] -- numbers
    text = report.files["report.html"].decode()
    assert "Less time was allowed than the budget gives: ci, at most 1.2" in text
    assert f"evasion.linf on cpu: {robust[0].n} of 500" in text
    assert f"evasion.masking on cpu: {examined.n} of " in text
    assert auditor.verify(tmp_path / "report", key=tmp_path / "report" / "signer.pub")
    assert auditor.reproduce(tmp_path / "report", progress=False)


@pytest.mark.parametrize("report", [0.003], indirect=True)
def test_an_attack_that_was_cut_is_doubted_where_nobody_looked_for_masked_gradients(
    report: auditor.AuditReport,
) -> None:
    readings = report.record.readings
    gap = next(it for it in readings if it.check == "evasion.masking")
    assert isinstance(gap, Gap)
    assert gap.reason is GapReason.OVER_BUDGET
    assert f"{EXAMINED_ROWS} are needed" in gap.detail
    bounds = [
        it for it in readings if isinstance(it, Measurement) and it.metric == "robust_accuracy"
    ]
    assert all(it.doubted and "no time to examine" in str(it.details["doubt"]) for it in bounds)
    finding = next(it for it in report.record.findings if it.rule == "evasion-small")
    assert finding.outcome in {Outcome.FAILED, Outcome.UNKNOWN}


RULE = """
  - {{id: {id}, title: "It withstands", measure: {id}/robust_accuracy, where: {{eps: {eps}}},
     at_least: {least}, accept: withstood, severity: high, effect: deny, controls: []}}"""


@pytest.mark.slow
def test_a_record_whose_attack_went_on_with_time_left_over_is_repeated_to_the_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten rows decide the rule on the query attack, and the other attack has the rest."""
    monkeypatch.setenv("AUDITOR_HOME", str(tmp_path / "home"))
    rng = np.random.default_rng(7)
    rows = rng.random((600, 40), dtype=np.float32)
    labels = (rows @ rng.normal(size=40) > 0).astype(int)
    policy = tmp_path / "policy.yaml"
    policy.write_text(
        "apiVersion: auditor/v1\nkind: Policy\n"
        "metadata: {name: open, version: 1.0.0, owner: me@example.org}\nrules:"
        + RULE.format(id="evasion.linf", eps=0.01, least=0.9)
        + RULE.format(id="evasion.linf_query", eps=0.2, least=0.95)
    )
    spec = auditor.AuditSpec.build(
        LogisticRegression(max_iter=500).fit(rows, labels),
        auditor.Dataset(rows, labels),
        input={"domain": [0.0, 1.0]},
        only=["evasion.linf", "evasion.linf_query"],
        policy=str(policy),
        budget="smoke",
    )
    said: list[str] = []
    with paced():
        report = spec.audit(
            max_minutes=0.15, progress=lambda *it: said.append(it[2]), out=tmp_path / "report"
        )
    assert any("evasion.linf on cpu, more rows" in text for text in said)
    assert auditor.verify(tmp_path / "report", key=tmp_path / "report" / "signer.pub")
    assert auditor.reproduce(tmp_path / "report", progress=False)
    early = {
        it.check: it.details["decided_early"]
        for it in report.record.readings
        if isinstance(it, Measurement) and it.metric == "robust_accuracy"
    }
    assert early == {"evasion.linf": False, "evasion.linf_query": True}


@pytest.mark.parametrize("minutes", [0, -1, "soon", float("nan"), True])
def test_a_time_that_is_none_is_refused(minutes: object) -> None:
    rows = auditor.Dataset(np.zeros((4, 2), np.float32), [0, 1, 0, 1])
    spec = auditor.AuditSpec.build("model.onnx", rows)
    with pytest.raises(UsageError, match="max_minutes"):
        spec.override(max_minutes=minutes)  # type: ignore[arg-type] -- a mistake
    with pytest.raises(AuditorError, match="max_minutes"):
        auditor.plan(None, rows, max_minutes=minutes)


def interrupt(folder: Path, minutes: float, whole: Stopping, seconds: float | None) -> set[str]:
    """Cut an audit somewhere, by a kill within so many seconds if any; return what had ended."""
    if seconds is None:
        watch = Stopping(CHANCE.randrange(whole.said))
        with pytest.raises(CancelledError):
            audited(folder, minutes, watch)
        return watch.done
    command = [sys.executable, interrupted_audits.__file__, str(folder), str(minutes)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(CHANCE.uniform(0, seconds))
        process.kill()
    return set()


CHANCE = random.Random(17)  # noqa: S311 -- no secret
SLOW, ROWS = pytest.mark.slow, 200


@pytest.mark.slow
@pytest.mark.parametrize(
    ("minutes", "twin", "moments"),
    [
        pytest.param(0.1, "none", 2, id="limited-2"),
        pytest.param(0.1, "adjoint", 10, id="limited-with-a-twin-10", marks=SLOW),
        pytest.param(0.1, "none", 50, id="limited-50", marks=SLOW),
        pytest.param(60, "none", 50, id="ample-50", marks=SLOW),
    ],
)
def test_an_audit_that_was_interrupted_whenever_reads_as_an_undisturbed_one(
    tmp_path: Path, minutes: float, twin: str, moments: int
) -> None:
    whole, began = Stopping(), time.monotonic()
    write_interrupted(tmp_path, twin)
    expected = audited(tmp_path, minutes, whole)
    seconds = time.monotonic() - began
    robust = [
        it
        for it in expected.readings
        if isinstance(it, Measurement) and it.metric == "robust_accuracy"
    ]
    assert robust
    assert all((it.n == ROWS) is (minutes > 1) for it in robust)
    for moment in range(moments):
        ended = interrupt(tmp_path, minutes, whole, seconds if moment % 5 == 1 else None)
        found = audited(tmp_path, minutes, again := Stopping())
        assert not ended & again.worked, "a check that had ended ran again"
        assert found.readings == expected.readings
        seen, sought = ({it.check: it for it in one.observations} for one in (found, expected))
        assert seen == sought
