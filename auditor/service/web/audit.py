"""Data for the web page of one audit: progress by check, results, and history."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from auditor.domain.checks import Check
from auditor.domain.json import Json
from auditor.domain.readings import GapReason
from auditor.errors import NotFoundError
from auditor.reports.wording import REASONS
from auditor.service.api.requests import find_audit
from auditor.service.api.routes.audits import build_people_fields
from auditor.service.approvals.status import list_record_digests
from auditor.service.domain.access import ApiKey
from auditor.service.domain.submissions import (
    ENDED,
    Submission,
    SubmissionEvent,
    SubmissionEventKind,
    SubmissionState,
)
from auditor.service.store.audit_queries import read_progress_events
from auditor.service.web.badges import BLIND, choose_audit_badge
from auditor.service.web.decisions import (
    ApprovalPageStatus,
    VerdictVisibility,
    build_approval_page_status,
)
from auditor.service.web.record_facts import RecordFacts
from auditor.service.web.site import WebContext


class CheckStage(StrEnum):
    """How far one check on one target is."""

    WAITS = "waits"
    RUNS = "runs"
    SEEN = "seen"
    GAP = "gap"


@dataclass(frozen=True, slots=True)
class CheckProgressRow:
    """One check on one target; ``done`` of ``total`` steps where it tells that."""

    target: str
    check: str
    title: str
    stage: CheckStage = CheckStage.WAITS
    done: int = 0
    total: int = 0
    note: str = ""
    at: str = ""


@dataclass(frozen=True, slots=True)
class AuditProgress:
    """All checks of an audit: what runs, what has ended, and how many there are."""

    lines: tuple[CheckProgressRow, ...]

    @property
    def running(self) -> tuple[CheckProgressRow, ...]:
        """What runs now."""
        return tuple(line for line in self.lines if line.stage is CheckStage.RUNS)

    @property
    def ended(self) -> tuple[CheckProgressRow, ...]:
        """What has ended, the last first."""
        ended = [line for line in self.lines if line.stage in {CheckStage.SEEN, CheckStage.GAP}]
        return tuple(sorted(ended, key=lambda line: line.at, reverse=True))


def fold_progress(
    events: Iterable[SubmissionEvent], checks: Mapping[str, type[Check]]
) -> AuditProgress:
    """Fold a history, in order, into how far each check is."""
    lines: dict[tuple[str, str], CheckProgressRow] = {}
    for event in events:
        if event.kind == SubmissionState.RUNNING:
            detail = event.detail
            lines |= {
                (target, check): CheckProgressRow(
                    target, check, checks[check].title if check in checks else check
                )
                for target in _names(detail.get("targets"))
                for check in _names(detail.get("checks"))
                if (target, check) not in lines
            }
            continue
        target, check = str(event.detail.get("target")), str(event.detail.get("check"))
        known = lines.get((target, check))
        if known is not None:
            lines[target, check] = _advanced(known, event)
    return AuditProgress(tuple(lines.values()))


def _advanced(line: CheckProgressRow, event: SubmissionEvent) -> CheckProgressRow:
    detail = event.detail
    match event.kind:
        case SubmissionEventKind.CHECK_STARTED:
            return replace(line, stage=CheckStage.RUNS, at=event.at)
        case SubmissionEventKind.PROGRESS if line.stage not in {CheckStage.SEEN, CheckStage.GAP}:
            done, total = _count(detail.get("done")), _count(detail.get("total"))
            note = str(detail.get("note") or "")
            return replace(
                line, stage=CheckStage.RUNS, done=done, total=total, note=note, at=event.at
            )
        case SubmissionEventKind.CHECK_ENDED if detail.get("seen") is False:
            reason = str(detail.get("reason"))
            why = REASONS[GapReason(reason)] if reason in set(GapReason) else reason
            return replace(line, stage=CheckStage.GAP, note=why, at=event.at)
        case SubmissionEventKind.CHECK_ENDED:
            return replace(line, stage=CheckStage.SEEN, note="", at=event.at)
        case _:
            return line


def _names(found: Json) -> Sequence[str]:
    return [str(item) for item in found] if isinstance(found, list) else []


def _count(found: Json) -> int:
    return found if isinstance(found, int) and not isinstance(found, bool) and found >= 0 else 0


LAST = 8
"""So many of the last checks and events are shown while an audit runs."""


def build_audit_page(
    site: WebContext, caller: ApiKey, name: str, *, look: bool = False
) -> Mapping[str, object]:
    """Return all that the page of an audit says. Raises ``NotFoundError``.

    Who is asked to label first, but perhaps decides nothing, says with ``look`` to be shown all.
    """
    return build_audit_context(site, caller, find_audit(site.service, caller, name), look=look)


def build_audit_context(
    site: WebContext, caller: ApiKey, found: Submission, *, look: bool = False
) -> Mapping[str, object]:
    """Return the same of an audit of the caller's project."""
    kept, overviews = site.service.kept, site.overviews
    # The history first: what happens meanwhile is then newer than what is said to be seen.
    events = read_progress_events(kept, found.id)
    line = overviews.line(caller.project, found.id)
    if line is None:
        raise NotFoundError(f"audit {found.id} does not exist", cure="Choose one from the list.")
    ending = kept.outcome(found.id)
    facts, stand = _with_people(site, caller, found) if line.record else (None, None)
    blind = stand is not None and (
        stand.sight is VerdictVisibility.SHUT
        or (stand.sight is VerdictVisibility.ASKED and not look)
    )
    return {
        "title": f"Audit of {line.model}",
        "submission": found,
        "line": line,
        "sign": BLIND if blind else choose_audit_badge(line) if stand is None else stand.sign,
        "blind": blind,
        "stand": stand,
        "ended": line.state in ENDED,
        "seen": events[-1].number if events else 0,
        "progress": fold_progress(events, site.service.desk.readers.checks),
        "events": [event for event in events if event.kind != SubmissionEventKind.PROGRESS],
        "last": LAST,
        "failure": None if ending is None else ending.failure,
        "facts": facts,
        "people": build_people_fields(site.service, found) if facts else {},
        "several_targets": len(line.targets) > 1,
        "before": overviews.before(line, caller.project) if facts else None,
    }


def _with_people(
    site: WebContext, caller: ApiKey, found: Submission
) -> tuple[RecordFacts, ApprovalPageStatus]:
    """Return the facts of an audit's last record, and where that stands."""
    last = list_record_digests(site.service.people, found)[-1]
    facts = site.facts.of([last], site.latest.bodies)[last]
    return facts, build_approval_page_status(site, caller, found, facts)
