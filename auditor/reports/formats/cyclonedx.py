"""Which control is met by which reading, as CycloneDX attestations (CDXA) of a bill of materials.

Source: https://cyclonedx.org/docs/1.6/json/, ``declarations`` and ``definitions``. Every rule that
was decided is a claim about the model, with the readings that it rests on as evidence. A control
lists the claims of the rules that cite it: those kept speak for it, all others against. No score of
conformance is given, since a control asks for more than the rules that cite it.
"""

from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import quote

from auditor.domain.canonical import Json
from auditor.domain.findings import Finding
from auditor.domain.policies import Assurance, Control
from auditor.domain.readings import Gap, Reading
from auditor.domain.records import AuditRecord
from auditor.domain.verdicts import Outcome
from auditor.rendering.attested import verifier_id
from auditor.rendering.controls import catalogue_of
from auditor.rendering.numbers import exact
from auditor.rendering.phrases import OUTCOMES, coordinates

MODEL = "model"
ASSESSOR = "assessor"
SPEAK_FOR = frozenset({Outcome.PASSED, Outcome.WITHSTOOD})


def declarations(record: AuditRecord) -> dict[str, Json]:
    """Return the assessor, a claim a finding, the evidence, and what all that says of controls."""
    decided = _decided(record)
    used = sorted({place for _, item in decided for place in item.readings})
    assessor: dict[str, Json] = {
        "bom-ref": ASSESSOR,
        "organization": {"name": verifier_id(record)},
    }
    if record.assurance is Assurance.A0:
        assessor["thirdParty"] = False
    return {
        "assessors": [assessor],
        "attestations": [
            _attestation(record, framework, decided) for framework in _frameworks(record)
        ],
        "claims": [_claim(place, item) for place, item in decided],
        "evidence": [_evidence(record, place) for place in used],
    }


def standards(record: AuditRecord) -> list[Json]:
    """Return each framework that a finding cites, with the controls that its catalogue pins."""
    return [_standard(record, framework) for framework in _frameworks(record)]


def _standard(record: AuditRecord, framework: str) -> dict[str, Json]:
    pinned = catalogue_of(framework)
    titles = {} if pinned is None else dict(pinned.controls)
    # A policy may cite what no catalogue here pins; it is named, without a title.
    titles |= {item.ref: "" for item in _cited(record, framework) if item.ref not in titles}
    standard: dict[str, Json] = {
        "bom-ref": f"standard:{quote(framework, safe='')}",
        "name": framework if pinned is None else pinned.title,
        "requirements": [
            {
                "bom-ref": _requirement(Control(framework, ref)),
                "identifier": ref,
                **({"title": title} if title else {}),
            }
            for ref, title in titles.items()
        ],
    }
    if pinned is not None:
        standard["version"] = pinned.version
        standard["externalReferences"] = [{"type": "documentation", "url": pinned.source}]
    return standard


def _attestation(
    record: AuditRecord, framework: str, decided: Sequence[tuple[int, Finding]]
) -> dict[str, Json]:
    policy = record.request.policy
    return {
        "summary": f"What the rules of {policy.name} {policy.version} found that cite {framework}",
        "assessor": ASSESSOR,
        "map": [_mapped(control, decided) for control in _cited(record, framework)],
    }


def _mapped(control: Control, decided: Sequence[tuple[int, Finding]]) -> dict[str, Json]:
    citing = [(place, item) for place, item in decided if control in item.controls]
    kept = [place for place, item in citing if item.outcome in SPEAK_FOR]
    against = [place for place, item in citing if item.outcome not in SPEAK_FOR]
    rationale = (
        f"{len(kept)} of {len(citing)} rules that cite this control are kept. "
        "What it asks beyond them was not looked at."
    )
    return {
        "requirement": _requirement(control),
        "claims": [f"claim-{place}" for place in kept],
        "counterClaims": [f"claim-{place}" for place in against],
        "conformance": {"rationale": rationale},
    }


def _claim(place: int, finding: Finding) -> dict[str, Json]:
    asked = f"{finding.measure} {finding.limits}".strip()
    return {
        "bom-ref": f"claim-{place}",
        "target": MODEL,
        "predicate": f"{OUTCOMES[finding.outcome]} on {finding.target}: {finding.title} ({asked})",
        "reasoning": finding.message,
        "evidence": [f"reading-{index}" for index in dict.fromkeys(finding.readings)],
    }


def _evidence(record: AuditRecord, place: int) -> dict[str, Json]:
    reading = record.readings[place]
    return {
        "bom-ref": f"reading-{place}",
        "propertyName": _named(reading),
        "description": _described(reading),
        "data": [
            {"name": digest, "contents": {"url": f"evidence/{digest.removeprefix('sha256:')}"}}
            for digest in (() if isinstance(reading, Gap) else reading.evidence)
        ],
        "created": record.finished,
    }


def _named(reading: Reading) -> str:
    metric = f"{reading.check}/{reading.metric}" if reading.metric else reading.check
    where = coordinates(reading.params, {} if isinstance(reading, Gap) else reading.slice)
    return f"{metric}{f' ({where})' if where else ''} on {reading.target}"


def _described(reading: Reading) -> str:
    if isinstance(reading, Gap):
        return f"missing: {reading.reason.value}. {reading.detail}"
    said = exact(reading.value) if reading.value is not None else "no value"
    if reading.low is not None and reading.high is not None:
        said += f", between {exact(reading.low)} and {exact(reading.high)}"
        said += f" at confidence {exact(reading.confidence)} ({reading.method})"
    bound = (
        "" if reading.bound.value == "estimate" else f", {reading.bound.value.replace('_', ' ')}"
    )
    return said + bound + (", doubted" if reading.doubted else "")


def _decided(record: AuditRecord) -> Sequence[tuple[int, Finding]]:
    return [
        (place, item)
        for place, item in enumerate(record.findings)
        if item.outcome is not Outcome.NOT_APPLICABLE
    ]


def _frameworks(record: AuditRecord) -> Sequence[str]:
    return sorted({item.framework for _, found in _decided(record) for item in found.controls})


def _cited(record: AuditRecord, framework: str) -> Sequence[Control]:
    found: Iterator[Control] = (
        item for _, finding in _decided(record) for item in finding.controls
    )
    cited: Mapping[str, Control] = {item.ref: item for item in found if item.framework == framework}
    return [cited[ref] for ref in sorted(cited)]


def _requirement(control: Control) -> str:
    return f"control:{quote(control.framework, safe='')}:{quote(control.ref, safe='')}"
