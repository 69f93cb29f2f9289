"""Check of a model variant against its parent: quantised, pruned, distilled or compiled."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, cast

from auditor.attacks.evasion.attack_setup import require_positive, sort_budgets
from auditor.attacks.evasion.norms import Norm
from auditor.attacks.evasion.run_check import estimate_attack_cost
from auditor.attacks.evasion.suite_parser import AttackSuite, build_suite
from auditor.attacks.hardware.variant_attack import (
    DUEL,
    PairedAttackPlan,
    TriggerSearch,
    attack_both_models,
    build_paired_readings,
)
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
    read_number,
)
from auditor.domain.findings import Outcome
from auditor.domain.gaps import read_gap
from auditor.domain.json import Json
from auditor.domain.models import Model
from auditor.domain.number_text import format_coordinates, format_measurement
from auditor.domain.policies import FrameworkControl
from auditor.domain.readings import Gap, GapReason, Measurement, Reading, Unit
from auditor.domain.report_blocks import ReportTopic
from auditor.domain.report_panels import BOUNDS
from auditor.domain.targets import LOGITS
from auditor.domain.tasks import ClassificationTask, Floats
from auditor.metrics.hardware.decision_flip_explanation import build_flip_part
from auditor.metrics.performance.paired_comparison import (
    FLIPS,
    calibration_changes,
    group_gap_changes,
    observe_clipping,
    read_paired_runs,
    read_smooth_calibration_change,
    score_both_models,
    write_paired_runs,
)
from auditor.metrics.stats.proportions import clopper_pearson

SECONDS_A_PASS = 5e-6
Stated = tuple[Floats, Floats]
ABOUT = (
    "The deployed file was made from another model, its parent: quantised, pruned, distilled or "
    "compiled. Tests of the parent do not cover the deployed file, so both were run here, row by "
    "row."
)
CERTAINTY_CHANGES = {
    "nll_change": ("log loss", "it is surer than it should be, or less sure"),
    "brier_change": ("the Brier score", "its stated confidence is worth less"),
    "smece_change": ("the smooth calibration error", "what it states comes true less reliably"),
}
MADE_AGAIN = SuggestedCure(
    "Quantise again with more calibration rows, weights quantised per channel, and the layers that "
    "move most left in floating point; or train with quantisation in the loop. Then audit again."
)
DEPLOY_PARENT = SuggestedCure(
    "Or deploy the parent where its answers matter more than speed and size."
)
TRIGGER = SuggestedCure(
    "Do not deploy this file before you know its origin: a trigger that works only on the "
    "variant is typical of a backdoor that quantisation activates."
)


@dataclass(frozen=True, slots=True)
class VariantCheck(Check):
    """Compares your deployed model with its parent on the same target: decisions, calibration, gaps
    between groups, and robustness under the same attacks.

    Each attack is crafted against the model that it hits. Attacks crafted against the parent make a
    quantised variant look stronger than it is (Bernhard et al. 2019, arXiv 1909.12741), so their
    transfer is reported separately. Last, the check searches a trigger that works on the variant
    and not on the parent.
    """

    rows: int = 1000
    eps: tuple[float, ...] = (0.02, 0.05, 0.1)
    stages: tuple[str, ...] = ("cross_entropy:20",)
    attacked: int = 100
    trigger_eps: float = 0.1
    trigger_steps: int = 40
    trigger_batch: int = 64

    id: ClassVar[str] = "hardware.variant"
    version: ClassVar[int] = 2
    title: ClassVar[str] = "The deployed variant compared with its parent"
    needs: ClassVar[frozenset[Need]] = frozenset(
        {Need.MODEL, Need.EVALUATION, Need.CLASSIFICATION, Need.PARENT}
    )
    wants: ClassVar[frozenset[Need]] = frozenset({Need.TWIN})
    attacks_model: ClassVar[bool] = True
    emits: ClassVar[Mapping[str, Metric]] = {
        **FLIPS,
        "nll_change": Metric("Change of log loss", Unit.NAT, higher_is_better=False),
        "brier_change": Metric("Change of the Brier score", Unit.NONE, higher_is_better=False),
        "smece_change": Metric(
            "Change of the smooth calibration error", Unit.NONE, higher_is_better=False
        ),
        "selection_change_gap": Metric(
            "Change of the largest gap in selection rates", Unit.NONE, higher_is_better=False
        ),
        **DUEL,
    }
    controls: ClassVar[tuple[FrameworkControl, ...]] = (
        FrameworkControl("eu-ai-act", "15(1)"),
        FrameworkControl("eu-ai-act", "15(3)"),
        FrameworkControl("eu-ai-act", "15(5)"),
        FrameworkControl("nist-ai-rmf", "MEASURE 2.3"),
        FrameworkControl("nist-ai-rmf", "MEASURE 2.7"),
        FrameworkControl("nist-ai-rmf", "MEASURE 2.11"),
        FrameworkControl("iso-42001", "A.6.2.5"),
    )
    presets: ClassVar[Mapping[Budget, Mapping[str, Json]]] = {
        Budget.SMOKE: {"rows": 300, "attacked": 50, "trigger_steps": 20},
        Budget.CI: {"rows": 2000, "attacked": 200, "stages": ("cross_entropy:20", "targeted:20x2")},
        Budget.FULL: {
            "rows": 20_000,
            "attacked": 1000,
            "stages": ("cross_entropy:50", "targeted:50x5"),
            "trigger_steps": 200,
        },
    }
    grid: ClassVar[Mapping[str, str]] = {"eps": "eps"}
    topics: ClassVar[frozenset[ReportTopic]] = frozenset({ReportTopic.CHANGES, ReportTopic.PARENT})

    def __post_init__(self) -> None:
        """Refuse parameters that have no meaning."""
        sort_budgets(self.eps)
        sort_budgets((self.trigger_eps,))
        require_positive(rows=self.rows, attacked=self.attacked, steps=self.trigger_steps)
        build_suite(self.stages, Norm.LINF)

    @property
    def suite(self) -> AttackSuite:
        """The attacks that the stages name."""
        return build_suite(self.stages, Norm.LINF)

    def cost(self, size: AuditSize) -> CheckCost:
        """Return upper bounds; without twins only the rows are compared."""
        bout = estimate_attack_cost(self.suite, len(self.eps), self.attacked, size)
        triggers = size.classes * self.trigger_steps * self.trigger_batch
        asked = min(self.rows, size.rows) + 2 * bout.queries + size.classes * size.rows
        passes = 2 * bout.passes + 2 * triggers
        return CheckCost(queries=asked, passes=passes, seconds=passes * SECONDS_A_PASS)

    def precision(self, size: AuditSize, confidence: float) -> Mapping[str, float]:
        """Half width of the flip rate where nothing flips."""
        count = min(self.rows, size.rows)
        return {"flip_rate": clopper_pearson(0, count, confidence).high / 2} if count else {}

    def observe(self, subject: Subject, shard: CheckShard) -> Evidence:
        """Score the same rows by both, then attack both. Raises what ``Model.predict`` raises."""
        parent = subject.parent.model()
        if isinstance(parent, Gap):
            return {"gap": parent.to_json()}
        pairs = score_both_models(subject, parent, self.rows)
        task, stated = cast("ClassificationTask", subject.task), cast("Stated", pairs.stated)
        seen: Evidence = {
            **write_paired_runs(pairs),
            "before_probabilities": stated[0],
            "after_probabilities": stated[1],
            "about": {
                "parent": dict(subject.parent.about),
                "favourable": task.classes.index(task.favourable),
                "seed": subject.seed,
                **observe_clipping(pairs, logits=_of_logits(subject, parent)),
            },
        }
        return {**seen, **self._attacked(subject, parent)}

    def figures(self, evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
        """Compare row by row, then count what the attacks did to each."""
        if "gap" in evidence:
            return (read_gap(evidence["gap"]),)
        pairs = read_paired_runs(evidence)
        about = cast("Mapping[str, Json]", evidence["about"])
        before, after = (
            cast("Floats", evidence[f"{run}_probabilities"]) for run in ("before", "after")
        )
        favourable = cast("int", about["favourable"])
        return (
            *pairs.figures(confidence),
            *calibration_changes(pairs, before, after, confidence, about),
            read_smooth_calibration_change(
                pairs, before, after, confidence, cast("int", about["seed"])
            ),
            *group_gap_changes(pairs, favourable, confidence),
            *build_paired_readings(
                evidence, confidence, {"attack": "apgd", "stages": [*self.suite.names]}
            ),
        )

    def _attacked(self, subject: Subject, parent: Model) -> Evidence:
        """Attack both models, each through its own twin; what is missing for it is said."""
        twin = subject.parent.twin()
        for needed in (subject.twin, twin, subject.space):
            if isinstance(needed, Gap):
                return {"not_attacked": needed.to_json()}
        if subject.datasets[DatasetRole.EVALUATION].labels is None:
            return {"not_attacked": _no_labels().to_json()}
        other = subject.asked_of(parent, twin)
        search = TriggerSearch(self.trigger_eps, self.trigger_steps, self.trigger_batch)
        bout = PairedAttackPlan(
            self.suite, sort_budgets(self.eps), self.attacked, search, self.rows
        )
        return attack_both_models(subject, other, bout)

    @classmethod
    def explain(cls, scene: ExplanationContext) -> Explanation:
        """Tell how the variant differs from its parent, under attack too."""
        # Tell how the variant differs from its parent: decisions, certainty, groups, under attack
        rate = scene.figure(VariantCheck.id, "flip_rate")
        if rate is None:
            return (), ()
        counted = build_flip_part(scene, VariantCheck.id, rate, "its parent")
        told = (ABOUT, *_certainty(scene), *_attacked(scene))
        about = ExplanationPart(
            topic=f"variant:{scene.target}", name="Variant and parent", told=told
        )
        return (about, counted), tuple(_cures(scene))


def _of_logits(subject: Subject, parent: Model) -> bool:
    """Whether both models answer with logits of the same kind, which were compared as they are."""
    faces = [
        None if isinstance(model, Gap) else model.fingerprint.interface
        for model in (subject.model, parent)
    ]
    kinds = {None if face is None else face.scores for face in faces}
    return len(kinds) == 1 and kinds <= LOGITS


def _no_labels() -> Gap:
    return Gap(
        reason=GapReason.NEEDS_LABELS,
        detail="Attacks are counted on rows whose truth is known, and there are no labels.",
        cure="Name the label column under data.evaluation.labels in the audit file.",
    )


def _certainty(scene: ExplanationContext) -> Iterator[str]:
    for metric, (name, meaning) in CERTAINTY_CHANGES.items():
        m = scene.figure(VariantCheck.id, metric)
        if m is not None and m.low is not None and m.low > 0:
            yield f"By {name} it got worse ({format_measurement(m).whole}): {meaning}."
    for grown in scene.measured(VariantCheck.id, "selection_change_gap"):
        if grown.low is not None and grown.low > 0:
            yield (
                f"Groups of {grown.params.get('column', 'people')} are treated less alike than by "
                f"the parent: the gap in selection rates grew by {format_measurement(grown).whole}."
            )


def _attacked(scene: ExplanationContext) -> Iterator[str]:
    by_place: dict[str, dict[str, Measurement]] = {}
    for m in scene.measured(VariantCheck.id, "robust_accuracy"):
        place = format_coordinates(
            {name: value for name, value in m.params.items() if name == "eps"}
        )
        by_place.setdefault(place, {})[str(m.params.get("of", ""))] = m
    for place, of in by_place.items():
        if of.keys() >= {"variant", "parent"}:
            ours, theirs = (format_measurement(of[name]).value for name in ("variant", "parent"))
            yield (
                f"Under attack ({place}), each by an attack of its own, the variant is right in "
                f"{BOUNDS[of['variant'].bound]}{ours} of rows, the parent in "
                f"{BOUNDS[of['parent'].bound]}{theirs}."
            )
    for m in _triggers(scene):
        yield (
            f"One and the same small pattern turns rows into class {m.params.get('class', '?')} "
            f"more often on the variant than on the parent: {format_measurement(m).whole}."
        )


def _triggers(scene: ExplanationContext) -> list[Measurement]:
    """Return the triggers that the variant obeys more than its parent, beyond doubt."""
    found = scene.measured(VariantCheck.id, "trigger_gap")
    return [m for m in found if m.low is not None and m.low > 0]


def _cures(scene: ExplanationContext) -> Iterator[SuggestedCure]:
    if scene.finding.outcome is Outcome.PASSED:
        return
    if _triggers(scene):
        yield TRIGGER
    if read_number(scene.figure(VariantCheck.id, "flip_rate")):
        yield MADE_AGAIN
        yield DEPLOY_PARENT


CHECK: type[Check] = VariantCheck
