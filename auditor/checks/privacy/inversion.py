"""Check of model inversion: whether reconstructed rows reveal training data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from auditor.attacks.privacy.model_inversion import (
    ATTACKS,
    GENERATOR,
    GRADIENT,
    PRIORS,
    InversionCampaign,
    InversionEffort,
    InversionObservations,
    cell_to_json,
    describe_generator,
    has_named_generator,
    inversion_pictures,
    missing_requirement,
    read_missing_cells,
    write_missing_cells,
)
from auditor.attacks.privacy.model_inversion_evaluation import (
    NO_CLASSES,
    ReconstructionGain,
    split_inversion_rows,
)
from auditor.attacks.privacy.model_inversion_readings import (
    METRICS,
    PUBLIC_ONES,
    InversionFindings,
    missing_metric_gap,
)
from auditor.domain.budgets import AuditSize, Budget, CheckCost
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.checks import Check, Metric, Need
from auditor.domain.datasets import DatasetRole
from auditor.domain.evidence import Evidence
from auditor.domain.gaps import read_gap, write_gap
from auditor.domain.json import Json
from auditor.domain.number_text import format_scalar
from auditor.domain.policies import FrameworkControl
from auditor.domain.readings import BoundKind, Gap, Measurement, Reading, Unit
from auditor.domain.report_blocks import BlockPlace, Reads, ReportBlock, ReportSection
from auditor.domain.report_panels import build_interval_panels, format_figure_cells
from auditor.domain.tasks import get_class_names

SECONDS_A_QUERY = 1.5e-5
LEAST_ROWS = 30
"""Rows that each attack makes up, where there are few classes."""
NEAR = (
    "Members minus non-members among the rows nearest to reconstructed rows: 0 is "
    "chance. Each nearest row counts once. A reconstructed row that looks like its "
    "class is not a leak; the p-value shows whether members are nearer."
)


@dataclass(frozen=True, slots=True)
class ModelInversionCheck(Check):
    """Reconstructs rows of each class by querying your model, and tests whether they reveal more
    than public rows do.

    **Attacks.** Up to ``classes`` classes are attacked from ``starts`` starts each (from more if
    there are few classes, 30 in all). ``gradient`` follows the twin's gradient for ``steps`` steps.
    ``scores`` and ``labels`` query the target, for ``generations`` generations of ``population``
    points. Each runs without any ``prior`` (every coordinate by itself) and with a ``public`` one:
    up to ``axes`` principal axes of public rows, which are the reference data or a part of the
    evaluation data. If your audit has a ``generator``, it is a third prior.

    **``gain_over_baseline``** is the share of reconstructed rows that a judge assigns to their
    class, minus the share of the better of two baselines that need no model: the mean of public
    rows of the class, and one of them. With a generator a third baseline is the best of 64 of its
    own draws, as a network trained on public rows rates them. Starts of one class are treated as
    alike. The judge is a small network trained on other public rows alone. A row that looks like
    its class is no leak by itself.

    **``member_proximity``** shows leaks: among the rows nearest to the reconstructed ones, the
    share of members minus that of others, from equal numbers of both. ``verdict`` is ``shown`` if
    members lie nearer than chance allows at ``level``, by ``rounds`` permutations within classes,
    corrected for all attacks. Otherwise it is ``inconclusive``, unless some attack's test would
    show an advantage of a half four times in five (``power`` is the smallest advantage that it
    would show).

    The same test on the baselines must find no difference. If it does, members and others differ,
    and figures are doubted. If a generator's own draws lie nearer to members, it learned from them,
    and only its figures are doubted.

    Pictures of reconstructed rows, of public means and of the nearest members are evidence only if
    your audit may show examples.
    """

    attacks: tuple[str, ...] = ATTACKS
    priors: tuple[str, ...] = PRIORS
    classes: int = 10
    starts: int = 5
    steps: int = 150
    generations: int = 40
    population: int = 20
    axes: int = 24
    rounds: int = 1999
    level: float = 0.01

    id: ClassVar[str] = "privacy.inversion"
    version: ClassVar[int] = 2
    title: ClassVar[str] = "Training data reconstructed by querying the model"
    needs: ClassVar[frozenset[Need]] = frozenset(
        {Need.MODEL, Need.EVALUATION, Need.LABELS, Need.CLASSIFICATION}
    )
    wants: ClassVar[frozenset[Need]] = frozenset(
        {Need.TWIN, Need.TRAINING, Need.REFERENCE, Need.SPACE, Need.GENERATOR}
    )
    emits: ClassVar[Mapping[str, Metric]] = {
        "gain_over_baseline": Metric(
            "Reconstructed rows that look like their class, minus public rows that do", Unit.SHARE,
            BoundKind.AT_LEAST, higher_is_better=False,
        ),
        "member_proximity": Metric(
            "Members minus non-members among the rows nearest to reconstructed rows", Unit.SHARE,
            BoundKind.AT_LEAST, higher_is_better=False,
        ),
        "verdict": Metric(
            "Members nearer than by chance", Unit.NONE, BoundKind.AT_LEAST,
            exact=True,
        ),
    }  # fmt: skip
    controls: ClassVar[tuple[FrameworkControl, ...]] = (
        FrameworkControl("eu-ai-act", "15(5)"),
        FrameworkControl("nist-ai-rmf", "MEASURE 2.10"),
        FrameworkControl("iso-42001", "A.6.2.4"),
        FrameworkControl("mitre-atlas", "AML.T0024.001"),
        FrameworkControl("owasp-ml", "ML03"),
        FrameworkControl("nist-ai-100-2", "NISTAML.032"),
    )
    presets: ClassVar[Mapping[Budget, Mapping[str, Json]]] = {
        Budget.SMOKE: {
            "starts": 3, "steps": 40, "generations": 12, "population": 8, "axes": 16, "rounds": 999,
        },
        Budget.CI: {},
        Budget.FULL: {
            "classes": 20, "starts": 10, "steps": 500, "generations": 100, "population": 32,
            "axes": 48, "rounds": 4999,
        },
    }  # fmt: skip
    grid: ClassVar[Mapping[str, str]] = {"attack": "attacks", "prior": "priors"}
    place: ClassVar[BlockPlace] = BlockPlace(ReportSection.GIVEN_AWAY, 5)

    def __post_init__(self) -> None:
        """Refuse parameters that have no meaning."""
        counts = (self.classes, self.starts, self.steps, self.generations, self.axes, self.rounds)
        named = set(self.attacks) <= set(ATTACKS) and set(self.priors) <= {*PRIORS, GENERATOR}
        if not named or not self.attacks or not self.priors or min(*counts, self.population) < 1:
            priors = (*PRIORS, GENERATOR)
            message = f"counts are at least 1, attacks among {ATTACKS}, and priors among {priors}"
            raise ValueError(message)

    @property
    def effort(self) -> InversionEffort:
        """How long the attacks go on."""
        return InversionEffort(self.steps, self.generations, self.population)

    def cost(self, size: AuditSize) -> CheckCost:
        """Return what every attack asks about every class."""
        classes = min(self.classes, max(size.classes, 1))
        rows, priors = (classes * self._each(classes)), self._priors(given=size.generator)
        asked = self._asked(rows, priors)
        passes = self.steps * rows * len(priors) if GRADIENT in self.attacks else 0
        return CheckCost(asked, passes, 0.5 + SECONDS_A_QUERY * asked)

    def precision(self, size: AuditSize, confidence: float) -> Mapping[str, float]:
        """Return the half width where an attack and the baseline always agree."""
        classes = min(self.classes, max(size.classes, 1))
        aims = np.repeat(np.arange(classes), self._each(classes))
        every = np.ones(len(aims), dtype=np.bool_)
        family = len(self.attacks) * len(self._priors(given=size.generator))
        found = ReconstructionGain(every, every, every, aims).over_baseline(confidence, family)
        return {"gain_over_baseline": (found.high - found.low) / 2}

    def observe(self, subject: Subject, shard: CheckShard) -> Evidence:
        """Make up rows, judge them, and look for their nearest members and others."""
        taken = split_inversion_rows(subject)
        if isinstance(taken, Gap):
            return {"gap": write_gap(taken)}
        known = taken.classes(len(get_class_names(subject.task)))
        if not known.size:
            return {"gap": write_gap(NO_CLASSES)}
        rng = np.random.default_rng(subject.seed)
        chosen = np.sort(rng.permutation(known)[: self.classes])
        aims = np.repeat(chosen, self._each(len(chosen)))
        priors = self._priors(given=has_named_generator(subject))
        total = self._asked(len(aims), priors)
        campaign = InversionCampaign.of(subject, taken, aims, self.axes, total)
        cells = [(one, prior) for one in self.attacks for prior in priors]
        absences = {cell: missing_requirement(subject, cell) for cell in cells}
        able = [cell for cell, gap in absences.items() if gap is None]
        made = {cell: campaign.attack(cell, self.effort) for cell in able}
        baselines = campaign.baselines()
        sightings = InversionObservations(campaign)
        for rows in (*made.values(), *baselines):
            sightings.add(rows)
        names, leave = get_class_names(subject.task), subject.show_examples and made
        pictures = inversion_pictures(campaign, made, baselines[0], names) if leave else {}
        right = campaign.judge.hits(taken.attacker.inputs, taken.attacker.labels)
        return {
            **sightings.evidence(),
            **pictures,
            "cells": [cell_to_json(cell) for cell in made],
            **write_missing_cells(absences),
            "about": {
                "seed": subject.seed,
                "judge": [int(right.sum()), len(right)],
                "classes": len(get_class_names(subject.task)),
                "members": DatasetRole.TRAINING in subject.datasets,
                "clustered": taken.clustered,
                "public_data": taken.public.value,
                "public_rows": len(taken.attacker.labels),
                **describe_generator(subject),
            },
        }

    def _each(self, classes: int) -> int:
        return max(self.starts, -(-LEAST_ROWS // classes))

    def _priors(self, *, given: bool) -> tuple[str, ...]:
        """Return the priors that are tried, a generator that is given among them."""
        joins = given and GENERATOR not in self.priors
        return (*self.priors, GENERATOR) if joins else self.priors

    def _asked(self, rows: int, priors: tuple[str, ...]) -> int:
        """Return what all attacks, and the baselines, ask about so many rows each."""
        each = sum(self.effort.queries(attack) for attack in self.attacks) * len(priors)
        return (each + PUBLIC_ONES + (GENERATOR in priors)) * rows

    def figures(self, evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
        """Count again, and permute again; the verdict is at the check's own level."""
        if "gap" in evidence:
            return (read_gap(evidence["gap"]),)
        gaps = [
            missing_metric_gap(gap, metric, cell)
            for gap, cell in read_missing_cells(evidence, self.attacks, self.priors)
            for metric in METRICS
        ]
        found = InversionFindings.of(evidence, self.rounds, self.level)
        return (*gaps, *found.readings(confidence), found.verdict())

    @classmethod
    def block(cls, measurements: Sequence[Measurement], evidence: Reads) -> ReportBlock:
        """Show whether what attacks made up is nearer to members than to others."""
        return ReportBlock(
            parts=build_interval_panels(
                [m for m in measurements if m.metric == "member_proximity"],
                _name_attack,
                title="Distance of reconstructed rows to members",
                caption=NEAR,
                header=(
                    "Attack, prior",
                    "Members minus non-members",
                    "Interval",
                    "How sure",
                    "p-value",
                ),
                ideal=0.0,
                unit=Unit.NONE,
                cells=lambda m: (*format_figure_cells(m), _p_value(m)),
            )
        )


def _name_attack(m: Measurement) -> str:
    attack, prior = (str(m.params.get(name, "")) for name in ("attack", "prior"))
    return attack if prior == "none" else f"{attack}, {prior}"


def _p_value(m: Measurement) -> str:
    value = m.details.get("p_value")
    return format_scalar(value) if isinstance(value, int | float) else ""


CHECK: type[Check] = ModelInversionCheck
