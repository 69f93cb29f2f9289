"""A plan goes by what the checks of earlier audits took, and by nothing that is not of the same."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

import auditor
from auditor.checks.quality.accuracy import AccuracyCheck
from auditor.domain.readings import Gap, GapReason
from auditor.errors import CancelledError
from auditor.store.check_times import CheckTimes, CheckTimeStore
from auditor.workflows.earlier_times import CheckTimer
from auditor.workflows.progress import CallbackProgress
from auditor.workflows.remaining_time import CheckPlace

ONLY = ["quality.accuracy", "quality.calibration"]
MODEL = np.random.default_rng(7)
ROWS = MODEL.random((200, 3), dtype=np.float32)
LABELS = (ROWS[:, 0] > 0.5).astype(int)


def build(rows: int = 200, **settings: object) -> auditor.AuditSpec:
    """Return the request of a linear model and so many of its rows."""
    model = LogisticRegression().fit(ROWS, LABELS)
    data = auditor.Dataset(ROWS[:rows], LABELS[:rows])
    return auditor.AuditSpec.build(model, data, **{"only": ONLY, "budget": "smoke", **settings})


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Audit a model, and return the file of what its checks took."""
    monkeypatch.setenv("AUDITOR_HOME", str(tmp_path / "home"))
    before = build().plan()["cpu"]
    assert before.timed_before == 0
    build().audit(progress=False)
    (file,) = (tmp_path / "home" / "times").iterdir()
    return file


def test_a_plan_goes_by_the_times_of_an_earlier_audit_of_the_same_alone(kept: Path) -> None:
    found = json.loads(kept.read_text())
    assert len(found["checks"]) == 2
    found["checks"] = dict.fromkeys(found["checks"], 30.0)
    kept.write_text(json.dumps({**found, "beside": 7.0}))
    spec = build()
    plans = spec.plan()
    plan = plans["cpu"]
    assert (plan.timed_before, plan.seconds, plan.beside) == (2, 67.0, 7.0)
    assert "Earlier audits timed 2 checks." in repr(plans)
    assert plan.to_json()["timed_before"] == 2
    one = spec.plan(only=ONLY[0])["cpu"]
    assert (one.timed_before, one.seconds) == (1, 37.0)
    longer = spec.plan(max_minutes=60)["cpu"]
    assert longer.timed_before == 0, "more time is another audit"
    assert build(rows=190).plan()["cpu"].timed_before == 0
    kept.write_text(json.dumps({**found, "identity": "sha256:other"}))
    assert spec.plan()["cpu"].timed_before == 0, "the target is another one now"


@pytest.mark.slow
def test_an_audit_whose_times_cannot_be_kept_is_made_all_the_same(kept: Path) -> None:
    folder = kept.parent
    kept.unlink()
    folder.rmdir()
    folder.write_text("no folder")
    assert build().audit(progress=False).record.readings
    assert build().plan()["cpu"].timed_before == 0


def test_the_turns_of_a_check_that_goes_on_take_their_seconds_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = iter((10.0, 13.0, 20.0, 24.0))
    monkeypatch.setattr("auditor.workflows.earlier_times.time.monotonic", lambda: next(clock))
    timer, check = CheckTimer(CallbackProgress()), AccuracyCheck()
    for _ in range(2):
        timer.started("cpu", check)
        timer.ended("cpu", check, Gap(reason=GapReason.OVER_BUDGET, detail="", cure=""))
    assert timer.seconds == {("cpu", check.id): 7.0}


NAME = "sha256:" + "a" * 64


def test_times_of_other_checks_stay_and_those_of_another_target_go(tmp_path: Path) -> None:
    store = CheckTimeStore(tmp_path / "times")
    assert store.find(NAME) is None
    store.keep(NAME, CheckTimes("one", {"a": 1.0, "b": 2.0}, 3.0))
    store.keep(NAME, CheckTimes("one", {"b": 4.0}, 5.0))
    assert store.find(NAME) == CheckTimes("one", {"a": 1.0, "b": 4.0}, 5.0)
    store.keep(NAME, CheckTimes("two", {"b": 6.0}, 7.0))
    assert store.find(NAME) == CheckTimes("two", {"b": 6.0}, 7.0)


@pytest.mark.parametrize(
    "damaged",
    [
        "", "{", "[]", "null", "[" * 100_000, '{"identity": "x", "checks": {}}',
        *(
            json.dumps({"identity": "x", "checks": {"a": it}, "beside": 1.0})
            for it in (-1, "1", None, True, float("nan"), float("inf"))
        ),
    ],
)  # fmt: skip
def test_times_that_are_none_count_as_none(tmp_path: Path, damaged: str) -> None:
    store = CheckTimeStore(tmp_path)
    store.keep(NAME, CheckTimes("one", {"a": 1.0}, 2.0))
    (file,) = tmp_path.iterdir()
    file.write_text(damaged)
    assert store.find(NAME) is None
    store.keep(NAME, CheckTimes("one", {"b": 1.0}, 2.0))
    assert store.find(NAME) == CheckTimes("one", {"b": 1.0}, 2.0)


class Expecting(CallbackProgress):
    """Keeps how long each check is expected to take."""

    def expects(self, seconds: Mapping[CheckPlace, float], most: float | None = None) -> None:
        self.expected = dict(seconds)
        super().expects(seconds, most)


def test_the_time_left_goes_by_earlier_audits_too(kept: Path) -> None:
    found = json.loads(kept.read_text())
    kept.write_text(json.dumps({**found, "checks": dict.fromkeys(found["checks"], 30.0)}))
    watch = Expecting()
    build().audit(progress=watch)
    assert watch.expected == {("cpu", check): 30.0 for check in ONLY}


@pytest.mark.slow
def test_an_audit_that_was_interrupted_tells_no_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUDITOR_HOME", str(tmp_path / "home"))

    def stop(done: int, total: int, text: str) -> None:
        del total, text
        if done == 1:
            raise CancelledError("stopped", cure="none")

    with pytest.raises(CancelledError):
        build().audit(progress=stop)
    build().audit(progress=False)
    assert not (tmp_path / "home" / "times").exists(), "a check was recalled and took no time"
    build().audit(progress=False)
    assert build().plan()["cpu"].timed_before == 2
