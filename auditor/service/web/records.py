"""What pages show of records, read once: a record never changes, and reading one takes long."""

from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Any

from auditor.domain.canonical import Json, parse
from auditor.domain.evidence_levels import PLACEMENT, evidence_levels
from auditor.domain.findings import Finding
from auditor.domain.json_parts import Part
from auditor.domain.policies import Effect
from auditor.domain.readings import Measurement, Unit
from auditor.domain.record_json import read_finding, read_fingerprint, read_reading, read_record
from auditor.domain.record_scopes import RecordScope, scope_of
from auditor.domain.request_json import read_request
from auditor.domain.requests import AuditRequest
from auditor.domain.verdicts import Outcome, Verdict
from auditor.domain.waivers import PRECONDITIONS, Audited
from auditor.judging.waiving import WAIVABLE, audited_in
from auditor.rendering.attempts import attempt_words
from auditor.rendering.numbers import figure
from auditor.rendering.phrases import EFFECTS, OUTCOMES, bound_words
from auditor.rendering.placements import LEVELS
from auditor.rendering.runs import machines
from auditor.rendering.scopes import scope_sentences
from auditor.rendering.verdicts import because_of

KEPT, MOST_FINDINGS = 400, 300
NO_FIGURE = "no figure"
WORST = {outcome: place for place, outcome in enumerate(OUTCOMES)}


@dataclass(frozen=True, slots=True)
class Point:
    """The figure that decided a rule, with the ends of its interval."""

    value: float
    low: float
    high: float
    unit: Unit
    doubted: bool


@dataclass(frozen=True, slots=True)
class Row:
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
    point: Point | None

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
    audited: Audited
    budget: str
    verdict: Verdict
    because: str
    assurance: str
    finished: str
    rows: tuple[Row, ...]
    hidden: int
    devices: Mapping[str, str]
    attempt: str = ""
    scope: RecordScope = RecordScope.ARTIFACT
    scope_said: tuple[str, ...] = ()

    @property
    def open(self) -> bool:
        """Whether a waiver can be for any of its findings."""
        return any(row.waivable for row in self.rows)


class Facts:
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
        read = {name: facts_of(raw) for name, raw in bodies(missing).items()} if missing else {}
        with self._lock:
            self._held |= read
            while len(self._held) > self._most:
                self._held.popitem(last=False)
        return found | read


def facts_of(raw: bytes) -> RecordFacts:
    """Read of a record's bytes what pages show; of hundreds of readings those that decided.

    They are the store's own, and nothing is judged by what is read here. Raises ``RecordError``.
    """
    top = Part(parse(raw), "record.json")
    request, readings = read_request(top.part("request")), top.value.get("readings")
    findings = sorted(top.list_of("findings", read_finding), key=_weight)
    policy = request.policy
    return RecordFacts(
        id=top.get("id", str),
        model=request.name,
        version=request.version,
        artifact=None if request.artifact is None else request.artifact.digest,
        policy=f"{policy.name} {policy.version}",
        policy_digest=policy.digest,
        audited=audited_in(request),
        budget=request.budget.value,
        verdict=Verdict(top.get("verdict", str)),
        because=because_of(findings),
        assurance=top.get("assurance", str),
        finished=top.get("finished", str),
        rows=tuple(_row(item, readings) for item in findings[:MOST_FINDINGS]),
        hidden=max(0, len(findings) - MOST_FINDINGS),
        devices=_devices(top, request),
        attempt=attempt_words(request),
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
    return {"scope": scope_of(record), "scope_said": scope_sentences(record)}


def _weight(finding: Finding) -> tuple[bool, int, str]:
    return finding.effect is not Effect.DENY, WORST[finding.outcome], finding.rule


def _row(finding: Finding, readings: Json) -> Row:
    decided = _deciding(finding, readings)
    words = None if decided is None else figure(decided)
    return Row(
        rule=finding.name,
        bare=finding.rule,
        place=dict(finding.slice or {}),
        title=finding.title,
        target=finding.target,
        outcome=finding.outcome.value,
        word=OUTCOMES[finding.outcome],
        effect=EFFECTS[finding.effect],
        required=finding.effect is Effect.DENY,
        value=NO_FIGURE if words is None or decided is None else bound_words(decided) + words.value,
        interval="" if words is None else words.interval,
        message=finding.message,
        point=_point(decided),
    )


def _deciding(finding: Finding, readings: Json) -> Measurement | None:
    if not finding.readings or not isinstance(readings, list):
        return None
    found = read_reading(Part(readings[finding.readings[0]], "record.json.readings"))
    return found if isinstance(found, Measurement) else None


def _point(m: Measurement | None) -> Point | None:
    if m is None or isinstance(m.value, bool | str) or m.value is None:
        return None
    low = m.value if m.low is None else m.low
    return Point(m.value, low, m.value if m.high is None else m.high, m.unit, m.doubted)


def _devices(top: Part, request: AuditRequest) -> Mapping[str, str]:
    """Say in words what each opened target turned out to be, and how far figures speak of it."""
    part, listed = top.part("fingerprints"), top.value.get("readings")
    prints = {name: read_fingerprint(part.part(name)) for name in part.value}
    placed = [
        read_reading(Part(item, "record.json.readings"))
        for item in (listed if isinstance(listed, list) else ())
        if isinstance(item, Mapping) and item.get("check") == PLACEMENT
    ]
    levels = evidence_levels(request.targets, prints, placed)
    words = {name: "".join(machines(one.identity_facts)).strip() for name, one in prints.items()}
    return {
        name: f"{words[name]} {LEVELS[level].capitalize()}".strip()
        for name, level in levels.items()
        if name in words
    }
