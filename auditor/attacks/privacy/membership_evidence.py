"""Evidence of a membership inference audit: members and non-members, written and read again."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.privacy.logit_recovery import ScoreReader
from auditor.attacks.privacy.membership import LEAST_FOR_LIRA, ShadowPredictions
from auditor.attacks.privacy.membership_pool import MembershipPool
from auditor.attacks.privacy.membership_statistics import AttackAuc, blind_auc
from auditor.attacks.privacy.shadow_models import DISTILLED_KIND, RECIPE_KIND
from auditor.domain.check_subject import Subject
from auditor.domain.datasets import DatasetRole
from auditor.domain.evidence import Evidence, Item
from auditor.domain.gaps import read_gap
from auditor.domain.json import Json
from auditor.domain.readings import Gap
from auditor.domain.tasks import Floats

NO_STAND_IN = "none"
Attack = tuple[str, str]
"""The name of an attack, and the kind of stand-ins that it takes."""


@dataclass(frozen=True, slots=True, eq=False)
class MembershipEvidence:
    """The evidence of a membership audit: one place a row of the pool, members first.

    ``target`` is the chance ``[n]`` that the model gives each row's label (of a model that gives
    labels alone, the share of noisy copies), ``blind`` how much like a member it looks to whom no
    model is known; ``sided`` are stand-ins that learnt from training data alone. ``groups`` maps a
    column to its levels and each row's. ``held`` counts the evaluation rows that were set aside.
    ``like`` says what models like the artifact are: retrained by the recipe, or ready; ``gap`` why
    they do not count. Where scores were rescaled, ``target`` is read at a ``temperature``; of
    ``saturated`` ones many rows are told by 0 or 1 alone.
    """

    ids: NDArray[np.str_]
    member: NDArray[np.bool_]
    target: Floats
    blind: AttackAuc
    kinds: Mapping[str, ShadowPredictions]
    sided: Mapping[str, ShadowPredictions]
    groups: Mapping[str, tuple[tuple[str, ...], NDArray[np.int64]]]
    shared: int
    held: int
    labels_only: bool
    like: str
    gap: Gap | None
    agreement: Json
    temperature: float = 1.0
    saturated: bool = False

    @classmethod
    def of(cls, evidence: Evidence) -> "MembershipEvidence":
        """Read the evidence that ``write_pool_evidence`` and ``ShadowModelAnswers.to_evidence``
        made.
        """
        about = cast("Mapping[str, Json]", evidence["about"])
        told = cast("Mapping[str, Json]", evidence["stand_ins"])
        member = cast("NDArray[np.bool_]", evidence["member"])
        codes = cast("NDArray[np.int64]", evidence["groups"])
        columns = cast("list[tuple[str, list[str]]]", about["groups"])
        return cls(
            cast("NDArray[np.str_]", evidence["ids"]),
            member,
            cast("Floats", evidence["target"]),
            blind_auc(cast("Floats", evidence["blind"]), member),
            {str(kind): _shadows(evidence, str(kind)) for kind in cast("list[str]", told["kinds"])},
            {
                str(kind): _shadows(evidence, f"sided_{kind}")
                for kind in cast("list[str]", told["sided"])
            },
            {name: (tuple(levels), codes[at]) for at, (name, levels) in enumerate(columns)},
            cast("int", about["shared"]),
            cast("int", about["held"]),
            bool(about["labels_only"]),
            str(told.get("like", RECIPE_KIND)),
            None if told["gap"] is None else read_gap(cast("Item", told["gap"])),
            told["agreement"],
            cast("float", about.get("temperature", 1.0)),
            bool(about.get("saturated", False)),
        )

    @property
    def attacks(self) -> tuple[Attack, ...]:
        """Every attack that was made, the one that has found most in trials last."""
        made: list[Attack] = [("loss", NO_STAND_IN)]
        for kind, shadows in self.kinds.items():
            made.append(("rmia", kind))
            enough = len(shadows.chances) >= LEAST_FOR_LIRA and shadows.of_both_sides
            if enough and kind != DISTILLED_KIND:
                made.append(("lira", kind))
        return tuple(made)

    @property
    def strongest(self) -> ShadowPredictions:
        """The stand-ins that are most like the model."""
        return list(self.kinds.values())[-1]

    def shadows(self, kind: str) -> ShadowPredictions:
        """Return the stand-ins of a kind; of none, the strongest: they still judge the rows."""
        return self.strongest if kind == NO_STAND_IN else self.kinds[kind]

    def one_sided(self, kind: str) -> ShadowPredictions | None:
        """Return those that learnt from one side, of a kind or of the one most like the model."""
        last = list(self.sided.values())[-1] if self.sided else None
        return self.sided.get(kind, last)


@dataclass(frozen=True, slots=True, eq=False)
class PoolAnswers:
    """What the model says of a pool: ``plain`` probabilities ``[n, classes]``, and ``read`` ones as
    an attacker reads them, at a ``temperature``.

    ``saturated`` says that these tell many rows' labels by 0 or 1 alone.
    """

    plain: Floats
    read: Floats
    temperature: float
    saturated: bool
    labels_only: bool

    @classmethod
    def of(cls, subject: Subject, pool: MembershipPool) -> "PoolAnswers":
        """Ask the target once a row. Raises ``TypeError`` where there is none."""
        model = subject.model
        if isinstance(model, Gap):
            message = "there is no model to ask"
            raise TypeError(message)
        scores = model.predict(pool.inputs)
        plain = model.probabilities(scores)
        reader = ScoreReader.of(model, scores, pool.labels)
        read = plain if reader.temperature == 1 else reader(scores)
        alone = subject.labels_only(DatasetRole.EVALUATION)
        return cls(plain, read, reader.temperature, reader.saturated, alone)


def write_pool_evidence(
    pool: MembershipPool, target: Floats, blind: Floats, answers: PoolAnswers
) -> dict[str, Item]:
    """Return the evidence of a pool, but for the stand-ins."""
    columns: list[Json] = [[name, list(levels)] for name, (levels, _) in pool.groups.items()]
    codes = [rows for _, rows in pool.groups.values()]
    return {
        "ids": np.asarray(pool.ids, dtype=np.str_),
        "member": pool.member,
        "target": target,
        "blind": blind,
        "groups": np.array(codes, dtype=np.int64).reshape(len(codes), len(pool.ids)),
        "about": {
            "groups": columns,
            "shared": pool.shared,
            "held": len(pool.held),
            "labels_only": answers.labels_only,
            **({"temperature": answers.temperature} if answers.temperature != 1 else {}),
            **({"saturated": True} if answers.saturated else {}),
        },
    }


def _shadows(evidence: Evidence, kind: str) -> ShadowPredictions:
    chances = cast("NDArray[np.float32]", evidence[f"chances_{kind}"])
    include = cast("NDArray[np.bool_]", evidence[f"include_{kind}"])
    return ShadowPredictions(chances.astype(np.float64), include)
