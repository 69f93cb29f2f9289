"""Schedules, messages and trends: once each, in order, apart by project, on both databases."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import column as named
from sqlalchemy import create_engine, delete, inspect, table, update
from sqlalchemy.exc import DBAPIError

from auditor.domain.json import compute_digest
from auditor.domain.readings import Measurement
from auditor.domain.records import AuditRecord
from auditor.errors import StateConflictError, UsageError
from auditor.service.domain.schedules import (
    DueRun,
    Schedule,
    ScheduledRunResult,
    ScheduleState,
    SkipReason,
)
from auditor.service.domain.submissions import AuditOrder, Submission, SubmissionResult
from auditor.service.domain.triggers import ScheduleTrigger
from auditor.service.domain.webhooks import (
    DeliveryAttempt,
    DeliveryOutcome,
    WebhookEvent,
    WebhookSubscription,
)
from auditor.service.store.audit_queries import find_newest_record
from auditor.service.store.schedules import RunStore, ScheduleStore
from auditor.service.store.submission_history import ServiceStore
from auditor.service.store.trends import TrendPointStore, TrendQuery, TrendStore
from auditor.service.store.webhooks import EACH, DeliveryStore, WebhookStore
from auditor.store.record_store import RecordStore

pytestmark = pytest.mark.slow
NOW, LATER = "2026-01-01T00:00:00Z", "2026-01-01T00:00:10Z"
PLAN = Schedule(
    id="sch-" + "1" * 24, project="mine", maker="k1", name="nightly", model="digits-cnn",
    asked={"policy": "baseline"}, cron="0 3 * * *", triggers=(ScheduleTrigger.CRON,),
    batch_path=None, created=NOW, resumed=NOW,
)  # fmt: skip
HOOK = WebhookSubscription(
    id="hook-" + "1" * 24, project="mine", maker="k1", url="https://a.example.org/",
    events=(WebhookEvent.KEY_ENDED, WebhookEvent.SCHEDULE_SKIPPED, WebhookEvent.REAUDIT_FAILED),
    created=NOW, secret_hash=compute_digest(b"secret"),
)  # fmt: skip
DUE = DueRun(key="cron 1", trigger=ScheduleTrigger.CRON, why="it came", change={})


def submission(number: int, project: str = "mine") -> Submission:
    return Submission(
        id=f"sub-{number:024x}",
        project=project,
        submitter="k1",
        submitted=f"2026-01-{number:02d}T00:00:00Z",
        order=AuditOrder(
            audit_file=compute_digest(b"audit"),
            source="audit.yaml",
            inputs=(),
            policy=compute_digest(b"policy"),
            targets=("cpu",),
        ),
    )


@pytest.fixture
def kept(store: RecordStore) -> ServiceStore:
    """Open a store with two projects, one of which has a schedule and a web hook."""
    service = ServiceStore(store)
    for name in ("mine", "theirs"):
        service.add_project(name, NOW)
    ScheduleStore(store).add(PLAN)
    WebhookStore(store).add(HOOK)
    return service


def test_a_due_time_is_claimed_once_however_many_stores_find_it(
    kept: ServiceStore, url: str, home: Path
) -> None:
    stores = [kept.store, RecordStore.open(url, home / "blobs")]
    with ThreadPoolExecutor(6) as pool:
        claims = pool.map(lambda i: RunStore(stores[i % 2]).claim(PLAN.id, DUE, NOW), range(12))
        found = list(claims)
    stores[1].close()
    assert len({run.id for run, _new in found}) == 1
    assert sum(new for _run, new in found) == 1


def test_a_schedule_stands_as_it_was_last_told_to(kept: ServiceStore) -> None:
    plans = ScheduleStore(kept.store)
    assert plans.find("mine", PLAN.id) == PLAN
    assert plans.find("theirs", PLAN.id) is None
    plans.change(PLAN, ScheduleState.PAUSED, "k1", LATER)
    plans.change(PLAN, ScheduleState.PAUSED, "k1", "2026-01-02T00:00:00Z")
    assert plans.active() == ()
    assert plans.find("mine", PLAN.id) == replace(PLAN, state=ScheduleState.PAUSED, resumed=LATER)
    plans.change(PLAN, ScheduleState.ENDED, "k1", LATER)
    with pytest.raises(StateConflictError, match="has ended"):
        plans.change(PLAN, ScheduleState.ACTIVE, "k1", LATER)
    assert plans.of_project("theirs", None, 5) == ((), "")
    with pytest.raises(UsageError, match="no cursor"):
        plans.of_project("theirs", PLAN.id, 5)


def test_a_run_starts_and_ends_once_and_is_told_once(kept: ServiceStore) -> None:
    runs = RunStore(kept.store)
    run, _new = runs.claim(PLAN.id, DUE, NOW)
    assert [it.id for it, _plan in runs.due(NOW)] == [run.id]
    kept.submit(submission(1), "§1")
    assert runs.made_under("mine", "§1") == submission(1).id
    assert runs.started(run.id, submission(1).id, NOW)
    assert not runs.skipped(run, "mine", SkipReason.REFUSED, "late", NOW)
    assert runs.due(NOW) == ()
    assert runs.over(NOW) == ()
    assert runs.going_on("mine", submission(1).asked, "§2") == submission(1).id
    assert runs.going_on("mine", submission(1).asked, "§1") is None
    kept.end(submission(1).id, SubmissionResult(ended=LATER))
    assert runs.going_on("mine", submission(1).asked, "§2") is None
    assert [it.id for it, _plan in runs.over(LATER)] == [run.id]
    came = ScheduledRunResult(verdict="fail", failed=("a on cpu",), rollback=({"target": "cpu"},))
    assert runs.ended(run, "mine", came, LATER)
    assert not runs.ended(run, "mine", came, LATER)
    assert runs.over(LATER) == ()
    (found,) = runs.of_schedule(PLAN.id, None, 5)[0]
    assert (found.audit, found.verdict, found.failed) == (submission(1).id, "fail", ("a on cpu",))
    assert found.rollback == ({"target": "cpu"},)
    told = DeliveryStore(kept.store).of_hook(HOOK.id, None, 9)[0]
    assert [(it.event, it.subject) for it in told] == [(WebhookEvent.REAUDIT_FAILED, run.id)]
    assert runs.last_made(PLAN.id) == submission(1).id
    later, _ = runs.claim(PLAN.id, replace(DUE, key="cron 2"), LATER)
    last = runs.last_of([PLAN.id, "sch-" + "9" * 24])
    assert {name: found.id for name, found in last.items()} == {PLAN.id: later.id}
    assert runs.last_of([]) == {}
    assert runs.made_of((submission(1).id, submission(2).id)) == {submission(1).id}


def test_messages_that_are_due_come_a_few_a_hook_and_each_for_one_sender(
    kept: ServiceStore,
) -> None:
    runs, deliveries = RunStore(kept.store), DeliveryStore(kept.store)
    for number in range(EACH + 2):
        run, _new = runs.claim(PLAN.id, replace(DUE, key=f"cron {number}"), NOW)
        runs.skipped(run, "mine", SkipReason.REFUSED, "", NOW)
    due = deliveries.due(NOW, 40)
    assert len(due) == EACH
    first = due[0][0].id
    assert deliveries.claim(first, 1, 7, NOW)
    assert not deliveries.claim(first, 1, 7, NOW)
    failed = DeliveryAttempt(
        number=1, at=NOW, outcome=DeliveryOutcome.FAILED, status=500, again=LATER
    )
    assert deliveries.attempted(first, failed)
    assert first not in {it.id for it, _hook in deliveries.due(NOW, 40)}
    found = deliveries.find(HOOK.id, first)
    assert found is not None
    assert found.failures == 1
    assert deliveries.find("hook-" + "2" * 24, first) is None
    page, following = deliveries.of_hook(HOOK.id, None, 3)
    rest, end = deliveries.of_hook(HOOK.id, following, 9)
    assert len({it.id for it in (*page, *rest)}) == EACH + 2
    assert end == ""
    WebhookStore(kept.store).end(HOOK, "k1", NOW)
    assert deliveries.due(LATER, 40) == ()


def test_trends_are_kept_once_and_found_by_model_metric_and_target(
    kept: ServiceStore, make_record: Callable[..., AuditRecord]
) -> None:
    trends, points = TrendStore(kept.store), TrendPointStore(kept.store)
    measured = Measurement(
        metric="accuracy", value=0.5, low=0.4, high=0.6, confidence=0.95, method="m", n=10,
        target="cpu", check="quality.accuracy", version=1,
    )  # fmt: skip
    sliced = replace(measured, slice={"sex": "F"})
    for number, version in ((1, "1"), (2, "2"), (3, "2")):
        kept.submit(submission(number), None)
        seen = _seen(make_record(), version, number, (sliced, measured))
        trends.note(submission(number).id, "mine", seen)
        trends.note(submission(number).id, "mine", seen)
    sought = TrendQuery(
        project="mine", model="digits-cnn", metric="accuracy", target="cpu", limit=2
    )
    page, following = points.points(sought)
    rest, end = points.points(replace(sought, cursor=following))
    assert [it.version for it in (*page, *rest)] == ["2", "2", "1"]
    assert end == ""
    assert points.points(replace(sought, project="theirs"))[0] == ()
    with pytest.raises(UsageError, match="no cursor"):
        points.points(replace(sought, project="theirs", cursor=following))
    assert trends.models("mine", None, 5) == (("digits-cnn",), "")
    assert trends.models("theirs", None, 5) == ((), "")
    standings = trends.versions("mine", ("digits-cnn",), 20)
    assert {it.target for it in standings} == {"cpu", "lost"}
    assert {it.submission for it in standings} == {submission(3).id}
    assert find_newest_record(kept.store, "theirs", "digits-cnn") is None


def _seen(
    record: AuditRecord, version: str, number: int, readings: tuple[Measurement, ...]
) -> AuditRecord:
    request = replace(record.request, version=version)
    finished = f"2026-01-0{number}T00:00:00Z"
    return replace(record, readings=readings, request=request, finished=finished)


TABLES = (
    "schedule_plans", "schedule_changes", "schedule_runs", "schedule_run_starts",
    "schedule_run_ends", "hook_endpoints", "hook_ends", "hook_deliveries", "hook_attempts",
    "hook_claims", "trend_standings", "trend_versions",
    "trend_points",
)  # fmt: skip


def test_nothing_of_it_is_ever_changed_or_deleted(
    kept: ServiceStore, url: str, make_record: Callable[..., AuditRecord]
) -> None:
    runs = RunStore(kept.store)
    run, _new = runs.claim(PLAN.id, DUE, NOW)
    runs.skipped(run, "mine", SkipReason.REFUSED, "", NOW)
    runs.ended(run, "mine", ScheduledRunResult(told=False), NOW)
    ScheduleStore(kept.store).change(PLAN, ScheduleState.PAUSED, "k1", NOW)
    kept.submit(submission(1), None)
    reading = Measurement(metric="m", value=1.0, method="m", n=1, target="cpu", check="c")
    TrendStore(kept.store).note(submission(1).id, "mine", make_record(readings=(reading,)))
    deliveries = DeliveryStore(kept.store)
    deliveries.claim(deliveries.due(NOW, 1)[0][0].id, 1, 1, NOW)
    WebhookStore(kept.store).end(HOOK, "k1", NOW)
    engine = create_engine(url)
    for name in TABLES:
        some = inspect(engine).get_columns(name)[0]["name"]
        for change in (delete(table(name)), update(table(name, named(some))).values({some: "x"})):
            with pytest.raises(DBAPIError, match="never changed"), engine.begin() as connection:
                connection.execute(change)
    engine.dispose()
