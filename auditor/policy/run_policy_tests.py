"""Policy tests: evaluates a policy on given readings and waivers and compares with expectations.

The cases are evaluated by the same code as audits. Expected outcomes are keyed by ``rule``,
``rule@target``, ``rule[sex=F]`` or a combination. The waivers of a case count as signed.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol, cast

from auditor._time import format_time
from auditor._yaml import Place, YamlDocument
from auditor.domain.checks import Check, Metric
from auditor.domain.findings import Finding, Outcome, Verdict, format_place
from auditor.domain.json import Json, write_fields
from auditor.domain.policies import Policy, RuleEffect
from auditor.domain.readings import Gap, GapReason, Measurement, Reading
from auditor.domain.waivers import Waiver, find_waiver_mistakes, parse_waiver_time
from auditor.errors import PolicyError
from auditor.policy.evaluate.context import JudgingContext
from auditor.policy.evaluate.engine import judge_readings
from auditor.policy.policy_test_schema import CaseReadingSchema, CaseWaiverSchema


@dataclass(frozen=True, slots=True)
class CaseReading:
    """A reading as the file says it, and where it stands."""

    shape: CaseReadingSchema
    place: Place


def collect_case_readings(
    given: Sequence[CaseReading],
    checks: Mapping[str, type[Check]],
    target: str,
    document: YamlDocument,
) -> tuple[Reading, ...]:
    """Return the readings that remain; ``target`` is where those are that name none.

    A measurement replaces the one of the same metric, target, parameters and slice; a gap replaces
    all that its check (or its metric) measured there. Raises ``PolicyError`` for what no check
    emits.
    """
    kept: list[Reading] = []
    for item in given:
        reading = _reading(item.shape, checks, target, document.where(item.place))
        kept = [*(other for other in kept if not _replaces(reading, other)), reading]
    return tuple(kept)


def remove_readings(
    readings: Sequence[Reading], remove: Sequence[str], document: YamlDocument, place: Place
) -> tuple[Reading, ...]:
    """Return readings without those of some checks, or of some of their metrics.

    Raises ``PolicyError`` for one of which there is no reading.
    """
    kept = tuple(readings)
    for at, name in enumerate(remove):
        left = tuple(
            reading
            for reading in kept
            if name not in {reading.check, f"{reading.check}/{reading.metric}"}
        )
        if len(left) == len(kept):
            raise PolicyError(
                f"{document.where((*place, at))}: there is no reading of {name!r} to remove",
                cure="Name a check, or a check and its metric, of which the case has readings.",
            )
        kept = left
    return kept


def _reading(
    shape: CaseReadingSchema, checks: Mapping[str, type[Check]], target: str, where: str
) -> Reading:
    target = shape.target or target
    if shape.gap is not None:
        _declared(shape.gap, shape.metric, checks, where)
        return Gap(
            reason=shape.reason or GapReason.UNSUPPORTED,
            detail=shape.detail,
            cure=shape.cure,
            target=target,
            check=shape.gap,
            metric=shape.metric or "",
            params=shape.params,
        )
    check, _, name = (shape.measure or "").partition("/")
    metric = _declared(check, name, checks, where)
    if metric is not None and shape.unit not in {None, metric.unit}:
        raise PolicyError(
            f"{where}: {shape.measure} is measured in {metric.unit.value}, not {shape.unit}",
            cure="Leave the unit out, or write the metric's own.",
        )
    exact = shape.low is None and shape.high is None
    declared = Measurement(metric=name, value=None, method="", n=0)
    return Measurement(
        metric=name,
        value=shape.value,
        low=shape.low,
        high=shape.high,
        confidence=None if exact else shape.confidence,
        bound=shape.bound or (declared if metric is None else metric).bound,
        method=shape.method,
        n=shape.n,
        unit=declared.unit if metric is None else metric.unit,
        params=shape.params,
        slice=shape.slice,
        doubted=shape.doubted,
        astray=shape.astray,
        worst_case=shape.worst_case,
        details=cast("Mapping[str, Json]", shape.details),
        target=target,
        check=check,
        version=1,
    )


def _declared(
    check_id: str, metric: str | None, checks: Mapping[str, type[Check]], where: str
) -> Metric | None:
    check = checks.get(check_id)
    if check is None:
        raise PolicyError(
            f"{where}: there is no check {check_id!r}", cure="`auditor checks list` names all."
        )
    if metric is None:
        return None
    if metric not in check.emits:
        raise PolicyError(
            f"{where}: {check_id} emits no {metric!r}", cure=f"It emits {', '.join(check.emits)}."
        )
    return check.emits[metric]


def _replaces(later: Reading, earlier: Reading) -> bool:
    """Whether an earlier reading goes when a later one comes."""
    if (later.target, later.check) != (earlier.target, earlier.check):
        return False
    if isinstance(later, Gap):
        return not later.metric or _same_metric(later, earlier)
    if isinstance(earlier, Gap):
        return not earlier.metric or _same_metric(earlier, later)
    return (later.metric, later.params, later.slice) == (
        earlier.metric,
        earlier.params,
        earlier.slice,
    )


def _same_metric(gap: Gap, other: Reading) -> bool:
    """Whether a gap of one metric speaks of the place at which another reading lies."""
    return gap.metric == other.metric and all(
        other.params.get(key) == value for key, value in gap.params.items()
    )


MIDNIGHT = "T00:00:00Z"
NOW = "2026-06-01T00:00:00Z"
"""When a case is judged that does not say it."""


class MistakeReporter(Protocol):
    """How a mistake at a place of a file is said."""

    def __call__(self, place: Place, problem: str, cure: str) -> PolicyError:
        """Return the mistake with file and line."""
        ...


def read_case_waivers(
    shapes: Sequence[CaseWaiverSchema],
    policy: Policy,
    context: JudgingContext,
    place: Place,
    complain: MistakeReporter,
) -> Iterator[Waiver]:
    """Yield a case's waivers, for its own model and policy; what has run out began the day before.

    Raises ``PolicyError`` for one that nobody could sign, or for a rule that the policy lacks.
    """
    known = {rule.id for rule in policy.rules}
    for at, shape in enumerate(shapes):
        waiver = Waiver(
            rule=shape.rule,
            model=context.name,
            artifact=None,
            policy=policy.name,
            owner=shape.owner,
            approver=shape.approver,
            reason=shape.reason,
            ticket=shape.ticket,
            created=_time(shape.created) or _before(_time(shape.expires), context.now),
            expires=_time(shape.expires),
            target=shape.target,
            slice=shape.slice,
            compensating=tuple(shape.compensating),
        )
        here = (*place, at)
        if waiver.rule not in known and not any(find_waiver_mistakes(waiver)):
            problem = f"{policy.name} has no rule {waiver.rule!r}"
            raise complain((*here, "rule"), problem, f"Its rules are {', '.join(sorted(known))}.")
        for setting, problem, cure in find_waiver_mistakes(waiver):
            raise complain((*here, setting), f"{setting} {problem}", cure)
        yield waiver


def _before(end: str, now: str) -> str:
    """Return when a waiver begins that does not say it: now, or the day before it ran out."""
    ends, asked = parse_waiver_time(end), parse_waiver_time(now)
    if ends is None or asked is None or ends > asked:
        return now
    return format_time(ends - timedelta(days=1))


def _time(written: str) -> str:
    """Return a time as records write it; a day alone begins at midnight."""
    return written + MIDNIGHT if written and "T" not in written else written


@dataclass(frozen=True, slots=True)
class RuleExpectation:
    """What shall become of a rule: everywhere, or on one target, or at one place alone.

    ``place`` is written as findings write it, as in ``[sex=F]``, with or without quotation marks;
    empty, it is any.
    """

    written: str
    rule: str
    target: str
    place: str
    outcome: Outcome

    def speaks_of(self, finding: Finding) -> bool:
        """Return whether a finding is one of those that are expected."""
        place = format_place(finding.slice)
        return (
            finding.rule == self.rule
            and self.target in {"", finding.target}
            and self.place in {"", place, place.replace('"', "")}
        )


@dataclass(frozen=True, slots=True)
class PolicyTestCase:
    """Readings and a context, and what shall come of them; ``where`` is its file and line."""

    name: str
    where: str
    readings: tuple[Reading, ...]
    context: JudgingContext
    outcomes: tuple[RuleExpectation, ...]
    verdict: Verdict | None = None


@dataclass(frozen=True, slots=True)
class PolicyTests:
    """The cases of one file, and the policy that they are of."""

    source: str
    policy: Policy
    cases: tuple[PolicyTestCase, ...] = field(default=())


Coverage = Mapping[str, frozenset[Outcome]]
"""Which outcomes each rule had in a file's cases, by rule."""


