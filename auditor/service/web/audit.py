"""How far an audit is, check by check, as its history tells it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from auditor.domain.canonical import Json
from auditor.domain.checks import Check
from auditor.domain.readings import Reason
from auditor.domain.submissions import Event, Said, State
from auditor.rendering.phrases import REASONS


class Stage(StrEnum):
    """How far one check on one target is."""

    WAITS = "waits"
    RUNS = "runs"
    SEEN = "seen"
    GAP = "gap"


@dataclass(frozen=True, slots=True)
class CheckLine:
    """One check on one target; ``done`` of ``total`` steps where it tells that."""

    target: str
    check: str
    title: str
    stage: Stage = Stage.WAITS
    done: int = 0
    total: int = 0
    note: str = ""
    at: str = ""


@dataclass(frozen=True, slots=True)
class Progress:
    """All checks of an audit: what runs, what has ended, and how many there are."""

    lines: tuple[CheckLine, ...]

    @property
    def running(self) -> tuple[CheckLine, ...]:
        """What runs now."""
        return tuple(line for line in self.lines if line.stage is Stage.RUNS)

    @property
    def ended(self) -> tuple[CheckLine, ...]:
        """What has ended, the last first."""
        ended = [line for line in self.lines if line.stage in {Stage.SEEN, Stage.GAP}]
        return tuple(sorted(ended, key=lambda line: line.at, reverse=True))


def progress_of(events: Iterable[Event], checks: Mapping[str, type[Check]]) -> Progress:
    """Fold a history, in order, into how far each check is."""
    lines: dict[tuple[str, str], CheckLine] = {}
    for event in events:
        if event.kind == State.RUNNING:
            lines |= _planned(event.detail, checks, lines)
            continue
        target, check = str(event.detail.get("target")), str(event.detail.get("check"))
        known = lines.get((target, check))
        if known is not None:
            lines[target, check] = _advanced(known, event)
    return Progress(tuple(lines.values()))


def _planned(
    detail: Mapping[str, Json],
    checks: Mapping[str, type[Check]],
    known: Mapping[tuple[str, str], CheckLine],
) -> dict[tuple[str, str], CheckLine]:
    return {
        (target, check): CheckLine(target, check, checks[check].title if check in checks else check)
        for target in _names(detail.get("targets"))
        for check in _names(detail.get("checks"))
        if (target, check) not in known
    }


def _advanced(line: CheckLine, event: Event) -> CheckLine:
    detail = event.detail
    match event.kind:
        case Said.CHECK_STARTED:
            return replace(line, stage=Stage.RUNS, at=event.at)
        case Said.PROGRESS if line.stage not in {Stage.SEEN, Stage.GAP}:
            done, total = _count(detail.get("done")), _count(detail.get("total"))
            note = str(detail.get("note") or "")
            return replace(line, stage=Stage.RUNS, done=done, total=total, note=note, at=event.at)
        case Said.CHECK_ENDED if detail.get("seen") is False:
            return replace(line, stage=Stage.GAP, note=_why(detail), at=event.at)
        case Said.CHECK_ENDED:
            return replace(line, stage=Stage.SEEN, note="", at=event.at)
        case _:
            return line


def _why(detail: Mapping[str, Json]) -> str:
    reason = str(detail.get("reason"))
    return REASONS[Reason(reason)] if reason in set(Reason) else reason


def _names(found: Json) -> Sequence[str]:
    return [str(item) for item in found] if isinstance(found, list) else []


def _count(found: Json) -> int:
    return found if isinstance(found, int) and not isinstance(found, bool) and found >= 0 else 0
