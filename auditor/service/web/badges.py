"""Status badges of web pages: words and signs for states and verdicts."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from types import MappingProxyType

from auditor.domain.findings import Verdict
from auditor.domain.record_scope import RecordScope
from auditor.reports.waiver_text import EXCEPTION
from auditor.service.approvals.status import ApprovalStatus
from auditor.service.domain.schedules import ScheduledRun, ScheduledRunState, ScheduleState
from auditor.service.domain.submissions import SubmissionState
from auditor.service.domain.webhooks import DeliveryState
from auditor.service.gate import GateState
from auditor.service.store.audit_queries import AuditSummary, LatestRecord


@dataclass(frozen=True, slots=True)
class StatusBadge:
    """A word with its colour (that of an outcome) and its picture."""

    tone: str
    icon: str
    word: str


STATES: Mapping[SubmissionState, StatusBadge] = MappingProxyType({
    SubmissionState.QUEUED: StatusBadge("not_applicable", "waiting", "Queued"),
    SubmissionState.WAITING: StatusBadge("unknown", "waiting", "Waiting for a worker"),
    SubmissionState.RUNNING: StatusBadge("withstood", "running", "Running"),
    SubmissionState.DONE: StatusBadge("not_applicable", "passed", "Done"),
    SubmissionState.FAILED: StatusBadge("failed", "failed", "Failed to run"),
    SubmissionState.CANCELLED: StatusBadge("not_applicable", "not_applicable", "Cancelled"),
})  # fmt: skip
VERDICTS: Mapping[str, StatusBadge] = MappingProxyType({
    "pass": StatusBadge("passed", "passed", "Pass"),
    "fail": StatusBadge("failed", "failed", "Fail"),
    "inconclusive": StatusBadge("unknown", "unknown", "Undecided"),
})  # fmt: skip
EXCEPTED = StatusBadge("unknown", "waived", EXCEPTION)
"""In the place of a pass that rests on waivers, as in reports."""
STANDINGS: Mapping[ApprovalStatus, StatusBadge] = MappingProxyType({
    ApprovalStatus.PASSED: VERDICTS["pass"],
    ApprovalStatus.FAILED: VERDICTS["fail"],
    ApprovalStatus.INCONCLUSIVE: VERDICTS["inconclusive"],
    ApprovalStatus.AWAITING: StatusBadge("unknown", "waiting", "Awaiting approval"),
    ApprovalStatus.APPROVED: StatusBadge("passed", "passed", "Approved"),
    ApprovalStatus.REFUSED: StatusBadge("failed", "failed", "Rejected"),
})  # fmt: skip
SHUT = StatusBadge("unknown", "failed", "Gate closed")
"""In the place of a pass for which no gate opens."""
BLIND = StatusBadge("unknown", "unknown", "Label first")
"""In the place of a verdict that somebody is not to see yet."""
ANSWERS: Mapping[str, StatusBadge] = MappingProxyType({
    "yes": StatusBadge("passed", "passed", "Approves"),
    "no": StatusBadge("failed", "failed", "Rejects"),
    "waiver": StatusBadge("waived", "waived", "Waives a rule"),
    "finding": StatusBadge("failed", "failed", "Reports a problem"),
})  # fmt: skip
"""What somebody decided."""
SCHEDULES: Mapping[ScheduleState, StatusBadge] = MappingProxyType({
    ScheduleState.ACTIVE: StatusBadge("passed", "running", "Active"),
    ScheduleState.PAUSED: StatusBadge("unknown", "waiting", "Paused"),
    ScheduleState.ENDED: StatusBadge("not_applicable", "not_applicable", "Ended"),
})  # fmt: skip
RUNS: Mapping[ScheduledRunState, StatusBadge] = MappingProxyType({
    ScheduledRunState.DUE: StatusBadge("not_applicable", "waiting", "Due"),
    ScheduledRunState.RUNNING: StatusBadge("withstood", "running", "Running"),
    ScheduledRunState.SKIPPED: StatusBadge("unknown", "not_applicable", "Skipped"),
    ScheduledRunState.ENDED: StatusBadge("failed", "failed", "No record"),
})  # fmt: skip
DELIVERIES: Mapping[DeliveryState, StatusBadge] = MappingProxyType({
    DeliveryState.PENDING: StatusBadge("unknown", "waiting", "Pending"),
    DeliveryState.DELIVERED: StatusBadge("passed", "passed", "Delivered"),
    DeliveryState.DEAD: StatusBadge("failed", "failed", "Not delivered"),
})  # fmt: skip
TOLD: Mapping[str, str] = MappingProxyType({
    "queued": "queued",
    "waiting_for_target": "waiting for a worker",
    "running": "running",
    "check_started": "check started",
    "progress": "in progress",
    "check_ended": "check completed",
    "note": "note",
    "done": "done",
    "failed": "failed to run",
    "cancelled": "cancelled",
})  # fmt: skip
"""What an event says, in words."""


def choose_audit_badge(line: AuditSummary) -> StatusBadge:
    """Return the verdict of an audit that has one, else its state."""
    return (
        STATES[line.state]
        if line.verdict is None
        else choose_verdict_badge(line.verdict, line.scope, by_exception=line.by_exception)
    )


def choose_run_badge(run: ScheduledRun, waived: Collection[str] = ()) -> StatusBadge:
    """Return the verdict of a run's audit if it has one, else how far the run is.

    ``waived`` are the records that pass by exception.
    """
    if run.verdict is None:
        return RUNS[run.state]
    return choose_verdict_badge(run.verdict, by_exception=run.record in waived)


def choose_verdict_badge(
    verdict: str, scope: RecordScope | None = None, *, by_exception: bool = False
) -> StatusBadge:
    """Return the sign of a verdict; one that passes names what it speaks for but the artifact.

    One that passes by exception has the words and the colour that its report has.
    """
    found = EXCEPTED if by_exception else VERDICTS[verdict]
    endpoint = scope is RecordScope.ENDPOINT and verdict == Verdict.PASS
    return replace(found, word=f"{found.word} (endpoint)") if endpoint else found


def choose_state_badge(state: GateState) -> StatusBadge:
    """Return the sign of what the gate says: one that is shut on a pass says so."""
    shut = not state.open and state.verdict is Verdict.PASS
    if shut and state.scope is not RecordScope.ENDPOINT:
        return replace(SHUT, word=f"{SHUT.word}: {state.why}")
    return choose_verdict_badge(state.verdict, state.scope, by_exception=state.by_exception)


def choose_unread_badge(last: LatestRecord) -> StatusBadge:
    """Return the sign of a last audit of which the gate says nothing: no pass of an artifact."""
    lost = last.artifact is not None and last.scope is RecordScope.ARTIFACT
    if lost and last.verdict == Verdict.PASS:
        return SHUT
    return choose_verdict_badge(last.verdict, last.scope, by_exception=last.by_exception)


def format_short_time(text: str | None) -> str:
    """Write a time in UTC as short as a table needs it; what is none stays as it is."""
    if text is None:
        return ""
    try:
        at = datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        return text
    return f"{at.day} {at:%b %Y, %H:%M}"