SILENT = "No finding has that name."


@dataclass(frozen=True, slots=True)
class ExpectationDifference:
    """One thing that came out otherwise than expected, and why, in the finding's words."""

    what: str
    expected: str
    found: str
    message: str

    to_json = write_fields


@dataclass(frozen=True, slots=True)
class CaseResult:
    """What came of a case: its findings, and what differs from what was expected."""

    case: PolicyTestCase
    findings: tuple[Finding, ...]
    differences: tuple[ExpectationDifference, ...]

    def to_json(self) -> dict[str, Json]:
        """Return the form that the command prints."""
        return {
            "name": self.case.name,
            "where": self.case.where,
            "as_expected": not self.differences,
            "differences": [item.to_json() for item in self.differences],
        }


@dataclass(frozen=True, slots=True)
class PolicyTestResults:
    """What came of a file's cases."""

    tests: PolicyTests
    cases: tuple[CaseResult, ...]

    @property
    def as_expected(self) -> bool:
        """Whether every case came out as expected."""
        return not any(item.differences for item in self.cases)

    @property
    def coverage(self) -> Coverage:
        """Which outcomes each rule of the policy had in these cases, in the policy's order."""
        seen: defaultdict[str, set[Outcome]] = defaultdict(set)
        for result in self.cases:
            for finding in result.findings:
                seen[finding.rule].add(finding.outcome)
        return {rule.id: frozenset(seen[rule.id]) for rule in self.tests.policy.rules}

    def to_json(self) -> dict[str, Json]:
        """Return the form that the command prints."""
        policy = self.tests.policy
        return {
            "file": self.tests.source,
            "policy": {"name": policy.name, "version": policy.version, "digest": policy.digest},
            "as_expected": self.as_expected,
            "cases": [item.to_json() for item in self.cases],
            "coverage": {
                rule: [item.value for item in Outcome if item in seen]
                for rule, seen in self.coverage.items()
            },
        }


