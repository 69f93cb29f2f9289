"""Check of poisoning attacks of the Adversarial Robustness Toolbox on a retrained model."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar, cast

from auditor.attacks.art.adapter import art_version
from auditor.attacks.art.evasion_evidence import AttackLimits
from auditor.attacks.art.failure_reasons import FailureReason
from auditor.attacks.art.poisoning import (
    POISONING_FIXED_SETTINGS,
    ArtPoison,
    ArtPoisonSetup,
    check_poisoning_support,
    run_poisoning_attack,
)
from auditor.attacks.art.privacy import build_privacy_context
from auditor.attacks.art.settings import read_settings
from auditor.attacks.poisoning.external_poison import (
    ExternalAttackKind,
    ExternalPoison,
    select_source_rows,
    snap_to_space,
)
from auditor.attacks.poisoning.poison_campaign import PoisonContext, PoisonPlan, run_poison_campaign
from auditor.attacks.poisoning.poison_trial import PoisonedRows, PoisonSource
from auditor.attacks.poisoning.poison_trial_readings import EMITS, SUCCESS, PoisonOutcome
from auditor.domain.budgets import AuditSize, Budget, CheckCost
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.checks import Check, Metric, Need
from auditor.domain.datasets import DatasetRole
from auditor.domain.evidence import Evidence, find_image_axes
from auditor.domain.gaps import read_gap
from auditor.domain.json import Json
from auditor.domain.policies import FrameworkControl
from auditor.domain.readings import Gap, GapReason, Reading
from auditor.errors import PolicyError

SECONDS_TO_IMPORT = 5.0


@dataclass(frozen=True, slots=True)
class ArtPoisoningCheck(Check):
    """Runs poisoning attacks of the Adversarial Robustness Toolbox (ART, arXiv 1807.01069) that you
    list by class name, and measures their effect independently.

    An attack poisons ``rates`` of the training rows. The model is then trained again as in
    ``poisoning.susceptibility``: by your recipe, ``repeats`` times with poison and seeds of their
    own, or without a recipe the last layer alone. ``attack_success_rate`` is the share of
    evaluation rows that are then decided as the target: with the trigger or, for an attack on
    single rows, of ten rows of the source class. ART's own claim of success does not count.

    Gradients come from the twin. If ART needs a PyTorch module or a support vector machine, the
    attacker trains a small one. Poison is first moved to values that your data can hold. Every
    figure is a bound: it may fail a rule, and never passes one.

    ``settings`` are lines such as ``FeatureCollisionAttack.max_iter=30``. An attack may take
    ``seconds`` for each repeat. An attack that cannot run here is a Gap with its reason;
    `docs/art-attacks.md` lists every class. If you list no attack, the check is a Gap.
    """

    attacks: tuple[str, ...] = ("PoisoningAttackBackdoor",)
    settings: tuple[str, ...] = ()
    rates: tuple[float, ...] = (0.05,)
    repeats: int = 2
    rows: int = 20_000
    tested: int = 1000
    retrain: str = "auto"
    most_queries: int = 1000
    seconds: float = 120.0

    id: ClassVar[str] = "poisoning.art"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Effect of poisoning attacks from the Adversarial Robustness Toolbox"
    needs: ClassVar[frozenset[Need]] = frozenset(
        {Need.CLASSIFICATION, Need.EVALUATION, Need.LABELS, Need.MODEL, Need.TRAINING}
    )
    wants: ClassVar[frozenset[Need]] = frozenset({Need.RECIPE, Need.SPACE, Need.TWIN})
    modules: ClassVar[Mapping[str, str]] = {"art": "art"}
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
        Budget.SMOKE: {"attacks": ()},
        Budget.CI: {"attacks": ()},  # our own checks say more in less time
        Budget.FULL: {
            "attacks": (
                "GradientMatchingAttack",
                "HiddenTriggerBackdoorPyTorch",
                "PoisoningAttackBackdoor",
                "PoisoningAttackCleanLabelBackdoor",
            ),
            "repeats": 3,
            "seconds": 1800.0,
        },
    }
    grid: ClassVar[Mapping[str, str]] = {"attack": "attacks", "rate": "rates"}

    def __post_init__(self) -> None:
        """Refuse parameters that have no meaning."""
        if not self.rates or not all(0 < rate < 1 for rate in self.rates):
            raise PolicyError(
                f"the rates {list(self.rates)} of {self.id} are not shares",
                cure="Give at least one share of the training rows, as 0.05.",
            )
        counts = (self.repeats, self.rows, self.tested, self.most_queries)
        if min(counts) < 1 or not self.seconds > 0:
            raise PolicyError(
                f"{self.id}: counts are at least 1, and seconds above 0", cure="Give such numbers."
            )
        if self.retrain not in {"auto", "recipe", "head"}:
            raise PolicyError(
                f"{self.id} knows no way {self.retrain!r} to train again",
                cure="Choose auto, recipe or head.",
            )
        read_settings(self.settings, self.id, POISONING_FIXED_SETTINGS)

    @property
    def plan(self) -> PoisonPlan:
        """The attacks in one order, the rates from the least."""
        rates = tuple(sorted(set(self.rates)))
        names = tuple(sorted(set(self.attacks)))
        return PoisonPlan(names, rates, self.repeats, self.rows, self.tested, self.retrain)

    def cost(self, size: AuditSize) -> CheckCost:
        """Say what the last layer's training takes; a recipe takes what it takes."""
        rows, plan = min(self.rows, size.beside.get(DatasetRole.TRAINING.value, 0)), self.plan
        trained = plan.trainings * rows if self.attacks else 0
        seconds = SECONDS_TO_IMPORT * bool(self.attacks) + 3e-3 * trained
        made = self.repeats * len(plan.attacks)
        asked = size.rows + 2 * rows + made * rows
        return CheckCost(queries=asked, clean=size.rows, seconds=seconds)

    def observe(self, subject: Subject, shard: CheckShard) -> Evidence:
        """Poison, train and ask.

        Raises ``MissingExtraError`` where ART is not installed, ``RecipeError``, and what
        ``ModelBench.embedding`` raises.
        """
        art = art_version() if self.attacks else ""
        sowing = _ArtPoisoner(self, subject)
        seen = run_poison_campaign(subject, self.plan, sowing) if self.attacks else {"gap": None}
        told: dict[str, Json] = {
            "art": art,
            "attacks": list(self.plan.attacks),
            "kinds": {name: kind.to_json() for name, kind in sowing.kinds.items()},
        }
        return {**seen, "told": told}

    def refuses(self, subject: Subject) -> Gap | None:
        """Say that no attack is named."""
        return None if self.attacks else _NONE_ASKED

    def figures(self, evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
        """Count what was decided with and without poison."""
        if evidence["gap"] is not None:
            return (read_gap(evidence["gap"]),)
        told = cast("Mapping[str, Json]", evidence["told"])
        names = cast("list[str]", told["attacks"])
        if not names:
            return (_NONE_ASKED,)
        said = cast("Mapping[str, Mapping[str, Json]]", told["kinds"])
        kinds = [ExternalAttackKind.of(name, said.get(name)) for name in names]
        return PoisonOutcome.of(evidence).readings(kinds, self.plan.rates, confidence)


class _ArtPoisoner:
    """Lets attacks poison the training rows of each repeat, before anything is trained."""

    def __init__(self, check: ArtPoisoningCheck, subject: Subject) -> None:
        self.check, self.subject = check, subject
        self.given = read_settings(check.settings, check.id, POISONING_FIXED_SETTINGS)
        self.kinds: dict[str, ExternalAttackKind] = {}

    def __call__(self, soil: PoisonContext) -> tuple[Mapping[str, PoisonSource], Mapping[str, Gap]]:
        """Return what each attack plants, and why others plant nothing."""
        found: dict[str, PoisonSource] = {}
        gaps: dict[str, Gap] = {}
        for done, name in enumerate(soil.plan.attacks):
            tick = partial(self.subject.progress, done, len(soil.plan.attacks), name)
            allowance = AttackLimits(self.check.most_queries, self.check.seconds, tick)
            sown = self._sown(name, soil, allowance)
            if isinstance(sown, FailureReason):
                gaps[name] = sown.gap(SUCCESS, {})
            else:
                found[name], self.kinds[name] = sown, sown.kind
        return found, gaps

    def _sown(
        self, name: str, soil: PoisonContext, allowance: AttackLimits
    ) -> ExternalPoison | FailureReason:
        rows, labels = soil.training
        why = check_poisoning_support(name, picture=find_image_axes(rows.shape[1:]) is not None)
        desk = build_privacy_context(self.subject, allowance)
        aims = select_source_rows(*soil.tested, soil.aim)
        if why is not None:
            return why
        if isinstance(desk, FailureReason):
            return desk
        most = max(1, round(soil.plan.rates[-1] * len(labels)))
        ground = ArtPoisonSetup(rows, labels, aims, soil.aim.source, soil.aim.target, most)
        plants: dict[int, PoisonedRows] = {}
        last: ArtPoison | None = None
        for repeat in range(soil.plan.repeats):
            seed = soil.seed + repeat
            made = run_poisoning_attack(
                name, self.given.get(name, {}), replace(desk, seed=seed), ground
            )
            if isinstance(made, FailureReason):
                return made
            plants[seed] = PoisonedRows(
                made.replaced, snap_to_space(made.rows, soil.aim, rows), made.labels
            )
            last = made
        if last is None:
            message = "a campaign has a repeat at least"
            raise TypeError(message)
        kind = ExternalAttackKind(name, last.trigger is not None, last.aimed, last.sourced)
        return ExternalPoison(kind, soil.aim, plants, last.trigger)


_NONE_ASKED = Gap(
    metric=SUCCESS,
    reason=GapReason.OVER_BUDGET,
    detail="No attack of the Adversarial Robustness Toolbox is asked for at this budget.",
    cure="Name some in the policy, checks: {poisoning.art: {attacks: [PoisoningAttackBackdoor]}}.",
)
CHECK: type[Check] = ArtPoisoningCheck
