"""Rows that others make up by asking the model, judged as our own inversions are."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from auditor.domain.evidence import Evidence
from auditor.domain.readings import Gap, Measurement, Reading
from auditor.domain.subjects import Subject
from auditor.domain.tasks import Array, Floats, class_names
from auditor.exposing.inversion_campaign import Campaign, Sightings
from auditor.exposing.inversion_cells import to_json
from auditor.exposing.inversion_priors import NONE
from auditor.exposing.inversion_readings import Findings
from auditor.exposing.inversion_sides import NO_CLASSES, Sides, sides

BASELINES = 2


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """Which classes are aimed at, ``[n]``, from rows drawn evenly in their ranges."""

    campaign: Campaign
    taken: Sides
    classes: int
    seed: int

    @classmethod
    def of(cls, subject: Subject, classes: int, starts: int) -> "Stage | Gap":
        """Aim ``starts`` times at each of up to ``classes`` classes."""
        taken = sides(subject)
        if isinstance(taken, Gap):
            return taken
        known = taken.classes(len(class_names(subject.task)))
        if not known.size:
            return NO_CLASSES
        rng = np.random.default_rng(subject.seed)
        aims = np.repeat(np.sort(rng.permutation(known)[:classes]), starts)
        campaign = Campaign.of(subject, taken, aims, 1, (1 + BASELINES) * len(aims))
        return cls(campaign, taken, len(class_names(subject.task)), subject.seed)

    @property
    def starts(self) -> Array:
        """Rows ``[n, ...]`` from which an attack sets out."""
        ground, rng = self.campaign.victim.ground, np.random.default_rng([self.seed, 2])
        drawn = rng.random((len(self.campaign.victim.aims), len(ground.low)))
        return ground.settle(ground.low + drawn * ground.width)

    def hear(self, name: str, made: Floats) -> Evidence:
        """Judge rows ``[n, d]`` in the data's units, which are brought back to what it can hold."""
        campaign = self.campaign
        sightings = Sightings(campaign)
        for rows in (campaign.victim.ground.settle(made), *campaign.baselines()):
            sightings.add(rows)
        known = self.taken.attacker
        right = campaign.judge.hits(known.inputs, known.labels)
        return {
            **sightings.evidence(),
            "cells": [to_json((name, NONE))],
            "about": {
                "seed": self.seed,
                "judge": [int(right.sum()), len(right)],
                "classes": self.classes,
                "members": bool(len(self.taken.members.labels)),
                "clustered": self.taken.clustered,
                "public_data": self.taken.public.value,
                "public_rows": len(known.labels),
            },
        }


def readings(
    evidence: Evidence, name: str, rounds: int, level: float, confidence: float
) -> Iterator[Reading]:
    """Yield what one attack's rows gain, how near they lie to members, and the verdict."""
    found = Findings.of(evidence, rounds, level)
    for reading in found.readings(confidence):
        yield replace(reading, params={"attack": name})
    verdict: Measurement = found.verdict()
    yield replace(verdict, params={"attack": name})