def run_policy_tests(tests: PolicyTests) -> PolicyTestResults:
    """Judge every case. The readings are the same at every confidence."""
    return PolicyTestResults(tests, tuple(_run(tests.policy, case) for case in tests.cases))


def _run(policy: Policy, case: PolicyTestCase) -> CaseResult:
    findings = judge_readings(policy, lambda _: case.readings, case.context)
    return CaseResult(case, findings, tuple(_differences(case, findings)))


def _differences(
    case: PolicyTestCase, findings: Sequence[Finding]
) -> Iterator[ExpectationDifference]:
    for expected in case.outcomes:
        named = [finding for finding in findings if expected.speaks_of(finding)]
        if not named:
            yield ExpectationDifference(expected.written, expected.outcome.value, "nothing", SILENT)
        yield from (
            ExpectationDifference(
                f"{finding.name} on {finding.target}",
                expected.outcome.value,
                finding.outcome.value,
                finding.message,
            )
            for finding in named
            if finding.outcome is not expected.outcome
        )
    if case.verdict is not None:
        denying = [finding for finding in findings if finding.effect is RuleEffect.DENY]
        found = Verdict.of(finding.outcome for finding in denying)
        if found is not case.verdict:
            names: dict[Outcome, list[str]] = {}
            for finding in denying:
                names.setdefault(finding.outcome, []).append(finding.name)
            message = "; ".join(
                f"{outcome}: {', '.join(named)}" for outcome, named in names.items()
            )
            yield ExpectationDifference("verdict", case.verdict.value, found.value, message)


OWN = tuple(f"policy.least_{it}" for it in ("budget", "assurance", "evidence", "isolation"))
"""What a policy asks of the audit itself, which its findings show as rules."""

_WRITTEN = re.compile(r"(?P<rule>[a-z0-9._-]+)(?:@(?P<target>[^\[\]]+))?(?P<place>\[[^\[\]]+\])?")


def parse_expectations(
    outcomes: Mapping[str, Outcome],
    policy: Policy,
    targets: Sequence[str],
    document: YamlDocument,
    place: Place,
) -> tuple[RuleExpectation, ...]:
    """Return what is expected. Raises ``PolicyError`` for a rule or target that is not there."""
    return tuple(
        _expectation(
            written, outcome, policy, targets, document.where((*place, "outcomes", written))
        )
        for written, outcome in outcomes.items()
    )


def _expectation(
    written: str, outcome: Outcome, policy: Policy, targets: Sequence[str], where: str
) -> RuleExpectation:
    found = _WRITTEN.fullmatch(written)
    if found is None:
        raise PolicyError(
            f"{where}: {written!r} is not a name of a finding",
            cure="Write rule, rule@target, rule[slice=value] or rule@target[slice=value].",
        )
    known = [*(rule.id for rule in policy.rules), *OWN]
    if found["rule"] not in known:
        raise PolicyError(
            f"{where}: {policy.name} has no rule {found['rule']!r}",
            cure=f"Its rules are {', '.join(known)}.",
        )
    target = found["target"] or ""
    if target and target not in targets:
        raise PolicyError(
            f"{where}: the case has no target {target!r}",
            cure=f"Its targets are {', '.join(targets)}.",
        )
    inside = (found["place"] or "").strip("[]")
    parts = sorted(part.strip() for part in inside.split(",") if part.strip())
    slice_ = f"[{','.join(parts)}]" if parts else ""
    return RuleExpectation(written, found["rule"], target, slice_, outcome)
