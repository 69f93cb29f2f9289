"""Check of the artifact's structure: whether loading it may run code or reach outside."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, cast

from auditor.domain.budgets import AuditSize, CheckCost
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.checks import Check, Metric, Need
from auditor.domain.evidence import Evidence
from auditor.domain.explanations import (
    MOST_TOLD,
    Explanation,
    ExplanationContext,
    count_rest,
    entry_text,
    list_entries,
    tell_details,
)
from auditor.domain.gaps import read_gap
from auditor.domain.json import Json
from auditor.domain.policies import FrameworkControl
from auditor.domain.readings import Gap, Measurement, Reading, Unit
from auditor.onnx.scan.external_data import OUTSIDE
from auditor.onnx.scan.unsafe_entries import UnsafeCode, UnsafeSeverity

METHOD = "static-scan"


@dataclass(frozen=True, slots=True)
class ArtifactStructureCheck(Check):
    """Counts the findings of a scan of the artifact's files. The files are parsed and never loaded.

    ``unsafe_constructs`` counts everything that may run code or reach outside the model's folder;
    ``custom_domains`` and ``external_outside`` are parts of it. ``warnings`` counts places that may
    hide data or that two readers interpret differently, but that run no code by themselves. Control
    flow and small leftovers are notes in the details.

    Zero means that this scan has no findings. A harmful model can still be built from operators
    that are known to be safe.
    """

    id: ClassVar[str] = "provenance.artifact"
    version: ClassVar[int] = 2
    title: ClassVar[str] = "Unsafe constructs in the artifact"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.ARTIFACT})
    emits: ClassVar[Mapping[str, Metric]] = {
        "unsafe_constructs": Metric(
            "Constructs that can run code or access resources outside the model",
            Unit.COUNT,
            higher_is_better=False,
            exact=True,
        ),
        "custom_domains": Metric(
            "Operators whose code is outside the file",
            Unit.COUNT,
            higher_is_better=False,
            exact=True,
        ),
        "external_outside": Metric(
            "External-data paths that point outside the model's folder",
            Unit.COUNT,
            higher_is_better=False,
            exact=True,
        ),
        "warnings": Metric(
            "Places that can hide data or that parsers read differently",
            Unit.COUNT,
            higher_is_better=False,
            exact=True,
        ),
    }
    controls: ClassVar[tuple[FrameworkControl, ...]] = (
        FrameworkControl("eu-ai-act", "15(5)"),
        FrameworkControl("nist-ai-rmf", "MEASURE 2.7"),
        FrameworkControl("nist-ai-rmf", "MAP 4.2"),
        FrameworkControl("iso-42001", "A.10.3"),
        FrameworkControl("iso-42001", "A.6.2.4"),
        FrameworkControl("mitre-atlas", "AML.T0011.000"),
        FrameworkControl("mitre-atlas", "AML.T0018.002"),
        FrameworkControl("mitre-atlas", "AML.T0010.001"),
        FrameworkControl("mitre-atlas", "AML.M0016"),
        FrameworkControl("owasp-ml", "ML06"),
        FrameworkControl("nist-ai-100-2", "NISTAML.05"),
    )

    def cost(self, size: AuditSize) -> CheckCost:
        """Say what observing will spend: the scan was made when the artifact was opened."""
        return CheckCost()

    def observe(self, subject: Subject, shard: CheckShard) -> Evidence:
        """Return the structure that the scan found, or why there is none."""
        found = subject.structure
        return {"gap" if isinstance(found, Gap) else "structure": found.to_json()}

    def figures(self, evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
        """Count the entries of the scan."""
        if "gap" in evidence:
            return (read_gap(evidence["gap"]),)
        structure = cast("Mapping[str, Json]", evidence["structure"])
        listed = cast("Sequence[Mapping[str, str]]", structure["unsafe"])
        unsafe = [item for item in listed if item["weight"] == UnsafeSeverity.UNSAFE]
        custom = [item for item in unsafe if item["code"] in _CUSTOM]
        outside = [item for item in unsafe if item["code"] in OUTSIDE]
        warnings = [item for item in listed if item["weight"] == UnsafeSeverity.WARNING]
        notes = [dict(item) for item in listed if item["weight"] == UnsafeSeverity.INFO]
        about: dict[str, Json] = {
            "kind": structure["kind"],
            "producer": structure["producer"],
            "notes": notes,
        }
        return (
            _count("unsafe_constructs", unsafe, about),
            _count("custom_domains", custom, {}),
            _count("external_outside", outside, {}),
            _count("warnings", warnings, {}),
        )

    @classmethod
    def explain(cls, scene: ExplanationContext) -> Explanation:
        """Tell what was found in the artifact's files, and where."""
        return tell_details(scene, "Findings", _found)


def _count(
    metric: str, found: Sequence[Mapping[str, str]], details: Mapping[str, Json]
) -> Measurement:
    return Measurement(
        metric=metric,
        value=len(found),
        method=METHOD,
        n=1,
        unit=Unit.COUNT,
        details={"found": [dict(item) for item in found], **details},
    )


_CUSTOM = frozenset({UnsafeCode.CUSTOM_DOMAIN, UnsafeCode.PYTHON_OPERATOR})


def _found(m: Measurement) -> Iterator[str]:
    listed = list_entries(m.details.get("found"))
    for item in listed[:MOST_TOLD]:
        code, where, what = (entry_text(item, name) for name in ("code", "where", "what"))
        yield f"{code}: {where}: {what}."
    yield from count_rest(len(listed))


CHECK: type[Check] = ArtifactStructureCheck
