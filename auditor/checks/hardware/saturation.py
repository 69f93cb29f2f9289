"""Check for saturation: whether 8-bit sums overflow on processors without VNNI."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, cast

import numpy as np
from numpy.typing import NDArray

from auditor.domain.budgets import AuditSize, Budget, CheckCost
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.checks import Check, Metric, Need
from auditor.domain.datasets import DatasetRole
from auditor.domain.evidence import Evidence
from auditor.domain.explanations import Explanation, ExplanationContext, ExplanationPart
from auditor.domain.findings import Outcome
from auditor.domain.gaps import read_gap
from auditor.domain.json import Json
from auditor.domain.model_instrumentation import RunAlteration
from auditor.domain.number_text import format_count
from auditor.domain.policies import FrameworkControl
from auditor.domain.readings import Gap, GapReason, Measurement, Reading, Unit
from auditor.domain.row_evidence import RowEvidence, RowFigures
from auditor.domain.targets import EXACT_SUMS
from auditor.domain.tasks import ClassificationTask
from auditor.metrics.hardware.overflow_explanation import (
    SATURATION,
    build_overflow_parts,
    describe_target_overflow,
    has_overflow,
    is_overflow_possible,
    list_overflow_cures,
)
from auditor.metrics.performance.paired_comparison import share_reading
from auditor.metrics.stats.proportions import clopper_pearson

SWITCHED = "CPUExecutionProvider"
"""The provider whose kernels heed that switch."""
SCAN = "scan of the file's 8-bit weights"
MOST_NAMED = 20


@dataclass(frozen=True, slots=True)
class SaturationCheck(Check):
    """Scans 8-bit weights for sums that can overflow, then runs your model with and without exact
    sums.

    The scan covers any x86 processor with AVX2 and without VNNI, which adds two neighbouring
    products in 16 bits and cuts off the sum. The run covers this target: if exact sums change a
    decision, overflow had changed it.
    """

    rows: int = 500

    id: ClassVar[str] = "hardware.saturation"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Overflow of 8-bit sums"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.ARTIFACT})
    wants: ClassVar[frozenset[Need]] = frozenset({Need.EVALUATION})
    emits: ClassVar[Mapping[str, Metric]] = {
        "risky_share": Metric(
            "Pairs of weights with products that can overflow",
            Unit.SHARE,
            higher_is_better=False,
            exact=True,
        ),
        "at_risk": Metric(
            "Overflow possible on some processor", Unit.NONE, higher_is_better=False, exact=True
        ),
        "saturated_flip_rate": Metric(
            "Decisions that overflow changes on this target", Unit.SHARE, higher_is_better=False
        ),
    }
    controls: ClassVar[tuple[FrameworkControl, ...]] = (
        FrameworkControl("eu-ai-act", "15(1)"),
        FrameworkControl("eu-ai-act", "15(4)"),
        FrameworkControl("eu-ai-act", "13(3)(e)"),
        FrameworkControl("nist-ai-rmf", "MEASURE 2.5"),
        FrameworkControl("iso-42001", "A.4.5"),
    )
    presets: ClassVar[Mapping[Budget, Mapping[str, Json]]] = {
        Budget.SMOKE: {"rows": 100},
        Budget.CI: {"rows": 500},
        Budget.FULL: {"rows": 5000},
    }
    by_row: ClassVar[RowEvidence] = RowEvidence(
        each=frozenset({"declared", "exact", "ids"}),
        apart=frozenset({"about"}),
        counted=frozenset({"saturated_flip_rate"}),
        adds=lambda evidence: (RowFigures("saturated_flip_rate", _flipped(evidence)),),
    )

    def cost(self, size: AuditSize) -> CheckCost:
        """Score rows twice, once with exact sums."""
        return CheckCost(queries=2 * min(self.rows, size.rows))

    def precision(self, size: AuditSize, confidence: float) -> Mapping[str, float]:
        """Half width of the flip rate where nothing flips."""
        count = min(self.rows, size.rows)
        if not count:
            return {}
        return {"saturated_flip_rate": clopper_pearson(0, count, confidence).high / 2}

    def observe(self, subject: Subject, shard: CheckShard) -> Evidence:
        """Take the scan's findings; run with exact sums where there are 8-bit weights."""
        if isinstance(subject.structure, Gap):
            return {"about": {"gap": subject.structure.to_json()}}
        weights: list[Json] = [dict(item) for item in subject.structure.integers]
        about: dict[str, Json] = {"weights": weights, "kind": subject.structure.kind}
        if not weights:
            return {"about": about}
        refused = _cannot_run(subject)
        if refused is not None:
            return {"about": {**about, "not_run": refused.to_json()}}
        task, model, bench = subject.task, subject.model, subject.bench
        inputs = subject.datasets[DatasetRole.EVALUATION].inputs
        if (
            not isinstance(task, ClassificationTask)
            or inputs is None
            or isinstance(model, Gap)
            or isinstance(bench, Gap)
        ):
            message = "what cannot run was refused before"
            raise TypeError(message)
        rows = np.sort(subject.sample(DatasetRole.EVALUATION, self.rows))
        declared = bench.scores(inputs[rows], RunAlteration())
        exact = bench.scores(inputs[rows], RunAlteration(session=EXACT_SUMS))
        return {
            "about": about,
            "declared": task.decide(model.probabilities(declared)),
            "exact": task.decide(model.probabilities(exact)),
            "ids": np.asarray(subject.datasets[DatasetRole.EVALUATION].ids)[rows],
        }

    def figures(self, evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
        """Count risky pairs, and decisions that exact sums change."""
        about = cast("Mapping[str, Json]", evidence["about"])
        if "gap" in about:
            return (read_gap(about["gap"]),)
        weights = cast("list[Mapping[str, Json]]", about["weights"])
        # The share of risky pairs, and whether there are any: what is found is sure. Where some
        # weights could not be looked at, nobody knows that there is nothing.
        unread = [str(item["name"]) for item in weights if item.get("read") is False]
        pairs, over = (
            sum(cast("int", item[name]) for item in weights) for name in ("pairs", "over")
        )
        risky = sorted(
            (item for item in weights if item["over"]), key=lambda item: -cast("int", item["over"])
        )
        share = Measurement(
            metric="risky_share",
            value=over / pairs if pairs else 0.0,
            method=SCAN,
            n=pairs,
            unit=Unit.SHARE,
            details={
                "weights": len(weights),
                "pairs": pairs,
                "over": over,
                "layers": [dict(item) for item in risky[:MOST_NAMED]],
            },
        )
        told: dict[str, Json] = {"weights": len(weights)}
        risk = Measurement(metric="at_risk", value=over > 0, method=SCAN, n=pairs, details=told)
        return (
            *(
                _unread("risky_share", unread) if unread else share,
                _unread("at_risk", unread) if unread and not over else risk,
            ),
            *_ran(evidence, about, confidence),
        )

    @classmethod
    def explain(cls, scene: ExplanationContext) -> Explanation:
        """Tell what the scan and the run with exact sums found."""
        # Tell what the scan and the run with exact sums found
        risk = is_overflow_possible(scene)
        if risk is None:
            return (), ()
        if not risk:
            return (_safe(scene),), ()
        state = ExplanationPart(
            topic=f"here:{scene.target}",
            name=f"Overflow on {scene.target}",
            told=(describe_target_overflow(scene),),
        )
        good = scene.finding.outcome is Outcome.PASSED
        cures = () if good and not has_overflow(scene) else list_overflow_cures(scene)
        return (state, *build_overflow_parts(scene)), cures


def _cannot_run(subject: Subject) -> Gap | None:
    """Say why nothing can be run: no model, no bench, no rows, or no classes."""
    for needed in (subject.model, subject.bench):
        if isinstance(needed, Gap):
            return needed
    spec = subject.target
    if spec.library or spec.device or spec.provider != SWITCHED:
        return Gap(
            reason=GapReason.UNSUPPORTED,
            detail=f"The switch to exact 8-bit products is one of {SWITCHED}; the provider of the "
            f"target {spec.name!r} would not heed it, so that nothing would seem to change.",
            cure="Compare with the reference run (hardware.parity/flip_rate) on this target.",
        )
    dataset = subject.datasets.get(DatasetRole.EVALUATION)
    if (
        dataset is None
        or dataset.inputs is None
        or not isinstance(subject.task, ClassificationTask)
    ):
        return Gap(
            reason=GapReason.NEEDS_EVALUATION_DATA,
            detail="Overflow is shown on rows of a classification, and there are none.",
            cure="Name evaluation data, and the task's classes.",
        )
    return None


def _unread(metric: str, names: list[str]) -> Gap:
    return Gap(
        reason=GapReason.UNSUPPORTED,
        detail=f"{len(names)} 8-bit weights could not be looked at, {names[0]!r} among them: their "
        "numbers, or the order in which they are summed, are not known.",
        cure="Export the model with its 8-bit weights as plain initialisers of the operators that "
        "multiply them (run onnxruntime's pre-processing before quantising).",
        metric=metric,
    )


def _ran(
    evidence: Evidence, about: Mapping[str, Json], confidence: float
) -> Iterator[Measurement | Gap]:
    if "not_run" in about:
        yield read_gap(about["not_run"], "saturated_flip_rate")
        return
    if "declared" not in evidence:
        yield Gap(
            reason=GapReason.NOT_DEFINED,
            detail="The artifact multiplies no 8-bit weights, so no sum can overflow.",
            cure="Nothing needs to be done.",
            metric="saturated_flip_rate",
        )
        return
    flipped = _flipped(evidence)
    ids = cast("NDArray[np.str_]", evidence["ids"])
    details: dict[str, Json] = {"worst_rows": [str(name) for name in ids[flipped][:MOST_NAMED]]}
    yield share_reading("saturated_flip_rate", flipped, confidence, details=details)


def _flipped(evidence: Evidence) -> NDArray[np.bool_]:
    """Return which rows exact sums decide otherwise."""
    declared = cast("NDArray[np.int64]", evidence["declared"])
    return np.asarray(declared != cast("NDArray[np.int64]", evidence["exact"]))


def _safe(scene: ExplanationContext) -> ExplanationPart:
    share = scene.figure(SATURATION, "risky_share")
    pairs = 0 if share is None else share.n
    said = (
        f"The scan looked at all {format_count(pairs)} pairs of neighbouring 8-bit weights, and "
        "the products of each fit into 16 bits. Their sums are the same on every x86 processor."
        if pairs
        else "The scan found no 8-bit weights that are multiplied, so that no 8-bit sum arises."
    )
    return ExplanationPart(
        topic=f"here:{scene.target}", name=f"Overflow on {scene.target}", told=(said,)
    )


CHECK: type[Check] = SaturationCheck
