"""Compare the readings of two runs of one request, and list those that no second run can give."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial

from auditor.domain.checks import Check, depends_on_machine
from auditor.domain.findings import Finding, Outcome
from auditor.domain.json import Json, write_fields
from auditor.domain.number_text import format_counted
from auditor.domain.policies import RuleEffect
from auditor.domain.readings import (
    FAR,
    Gap,
    GapReason,
    Measurement,
    Reading,
    Repeatability,
    Unit,
    is_far_apart,
)
from auditor.domain.records import AuditRecord
from auditor.domain.verification_steps import StepResult, VerificationStep, all_hold
from auditor.policy.evaluate.engine import equals_but_for_waivers

SLACK = 1e-9
OF_LOAD = frozenset(
    {
        GapReason.TOO_FEW_ROWS,
        GapReason.NOT_DEFINED,
        GapReason.OVER_BUDGET,
        GapReason.MODEL_HUNG,
    }
)
"""Why a busy machine may give no figure: too few calls fit into the time, or they wait too long."""


class ExemptionReason(StrEnum):
    """Why a reading is not compared."""

    MACHINE = "depends on the machine"
    LEFT_OUT = "left out by one run for lack of time or queries"


@dataclass(frozen=True, slots=True)
class ExemptReading:
    """A reading that is not compared, as the record has it and as this run has it.

    One of the two is ``None`` where that run has nothing at this place.
    """

    reason: ExemptionReason
    recorded: Reading | None
    fresh: Reading | None

    @property
    def place(self) -> Reading:
        """A reading with the coordinates of both."""
        known = [item for item in (self.recorded, self.fresh) if item is not None]
        return next((item for item in known if isinstance(item, Measurement)), known[0])

    @property
    def warning(self) -> str:
        """Why the record's figure deserves a look; empty where it does not."""
        left, right = self.recorded, self.fresh
        if not isinstance(left, Measurement):
            return ""
        if not isinstance(right, Measurement):
            return "only the record has a figure"
        return f"more than {FAR:g} times apart" if is_far_apart(left, right) else ""

    def to_json(self) -> dict[str, Json]:
        """Return both readings beside each other."""
        place = self.place
        return {
            "reason": self.reason.value,
            "target": place.target,
            "check": place.check,
            "metric": place.metric,
            "params": dict(place.params),
            "recorded": None if self.recorded is None else self.recorded.to_json(),
            "fresh": None if self.fresh is None else self.fresh.to_json(),
            "warning": self.warning,
        }


@dataclass(frozen=True, slots=True)
class ExemptFinding:
    """A rule that rests on readings that are not compared, and its outcome in both runs."""

    rule: str
    target: str
    recorded: Outcome
    fresh: Outcome | None

    def to_json(self) -> dict[str, Json]:
        """Return both outcomes beside each other."""
        return {
            "rule": self.rule,
            "target": self.target,
            "recorded": self.recorded.value,
            "fresh": None if self.fresh is None else self.fresh.value,
        }


@dataclass(frozen=True, slots=True)
class Reproduction:
    """Two runs of one request, compared.

    ``equal`` of ``compared`` readings were the same to the last digit or the same gap, ``within``
    met by their intervals. The others are in the failed steps.
    """

    steps: tuple[VerificationStep, ...]
    compared: int
    equal: int
    within: int
    exempt: tuple[ExemptReading, ...]
    findings: tuple[ExemptFinding, ...]

    @property
    def holds(self) -> bool:
        """Whether something was compared and all that was compared agrees."""
        return all_hold(self.steps)

    @property
    def warnings(self) -> tuple[ExemptReading, ...]:
        """Readings that are not compared and of which the record's figure deserves a look."""
        return tuple(item for item in self.exempt if item.warning)

    @property
    def summary(self) -> str:
        """The result in one line."""
        parts = [f"{self.equal} of {format_counted(self.compared, 'reading')} equal"]
        if self.within:
            parts[0] += f", {self.within} within their intervals"
        machine = [item for item in self.exempt if item.reason is ExemptionReason.MACHINE]
        if machine:
            memory = sum(_is_memory(item) for item in machine)
            kinds = "timing" if not memory else "memory figure"
            kinds = "timings and memory figure" if 0 < memory < len(machine) else kinds
            parts.append(f"{format_counted(len(machine), kinds)} not compared")
        if left := len(self.exempt) - len(machine):
            parts.append(f"{left} left out for lack of time or queries")
        if self.warnings:
            count = format_counted(len(self.warnings), "figure")
            parts.append(f"{count} of the record far from this run or missing in it")
        answer = "Reproduced" if self.holds else "Not reproduced"
        return f"{answer}: {'; '.join(parts)}."

    def to_json(self) -> dict[str, Json]:
        """Return the result, each step, and what was not compared."""
        return {
            "holds": self.holds,
            "summary": self.summary,
            "compared": self.compared,
            "equal": self.equal,
            "within": self.within,
            "warn_factor": FAR,
            "steps": [write_fields(step) for step in self.steps],
            "not_compared": [item.to_json() for item in self.exempt],
            "findings_not_compared": [item.to_json() for item in self.findings],
        }


