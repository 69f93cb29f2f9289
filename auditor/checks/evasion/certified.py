"""Check of certified accuracy: rows whose decision is proved against any change in a budget."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from auditor.attacks.counterexamples.proof_and_accuracy_claims import PROOF
from auditor.attacks.evasion.attack_setup import (
    AttackSetup,
    prepare_attack_run,
    require_positive,
    sort_budgets,
)
from auditor.attacks.evasion.certified import (
    PROVED,
    SmoothingNoise,
    build_certified_readings,
    certify_margins,
    find_nearest_wrong_points,
    sample_votes,
)
from auditor.attacks.evasion.evidence import MOST_CRAFTED_BYTES, describe_fill, write_goal
from auditor.attacks.evasion.readings import best_half_width
from auditor.domain.budgets import AuditSize, Budget, CheckCost
from auditor.domain.challenges import CounterexampleClaims
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.checks import Check, Metric, Need
from auditor.domain.evidence import Evidence, Item
from auditor.domain.json import Json
from auditor.domain.policies import FrameworkControl
from auditor.domain.readings import BoundKind, Gap, GapReason, Reading, Unit
from auditor.domain.row_evidence import RowEvidence
from auditor.domain.tasks import ClassificationTask
from auditor.errors import MissingExtraError, PolicyError, SubjectLostError, TwinError

SECONDS_A_BOX = 0.1
"""Of linear bounds of a small network (measured: 0.05 s for 64 pixels, 0.14 s for 784)."""
SECONDS_A_STATE = 2e-5
"""Of the search through trees (measured for forests of 100 trees, which are the slowest)."""


@dataclass(frozen=True, slots=True)
class CertifiedRobustnessCheck(Check):
    """Proves lower bounds of robustness, which hold against every attack, known or unknown.

    Networks are bounded by linear relaxation at each of ``eps`` (shares of each coordinate's range,
    L-infinity). For tree ensembles the nearest wrong points are searched exactly, in at most
    ``states`` states a row.

    Any model can be smoothed by noise of ``sigma`` ranges: ``selection`` noisy copies guess a row's
    class and ``samples`` more count it. Each L2 radius (in ranges) is too large with probability at
    most ``alpha``.
    """

    eps: tuple[float, ...] = (0.01, 0.02, 0.05)
    radii: tuple[float, ...] = (0.0, 0.1, 0.25, 0.5)
    rows: int = 20
    states: int = 2000
    sigma: float = 0.25
    selection: int = 20
    samples: int = 200
    alpha: float = 0.001

    id: ClassVar[str] = "evasion.certified"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Certified accuracy against every bounded attack"
    needs: ClassVar[frozenset[Need]] = frozenset(
        {Need.CLASSIFICATION, Need.EVALUATION, Need.LABELS, Need.MODEL, Need.SPACE}
    )
    emits: ClassVar[Mapping[str, Metric]] = {
        "clean_accuracy": Metric(
            "Accuracy on the tested rows before any change", Unit.SHARE, higher_is_better=True
        ),
        "certified_accuracy": Metric(
            "Certified accuracy within a budget",
            Unit.SHARE,
            BoundKind.AT_LEAST,
            higher_is_better=True,
        ),
        "min_breaking_eps": Metric(
            "Smallest budget that can break half of the rows (1: no budget can)",
            Unit.SHARE,
            BoundKind.AT_LEAST,
            higher_is_better=True,
        ),
    }
    controls: ClassVar[tuple[FrameworkControl, ...]] = (
        FrameworkControl("eu-ai-act", "15(5)"),
        FrameworkControl("nist-ai-rmf", "MEASURE 2.7"),
        FrameworkControl("iso-42001", "A.6.2.4"),
        FrameworkControl("mitre-atlas", "AML.T0015"),
        FrameworkControl("owasp-ml", "ML01"),
        FrameworkControl("nist-ai-100-2", "NISTAML.022"),
    )
    presets: ClassVar[Mapping[Budget, Mapping[str, Json]]] = {
        Budget.SMOKE: {},
        Budget.CI: {
            "eps": (0.005, 0.01, 0.02, 0.05, 0.1),
            "rows": 100,
            "states": 20_000,
            "selection": 50,
            "samples": 2000,
        },
        Budget.FULL: {
            "eps": (0.002, 0.005, 0.01, 0.02, 0.05, 0.1),
            "radii": (0.0, 0.1, 0.25, 0.5, 0.75, 1.0),
            "rows": 500,
            "states": 100_000,
            "selection": 100,
            "samples": 10_000,
        },
    }
    grid: ClassVar[Mapping[str, str]] = {"eps": "eps", "radius": "radii"}
    by_example: ClassVar[CounterexampleClaims] = PROOF
    by_row: ClassVar[RowEvidence] = PROVED

    def __post_init__(self) -> None:
        """Refuse parameters that have no meaning."""
        sort_budgets(self.eps)
        require_positive(
            rows=self.rows, states=self.states, selection=self.selection, samples=self.samples
        )
        if not self.radii or not all(0 <= radius < math.inf for radius in self.radii):
            raise PolicyError(
                f"radii {list(self.radii)} of evasion.certified are no lengths",
                cure="Give at least one number of at least 0, in ranges of the input.",
            )
        if not (0 < self.sigma < math.inf and 0 < self.alpha < 0.5):  # noqa: PLR2004 -- a majority
            raise PolicyError(
                f"sigma {self.sigma} and alpha {self.alpha} of evasion.certified smooth nothing",
                cure="Give a sigma above 0, and an alpha above 0 and below 0.5, as 0.001.",
            )

    def cost(self, size: AuditSize) -> CheckCost:
        """Return what smoothing asks at most, and the time of proofs about a small model.

        Proofs take longer the larger a model is; which kind it is, no data file tells.
        """
        rows = min(self.rows, size.rows)
        copies = rows * (self.selection + self.samples)
        boxes = rows * len(sort_budgets(self.eps))
        seconds = max(boxes * SECONDS_A_BOX, rows * self.states * SECONDS_A_STATE)
        return CheckCost(
            queries=size.rows + copies + max(boxes, 3 * rows), clean=size.rows, seconds=seconds
        )

    def precision(self, size: AuditSize, confidence: float) -> Mapping[str, float]:
        """Return the half width that the shares have where they are 0 or 1."""
        best = best_half_width(min(self.rows, size.rows), confidence)
        return {"clean_accuracy": best, "certified_accuracy": best}

    def observe(self, subject: Subject, shard: CheckShard) -> Evidence:
        """Prove what can be proved of the first ``rows`` rows of the audit's permutation."""
        bout = prepare_attack_run(subject, self.rows)
        arena, task = bout.arena, subject.task
        if not isinstance(task, ClassificationTask):
            message = "the frame asks for needs first"
            raise TypeError(message)
        told, proved = self._by_graph(subject, arena)
        votes = sample_votes(
            arena.model,
            task,
            SmoothingNoise(arena.threat(1.0), self.sigma),
            arena.rows,
            arena.labels,
            selection=self.selection,
            samples=self.samples,
            generator=np.random.default_rng(subject.seed),
            progress=subject.progress,
        )
        budgets = sort_budgets(self.eps)
        return {
            "settings": {
                "eps": list(budgets),
                "radii": sorted({float(radius) for radius in self.radii}),
                "sigma": self.sigma,
                "samples": self.samples,
                "selection": self.selection,
                "goal": write_goal(arena.goal),
                "coordinates": math.prod(arena.rows.shape[1:]),
                "movable": [int(arena.threat(eps).movable.sum()) for eps in budgets],
                "deterministic": arena.model.deterministic,
                **describe_fill(arena.space, bout.dataset),
                **told,
            },
            "ids": [bout.dataset.ids[row] for row in bout.sample],
            "labels": arena.labels,
            "clean_probabilities": arena.probabilities,
            "votes_chosen": votes.chosen,
            "votes_counted": votes.counted,
            **proved,
        }

    def figures(self, evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
        """Count again what is proved, and what the votes of noisy copies come to."""
        return build_certified_readings(evidence, confidence, self.alpha)

    def _by_graph(
        self, subject: Subject, arena: AttackSetup
    ) -> tuple[dict[str, Json], dict[str, Item]]:
        """Return what the artifact's own graph proves: settings and arrays."""
        certifier = subject.certifier
        if isinstance(certifier, Gap):
            return _without(certifier), {}
        try:
            kind = certifier.kind
            if kind == "trees":
                found, said = find_nearest_wrong_points(
                    certifier, arena, self.states, subject.progress
                )
                most = max(1, MOST_CRAFTED_BYTES // max(1, found.crafted[0].nbytes))
                return {"kind": kind, "method": "veritas", "gap": None}, {
                    "proved": found.lower,
                    "distance": found.distance,
                    "candidate_probabilities": said,
                    "candidates": found.crafted[:most],
                }
            leads = certify_margins(certifier, arena, sort_budgets(self.eps), subject.progress)
        except (TwinError, MissingExtraError, SubjectLostError) as error:
            reason = GapReason.TWIN_UNSUPPORTED
            if isinstance(error, MissingExtraError):
                reason = GapReason.NEEDS_EXTRA
            elif isinstance(error, SubjectLostError):
                reason = GapReason(error.slug)
            return _without(Gap(reason=reason, detail=error.problem, cure=error.cure)), {}
        method = next((name for name in leads if name != "interval"), "interval")
        told: dict[str, Json] = {"kind": kind, "method": method, "gap": None}
        return told, {f"lead_{name}": lead for name, lead in leads.items()}


def _without(gap: Gap) -> dict[str, Json]:
    told: dict[str, Json] = {"reason": gap.reason.value, "detail": gap.detail, "cure": gap.cure}
    return {"kind": "", "method": "", "gap": told}


CHECK: type[Check] = CertifiedRobustnessCheck
