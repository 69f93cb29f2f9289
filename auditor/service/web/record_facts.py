"""Cached facts of records for web pages, and the trend of each required rule across audits.

Records never change and are slow to read, so each is read once.
"""

from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

from auditor.domain.evidence_levels import PLACEMENT, assess_evidence_levels
from auditor.domain.findings import Finding, Outcome, Verdict
from auditor.domain.json import Json, JsonPart, parse_json
from auditor.domain.number_text import format_measurement, format_number
from auditor.domain.policies import RuleEffect
from auditor.domain.readings import Measurement, Unit, read_reading
from auditor.domain.record_json import read_record
from auditor.domain.record_scope import RecordScope, find_record_scope
from auditor.domain.report_panels import PeriodPoint
from auditor.domain.requests import AuditRequest
from auditor.domain.targets import Fingerprint
from auditor.domain.waivers import PRECONDITIONS, WaiverSubject
from auditor.policy.evaluate.engine import WAIVABLE, build_waiver_subject
from auditor.reports.figures.panel import FigurePanel
from auditor.reports.html.run_details import LEVELS, describe_machines
from auditor.reports.html.verdict import describe_attempt, explain_findings
from auditor.reports.plots.line_plots import draw_period_plot
from auditor.reports.scope_wording import describe_scope
from auditor.reports.wording import EFFECTS, OUTCOMES, describe_bound

KEPT, MOST_FINDINGS = 400, 300
NO_FIGURE = "no figure"
WORST = {outcome: place for place, outcome in enumerate(OUTCOMES)}


@dataclass(frozen=True, slots=True)
class RuleFigure:
    """The figure that decided a rule, with the ends of its interval."""

    value: float
    low: float
    high: float
    unit: Unit
    doubted: bool


@dataclass(frozen=True, slots=True)
class FindingRow:
    """A finding as a table shows it; ``rule`` is ``bare`` with its place in the data."""

    rule: str
    bare: str
    place: Mapping[str, Json]
    title: str
    target: str
    outcome: str
    word: str
    effect: str
    required: bool
    value: str
    interval: str
    message: str
    point: RuleFigure | None

    @property
    def waivable(self) -> bool:
        """Whether a waiver can be for it."""
        return Outcome(self.outcome) in WAIVABLE and not self.bare.startswith(PRECONDITIONS)


@dataclass(frozen=True, slots=True)
class RecordFacts:
    """A record as the pages show it; ``devices`` say in words what each target turned out to be.

    ``scope_said`` says where it speaks for an endpoint, and not for the artifact that it names.
    """

    id: str
    model: str
    version: str
    artifact: str | None
    policy: str
    policy_digest: str
    audited: WaiverSubject
    budget: str
    verdict: Verdict
    because: str
    assurance: str
    finished: str
    rows: tuple[FindingRow, ...]
    hidden: int
    devices: Mapping[str, str]
    attempt: str = ""
    scope: RecordScope = RecordScope.ARTIFACT
    scope_said: tuple[str, ...] = ()

    @property
    def open(self) -> bool:
        """Whether a waiver can be for any of its findings."""
        return any(row.waivable for row in self.rows)


class RecordFactsCache:
    """Remembers what was read of the records looked at last; never a record itself."""

    def __init__(self, most: int = KEPT) -> None:
        self._most = most
        self._lock = Lock()
        self._held: OrderedDict[str, RecordFacts] = OrderedDict()

    def of(
        self, records: Collection[str], bodies: Callable[[Collection[str]], Mapping[str, bytes]]
    ) -> dict[str, RecordFacts]:
        """Return the facts of records by digest; ``bodies`` gives those that are not held."""
        with self._lock:
            found = {name: self._held[name] for name in records if name in self._held}
            for name in found:
                self._held.move_to_end(name)
        missing = [name for name in records if name not in found]
        read = (
            {name: read_record_facts(raw) for name, raw in bodies(missing).items()}
            if missing
            else {}
        )
        with self._lock:
            self._held |= read
            while len(self._held) > self._most:
                self._held.popitem(last=False)
        return found | read


def read_record_facts(raw: bytes) -> RecordFacts:
    """Read of a record's bytes what pages show; of hundreds of readings those that decided.

    They are the store's own, and nothing is judged by what is read here. Raises ``RecordError``.
    """
    top = JsonPart(parse_json(raw), "record.json")
    request, readings = top.get("request", AuditRequest), top.value.get("readings")
    findings = sorted(top.get("findings", tuple[Finding, ...]), key=_weight)
    policy = request.policy
    return RecordFacts(
        id=top.get("id", str),
        model=request.name,
        version=request.version,
        artifact=None if request.artifact is None else request.artifact.digest,
        policy=f"{policy.name} {policy.version}",
        policy_digest=policy.digest,
        audited=build_waiver_subject(request),
        budget=request.budget.value,
        verdict=Verdict(top.get("verdict", str)),
        because=explain_findings(findings),
        assurance=top.get("assurance", str),
        finished=top.get("finished", str),
        rows=tuple(_row(item, readings) for item in findings[:MOST_FINDINGS]),
        hidden=max(0, len(findings) - MOST_FINDINGS),
        devices=_devices(top, request),
        attempt=describe_attempt(request),
        **_scope(request, raw),
    )


