"""Check of robust accuracy under evasion attacks of the Adversarial Robustness Toolbox (ART)."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from auditor.attacks.art.adapter import art_version
from auditor.attacks.art.configured_attack import needs_gradients, open_tool
from auditor.attacks.art.evasion import run_art_attack
from auditor.attacks.art.evasion_evidence import (
    ArtAttempt,
    AttackLimits,
    build_art_readings,
    describe_attempts,
)
from auditor.attacks.art.failure_reasons import FailureReason, reason_from_gap
from auditor.attacks.art.settings import merge_settings, read_settings
from auditor.attacks.counterexamples.norm_ball_claims import TOOLBOX
from auditor.attacks.evasion.attack_setup import (
    AttackRun,
    prepare_attack_run,
    require_positive,
    sort_budgets,
)
from auditor.attacks.evasion.norms import Norm
from auditor.attacks.evasion.readings import best_half_width
from auditor.attacks.evasion.row_evidence import TRIED
from auditor.attacks.evasion.run_check import SECONDS_A_QUERY, robustness_metrics
from auditor.domain.budgets import AuditSize, Budget, CheckCost
from auditor.domain.challenges import CounterexampleClaims
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.checks import Check, Metric, Need
from auditor.domain.evidence import Evidence, find_image_axes
from auditor.domain.json import Json
from auditor.domain.policies import FrameworkControl
from auditor.domain.readings import Gap, Reading, Unit
from auditor.domain.row_evidence import RowEvidence
from auditor.errors import PolicyError

SECONDS_TO_IMPORT = 5.0
SOME = (
    "HopSkipJump.init_eval=50",
    "HopSkipJump.max_eval=500",
    "HopSkipJump.max_iter=5",
)


@dataclass(frozen=True, slots=True)
class ArtEvasionCheck(Check):
    """Runs attacks of the Adversarial Robustness Toolbox (ART, arXiv 1807.01069) that you list by
    class name.

    The result of an attack is only a claim. Each row is moved back into the budget ``eps`` (shares
    of each coordinate's range) in the ``norm``, and counts if the target's own answer is wrong. The
    details hold the number of claims that failed. Attacks that need gradients use the twin; the
    others query the target.

    - ``settings``: lines such as ``SquareAttack.max_iter=300``; otherwise ART's own defaults apply.
    - ``most_queries``: rows (and as many gradients) that an attack may request for each row and
      budget.
    - ``seconds``: time for an attack altogether.

    An attack that needs more, or cannot run here, is a Gap with its reason. `docs/art-attacks.md`
    lists every class. If you list no attack, the check is a Gap.
    """

    attacks: tuple[str, ...] = ("FastGradientMethod",)
    settings: tuple[str, ...] = ()
    eps: tuple[float, ...] = (0.02, 0.05, 0.1)
    norm: str = "linf"
    rows: int = 50
    most_queries: int = 100
    seconds: float = 20.0

    id: ClassVar[str] = "evasion.art"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Accuracy under attacks from the Adversarial Robustness Toolbox"
    needs: ClassVar[frozenset[Need]] = frozenset(
        {Need.CLASSIFICATION, Need.EVALUATION, Need.LABELS, Need.MODEL, Need.SPACE}
    )
    wants: ClassVar[frozenset[Need]] = frozenset({Need.TWIN})
    modules: ClassVar[Mapping[str, str]] = {"art": "art"}
    emits: ClassVar[Mapping[str, Metric]] = robustness_metrics(Unit.NONE)
    controls: ClassVar[tuple[FrameworkControl, ...]] = (
        FrameworkControl("eu-ai-act", "15(5)"),
        FrameworkControl("nist-ai-rmf", "MEASURE 2.7"),
        FrameworkControl("iso-42001", "A.6.2.4"),
        FrameworkControl("mitre-atlas", "AML.T0043"),
        FrameworkControl("owasp-ml", "ML01"),
        FrameworkControl("nist-ai-100-2", "NISTAML.022"),
    )
    presets: ClassVar[Mapping[Budget, Mapping[str, Json]]] = {
        Budget.SMOKE: {"attacks": ()},  # the library alone takes some seconds to start
        Budget.CI: {
            "attacks": ("FastGradientMethod", "HopSkipJump", "ProjectedGradientDescent"),
            "settings": (*SOME, "ProjectedGradientDescent.max_iter=40"),
            "most_queries": 1000,
            "seconds": 120.0,
        },
        Budget.FULL: {
            "attacks": (
                "AutoProjectedGradientDescent",
                "BoundaryAttack",
                "CarliniLInfMethod",
                "DeepFool",
                "FastGradientMethod",
                "HopSkipJump",
                "MomentumIterativeMethod",
                "ProjectedGradientDescent",
                "SquareAttack",
                "ZooAttack",
            ),
            "settings": ("AutoProjectedGradientDescent.nb_random_init=1",),
            "rows": 100,
            "most_queries": 100_000,
            "seconds": 3600.0,
        },
    }
    grid: ClassVar[Mapping[str, str]] = {"attack": "attacks", "eps": "eps"}
    by_example: ClassVar[CounterexampleClaims] = TOOLBOX
    by_row: ClassVar[RowEvidence] = TRIED

    def __post_init__(self) -> None:
        """Refuse parameters that have no meaning."""
        require_positive(rows=self.rows, most_queries=self.most_queries)
        norms = [item.value for item in Norm]
        if self.norm not in norms:
            raise PolicyError(
                f"evasion.art knows no norm {self.norm!r}", cure=f"Choose from {', '.join(norms)}."
            )
        if not self.seconds > 0:
            raise PolicyError(
                "evasion.art needs more than 0 seconds for an attack", cure="Give a number above 0."
            )
        _ = self.budgets
        read_settings(self.settings)

    @property
    def budgets(self) -> tuple[float, ...]:
        """The budgets, the smallest first."""
        return sort_budgets(self.eps, Norm(self.norm))

    def cost(self, size: AuditSize) -> CheckCost:
        """Return upper bounds, which most attacks do not reach."""
        asked = min(self.rows, size.rows) * len(set(self.attacks)) * len(set(self.eps))
        most = asked * self.most_queries
        return CheckCost(
            queries=size.rows + asked + most,
            clean=size.rows,
            passes=most,
            seconds=SECONDS_TO_IMPORT * bool(self.attacks) + most * SECONDS_A_QUERY,
        )

    def precision(self, size: AuditSize, confidence: float) -> Mapping[str, float]:
        """Return the half width that the shares have where they are 0 or 1."""
        best = best_half_width(min(self.rows, size.rows), confidence)
        return {"clean_accuracy": best, "robust_accuracy": best}

    def observe(self, subject: Subject, shard: CheckShard) -> Evidence:
        """Let each attack change the first ``rows`` rows of the audit's permutation.

        Raises ``MissingExtraError`` where ART is not installed.
        """
        art = art_version() if self.attacks else ""
        bout = prepare_attack_run(subject, self.rows, Norm(self.norm))
        names = tuple(sorted(set(self.attacks)))
        tried = []
        for done, name in enumerate(names):
            tick = partial(subject.progress, done, len(names), name)
            allowance = AttackLimits(self.most_queries, self.seconds, tick)
            tried.append(self._try(name, bout, subject, allowance))
        twin = None if isinstance(subject.twin, Gap) else subject.twin
        return describe_attempts(bout, tried, self.budgets, twin=twin, art=art)

    def _try(
        self, name: str, bout: AttackRun, subject: Subject, allowance: AttackLimits
    ) -> ArtAttempt:
        settings = merge_settings(name, read_settings(self.settings))
        if isinstance(subject.twin, Gap) and needs_gradients(name):
            return ArtAttempt(name, None, settings, reason_from_gap(subject.twin))
        picture = find_image_axes(bout.arena.rows.shape[1:]) is not None
        tool = open_tool(name, settings, picture=picture, twin=bout.arena.twin is not None)
        if isinstance(tool, FailureReason):
            return ArtAttempt(name, None, settings, tool)
        outcome = run_art_attack(tool, bout.arena, self.budgets, subject.seed, allowance)
        return ArtAttempt(name, tool.sight, settings, outcome)

    def figures(self, evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
        """Count successes again from the target's probabilities."""
        return build_art_readings(evidence, confidence)


CHECK: type[Check] = ArtEvasionCheck
