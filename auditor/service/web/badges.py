"""The words and signs that pages have for states and verdicts."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from types import MappingProxyType

from auditor.domain.findings import Verdict
from auditor.domain.record_scope import RecordScope
from auditor.service.approvals.status import ApprovalStatus
from auditor.service.domain.schedules import ScheduledRun, ScheduledRunState, ScheduleState
from auditor.service.domain.submissions import SubmissionState
from auditor.service.domain.webhooks import DeliveryState
from auditor.service.gate import GateState
from auditor.service.store.audit_queries import AuditSummary


@dataclass(frozen=True, slots=True)
class StatusBadge:
    """A word with its colour (that of an outcome) and its picture."""

    tone: str
    icon: str
    word: str


STATES: Mapping[SubmissionState, StatusBadge] = MappingProxyType({
    SubmissionState.QUEUED: StatusBadge("not_applicable", "waiting", "Queued"),
    SubmissionState.WAITING: StatusBadge("unknown", "waiting", "Waits for a target"),
    SubmissionState.RUNNING: StatusBadge("withstood", "running", "Running"),
    SubmissionState.DONE: StatusBadge("not_applicable", "passed", "Done"),
    SubmissionState.FAILED: StatusBadge("failed", "failed", "Broke off"),
    SubmissionState.CANCELLED: StatusBadge("not_applicable", "not_applicable", "Cancelled"),
})  # fmt: skip
VERDICTS: Mapping[str, StatusBadge] = MappingProxyType({
    "pass": StatusBadge("passed", "passed", "Passes"),
    "fail": StatusBadge("failed", "failed", "Fails"),
    "inconclusive": StatusBadge("unknown", "unknown", "Not decided"),
})  # fmt: skip
STANDINGS: Mapping[ApprovalStatus, StatusBadge] = MappingProxyType({
    ApprovalStatus.PASSED: VERDICTS["pass"],
    ApprovalStatus.FAILED: VERDICTS["fail"],
    ApprovalStatus.INCONCLUSIVE: VERDICTS["inconclusive"],
    ApprovalStatus.AWAITING: StatusBadge("unknown", "waiting", "Awaits approval"),
    ApprovalStatus.APPROVED: StatusBadge("passed", "passed", "Approved"),
    ApprovalStatus.REFUSED: StatusBadge("failed", "failed", "Refused"),
})  # fmt: skip
SHUT = StatusBadge("unknown", "failed", "Gate shut")
"""In the place of a pass for which no gate opens."""
BLIND = StatusBadge("unknown", "unknown", "Label first")
"""In the place of a verdict that somebody is not to see yet."""
ANSWERS: Mapping[str, StatusBadge] = MappingProxyType({
    "yes": StatusBadge("passed", "passed", "Approves"),
    "no": StatusBadge("failed", "failed", "Rejects"),
    "waiver": StatusBadge("waived", "waived", "Waives a rule"),
    "finding": StatusBadge("failed", "failed", "Finds fault"),
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
    ScheduledRunState.ENDED: StatusBadge("failed", "failed", "Gave no record"),
})  # fmt: skip
DELIVERIES: Mapping[DeliveryState, StatusBadge] = MappingProxyType({
    DeliveryState.PENDING: StatusBadge("unknown", "waiting", "On its way"),
    DeliveryState.DELIVERED: StatusBadge("passed", "passed", "Delivered"),
    DeliveryState.DEAD: StatusBadge("failed", "failed", "Given up"),
})  # fmt: skip
TOLD: Mapping[str, str] = MappingProxyType({
    "queued": "queued",
    "waiting_for_target": "waits for a target",
    "running": "begins to run",
    "check_started": "a check begins",
    "progress": "is on its way",
    "check_ended": "a check ended",
    "note": "note",
    "done": "done",
    "failed": "broke off",
    "cancelled": "cancelled",
})  # fmt: skip
"""What an event says, in words."""


def choose_audit_badge(line: AuditSummary) -> StatusBadge:
    """Return the verdict of an audit that has one, else its state."""
    return (
        STATES[line.state]
        if line.verdict is None
        else choose_verdict_badge(line.verdict, line.scope)
    )


def choose_run_badge(run: ScheduledRun) -> StatusBadge:
    """Return the verdict of a run's audit if it has one, else how far the run is."""
    return RUNS[run.state] if run.verdict is None else VERDICTS[run.verdict]


def choose_verdict_badge(verdict: str, scope: RecordScope | None = None) -> StatusBadge:
    """Return the sign of a verdict; one that passes names what it speaks for but the artifact."""
    found = VERDICTS[verdict]
    endpoint = scope is RecordScope.ENDPOINT and verdict == Verdict.PASS
    return replace(found, word="Endpoint passes") if endpoint else found


def choose_state_badge(state: GateState) -> StatusBadge:
    """Return the sign of what the gate says: one that is shut on a pass says so."""
    if state.open or state.verdict is not Verdict.PASS:
        return choose_verdict_badge(state.verdict, state.scope)
    if state.scope is RecordScope.ENDPOINT:
        return choose_verdict_badge(state.verdict, state.scope)
    return replace(SHUT, word=f"{SHUT.word}: {state.why}")


def choose_unread_badge(verdict: str, scope: RecordScope, artifact: str | None) -> StatusBadge:
    """Return the sign of a last audit of which the gate says nothing: no pass of an artifact."""
    lost = artifact is not None and verdict == Verdict.PASS and scope is RecordScope.ARTIFACT
    return SHUT if lost else choose_verdict_badge(verdict, scope)


def format_short_time(text: str | None) -> str:
    """Write a time in UTC as short as a table needs it; what is none stays as it is."""
    if text is None:
        return ""
    try:
        at = datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        return text
    return f"{at.day} {at:%b %Y, %H:%M}"
