"""Schedules and their runs on a terminal of 80 columns: what is copied is not broken."""

from typing import Any

import pytest

from auditor.cli.schedule_output import show_runs, show_schedules

SCHEDULE = "sch-0f1e2d3c4b5a69788796a5b4"
AUDIT = "sub-0f1e2d3c4b5a69788796a5b4"
SHOWN: dict[str, Any] = {
    "id": SCHEDULE, "name": "nightly audit of the release", "model": "credit-score-2026",
    "state": "active", "cron": "0 3 * * *", "next": "2030-01-02T03:00:00Z",
    "on": ["batch", "drift_alarm", "fingerprint_changed"], "watch": "s3://batches/credit/in",
}  # fmt: skip
RUN: dict[str, Any] = {
    "audit": AUDIT, "at": "2030-01-02T03:00:00Z", "why": "july.csv came in /srv/batches",
    "skipped": None, "verdict": "fail", "detail": "", "state": "ended",
    "failed": ["accuracy on cpu"],
    "rollback": [{"target": "cpu", "candidate": {"version": "1.0.0"}}],
}  # fmt: skip


@pytest.fixture(autouse=True)
def _narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


def test_a_schedule_is_listed_with_its_id_its_times_and_its_place_whole(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show_schedules([SHOWN], "table")
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= 80
    for whole in (SCHEDULE, "credit-score-2026", "active", "2030-01-02T03:00:00Z"):
        assert whole in shown


def test_a_run_is_listed_with_its_audit_whole_and_what_came_of_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show_runs([RUN], "table", 5)
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= 80
    assert AUDIT in shown
    assert "july.csv came in /srv/batches" in shown
    assert "return to 1.0.0 on cpu" in " ".join(shown.replace("│", " ").split())


def test_a_run_that_made_no_audit_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    skipped = {**RUN, "audit": None, "skipped": "same_before", "detail": "it is the same"}
    show_runs([skipped], "table", 5)
    shown = capsys.readouterr().out
    assert "no audit" in shown
    assert "same before: it is the same" in shown