def check_reproduction(
    theirs: AuditRecord, mine: AuditRecord, checks: Iterable[Check | type[Check]]
) -> Reproduction:
    """Compare two records of one request, a step a check on a target.

    Readings that repeat exactly must be equal where the fingerprints' identities are; all others
    must agree within their intervals. What a check of ``checks`` declares to depend on the machine
    only has to be there: an interval over the calls of one run tells nothing of how another run
    finds the machine. What one run left out for lack of time or queries is not compared either.
    Both are listed with the figures of both runs.
    """
    known = {check.id: check for check in checks}
    places = dict.fromkeys((item.target, item.check) for item in (*theirs.readings, *mine.readings))
    pairs = []
    for target, name in places:
        check = known.get(name)
        of_machine = (lambda _: False) if check is None else partial(depends_on_machine, check)
        exact = _identity(theirs, target) == _identity(mine, target)
        place = (target, name)
        pairs.append(_ReadingPairs.of(_at(theirs, place), _at(mine, place), of_machine, exact))
    exempt = tuple(item for pair in pairs for item in pair.exempt)
    anything = any(pair.measured for pair in pairs)
    step, findings = _compare_findings(theirs, mine, exempt, anything=anything)
    return Reproduction(
        steps=(
            *_compare_requests(theirs, mine),
            *(
                pair.step(f"{name} on {target}")
                for pair, (target, name) in zip(pairs, places, strict=True)
            ),
            step,
        ),
        compared=sum(pair.compared for pair in pairs),
        equal=sum(pair.equal for pair in pairs),
        within=sum(pair.within for pair in pairs),
        exempt=exempt,
        findings=findings,
    )


def _compare_requests(theirs: AuditRecord, mine: AuditRecord) -> Iterable[VerificationStep]:
    # How often a service was asked before is its own affair, as is when it was.
    left, right = (replace(item.request, attempt=None) for item in (theirs, mine))
    same = left.digest == right.digest
    mistakes = [] if same else ["the inputs make another request than the record's"]
    yield VerificationStep.of("request", mistakes, f"the same request, {mine.request.digest}")
    for target in theirs.fingerprints:
        alike = _identity(theirs, target) == _identity(mine, target)
        detail = "the same fingerprint" if alike else "another fingerprint: compared by intervals"
        yield VerificationStep.of(f"target {target}", [], detail)


@dataclass(frozen=True, slots=True)
class _ReadingPairs:
    """What two runs of one check read, sorted into what agrees, what differs, and what is exempt.

    ``measured`` counts the measurements among the ``compared`` readings.
    """

    equal: int
    within: int
    measured: int
    mistakes: tuple[str, ...]
    exempt: tuple[ExemptReading, ...]
    compared: int

    @classmethod
    def of(
        cls, theirs: Sequence[Reading], mine: Sequence[Reading],
        of_machine: Callable[[str], bool], exact: bool,  # noqa: FBT001 -- of the two runs
    ) -> "_ReadingPairs":  # fmt: skip
        """Pair readings by their coordinates; ``exact`` if both runs are of one identity."""

        def key(reading: Reading) -> str:
            # Whether a figure of the machine could be told at all is of the machine, too.
            return _metric_place(reading) if of_machine(reading.metric) else _coordinates(reading)

        left, right = ({key(item): item for item in items} for items in (theirs, mine))
        equal = within = measured = compared = 0
        mistakes: list[str] = []
        exempt: list[ExemptReading] = []
        for name in dict.fromkeys((*left, *right)):
            was, now = left.get(name), right.get(name)
            reason = _find_exemption(was, now, theirs, mine, of_machine)
            if reason is not None:
                exempt.append(ExemptReading(reason, was, now))
                if reason is ExemptionReason.MACHINE:
                    mistakes += _compare_presence(name, was, now, exact=exact)
                continue
            compared += 1
            measured += isinstance(now, Measurement) and was is not None
            agreement = _agree(was, now, exact=exact)
            equal += agreement is Repeatability.EXACT
            within += agreement is Repeatability.INTERVAL
            if agreement is None:
                mistakes.append(_describe_difference(name, was, now))
        return cls(equal, within, measured, tuple(mistakes), _join_left_out(exempt), compared)

    def step(self, name: str) -> VerificationStep:
        """Tell the result of the comparison, and what was not compared."""
        machine = [item for item in self.exempt if item.reason is ExemptionReason.MACHINE]
        moved = sorted({item.place.metric for item in machine})
        apart = [f"depends on the machine: {', '.join(moved)}"] if moved else []
        apart += ["left out for lack of time or queries"] * (len(machine) < len(self.exempt))
        words = [f"not compared: {'; '.join(apart)}"] if apart else []
        kinds = {"equal": self.equal, "within their intervals": self.within}
        agreed = [
            f"{format_counted(count, 'reading')} {kind}" for kind, count in kinds.items() if count
        ]
        if not self.compared and not self.mistakes:
            return VerificationStep(name, StepResult.NOT_CHECKED, "; ".join(words))
        return VerificationStep.of(name, self.mistakes, "; ".join([*agreed, *words]))


