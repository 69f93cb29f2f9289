"""Guesses of a column that others make, counted against who never saw the model."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import cast

import numpy as np

from auditor.domain.canonical import Json
from auditor.domain.datasets import Role
from auditor.domain.evidence import Evidence, Item
from auditor.domain.readings import Gap, Reading, Scalar
from auditor.domain.subjects import Subject
from auditor.domain.tasks import class_names
from auditor.exposing.attribute_attack import Codes, Rows, imputed, judged
from auditor.exposing.attribute_family import Family
from auditor.exposing.attribute_gaps import no_secret
from auditor.exposing.attribute_readings import contests
from auditor.exposing.attribute_secrets import Secret, chosen, secrets
from auditor.exposing.attribute_sides import Sides, sides

LEVELS = 10


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """Which columns are guessed, and of whom.

    Every other member, ``lent``, is known to the attacker; ``asked`` are the rest and all others.
    """

    taken: Sides
    secrets: tuple[Secret, ...]
    classes: int

    @classmethod
    def of(cls, subject: Subject, rows: int, columns: int) -> "Stage | Gap":
        """Take up to ``rows`` members and as many others, and up to ``columns`` secrets."""
        taken = sides(subject, rows)
        if isinstance(taken, Gap):
            return taken
        features = () if isinstance(subject.space, Gap) else subject.space.features
        dataset = subject.datasets[Role.EVALUATION]
        found = secrets(taken.known.numbers, features, dataset.features, LEVELS)
        asked = chosen(found, features, tuple(dataset.groups), columns)
        if not asked:
            return no_secret(LEVELS)
        return cls(taken, asked, len(class_names(subject.task)))

    @property
    def places(self) -> Codes:
        """Where the rows that are asked about stand among all."""
        lent = np.flatnonzero(self.taken.members)[::2]
        return np.setdiff1d(np.arange(len(self.taken.members)), lent)

    @property
    def asked(self) -> Rows:
        """Rows that are asked about."""
        return self.taken.asked.take(self.places)

    @property
    def lent(self) -> Rows:
        """Members whom the attacker knows."""
        return self.taken.asked.take(np.flatnonzero(self.taken.members)[::2])

    def hear(self, guess: Callable[[Secret], Codes | None]) -> Evidence | None:
        """Let an attack guess each column, and an imputer too; ``None`` where it does not."""
        asked, places = self.asked, self.places
        attack, baseline = [], []
        for secret in self.secrets:
            said = guess(secret)
            if said is None:
                return None
            truth = secret.codes(asked.numbers)
            prior = imputed(secret, self.taken.known, asked, self.classes)
            attack.append(judged(said, truth))
            baseline.append(judged(prior.argmax(axis=1), truth))
        clusters = self.taken.clusters
        joined: dict[str, Item] = {} if clusters is None else {"clusters": clusters[places]}
        return {
            "attack": np.stack(attack),
            "baseline": np.stack(baseline),
            "members": self.taken.members[places],
            "ids": np.asarray(self.taken.ids, dtype=np.str_)[places],
            "columns": [{"name": it.name, "levels": len(it.levels)} for it in self.secrets],
            "known": {"known_rows": len(self.taken.known.labels), "copies": self.taken.copies},
            **joined,
        }


def readings(
    evidence: Evidence, name: str, looks: int, level: float, confidence: float
) -> Iterator[Reading]:
    """Yield the gains of one attack's guesses; ``looks`` attacks share its verdict's level."""
    known = cast("Mapping[str, Json]", evidence["known"])
    names = [str(it["name"]) for it in cast("list[Mapping[str, Json]]", evidence["columns"])]
    told = dict(zip(names, contests(evidence), strict=True))
    family = Family(len(told) * looks, level)
    for column, contest in told.items():
        params: dict[str, Scalar] = {"attack": name, "column": column}
        yield family.advantage(contest, params, confidence, known)
    yield family.conclusion(told, {"attack": name})
