"""The scope of a record on each target: the artifact's bytes, or the endpoint that answered.

A target that runs the file here speaks for the file. A server or a cascade answers in place of the
file, and what it answered speaks for the file only where the policy required parity with a run of
the file here, on ordinary and on perturbed rows, and both were kept. Nothing less counts: a waiver,
a warning and a reference that the audit file names show nothing of the file. A function never does.
"""

from collections.abc import Iterator, Mapping
from enum import StrEnum

from auditor.domain.artifacts import Artifact
from auditor.domain.findings import Outcome
from auditor.domain.policies import RuleEffect
from auditor.domain.readings import Gap
from auditor.domain.records import AuditRecord
from auditor.domain.targets import TargetSpec

PARITY = "hardware.parity"
FLIPS, PERTURBED_FLIPS = "flip_rate", "perturbed_flip_rate"
PERTURBATION = "perturbation"
"""The coordinate of a perturbed flip rate that says how rows were moved."""
NOISE, CRAFTED = "noise", "crafted"

_WORDS = {Outcome.UNKNOWN: "undecided", Outcome.NOT_APPLICABLE: "not applicable"}


class RecordScope(StrEnum):
    """What the figures of a record speak for."""

    ARTIFACT = "artifact"
    ENDPOINT = "endpoint"
    PREDICTIONS = "predictions"


def find_unbound_targets(record: AuditRecord) -> Mapping[str, str]:
    """Return the targets whose figures do not speak for the artifact, each with the reason."""
    reasons = {
        spec.name: next(_objections(record, spec), "")
        for spec in record.request.targets
        if spec.served
    }
    return {name: reason for name, reason in reasons.items() if reason}


def find_record_scope(record: AuditRecord, target: str | None = None) -> RecordScope:
    """Return what a record speaks for on one target, or on all of them together."""
    request = record.request
    asked = [spec for spec in request.targets if target in {None, spec.name}]
    if request.artifact is None:
        served = any(spec.served for spec in asked)
        return RecordScope.ENDPOINT if served else RecordScope.PREDICTIONS
    unbound = find_unbound_targets(record)
    open_ = any(spec.name in unbound for spec in asked)
    return RecordScope.ENDPOINT if open_ or not asked else RecordScope.ARTIFACT


def find_bound_artifact(record: AuditRecord) -> Artifact | None:
    """Return the artifact if the record speaks for it on every target, else nothing."""
    return record.request.artifact if find_record_scope(record) is RecordScope.ARTIFACT else None


def _objections(record: AuditRecord, spec: TargetSpec) -> Iterator[str]:
    """Yield why the answers on a served target are not known to be those of the file."""
    if any(place.callable is not None for place in spec.places):
        yield "a function answered in the auditor's own process, where nothing is hidden from it"
    reference = record.request.reference
    if reference is not None:
        yield (
            f"parity compares with the target {reference.name}, which the audit file names as "
            "`reference`, and not with the file"
        )
    for metric in (FLIPS, PERTURBED_FLIPS):
        rules = [
            item
            for item in record.findings
            if (item.target, item.measure, item.effect)
            == (spec.name, f"{PARITY}/{metric}", RuleEffect.DENY)
        ]
        if not rules:
            yield f"no required rule bounds {PARITY}/{metric}"
        yield from (
            f"the rule {item.name} is {_WORDS.get(item.outcome, item.outcome.value)}"
            for item in rules
            if item.outcome is not Outcome.PASSED
        )
        # What the rules leave out: a rule may speak of some of the perturbed rows alone
        judged = {index for item in rules for index in item.readings}
        kinds = set[object]()
        for index, reading in enumerate(record.readings):
            if (reading.target, reading.check, reading.metric) != (spec.name, PARITY, metric):
                continue
            if isinstance(reading, Gap):
                yield f"{PARITY}/{metric} was not measured everywhere: {reading.detail}"
            elif index not in judged:
                yield f"no required rule bounds every reading of {PARITY}/{metric}"
            kinds.add(reading.params.get(PERTURBATION))
        wanted = {None} if metric == FLIPS else {NOISE, CRAFTED}
        if wanted - kinds:
            yield f"{PARITY}/{metric} was not measured"
