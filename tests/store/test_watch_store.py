"""Watched places, what targets were, and where audits stand: once each, on both databases."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import delete, update
from sqlalchemy.exc import DBAPIError

from auditor._time import format_time
from auditor.domain.json import compute_digest
from auditor.domain.records import AuditRecord
from auditor.service.domain.schedules import (
    DueRun,
    Schedule,
    ScheduledRunState,
    ScheduleState,
    SkipReason,
    WatchedFile,
)
from auditor.service.domain.submissions import AuditOrder, Submission, SubmissionResult
from auditor.service.domain.triggers import ScheduleTrigger
from auditor.service.store.agents import SightingStore
from auditor.service.store.audit_queries import find_newest_on_target, list_records_since
from auditor.service.store.people import RejudgementStore
from auditor.service.store.schedules import WINDOW, ArrivalStore, RunStore, ScheduleStore
from auditor.service.store.submission_history import ServiceStore
from auditor.service.store.tables import ArrivalRow, SightingRow, WatchRow
from auditor.service.store.trends import TrendStore
from auditor.store.record_store import RecordStore

pytestmark = pytest.mark.slow
NOW, LATER = "2026-01-01T00:00:00Z", "2026-01-01T00:00:10Z"
PLAN = Schedule(
    id="sch-" + "2" * 24, project="mine", maker="k1", name="watching", model="digits-cnn",
    asked={"policy": "baseline"}, cron=None, triggers=(ScheduleTrigger.BATCH,), batch_path="x.csv",
    created=NOW, resumed=NOW, watch="/srv/batches",
)  # fmt: skip
FILE = WatchedFile(name="july.csv", size=3, mark="3 7", came=7)
FACTS = {"machine": {"os": "Linux"}, "runtime": {"name": "onnxruntime"}}
MakeRecord = Callable[..., AuditRecord]


@pytest.fixture
def kept(store: RecordStore) -> ServiceStore:
    service = ServiceStore(store)
    for name in ("mine", "theirs"):
        service.add_project(name, NOW)
    ScheduleStore(store).add(PLAN, there=[FILE])
    return service


def test_a_schedule_keeps_its_place_and_what_was_there_when_it_began(kept: ServiceStore) -> None:
    plans, arrivals = ScheduleStore(kept.store), ArrivalStore(kept.store)
    assert plans.find("mine", PLAN.id) == PLAN
    assert plans.active() == (PLAN,)
    assert arrivals.known(PLAN.id) == {("july.csv", "3 7")}
    other = replace(FILE, name="june.csv")
    plans.change(PLAN, ScheduleState.PAUSED, "k1", LATER)
    plans.change(PLAN, ScheduleState.ACTIVE, "k1", LATER, there=[FILE, other])
    assert arrivals.known(PLAN.id) == {("july.csv", "3 7"), ("june.csv", "3 7")}
    again = replace(FILE, mark="4 8")
    assert arrivals.note(PLAN.id, again, compute_digest(b"rows"), LATER)
    assert not arrivals.note(PLAN.id, again, compute_digest(b"rows"), LATER)


def test_a_run_that_is_refused_is_never_seen_as_due(kept: ServiceStore) -> None:
    runs = RunStore(kept.store)
    due = DueRun(key="arrival x", trigger=ScheduleTrigger.BATCH, why="x came", change={})
    assert runs.refused(PLAN, due, SkipReason.REFUSED, "it is empty", NOW)
    assert not runs.refused(PLAN, due, SkipReason.REFUSED, "it is empty", LATER)
    assert runs.due(NOW) == ()
    assert not runs.waits(PLAN.id, ScheduleTrigger.BATCH, NOW)
    found = runs.of_key(PLAN.id, "arrival x")
    assert found is not None
    assert (found.state, found.skipped, found.detail) == (
        ScheduledRunState.SKIPPED, SkipReason.REFUSED, "it is empty"
    )  # fmt: skip
    assert runs.of_key(PLAN.id, "arrival y") is None
    runs.claim(PLAN.id, replace(due, key="batch 1"), NOW)
    assert runs.waits(PLAN.id, ScheduleTrigger.BATCH, NOW)
    assert not runs.waits(PLAN.id, ScheduleTrigger.CRON, NOW)
    # A run that is no longer looked for keeps nothing waiting.
    later = format_time(datetime.fromisoformat(NOW).astimezone(UTC) + WINDOW + timedelta(days=1))
    assert runs.due(later) == ()
    assert not runs.waits(PLAN.id, ScheduleTrigger.BATCH, later)


def test_what_a_target_is_is_kept_when_it_is_another_than_was_said_before(
    kept: ServiceStore,
) -> None:
    sightings = SightingStore(kept.store)
    other = {**FACTS, "runtime": {"name": "another"}, "conditions": {"load": 3}}
    assert sightings.note("worker", "cpu", FACTS, NOW)
    assert not sightings.note("worker", "cpu", {**FACTS, "conditions": {"load": 2}}, NOW)
    assert sightings.note("worker", "cpu", other, LATER)
    assert sightings.note("worker", "cpu", FACTS, LATER)
    assert sightings.note("agent", "npu", FACTS, LATER, project="theirs")
    assert [(it.seer, it.number) for it in sightings.since("mine", NOW)] == [
        ("worker", 1), ("worker", 2), ("worker", 3)
    ]  # fmt: skip
    assert {it.seer for it in sightings.since("theirs", LATER)} == {"worker", "agent"}


def test_rows_of_places_and_targets_are_never_changed(kept: ServiceStore) -> None:
    SightingStore(kept.store).note("worker", "cpu", FACTS, NOW)
    for row, column in ((WatchRow, "place"), (ArrivalRow, "at"), (SightingRow, "facts")):
        for statement in (update(row).values({column: "another"}), delete(row)):
            with pytest.raises(DBAPIError, match="never changed"), kept.store.engine.begin() as on:
                on.execute(statement)


def _submission(number: int) -> Submission:
    return Submission(
        id=f"sub-{number:024x}",
        project="mine",
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


def _ended(kept: ServiceStore, number: int, record: AuditRecord) -> AuditRecord:
    """Keep a record as what a submission came to, on a day of its own."""
    made = replace(record, id=f"record-{number}", finished=f"2026-01-{number:02d}T01:00:00Z")
    mine = _submission(number)
    kept.submit(mine, None)
    with kept.store.unit_of_work() as unit:
        unit.register(made.request, NOW)
        unit.save(made, b"{}")
    TrendStore(kept.store).note(mine.id, "mine", made)
    kept.end(
        mine.id,
        SubmissionResult(ended=made.finished, record=made.digest, files=compute_digest(b"files")),
    )
    return made


def test_audits_stand_at_the_last_record_that_was_judged_of_them(
    kept: ServiceStore, make_record: MakeRecord
) -> None:
    first, second = (_ended(kept, number, make_record()) for number in (1, 2))
    later = replace(second, id="again", derived_from=second.digest)
    with kept.store.unit_of_work() as unit:
        unit.register(later.request, NOW)
        unit.save(later, b"{}")
    rejudged = RejudgementStore(kept.store)
    rejudged.add(_submission(2).id, later.digest, compute_digest(b"others"), LATER)
    names = [_submission(number).id for number in (2, 1, 9)]
    assert [(it.submission, it.record) for it in rejudged.stand(names)] == [
        (names[0], later.digest), (names[1], first.digest)
    ]  # fmt: skip
    assert rejudged.stand([]) == ()
    model, store = first.request.name, kept.store
    stood = list_records_since(store, "mine", model, "2026-01-01T00:00:00Z", 1)
    assert {it.record for it in stood} == {later.digest}
    assert list_records_since(store, "theirs", model, NOW, 5) == ()
    assert list_records_since(store, "mine", model, "2026-01-03T00:00:00Z", 5) == ()
    everything = list_records_since(store, "mine", model, NOW, 5)
    assert list(dict.fromkeys(it.submission for it in everything)) == names[:2]
    newest = find_newest_on_target(store, "mine", model, "cpu")
    assert newest is not None
    assert (newest.submission, newest.record) == (names[0], later.digest)
    assert find_newest_on_target(store, "mine", model, "nowhere") is None
