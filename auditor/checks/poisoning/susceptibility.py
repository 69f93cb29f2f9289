"""How easily the model is poisoned: what planted poison does to it when it is trained again."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from auditor.attacks.poisoning.poison_campaign import PoisonPlan, foresee_gap, run_poison_campaign
from auditor.attacks.poisoning.poison_trial import PoisonAttack
from auditor.attacks.poisoning.poison_trial_readings import (
    EMITS,
    HEAD,
    RECIPE,
    SUCCESS,
    PoisonOutcome,
)
from auditor.domain.budgets import AuditSize, Budget, CheckCost
from auditor.domain.checks import Check, Metric, Need
from auditor.domain.datasets import DatasetRole
from auditor.domain.evidence import Evidence
from auditor.domain.gaps import read_gap
from auditor.domain.json import Json
from auditor.domain.policies import FrameworkControl
from auditor.domain.readings import Gap, Reading
from auditor.domain.subjects import CheckShard, Subject
from auditor.errors import PolicyError
from auditor.metrics.stats.proportions import clopper_pearson

SECONDS_A_ROW = {RECIPE: 3e-3, HEAD: 3e-5}


@dataclass(frozen=True, slots=True)
class PoisoningSusceptibilityCheck:
    """Plants poison into the training rows, trains again, and counts what that did.

    ``attacks``: ``flip`` gives rows any other label, ``targeted`` those of one class another's;
    ``patch`` (BadNets) and ``blend`` put a trigger on rows of any class and give them the target's
    label; ``clean_label`` keeps labels: rows of the target class are mixed half with others and
    get the patch (the simple form of Turner et al. 2019 in input space). ``rates`` are shares of
    all training rows. ``attack_success_rate`` is the share of evaluation rows that are then decided
    as the target: of the source class, or of all other classes with the trigger.
    ``accuracy_drop`` is the accuracy of training without poison less that with it.

    By the owner's recipe the whole model is trained again, ``repeats`` times with seeds and poison
    of their own; retrainings that do not decide as the artifact does are a Gap. Without a recipe
    (or with ``retrain: head``) only the last layer is, on what the rest makes of the rows. For
    triggers that is a lower bound, and may be far too low; what wrong labels cost may be less or
    more in full training, so that these figures are doubted. Source and target are drawn by the
    seed. An attacker who chooses rows with care does better than any of these. Intervals speak of
    other rows, and of other repeats.
    """

    attacks: tuple[str, ...] = ("flip", "targeted", "patch", "blend", "clean_label")
    rates: tuple[float, ...] = (0.01, 0.05)
    repeats: int = 3
    rows: int = 20_000
    tested: int = 1000
    retrain: Literal["auto", "recipe", "head"] = "auto"

    id: ClassVar[str] = "poisoning.susceptibility"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "What poison in the training data would do"
    needs: ClassVar[frozenset[Need]] = frozenset(
        {Need.TRAINING, Need.EVALUATION, Need.LABELS, Need.CLASSIFICATION}
    )
    wants: ClassVar[frozenset[Need]] = frozenset({Need.RECIPE, Need.MODEL, Need.SPACE})
    uses: ClassVar[tuple[str, ...]] = ()
    coordinates: ClassVar[frozenset[str]] = frozenset({"attack", "rate", "retrained"})
    emits: ClassVar[Mapping[str, Metric]] = EMITS
    controls: ClassVar[tuple[FrameworkControl, ...]] = (
        FrameworkControl("eu-ai-act", "15(5)"),
        FrameworkControl("nist-ai-rmf", "MEASURE 2.7"),
        FrameworkControl("nist-ai-100-2", "NISTAML.013"),
        FrameworkControl("nist-ai-100-2", "NISTAML.023"),
        FrameworkControl("owasp-ml", "ML02"),
    )
    presets: ClassVar[Mapping[Budget, Mapping[str, Json]]] = {
        Budget.SMOKE: {
            "rates": (0.01, 0.02, 0.05),
            "rows": 5000,
            "tested": 500,
            "retrain": "head",
        },
        Budget.CI: {"attacks": ("patch",), "rates": (0.01,)},
        Budget.FULL: {
            "rates": (0.002, 0.005, 0.01, 0.02, 0.05, 0.1),
            "repeats": 5,
            "rows": 100_000,
            "tested": 5000,
        },
    }
    grid: ClassVar[Mapping[str, str]] = {"attack": "attacks", "rate": "rates"}

    def __post_init__(self) -> None:
        """Refuse parameters that have no meaning."""
        if not self.attacks or not set(self.attacks) <= set(PoisonAttack):
            raise PolicyError(
                f"the attacks {list(self.attacks)} of {self.id} are not all known",
                cure=f"Name some of {', '.join(PoisonAttack)}.",
            )
        if not self.rates or not all(0 < rate < 1 for rate in self.rates):
            raise PolicyError(
                f"the rates {list(self.rates)} of {self.id} are not shares",
                cure="Give at least one share of the training rows, as 0.01.",
            )
        if min(self.repeats, self.rows, self.tested) < 1:
            message = "repeats, rows and tested are at least 1"
            raise ValueError(message)

    @property
    def plan(self) -> PoisonPlan:
        """The attacks in one order, the rates from the least."""
        attacks = tuple(it for it in PoisonAttack if it in self.attacks)
        rates = tuple(sorted(set(self.rates)))
        return PoisonPlan(attacks, rates, self.repeats, self.rows, self.tested, self.retrain)

    def cost(self, size: AuditSize) -> CheckCost:
        """Say what the last layer's training takes; a recipe takes what it takes."""
        rows, plan = min(self.rows, size.beside.get(DatasetRole.TRAINING.value, 0)), self.plan
        planted = plan.repeats * len(plan.attacks) * round(plan.rates[-1] * rows)
        seen = rows + planted + (1 + len(plan.attacks)) * min(self.tested, size.rows)
        pace = SECONDS_A_ROW[HEAD if self.retrain == HEAD else RECIPE]
        return CheckCost(queries=seen + size.rows, seconds=pace * plan.trainings * rows)

    def precision(self, size: AuditSize, confidence: float) -> Mapping[str, float]:
        """Half width of a success rate of one half, from rows alone."""
        rows = min(self.tested, size.rows)
        half = clopper_pearson(rows // 2, rows, confidence) if rows else None
        return {} if half is None else {SUCCESS: (half.high - half.low) / 2}

    def observe(self, subject: Subject, shard: CheckShard) -> Evidence:
        """Plant, train and ask.

        Raises ``RecipeError``, and what ``ModelBench.embedding`` raises.
        """
        return run_poison_campaign(subject, self.plan)

    def refuses(self, subject: Subject) -> Gap | None:
        """Say that there is nothing to train anew. Raises what ``ModelBench.embedding`` raises."""
        return foresee_gap(subject, self.plan)

    def figures(self, evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
        """Count what was decided with and without poison."""
        if evidence["gap"] is not None:
            return (read_gap(evidence["gap"]),)
        plan = self.plan
        kinds = tuple(map(PoisonAttack, plan.attacks))
        return PoisonOutcome.of(evidence).readings(kinds, plan.rates, confidence)


CHECK: type[Check] = PoisoningSusceptibilityCheck
