"""Check of output obfuscation: how altered answers reduce membership leakage, and their cost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, cast

import numpy as np

from auditor.attacks.privacy.membership import (
    SCALES,
    Decide,
    ShadowPredictions,
    build_stack_decider,
    build_target_decider,
    decide_classes,
    noise_robustness,
)
from auditor.attacks.privacy.membership_evidence import (
    MembershipEvidence,
    PoolAnswers,
    write_pool_evidence,
)
from auditor.attacks.privacy.membership_pool import (
    MembershipPool,
    foretell_membership_gaps,
    gather_pool,
)
from auditor.attacks.privacy.membership_statistics import blind_scores
from auditor.attacks.privacy.output_perturbation import (
    EMITS,
    LABELS,
    NONE,
    OutputPerturbation,
    PerturbedAnswers,
    perturbation_evidence,
    perturbation_readings,
)
from auditor.attacks.privacy.shadow_models import (
    MODELS,
    NETWORK,
    NETWORK_KIND,
    ShadowModelAnswers,
    draw_halves,
    train_one_sided_models,
)
from auditor.attacks.privacy.shadow_training import ModelStack, to_feature_matrix, train_stack
from auditor.domain.budgets import AuditSize, Budget, CheckCost, CheckForecast
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.checks import Check, Metric, Need
from auditor.domain.datasets import TEXT, DatasetRole
from auditor.domain.evidence import Evidence, Item
from auditor.domain.gaps import read_gap, write_gap
from auditor.domain.json import Json
from auditor.domain.number_text import format_scalar
from auditor.domain.policies import FrameworkControl
from auditor.domain.readings import Gap, Measurement, Reading, Unit
from auditor.domain.report_blocks import BlockPlace, Reads, ReportBlock, ReportSection
from auditor.domain.report_panels import build_interval_panels, format_figure_cells
from auditor.domain.tasks import ClassificationTask, Floats

SECONDS_A_ROW_AND_MODEL = 6e-5
PLAIN = OutputPerturbation(NONE, 0.0)
AT_ONCE = 2048
CHANCE = 0.5
HIDDEN = (
    "The same attack after the answers were altered. 50 % is chance. The table shows "
    "the cost of altering on rows that the model was not trained on."
)
COSTS = ("auc_change", "smece_change", "brier_change", "accuracy_change")


@dataclass(frozen=True, slots=True)
class ObfuscationCheck(Check):
    """Alters your model's answers, attacks membership again, and measures the privacy gain and the
    cost.

    The attack uses up to ``rows`` members and as many non-members. Answers are rounded to
    ``decimals``, cut to the ``top`` classes, cut to the label alone, given ``noise`` in nats, or
    cooled by ``temperatures``. The attack is that of Zarifzadeh et al. (2024) with ``models``
    stand-ins. Their answers are altered in the same way, except for noise.

    Labels alone are attacked twice. At strength 0, the attacker knows only whether the one label is
    right. At strength ``copies``, the attacker also requests the labels of as many noisy copies for
    each row and scale, and uses the share that keeps the row's label as its probability
    (Choquette-Choo et al. 2021). Texts have no noisy copies.

    For other ways the attacker sends no further queries and does not adapt. Against an attacker who
    averages noise away or queries noisy copies, they hide less, so ``auc_change`` is a bound. Costs
    are measured on rows that the model did not learn from.
    """

    rows: int = 2000
    models: int = 8
    decimals: tuple[int, ...] = (1,)
    top: tuple[int, ...] = (1, 3)
    noise: tuple[float, ...] = (0.5,)
    temperatures: tuple[float, ...] = (2.0,)
    copies: int = 4

    id: ClassVar[str] = "privacy.obfuscation"
    version: ClassVar[int] = 3
    title: ClassVar[str] = "Altered answers: privacy gain and cost"
    needs: ClassVar[frozenset[Need]] = frozenset(
        {
            Need.CLASSIFICATION,
            Need.EVALUATION,
            Need.LABELS,
            Need.MODEL,
            Need.SCORES,
            Need.TRAINING,
        }
    )
    emits: ClassVar[Mapping[str, Metric]] = EMITS
    coordinates: ClassVar[frozenset[str]] = frozenset({"mitigation", "strength"})
    controls: ClassVar[tuple[FrameworkControl, ...]] = (
        FrameworkControl("nist-ai-rmf", "MEASURE 2.10"),
        FrameworkControl("owasp-ml", "ML04"),
        FrameworkControl("nist-ai-100-2", "NISTAML.033"),
    )
    presets: ClassVar[Mapping[Budget, Mapping[str, Json]]] = {
        Budget.SMOKE: {},
        Budget.CI: {
            "rows": 10_000,
            "decimals": (1, 2),
            "temperatures": (2.0, 4.0),
            "copies": 10,
        },
        Budget.FULL: {
            "rows": 20_000,
            "models": 32,
            "decimals": (1, 2, 3),
            "noise": (0.5, 1.0, 2.0),
            "temperatures": (2.0, 4.0, 8.0),
            "copies": 30,
        },
    }
    place: ClassVar[BlockPlace] = BlockPlace(ReportSection.GIVEN_AWAY, 2)

    def __post_init__(self) -> None:
        """Refuse parameters that have no meaning."""
        least = (*self.top, *self.temperatures, *self.noise, *(it + 1 for it in self.decimals))
        if min((self.rows, self.models - 2, self.copies + 1, *least)) <= 0:
            message = f"answers cannot be altered by {self}"
            raise ValueError(message)

    @property
    def ways(self) -> tuple[OutputPerturbation, ...]:
        """Every way of altering, none first."""
        return (
            PLAIN,
            *(OutputPerturbation("rounding", float(it)) for it in self.decimals),
            *(OutputPerturbation("top", float(it)) for it in self.top),
            OutputPerturbation(LABELS, 0.0),
            *([OutputPerturbation(LABELS, float(self.copies))] if self.copies else []),
            *(OutputPerturbation("noise", it) for it in self.noise),
            *(OutputPerturbation("temperature", it) for it in self.temperatures),
        )

    def cost(self, size: AuditSize) -> CheckCost:
        """Ask once a row; then for its label and those of its noisy copies, where there are any."""
        members = min(self.rows, size.beside.get(DatasetRole.TRAINING.value, 0))
        pool = members + min(self.rows, size.rows)
        return CheckCost(
            queries=pool * (1 + (1 + self.copies * len(SCALES)) * bool(self.copies)),
            seconds=SECONDS_A_ROW_AND_MODEL * pool * (self.models + MODELS),
        )

    def foretell(self, size: AuditSize) -> CheckForecast:
        """Say whether there are too few rows for any of it."""
        return foretell_membership_gaps(size, self.rows, self.emits, {}, hold=False)

    def observe(self, subject: Subject, shard: CheckShard) -> Evidence:
        """Ask the model about both kinds of rows, and alter what it and its stand-ins say."""
        pool = gather_pool(subject, self.rows)
        if isinstance(pool, Gap):
            return {"gap": write_gap(pool)}
        answers = PoolAnswers.of(subject, pool)
        classes = answers.plain.shape[1]
        features = to_feature_matrix(pool.inputs)
        include = draw_halves(self.models, len(features), np.random.default_rng([subject.seed, 1]))
        stack = train_stack(
            features,
            pool.labels,
            classes,
            include,
            NETWORK,
            seed=subject.seed,
            progress=subject.progress,
        )
        own, seen = train_one_sided_models(subject, pool, classes, NETWORK_KIND)
        altered: dict[str, Item] = {}
        # The ways that change anything of so many classes; of texts are no noisy copies
        task = subject.task
        classes = len(task.classes) if isinstance(task, ClassificationTask) else 0
        texts = pool.inputs.dtype.kind == TEXT
        for way in tuple(
            it
            for it in self.ways
            if (it.name != "top" or it.strength < classes - 1) and not (texts and it.of_copies)
        ):
            altered |= self._altered(subject, pool, answers, way, (stack, own))
        blind = blind_scores(features, pool.labels, pool.member, subject.seed)
        kept = ShadowModelAnswers(
            {NETWORK_KIND: ShadowPredictions(_shadows(stack, features, pool, PLAIN), include)},
            sided={NETWORK_KIND: ShadowPredictions(_shadows(own, features, pool, PLAIN), seen)},
        )
        target = cast("Floats", altered[f"chance_{PLAIN.key}"])
        about = write_pool_evidence(pool, target, blind, answers)
        return {**about, **kept.to_evidence(), **altered}

    def figures(self, evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
        """Make the attack and compare answers again from what was kept."""
        if "gap" in evidence:
            return (read_gap(evidence["gap"]),)
        ways = tuple(way for way in self.ways if f"chance_{way.key}" in evidence)
        return tuple(
            perturbation_readings(evidence, MembershipEvidence.of(evidence), ways, confidence)
        )

    def _altered(
        self,
        subject: Subject,
        pool: MembershipPool,
        said: PoolAnswers,
        way: OutputPerturbation,
        stacks: tuple[ModelStack, ...],
    ) -> dict[str, Item]:
        """Return what the model and its stand-ins say where answers are altered in a way.

        Who still sees how sure an altered answer is rescales that; what altering costs is told by
        answers as the model means them.
        """

        def steady(decide: Decide) -> Floats:
            return noise_robustness(subject, pool.inputs, pool.labels, decide, int(way.strength))

        altered = way(said.plain.astype(np.float64), subject.seed)
        answers = PerturbedAnswers.of(altered, decide_classes(subject, altered), pool.labels)
        if way.of_scores and said.temperature != 1:
            answers = replace(answers, chance=pool.chances(way(said.read, subject.seed)))
        if way.of_copies:
            answers = replace(answers, chance=steady(build_target_decider(subject)))
            shadows, sided = (steady(build_stack_decider(subject, it)) for it in stacks)
        else:
            features = to_feature_matrix(pool.inputs)
            shadows, sided = (_shadows(it, features, pool, way) for it in stacks)
        return perturbation_evidence(way, answers, shadows, sided)

    @classmethod
    def block(cls, measurements: Sequence[Measurement], evidence: Reads) -> ReportBlock:
        """Show what is left of the attack after each way of altering."""

        def changes(m: Measurement) -> tuple[str, ...]:
            beside = [it for it in measurements if it.params == m.params]
            found = {it.metric: format_figure_cells(it)[0] for it in beside}
            return (format_figure_cells(m)[0], *(found.get(name, "") for name in COSTS))

        return ReportBlock(
            parts=build_interval_panels(
                [m for m in measurements if m.metric == "auc"],
                _name_way,
                title="Effect of altered answers on the attack",
                caption=HIDDEN,
                header=("Altered by", "Attack", "Change", "Calibration", "Brier", "Accuracy"),
                ideal=CHANCE,
                most=14,
                unit=Unit.SHARE,
                cells=changes,
            )
        )


def _shadows(
    stack: ModelStack, features: np.ndarray, pool: MembershipPool, way: OutputPerturbation
) -> Floats:
    """Return the chances ``[k, n]`` that altered stand-ins give the labels."""
    kept = PLAIN if way.name == "noise" else way
    found = np.empty((stack.models, len(features)))
    for start in range(0, len(features), AT_ONCE):
        part = slice(start, start + AT_ONCE)
        altered = kept(stack.probabilities(features[part]).astype(np.float64), 0)
        found[:, part] = altered[:, np.arange(altered.shape[1]), pool.labels[part]]
    return found


def _name_way(m: Measurement) -> str:
    name, strength = str(m.params.get("mitigation", "")), m.params.get("strength", 0.0)
    return f"{name} {format_scalar(strength)}" if strength else name


CHECK: type[Check] = ObfuscationCheck