def _find_exemption(
    was: Reading | None, now: Reading | None, theirs: Sequence[Reading], mine: Sequence[Reading],
    of_machine: Callable[[str], bool],
) -> ExemptionReason | None:  # fmt: skip
    if was is None or now is None:
        absent, others = (was, mine) if now is None else (now, theirs)
        if absent is not None and _is_excused(absent, others):
            return ExemptionReason.LEFT_OUT
    place = was or now
    return ExemptionReason.MACHINE if place is not None and of_machine(place.metric) else None


def _compare_presence(
    name: str, was: Reading | None, now: Reading | None, *, exact: bool
) -> list[str]:
    """Return what differs between two readings of the machine beside the figure itself.

    A busy machine may give no figure. A missing counter or capability is not of the load: on one
    identity both runs have it or neither.
    """
    if was is None or now is None:
        return [_describe_difference(name, was, now)]
    reasons = {item.reason for item in (was, now) if isinstance(item, Gap)}
    if not exact or reasons <= OF_LOAD or (isinstance(was, Gap) and isinstance(now, Gap)):
        return []
    return [_describe_difference(name, was, now)]


def _describe_difference(name: str, was: Reading | None, now: Reading | None) -> str:
    if now is None:
        return f"{name} is missing now"
    if was is None:
        return f"{name} is new"
    return f"{name} was {_show_reading(was)}, and is {_show_reading(now)}"


def _join_left_out(exempt: Sequence[ExemptReading]) -> tuple[ExemptReading, ...]:
    """Put each gap for lack of time beside the readings of the other run that it stands for."""
    gaps = [
        (item.recorded or item.fresh, item.recorded is not None)
        for item in exempt
        if isinstance(item.recorded or item.fresh, Gap) and item.reason is ExemptionReason.LEFT_OUT
    ]
    joined: list[ExemptReading] = []
    used: list[Reading | None] = []
    for item in exempt:
        alone = item.recorded if item.fresh is None else item.fresh
        if item.reason is not ExemptionReason.LEFT_OUT or not isinstance(alone, Measurement):
            joined.append(item)
            continue
        ours = item.recorded is None
        gap = next((it for it, theirs in gaps if theirs is ours and _covers(it, alone)), None)
        used.append(gap)
        joined.append(replace(item, recorded=gap) if ours else replace(item, fresh=gap))
    return tuple(
        item for item in joined if item.place not in used or isinstance(item.place, Measurement)
    )


def _compare_findings(
    theirs: AuditRecord, mine: AuditRecord, exempt: Iterable[ExemptReading], *, anything: bool
) -> tuple[VerificationStep, tuple[ExemptFinding, ...]]:
    """Compare the outcomes of rules; one that rests on exempt readings may come out otherwise.

    Which readings a rule rests on is taken from the fresh run: the record's own word proves
    nothing.
    """
    free = {id(item.fresh) for item in exempt if item.fresh is not None}
    again = {(item.name, item.target): item for item in mine.findings}
    loose = {
        place
        for place, item in again.items()
        if any(id(mine.readings[index]) in free for index in item.readings)
    }
    apart: list[ExemptFinding] = []
    moved: list[Finding] = []
    for item in theirs.findings:
        place = (item.name, item.target)
        fresh = again.get(place)
        if place in loose and fresh is not None:
            apart.append(ExemptFinding(item.name, item.target, item.outcome, fresh.outcome))
        elif fresh is None or not equals_but_for_waivers(item.outcome, fresh.outcome):
            moved.append(item)
    if _shifts_family(theirs, again, loose):
        moved = [item for item in moved if not _is_of_family(item, again)]
    mistakes = [f"{item.name} on {item.target} came to {item.outcome}" for item in moved]
    mistakes = mistakes if anything else ["nothing was measured that could be compared"]
    same = len(theirs.findings) == len(mine.findings)
    mistakes += [] if same else [f"there are {len(mine.findings)} findings now"]
    about = f"{len(theirs.findings) - len(apart)} findings, the same outcomes"
    told = [f"{it.rule} on {it.target} ({it.recorded}, now {it.fresh})" for it in apart]
    words = f"; not compared, for they depend on the machine: {', '.join(told)}" if told else ""
    return VerificationStep.of("findings", mistakes, about + words), tuple(apart)


