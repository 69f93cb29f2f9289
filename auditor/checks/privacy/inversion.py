"""Whether a row made up by asking the model shows who was in its training data."""

from collections.abc import Mapping
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
    InversionSplit,
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
from auditor.domain.checks import Check, Metric, Need
from auditor.domain.datasets import DatasetRole
from auditor.domain.evidence import Evidence
from auditor.domain.gaps import read_gap, write_gap
from auditor.domain.json import Json
from auditor.domain.policies import FrameworkControl
from auditor.domain.readings import BoundKind, Gap, Reading, Unit
from auditor.domain.subjects import CheckShard, Subject
from auditor.domain.tasks import get_class_names

SECONDS_A_QUERY = 1.5e-5
LEAST_ROWS = 30
"""Rows that each attack makes up, where there are few classes."""


@dataclass(frozen=True, slots=True)
class ModelInversionCheck:
    """Makes up rows that the model takes for each of up to ``classes`` classes, from ``starts``
    starts each (of few classes from more, 30 in all), and asks whether they show more than public
    rows do.

    ``gradient`` climbs on the twin for ``steps`` steps; ``scores`` and ``labels`` search by asking
    the target, for ``generations`` of ``population`` points. Each is made without any ``prior``
    (every coordinate for itself) and with a ``public`` one: up to ``axes`` principal axes of public
    rows, which are the reference data, or a part of the evaluation data. A ``generator`` of the
    owner's is a third one wherever the audit names one.

    ``gain_over_baseline`` is the share of what was made up that a judge takes for its class, less
    that of the better of two baselines that need no model: the mean of public rows of the class,
    and one of them; with a generator also the best of what it makes by itself, 64 draws, as a
    network of public rows sees it. Starts at one class are taken for alike. The judge is a small
    network taught by other public rows alone. A row that looks like its class is no leak by itself.
    ``member_proximity`` is: among the rows nearest to what was made up, the share of members less
    that of others, of as many of either. ``verdict`` is ``shown`` where members lie nearer than
    chance allows at ``level``, by ``rounds`` permutations within classes, corrected for all
    attacks; its silence is ``inconclusive`` unless some attack's test would show, four times in
    five, an advantage of a half (``power`` is the least advantage that it would). The same test of
    the baselines must find nothing, or members and others differ, and figures are doubted; those
    with a generator alone, where its own draws lie nearer: it was taught by members. Pictures of
    what was made up, of public means and of the nearest members are evidence with leave to show
    examples alone.
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
    title: ClassVar[str] = "What can be made up of the training data by asking the model"
    needs: ClassVar[frozenset[Need]] = frozenset(
        {Need.MODEL, Need.EVALUATION, Need.LABELS, Need.CLASSIFICATION}
    )
    wants: ClassVar[frozenset[Need]] = frozenset(
        {Need.TWIN, Need.TRAINING, Need.REFERENCE, Need.SPACE, Need.GENERATOR}
    )
    uses: ClassVar[tuple[str, ...]] = ()
    emits: ClassVar[Mapping[str, Metric]] = {
        "gain_over_baseline": Metric(
            "Made-up rows that look like their class, beyond public ones", Unit.SHARE,
            BoundKind.AT_LEAST, higher_is_better=False,
        ),
        "member_proximity": Metric(
            "Members less others among the rows nearest to what was made up", Unit.SHARE,
            BoundKind.AT_LEAST, higher_is_better=False,
        ),
        "verdict": Metric(
            "Whether members lie nearer than chance allows", Unit.NONE, BoundKind.AT_LEAST,
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
        rows, priors = self._rows(size), self._priors(given=size.generator)
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
        return {
            **sightings.evidence(),
            **pictures,
            "cells": [cell_to_json(cell) for cell in made],
            **write_missing_cells(absences),
            "about": self._about(subject, campaign, taken),
        }

    def _each(self, classes: int) -> int:
        return max(self.starts, -(-LEAST_ROWS // classes))

    def _rows(self, size: AuditSize) -> int:
        classes = min(self.classes, max(size.classes, 1))
        return classes * self._each(classes)

    def _priors(self, *, given: bool) -> tuple[str, ...]:
        """Return the priors that are tried, a generator that is given among them."""
        joins = given and GENERATOR not in self.priors
        return (*self.priors, GENERATOR) if joins else self.priors

    def _asked(self, rows: int, priors: tuple[str, ...]) -> int:
        """Return what all attacks, and the baselines, ask about so many rows each."""
        each = sum(self.effort.queries(attack) for attack in self.attacks) * len(priors)
        return (each + PUBLIC_ONES + (GENERATOR in priors)) * rows

    def _about(
        self, subject: Subject, campaign: InversionCampaign, taken: InversionSplit
    ) -> dict[str, Json]:
        right = campaign.judge.hits(taken.attacker.inputs, taken.attacker.labels)
        return {
            "seed": subject.seed,
            "judge": [int(right.sum()), len(right)],
            "classes": len(get_class_names(subject.task)),
            "members": DatasetRole.TRAINING in subject.datasets,
            "clustered": taken.clustered,
            "public_data": taken.public.value,
            "public_rows": len(taken.attacker.labels),
            **describe_generator(subject),
        }

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


CHECK: type[Check] = ModelInversionCheck
