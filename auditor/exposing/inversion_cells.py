"""Cells of an inversion: each attack with each prior, and what lacks for it."""

from collections.abc import Iterator, Mapping
from typing import cast

from auditor.domain.canonical import Json
from auditor.domain.datasets import Role
from auditor.domain.evidence import Evidence, Item
from auditor.domain.gaps import read_gap, write_gap
from auditor.domain.readings import Gap, Reason
from auditor.domain.subjects import Subject
from auditor.exposing.inversion_attacks import GRADIENT, SCORES
from auditor.exposing.inversion_priors import GENERATOR

Cell = tuple[str, str]
"""The name of an attack, and that of the prior that it has."""
LACKING, WITHOUT = "lacking", "lacking_generator"


def lacking(subject: Subject, cell: Cell) -> Gap | None:
    """Return why an attack cannot be made on a model with a prior, ``None`` where it can."""
    (attack, prior), given = cell, subject.generator
    if prior == GENERATOR and isinstance(given, Gap):
        return given
    if attack == GRADIENT and isinstance(subject.twin, Gap):
        return subject.twin
    if attack == SCORES and subject.labels_only(Role.EVALUATION):
        return NO_SCORES
    if attack == GRADIENT and prior == GENERATOR and not isinstance(given, Gap):
        return given.slopeless
    return None


def write_lacking(absences: Mapping[Cell, Gap | None]) -> dict[str, Item]:
    """Return what cannot be done as evidence: of each attack; with a generator apart."""
    found: dict[str, dict[str, Json]] = {LACKING: {}}
    for (attack, prior), gap in absences.items():
        own = found.setdefault(WITHOUT if prior == GENERATOR else LACKING, {})
        if gap is not None:
            own[attack] = write_gap(gap)
    return {name: cast("Item", gaps) for name, gaps in found.items()}


def read_lacking(
    evidence: Evidence, attacks: tuple[str, ...], priors: tuple[str, ...]
) -> Iterator[tuple[Gap, Cell]]:
    """Yield what could not be done, attack by attack, of priors that were asked for or joined."""
    kept = {prior: LACKING for prior in priors if prior != GENERATOR}
    kept |= {GENERATOR: WITHOUT} if WITHOUT in evidence else {}
    for attack in attacks:
        for prior, name in kept.items():
            said = cast("Mapping[str, Item]", evidence[name])
            if attack in said:
                yield read_gap(said[attack]), (attack, prior)


def is_named(subject: Subject) -> bool:
    """Return whether the audit names a generator, even if it could not be opened."""
    given = subject.generator
    return not isinstance(given, Gap) or given.reason is not Reason.NEEDS_GENERATOR


def about_generator(subject: Subject) -> dict[str, Json]:
    """Say which generator there is, if any."""
    given = subject.generator
    if isinstance(given, Gap):
        return {}
    about: Json = {
        "digest": given.digest,
        "size": given.size,
        "differentiable": given.slopeless is None,
    }
    return {"generator": about}


def cells_of(evidence: Mapping[str, Item]) -> Iterator[Cell]:
    """Yield the attacks and priors that the evidence is of."""
    listed = evidence["cells"]
    for cell in listed if isinstance(listed, list) else ():
        if isinstance(cell, Mapping):
            yield str(cell["attack"]), str(cell["prior"])


def to_json(cell: Cell) -> dict[str, Json]:
    """Return the evidence form of an attack with a prior, which are a reading's coordinates."""
    return {"attack": cell[0], "prior": cell[1]}


NO_SCORES = Gap(
    reason=Reason.NEEDS_SCORES,
    detail="The model gives labels alone, so that no attack climbs on its scores.",
    cure="Look at the attack that takes labels.",
)
