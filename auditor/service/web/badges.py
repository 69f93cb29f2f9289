"""The words and signs that pages have for states and verdicts."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from types import MappingProxyType

from auditor.domain.hooks import DeliveryState
from auditor.domain.record_scopes import RecordScope
from auditor.domain.schedules import Run, RunState, ScheduleState
from auditor.domain.submissions import State
from auditor.domain.verdicts import Verdict
from auditor.people.standing import Standing
from auditor.states import GateState
from auditor.store.service.overviews import Line


@dataclass(frozen=True, slots=True)
class Sign:
    """A word with its colour (that of an outcome) and its picture."""

    tone: str
    icon: str
    word: str


STATES: Mapping[State, Sign] = MappingProxyType({
    State.QUEUED: Sign("not_applicable", "waiting", "Queued"),
    State.WAITING: Sign("unknown", "waiting", "Waits for a target"),
    State.RUNNING: Sign("withstood", "running", "Running"),
    State.DONE: Sign("not_applicable", "passed", "Done"),
    State.FAILED: Sign("failed", "failed", "Broke off"),
    State.CANCELLED: Sign("not_applicable", "not_applicable", "Cancelled"),
})  # fmt: skip
VERDICTS: Mapping[str, Sign] = MappingProxyType({
    "pass": Sign("passed", "passed", "Passes"),
    "fail": Sign("failed", "failed", "Fails"),
    "inconclusive": Sign("unknown", "unknown", "Not decided"),
})  # fmt: skip
STANDINGS: Mapping[Standing, Sign] = MappingProxyType({
    Standing.PASSED: VERDICTS["pass"],
    Standing.FAILED: VERDICTS["fail"],
    Standing.INCONCLUSIVE: VERDICTS["inconclusive"],
    Standing.AWAITING: Sign("unknown", "waiting", "Awaits approval"),
    Standing.APPROVED: Sign("passed", "passed", "Approved"),
    Standing.REFUSED: Sign("failed", "failed", "Refused"),
})  # fmt: skip
SHUT = Sign("unknown", "failed", "Gate shut")
"""In the place of a pass for which no gate opens."""
BLIND = Sign("unknown", "unknown", "Label first")
"""In the place of a verdict that somebody is not to see yet."""
ANSWERS: Mapping[str, Sign] = MappingProxyType({
    "yes": Sign("passed", "passed", "Approves"),
    "no": Sign("failed", "failed", "Rejects"),
    "waiver": Sign("waived", "waived", "Waives a rule"),
    "finding": Sign("failed", "failed", "Finds fault"),
})  # fmt: skip
"""What somebody decided."""
SCHEDULES: Mapping[ScheduleState, Sign] = MappingProxyType({
    ScheduleState.ACTIVE: Sign("passed", "running", "Active"),
    ScheduleState.PAUSED: Sign("unknown", "waiting", "Paused"),
    ScheduleState.ENDED: Sign("not_applicable", "not_applicable", "Ended"),
})  # fmt: skip
RUNS: Mapping[RunState, Sign] = MappingProxyType({
    RunState.DUE: Sign("not_applicable", "waiting", "Due"),
    RunState.RUNNING: Sign("withstood", "running", "Running"),
    RunState.SKIPPED: Sign("unknown", "not_applicable", "Skipped"),
    RunState.ENDED: Sign("failed", "failed", "Gave no record"),
})  # fmt: skip
DELIVERIES: Mapping[DeliveryState, Sign] = MappingProxyType({
    DeliveryState.PENDING: Sign("unknown", "waiting", "On its way"),
    DeliveryState.DELIVERED: Sign("passed", "passed", "Delivered"),
    DeliveryState.DEAD: Sign("failed", "failed", "Given up"),
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


def sign_of(line: Line) -> Sign:
    """Return the verdict of an audit that has one, else its state."""
    return STATES[line.state] if line.verdict is None else verdict_sign(line.verdict, line.scope)


def run_sign(run: Run) -> Sign:
    """Return the verdict of a run's audit if it has one, else how far the run is."""
    return RUNS[run.state] if run.verdict is None else VERDICTS[run.verdict]


def verdict_sign(verdict: str, scope: RecordScope | None = None) -> Sign:
    """Return the sign of a verdict; one that passes names what it speaks for but the artifact."""
    found = VERDICTS[verdict]
    endpoint = scope is RecordScope.ENDPOINT and verdict == Verdict.PASS
    return replace(found, word="Endpoint passes") if endpoint else found


def state_sign(state: GateState) -> Sign:
    """Return the sign of what the gate says: one that is shut on a pass says so."""
    if state.open or state.verdict is not Verdict.PASS:
        return verdict_sign(state.verdict, state.scope)
    if state.scope is RecordScope.ENDPOINT:
        return verdict_sign(state.verdict, state.scope)
    return replace(SHUT, word=f"{SHUT.word}: {state.why}")


def unread_sign(verdict: str, scope: RecordScope, artifact: str | None) -> Sign:
    """Return the sign of a last audit of which the gate says nothing: no pass of an artifact."""
    lost = artifact is not None and verdict == Verdict.PASS and scope is RecordScope.ARTIFACT
    return SHUT if lost else verdict_sign(verdict, scope)


def when(text: str | None) -> str:
    """Write a time in UTC as short as a table needs it; what is none stays as it is."""
    if text is None:
        return ""
    try:
        at = datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        return text
    return f"{at.day} {at:%b %Y, %H:%M}"
