"""Say what came of runs whose audit has ended, by the record at which that stands."""

from dataclasses import replace

from auditor.domain.failed_rules import failed_rules
from auditor.domain.records import AuditRecord
from auditor.domain.schedules import Came, Run, Schedule
from auditor.domain.verdicts import Verdict
from auditor.errors import AuditorError, StoreError
from auditor.people.panels import read_kept
from auditor.people.rejudging import waived_by_now
from auditor.schedules.parts import Scheduler, each
from auditor.schedules.remeasuring import missing_key
from auditor.schedules.rollbacks import rollbacks


def conclude_over(scheduler: Scheduler) -> None:
    """Say what came of every run whose audit has ended."""
    over = scheduler.runs.over(scheduler.now())
    each(over, lambda pair: _conclude(scheduler, *pair))


def _conclude(scheduler: Scheduler, run: Run, schedule: Schedule) -> None:
    name = str(run.audit)
    ending = scheduler.desk.kept.outcome(name)
    if ending is None:
        return
    if ending.record is None:
        failure = ending.failure
        detail = "the audit was cancelled" if failure is None else failure.problem
        came = Came(detail=detail, told=failure is not None)
    else:
        record = _standing(scheduler, schedule.project, name, ending.record)
        came = _came(scheduler, schedule.project, name, record)
        # What is measured next says more than that something is missing.
        follows = scheduler.runs.of_key(run.schedule, missing_key(run)) is not None
        if follows and record.verdict is Verdict.INCONCLUSIVE:
            came = replace(came, told=False)
    scheduler.runs.ended(run, schedule.project, came, scheduler.now())


def _standing(scheduler: Scheduler, project: str, submission: str, digest: str) -> AuditRecord:
    """Return the record at which an audit stands, with the waivers that count for it by now."""
    panel = scheduler.people
    first = panel.rejudged.record(project, digest)
    if first is None:
        raise StoreError(f"the record {digest} is not kept", cure="Restore it from a copy.")
    record = read_kept(first)
    if record.verdict is Verdict.PASS:
        return record
    try:
        waived_by_now(panel, project, record.request.name)
    except StoreError:
        raise  # somebody else is at it: the next round knows what came of it
    except AuditorError:
        return record
    last = panel.rejudged.last(submission)
    return record if last is None else read_kept(last)


def _came(scheduler: Scheduler, project: str, submission: str, record: AuditRecord) -> Came:
    passes = record.verdict is Verdict.PASS
    back = () if passes else tuple(rollbacks(scheduler, project, submission, record))
    return Came(
        record=record.digest,
        verdict=record.verdict.value,
        failed=failed_rules(record),
        rollback=back,
        told=not passes,
    )
