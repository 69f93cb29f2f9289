"""A changed policy judges what is stored first; a model runs where its readings are missing."""

from collections.abc import Mapping
from dataclasses import dataclass

from auditor.acting import act_by
from auditor.domain.acts import ActKind
from auditor.domain.api_keys import ApiKey
from auditor.domain.policies import Policy
from auditor.domain.records import AuditRecord
from auditor.domain.schedules import Due, Run, Schedule
from auditor.domain.served import Ending
from auditor.domain.submissions import State, Submission
from auditor.errors import AuditorError, StoreError
from auditor.people.panels import read_kept
from auditor.people.rejudging import judged_again
from auditor.preparing import chosen_checks
from auditor.recalling import unseen
from auditor.schedules.changes import Change
from auditor.schedules.parts import Scheduler
from auditor.store.service.audited import Sought as Under
from auditor.store.service.audited import measured_since
from auditor.store.service.overviews import Overviews, Sought
from auditor.store.service.rejudged import Kept

NEWEST = 50
"""So many ended audits of a model are looked at for one that asked for the same."""
MISSING = "missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """Whose run it is, what it asks for under the policy as it is now, and its own key."""

    run: Run
    schedule: Schedule
    caller: ApiKey
    draft: Submission
    policy: Policy
    once: str


def judge_stored(scheduler: Scheduler, asker: Asker) -> tuple[str, str] | None:
    """Judge what a run's like measured by the policy of today, and say in which audit, and how.

    That audit has its record at once. Where readings are missing another run is put down, for
    the targets where they are. Nothing is returned where nothing is stored that can be judged,
    or where the same was measured for this policy since: what is older must not outrank that.
    """
    before = _before(scheduler, asker)
    if before is None:
        return None
    kept = scheduler.people.rejudged.record(asker.schedule.project, str(before[1]))
    if kept is None or _measured_since(scheduler, asker, read_kept(kept)):
        return None
    lacking = _lacking(scheduler, asker, kept)
    try:
        fresh, files = judged_again(scheduler.people, kept, asker.policy)
    except StoreError:
        raise
    except AuditorError:
        return None  # what does not verify, or other code saw, is measured anew
    detail = f"the evidence of {before[0]} was judged again, and no model was run"
    if lacking:
        # First, so that whoever is interrupted after the next line has put it down.
        _claim(scheduler, asker, lacking)
        detail += f"; {_named(lacking)} is to follow"
    return _ended(scheduler, asker, fresh, files), detail


def missing_key(run: Run) -> str:
    """Return the key of the run that measures what is missing for another run's policy."""
    return f"{run.key} {MISSING}"


def _before(scheduler: Scheduler, asker: Asker) -> tuple[str, str] | None:
    """Return the newest audit that asked for the same under another policy, and its record."""
    kept, project = scheduler.desk.kept, asker.schedule.project
    sought = Sought(project=project, model=asker.schedule.model, states=(State.DONE,), limit=NEWEST)
    for line in Overviews(kept).audits(sought)[0]:
        asked = kept.submission(project, line.id)
        if asked is None or line.record is None:
            continue
        if _measured(asked) == _measured(asker.draft):
            return line.id, line.record
    return None


def _measured_since(scheduler: Scheduler, asker: Asker, record: AuditRecord) -> bool:
    artifact = record.request.artifact
    if artifact is None:
        return False
    under = Under(asker.schedule.project, artifact.digest, asker.policy.digest)
    return measured_since(scheduler.desk.kept, under, record.registered)


def _measured(asked: Submission) -> tuple[object, ...]:
    """Return what of a submission decides what is measured, but for the policy."""
    inputs = frozenset((item.path, item.file) for item in asked.inputs)
    return (
        asked.audit_file, inputs, asked.targets, asked.budget, asked.only, asked.sealed,
        asked.sealed_sets,
    )  # fmt: skip


def _lacking(scheduler: Scheduler, asker: Asker, kept: Kept) -> Mapping[str, tuple[str, ...]]:
    record = read_kept(kept)
    request = record.request
    checks = chosen_checks(scheduler.people.checks, asker.policy, request.budget, request.only)
    return unseen(record, checks)


def _ended(scheduler: Scheduler, asker: Asker, fresh: AuditRecord, files: str) -> str:
    """Make the audit that has the evidence's new record, and return its id."""
    desk, draft = scheduler.desk, asker.draft
    act = act_by(asker.caller, ActKind.AUDIT_ASKED, draft.id, draft.submitted, asked=draft.asked)
    # It waits for nobody, and takes no room from those that do.
    made, _new = desk.kept.submit(draft, asker.once, model=fresh.request.name, act=act)
    scheduler.trends.note(made.id, made.project, fresh)
    desk.kept.end(made.id, Ending(ended=fresh.finished, record=fresh.digest, files=files))
    return made.id


def _claim(scheduler: Scheduler, asker: Asker, lacking: Mapping[str, tuple[str, ...]]) -> None:
    due = Due(
        key=missing_key(asker.run),
        trigger=asker.run.trigger,
        why=f"the policy asks for readings of {_named(lacking)} that nobody took",
        change=Change(targets=tuple(lacking), measured=True).to_json(),
    )
    scheduler.runs.claim(asker.schedule.id, due, scheduler.now())


def _named(lacking: Mapping[str, tuple[str, ...]]) -> str:
    """Name the checks that are missing, and where; the first three of each target."""
    return "; ".join(
        f"{', '.join(checks[:3])}{f' and {len(checks) - 3} more' if checks[3:] else ''} on {target}"
        for target, checks in lacking.items()
    )
