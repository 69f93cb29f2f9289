"""Check of parity: whether the target gives the answers that the artifact gives elsewhere."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, cast

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.evasion.attack_setup import REPEATS, AttackSetup, requires_integers
from auditor.attacks.evasion.goals import untargeted_goal
from auditor.attacks.evasion.run_check import SECONDS_A_PASS
from auditor.attacks.hardware.parity_inputs import (
    EPS,
    QUERIES,
    STEPS,
    WORDS,
    PerturbedRows,
    build_text_threat,
    perturb_rows,
    perturb_texts,
)
from auditor.attacks.text.judge import TextJudge
from auditor.domain.budgets import AuditSize, Budget, CheckCost
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.checks import Check, Metric, Need
from auditor.domain.datasets import DatasetRole
from auditor.domain.evidence import Evidence
from auditor.domain.explanations import (
    Explanation,
    ExplanationContext,
    ExplanationPart,
    SuggestedCure,
    read_count,
)
from auditor.domain.gaps import read_gap
from auditor.domain.json import Json
from auditor.domain.models import Model
from auditor.domain.policies import FrameworkControl
from auditor.domain.readings import Gap, GapReason, Reading, Scalar, Unit
from auditor.domain.record_scope import CRAFTED, NOISE, PERTURBATION, PERTURBED_FLIPS
from auditor.domain.record_scope import FLIPS as FLIP_RATE
from auditor.domain.report_blocks import Headline, HeadlineKind, ReportTopic
from auditor.domain.row_evidence import RowEvidence, RowFigures
from auditor.domain.targets import SERVED
from auditor.domain.tasks import Array, ClassificationTask, Floats, InputSpace
from auditor.errors import AuditorError, CancelledError, LimitReachedError, TwinError
from auditor.metrics.hardware.decision_flip_explanation import build_flip_part
from auditor.metrics.hardware.overflow_explanation import (
    build_overflow_parts,
    describe_target_overflow,
    has_overflow,
    is_overflow_possible,
    list_overflow_cures,
)
from auditor.metrics.performance.paired_comparison import (
    FLIPS,
    PairedRuns,
    read_paired_runs,
    score_both_models,
    share_reading,
    write_paired_runs,
)
from auditor.metrics.stats.proportions import clopper_pearson

PERTURBATIONS = (NOISE, CRAFTED)
MOST_OUTSIDE, SLACK = 0.01, 1e-6
MOST_VALUES = 2**22
"""So many numbers are moved at a time, whatever the rows are."""
UNMOVED = -1
"""The decision about a row that nothing within its budget moves: it shows nothing, and is not asked
about."""
UNMOVABLE = Gap(
    reason=GapReason.NOT_DEFINED,
    detail="No row of the evaluation data can be moved within the input's schema.",
    cure="Say in the input's schema which features can change, and how far.",
    metric=PERTURBED_FLIPS,
)
OUT_OF_RANGE = Gap(
    reason=GapReason.NOT_DEFINED,
    detail="More than one value in a hundred lies outside the declared range of the input, so that "
    "shares of that range move nothing.",
    cure="Write the range that the data have under input.domain or input.features.",
)
NO_LEAVE = Gap(
    reason=GapReason.NEEDS_AUTHORISATION,
    detail="Perturbed rows are no ordinary rows, and sending them is not authorized in writing.",
    cure="Write who authorized it, and for what, under endpoint.authorisation of the target.",
)
NO_FILE_HERE = Gap(
    reason=GapReason.NEEDS_REFERENCE,
    detail="The reference is served too, so that no run of the file here can be compared with.",
    cure="Leave `reference` out of the audit file.",
)
NOT_OVERFLOW = (
    "Overflow of 8-bit sums is not the reason: {why}. Processors and runtimes also differ in the "
    "precision that they choose, in which operators they fuse, and in the order in which they add."
)
LOOK = SuggestedCure(
    "Look at precision, session options and placement of the target under “How it was run”, and "
    "audit again without fusing, by a line under that target in targets.yaml: if the flips go, "
    "fusing made them.",
    "graph_optimization: none",
)
VALIDATE = SuggestedCure(
    "Or make the target itself the reference that is validated: what was tested elsewhere was not "
    "what runs here."
)


@dataclass(frozen=True, slots=True)
class ParityCheck(Check):
    """Runs the same rows on your target and on the reference, and compares the answers row by row.

    Aggregate accuracy hides flips that cancel out, so decisions are compared one by one. The
    reference is ONNX Runtime on this machine's processor with exact 8-bit products, unless your
    audit declares another target. Rates by class (the reference's decision) and by group hold
    jointly over their family (Bonferroni).

    A server could know these rows. A target that runs no file here (an endpoint, a cascade) is
    therefore also compared on perturbed rows: rows with seeded noise, and rows crafted to turn the
    reference's decision, by the gradient of its twin or otherwise by a search that queries the
    reference. Each row is moved by one of several shares of the range, in turn, or by as many
    words, and stays within the input schema. This needs your permission to attack.
    """

    rows: int = 1000

    id: ClassVar[str] = "hardware.parity"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Answers on the target compared with the reference run"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.MODEL, Need.EVALUATION, Need.CLASSIFICATION})
    emits: ClassVar[Mapping[str, Metric]] = {
        **FLIPS,
        PERTURBED_FLIPS: Metric(
            "Decisions that differ on perturbed rows", Unit.SHARE, higher_is_better=False
        ),
    }
    coordinates: ClassVar[frozenset[str]] = frozenset({PERTURBATION})
    controls: ClassVar[tuple[FrameworkControl, ...]] = (
        FrameworkControl("eu-ai-act", "15(1)"),
        FrameworkControl("eu-ai-act", "15(3)"),
        FrameworkControl("eu-ai-act", "13(3)(e)"),
        FrameworkControl("nist-ai-rmf", "MEASURE 2.3"),
        FrameworkControl("nist-ai-rmf", "MEASURE 2.5"),
        FrameworkControl("iso-42001", "A.4.5"),
        FrameworkControl("iso-42001", "A.6.2.5"),
    )
    presets: ClassVar[Mapping[Budget, Mapping[str, Json]]] = {
        Budget.SMOKE: {"rows": 500},
        Budget.CI: {"rows": 2000},
        Budget.FULL: {"rows": 20_000},
    }
    by_row: ClassVar[RowEvidence] = RowEvidence(
        each=frozenset(
            {
                *("after", "before", "decided", "expected", "ids", "labels"),
                *(f"{kind}_{run}" for kind in PERTURBATIONS for run in ("decided", "expected")),
            }
        ),
        apart=frozenset({"classes", "reference", "perturbed"}),
        counted=frozenset({FLIP_RATE}),
        adds=lambda evidence: (RowFigures(FLIP_RATE, read_paired_runs(evidence).flipped),),
    )
    headlines: ClassVar[Mapping[str, Headline]] = {
        "flip_rate": Headline(HeadlineKind.SAMENESS, "Decisions that differ from the reference"),
    }
    topics: ClassVar[frozenset[ReportTopic]] = frozenset({ReportTopic.CHANGES})

    def cost(self, size: AuditSize) -> CheckCost:
        """Score the rows once; a whole dataset's scores are shared with other checks.

        A server is asked about each row three times: as it is, with noise, and crafted.
        """
        rows = min(self.rows, size.rows)
        if not size.served:
            return CheckCost(queries=rows)
        passes = rows * STEPS
        return CheckCost(queries=3 * rows, passes=passes, seconds=passes * SECONDS_A_PASS)

    def precision(self, size: AuditSize, confidence: float) -> Mapping[str, float]:
        """Half width of the flip rate where nothing flips."""
        count = min(self.rows, size.rows)
        if not count:
            return {}
        clean = clopper_pearson(0, count, confidence)
        metrics = (FLIP_RATE, *((PERTURBED_FLIPS,) if size.served else ()))
        return dict.fromkeys(metrics, (clean.high - clean.low) / 2)

    def observe(self, subject: Subject, shard: CheckShard) -> Evidence:
        """Score the same rows twice. Raises what ``score_both_models`` raises."""
        reference = subject.reference.model()
        if isinstance(reference, Gap):
            return {"gap": reference.to_json()}
        pairs = score_both_models(subject, reference, self.rows)
        seen: Evidence = {**write_paired_runs(pairs), "reference": dict(subject.reference.about)}
        return {**seen, **_perturbed(subject, reference, pairs)} if subject.target.served else seen

    def figures(self, evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
        """Compare decisions and scores row by row."""
        if "gap" in evidence:
            said = cast("Mapping[str, str]", evidence["gap"])
            return (
                Gap(
                    reason=GapReason.NEEDS_REFERENCE,
                    detail=f"There is no reference run to compare with: {said['detail']}",
                    cure=said["cure"],
                ),
            )
        return (*read_paired_runs(evidence).figures(confidence), *_told(evidence, confidence))

    @classmethod
    def explain(cls, scene: ExplanationContext) -> Explanation:
        """Tell how the target's decisions differ from the reference's, and why."""
        # Tell how the target's decisions differ from the reference's, and why
        rate = scene.figure(ParityCheck.id, "flip_rate")
        if rate is None:
            return (), ()
        counted = build_flip_part(scene, ParityCheck.id, rate, "the reference run")
        if not read_count(rate.details, "flips"):
            return (counted,), ()
        risk, seen = is_overflow_possible(scene), has_overflow(scene)
        if risk and seen:
            why = ExplanationPart(
                topic=f"here:{scene.target}",
                name=f"Overflow on {scene.target}",
                told=(describe_target_overflow(scene),),
            )
            return (counted, why, *build_overflow_parts(scene)), list_overflow_cures(scene)
        return (
            counted,
            ExplanationPart(topic=f"why:{scene.target}", name="Why", told=(_why(scene),)),
        ), (
            LOOK,
            VALIDATE,
        )


def _perturbed(subject: Subject, reference: Model, pairs: PairedRuns) -> Evidence:
    """Decide moved rows on both sides; what cannot be done is said, and leaves the rest."""
    gap = _forbidden(subject)
    if gap is not None:
        return {"perturbed": {"gap": gap.to_json()}}
    taken = np.sort(subject.sample(DatasetRole.EVALUATION, len(pairs.ids)))
    try:
        task, second = cast("ClassificationTask", subject.task), cast("Model", subject.model)
        rng = np.random.default_rng([subject.seed, 1])
        found: dict[str, list[NDArray[np.int64]]] = {}
        about: Json = None
        # The places of rows that are moved together, so that budgets go round in each part
        inputs = cast("Array", subject.datasets[DatasetRole.EVALUATION].inputs)
        size = max(1, int(np.prod(inputs.shape[1:])))
        once = max(1, MOST_VALUES // size // len(EPS)) * len(EPS)
        for at, part in enumerate(
            [np.arange(at, min(at + once, len(taken))) for at in range(0, len(taken), once)]
        ):
            moved, about = _moved(subject, reference, pairs, taken, part, subject.seed + at)
            # Noise and crafted rows in one request: whoever answers is not told them apart.
            both = np.concatenate([moved.noise, moved.crafted])
            asked = rng.permutation(np.flatnonzero(moved.changed))
            for run, model in (("expected", reference), ("decided", second)):
                decided = np.full(len(both), UNMOVED, dtype=np.int64)
                if len(asked):
                    decided[asked] = task.decide(model.probabilities(model.predict(both[asked])))
                for kind, half in zip(PERTURBATIONS, np.split(decided, 2), strict=True):
                    found.setdefault(f"{kind}_{run}", []).append(half)
        return {"perturbed": about, **{name: np.concatenate(all_) for name, all_ in found.items()}}
    except CancelledError:
        raise
    except AuditorError as error:
        return {"perturbed": {"gap": _gap_of(error).to_json()}}


def _forbidden(subject: Subject) -> Gap | None:
    """Return why moved rows may not be sent to the target, or cannot be made."""
    if not subject.target.may_be_attacked:
        return NO_LEAVE
    if any(subject.reference.about.get(name) for name in SERVED):
        return NO_FILE_HERE
    dataset = subject.datasets[DatasetRole.EVALUATION]
    if dataset.texts:
        return None
    if isinstance(subject.space, Gap):
        return subject.space
    known = cast("Floats", dataset.inputs).astype(np.float64)
    slack = SLACK * np.maximum(subject.space.width, 1)
    outside = (known < subject.space.low - slack) | (known > subject.space.high + slack)
    return OUT_OF_RANGE if outside.mean() > MOST_OUTSIDE else None


def _moved(  # noqa: PLR0913, PLR0917 -- two runs, and which rows of them
    subject: Subject,
    reference: Model,
    pairs: PairedRuns,
    taken: NDArray[np.int64],
    part: NDArray[np.int64],
    seed: int,
) -> tuple[PerturbedRows, dict[str, Json]]:
    """Return some rows moved, and by what."""
    dataset, task = (
        subject.datasets[DatasetRole.EVALUATION],
        cast("ClassificationTask", subject.task),
    )
    rows = cast("Array", dataset.inputs)[taken[part]]
    stated, decided = cast("tuple[Floats, Floats]", pairs.stated)[0][part], pairs.expected[part]
    repeats = 1 if reference.deterministic else REPEATS
    if dataset.texts:
        judge = TextJudge(
            model=reference,
            goal=untargeted_goal(task),
            threat=build_text_threat(),
            texts=[str(text) for text in rows],
            labels=decided,
            probabilities=stated,
            most_queries=QUERIES * repeats,
            repeats=repeats,
        )
        about: dict[str, Json] = {"budgets": [*WORDS], "unit": "words", "by": "search"}
        return perturb_texts(judge, seed, subject.progress), about
    twin = subject.reference.twin()
    arena = AttackSetup(
        model=reference,
        goal=untargeted_goal(task),
        space=cast("InputSpace", subject.space),
        rows=rows,
        labels=decided,
        probabilities=stated,
        twin=None if isinstance(twin, Gap) else twin,
        whole=requires_integers(reference, rows),
        repeats=repeats,
    )
    by = "search" if arena.twin is None else "gradient"
    about = {"budgets": [*EPS], "unit": "share of the range", "by": by}
    return perturb_rows(arena, seed, subject.progress), about


def _told(evidence: Evidence, confidence: float) -> Iterator[Reading]:
    """Return the flip rates on moved rows, of a target where they were to be measured."""
    about = cast("Mapping[str, Json] | None", evidence.get("perturbed"))
    if about is None:
        return
    if "gap" in about:
        yield replace(read_gap(about["gap"]), metric=PERTURBED_FLIPS)
        return
    clean = cast("NDArray[np.int64]", evidence["expected"])
    for kind in PERTURBATIONS:
        where: dict[str, Scalar] = {PERTURBATION: kind}
        expected, decided = (
            cast("NDArray[np.int64]", evidence[f"{kind}_{run}"]) for run in ("expected", "decided")
        )
        moved = expected != UNMOVED
        if not moved.any():
            yield replace(UNMOVABLE, params=where)
            continue
        flipped = (expected != decided)[moved]
        details: dict[str, Json] = {
            **about,
            "flips": int(flipped.sum()),
            "turned": int((expected != clean)[moved].sum()),
        }
        yield share_reading(PERTURBED_FLIPS, flipped, confidence, params=where, details=details)


def _gap_of(error: AuditorError) -> Gap:
    reason = GapReason.UNSUPPORTED
    if isinstance(error, LimitReachedError):
        reason = GapReason.OVER_BUDGET
    elif isinstance(error, TwinError):
        reason = GapReason.TWIN_UNSUPPORTED
    elif error.slug in set(GapReason):
        reason = GapReason(error.slug)
    return Gap(reason=reason, detail=error.problem, cure=error.cure)


def _why(scene: ExplanationContext) -> str:
    risk, seen = is_overflow_possible(scene), has_overflow(scene)
    if risk is False:
        return NOT_OVERFLOW.format(
            why="the scan found no 8-bit weights whose products can overflow"
        )
    if risk and seen is False:
        return NOT_OVERFLOW.format(why="with exact sums, no decision changes on this target")
    return "Whether 8-bit sums overflow on this target was not measured, so the reason is open."


CHECK: type[Check] = ParityCheck