def _scope(request: AuditRequest, raw: bytes) -> dict[str, Any]:
    """Return what a record speaks for, reading it whole only where a server may have answered."""
    served = any(spec.served for spec in request.targets)
    if request.artifact is None:
        return {"scope": RecordScope.ENDPOINT if served else RecordScope.PREDICTIONS}
    if not served:
        return {}
    record = read_record(raw)
    return {"scope": find_record_scope(record), "scope_said": describe_scope(record)}


def _weight(finding: Finding) -> tuple[bool, int, str]:
    return finding.effect is not RuleEffect.DENY, WORST[finding.outcome], finding.rule


def _row(finding: Finding, readings: Json) -> FindingRow:
    if not finding.readings or not isinstance(readings, list):
        decided = None
    else:
        found = read_reading(readings[finding.readings[0]], "record.json.readings")
        decided = found if isinstance(found, Measurement) else None
    words = None if decided is None else format_measurement(decided)
    return FindingRow(
        rule=finding.name,
        bare=finding.rule,
        place=dict(finding.slice or {}),
        title=finding.title,
        target=finding.target,
        outcome=finding.outcome.value,
        word=OUTCOMES[finding.outcome],
        effect=EFFECTS[finding.effect],
        required=finding.effect is RuleEffect.DENY,
        value=NO_FIGURE
        if words is None or decided is None
        else describe_bound(decided) + words.value,
        interval="" if words is None else words.interval,
        message=finding.message,
        point=_point(decided),
    )


def _point(m: Measurement | None) -> RuleFigure | None:
    if m is None or isinstance(m.value, bool | str) or m.value is None:
        return None
    low = m.value if m.low is None else m.low
    return RuleFigure(m.value, low, m.value if m.high is None else m.high, m.unit, m.doubted)


def _devices(top: JsonPart, request: AuditRequest) -> Mapping[str, str]:
    """Say in words what each opened target turned out to be, and how far figures speak of it."""
    prints, listed = top.get("fingerprints", dict[str, Fingerprint]), top.value.get("readings")
    placed = [
        read_reading(item, "record.json.readings")
        for item in (listed if isinstance(listed, list) else ())
        if isinstance(item, Mapping) and item.get("check") == PLACEMENT
    ]
    levels = assess_evidence_levels(request.targets, prints, placed)
    words = {
        name: "".join(describe_machines(one.identity_facts)).strip() for name, one in prints.items()
    }
    return {
        name: f"{words[name]} {LEVELS[level].capitalize()}".strip()
        for name, level in levels.items()
        if name in words
    }


MOST, LEAST, DIGITS = 12, 2, 4
CAPTION = (
    "Band and whiskers are intervals. Other data, budgets and policies also change the figure."
)
HEADER = ("Version", "Decided on", "Figure", "Interval")


@dataclass(frozen=True, slots=True)
class RuleTrend:
    """One rule on one target over several records."""

    target: str
    panel: FigurePanel


def build_rule_trends(records: Sequence[RecordFacts]) -> tuple[RuleTrend, ...]:
    """Return the course of each required rule's figure; ``records`` come the oldest first.

    Policies are apart: a rule of one is no rule of another. A rule that the newest audit did not
    measure is followed too.
    """
    policies = dict.fromkeys(one.audited.policy for one in reversed(records))
    found = list[RuleTrend | None]()
    for policy in policies:
        own = [one for one in records if one.audited.policy == policy]
        said = f" ({policy})" if len(policies) > 1 else ""
        for row in _asked(own):
            found.append(_trend(f"trend-{len(found)}", row, own, said))
    return tuple(item for item in found if item is not None)[:MOST]


def _asked(records: Sequence[RecordFacts]) -> Sequence[FindingRow]:
    """Return the newest figure of each required rule on each target."""
    newest: dict[tuple[str, str], FindingRow] = {}
    for one in reversed(records):
        for row in one.rows:
            if row.required and row.point is not None:
                newest.setdefault((row.rule, row.target), row)
    return list(newest.values())


def _trend(
    key: str, asked: FindingRow, records: Sequence[RecordFacts], said: str
) -> RuleTrend | None:
    unit = Unit.NONE if asked.point is None else asked.point.unit
    told = [(one, row) for one in records for row in one.rows if _same(row, asked, unit)]
    if len(told) < LEAST:
        return None
    moments = [
        PeriodPoint(one.version, point.value, point.low, point.high, point.doubted)
        for one, row in told
        if (point := row.point) is not None
    ]
    if not any(m.low < m.high for m in moments) and len({m.value for m in moments}) == 1:
        return None  # an exact figure that never moved has no course
    rows = [(one.version, one.finished, row.value, row.interval) for one, row in reversed(told)]
    title = asked.title + said
    drawing = draw_period_plot(key, title, moments, unit)
    doubted = [m for m in moments if m.doubted]
    doubts_told = ", ".join(
        f"{format_number(round(m.value, DIGITS), unit)} of {m.name}" for m in doubted
    )
    doubts = (f"Doubtful, drawn hollow: {doubts_told}.",) if doubts_told else ()
    panel = FigurePanel(title=title, target=asked.target, caption=CAPTION, drawing=drawing,
                        header=HEADER, rows=tuple(rows), notes=doubts)  # fmt: skip
    return RuleTrend(asked.target, panel)


def _same(row: FindingRow, asked: FindingRow, unit: Unit) -> bool:
    return (row.rule, row.target) == (asked.rule, asked.target) and (
        row.point is not None and row.point.unit is unit
    )