def _shifts_family(
    theirs: AuditRecord,
    again: Mapping[tuple[str, str], Finding],
    loose: Iterable[tuple[str, str]],
) -> bool:
    """Whether a required rule that is not compared failed in one run alone.

    Then the other required rules were held to another level (Holm) in that run.
    """
    known = {(item.name, item.target): item for item in theirs.findings}
    return any(
        again[place].effect is RuleEffect.DENY
        and place in known
        and (known[place].outcome is Outcome.FAILED) is not (again[place].outcome is Outcome.FAILED)
        for place in loose
    )


def _is_of_family(item: Finding, again: Mapping[tuple[str, str], Finding]) -> bool:
    fresh = again.get((item.name, item.target))
    return (
        fresh is not None
        and fresh.effect is RuleEffect.DENY
        and {item.outcome, fresh.outcome} == {Outcome.FAILED, Outcome.UNKNOWN}
    )


def _identity(record: AuditRecord, target: str) -> str | None:
    fingerprint = record.fingerprints.get(target)
    return None if fingerprint is None else fingerprint.identity


def _at(record: AuditRecord, place: tuple[str, str]) -> list[Reading]:
    return [item for item in record.readings if (item.target, item.check) == place]


def _is_left_out(reading: Reading | None) -> bool:
    return isinstance(reading, Gap) and reading.reason is GapReason.OVER_BUDGET


def _covers(gap: Reading | None, reading: Reading) -> bool:
    return (
        gap is not None
        and _is_left_out(gap)
        and gap.metric in {"", reading.metric}
        and gap.params.items() <= reading.params.items()
    )


def _is_excused(reading: Reading, others: Sequence[Reading]) -> bool:
    """Whether the other run left a reading out; who left something out claims nothing by it."""
    return _is_left_out(reading) or any(_covers(gap, reading) for gap in others)


def _metric_place(reading: Reading) -> str:
    return f"{reading.metric} {json.dumps(dict(reading.params), sort_keys=True)}"


def _coordinates(reading: Reading) -> str:
    if isinstance(reading, Gap):
        return f"gap {reading.reason} {reading.metric} {json.dumps(reading.params, sort_keys=True)}"
    return f"{reading.metric} {json.dumps({**reading.params, **reading.slice}, sort_keys=True)}"


def _agree(was: Reading | None, now: Reading | None, *, exact: bool) -> Repeatability | None:
    """Return how two readings agree, or ``None``.

    What repeats exactly is known from the fresh reading: the record's own word proves nothing.
    """
    if was is None or now is None:
        return None
    if isinstance(was, Gap) or isinstance(now, Gap):
        same = isinstance(was, Gap) and isinstance(now, Gap) and was.reason is now.reason
        return Repeatability.EXACT if same else None
    if _bare(was) == _bare(now):
        return Repeatability.EXACT
    if exact and now.repeat is Repeatability.EXACT:
        return None
    return Repeatability.INTERVAL if _meet(was, now) else None


def _meet(was: Measurement, now: Measurement) -> bool:
    if isinstance(was.value, bool | str) or isinstance(now.value, bool | str):
        return was.value == now.value
    if was.low is None or was.high is None or now.low is None or now.high is None:
        return was.value == now.value or now.repeat is Repeatability.INTERVAL
    return was.low <= now.high + SLACK and now.low <= was.high + SLACK


def _bare(reading: Measurement) -> dict[str, Json]:
    return {name: value for name, value in reading.to_json().items() if name != "evidence"}


def _is_memory(item: ExemptReading) -> bool:
    known = (item.recorded, item.fresh)
    return any(isinstance(it, Measurement) and it.unit is Unit.BYTE for it in known)


def _show_reading(reading: Reading) -> str:
    if isinstance(reading, Gap):
        return f"a gap ({reading.reason})"
    interval = "" if reading.low is None else f" [{reading.low:.6g}, {reading.high:.6g}]"
    value = reading.value
    return (f"{value:.6g}" if isinstance(value, float) else str(value)) + interval
