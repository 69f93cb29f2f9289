"""Readings of model inversion with and without a public prior: figures, doubts and the verdict."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.privacy.model_inversion import GENERATOR, Cell, list_inversion_cells
from auditor.attacks.privacy.model_inversion_evaluation import (
    FEW_MEMBERS,
    NO_MEMBERS,
    ReconstructionGain,
    ReconstructionProximity,
)
from auditor.domain.evidence import Evidence, explain_dependence
from auditor.domain.gaps import NOT_SEEN, OPEN, SHOWN, VERDICT
from auditor.domain.json import Json
from auditor.domain.readings import BiasDirection, BoundKind, Gap, Measurement, Reading, Unit
from auditor.metrics.stats.proportions import clopper_pearson

GAIN, PROXIMITY = "gain_over_baseline", "member_proximity"
METRICS = (GAIN, PROXIMITY)
JUDGED = 0.95
PUBLIC_ONES = 2
SIDES = 2
"""Tests of each baseline: that it is nearer to members, and that it is farther."""
WEAK = 0.5
"""A test that would not even see three members among four nearest rows says nothing by silence."""
BLIND = (
    "so few rows are nearest to a reconstruction that the least advantage that would be shown is "
    f"above {WEAK}"
)
POOR_JUDGE = "the judge is no better than chance about public rows that it never saw"
SHIFTED = (
    "public means and rows, made without the model, lie nearer to one of members and others than "
    "to the other: the two samples are not alike"
)


TAUGHT = (
    "rows drawn from the generator, which no model led, lie nearer to one of members and others "
    "than to the other: the generator was taught by them, or the two samples are not alike"
)


@dataclass(frozen=True, slots=True, eq=False)
class InversionFindings:
    """The evidence of a campaign, read again; p-values are found once for all confidences."""

    cells: tuple[Cell, ...]
    gains: tuple[ReconstructionGain, ...]
    nearness: tuple[ReconstructionProximity, ...]
    target: tuple[float, ...]
    chances: tuple[float, ...]
    smallest: tuple[float, ...]
    level: float
    control: float
    drawn: float
    about: Mapping[str, Json]

    @classmethod
    def of(cls, evidence: Evidence, rounds: int, level: float) -> "InversionFindings":
        """Read the evidence; behind the rows of the cells are the baselines' in each array: public
        means, public rows, and drawn ones where there is a generator.
        """
        about = cast("Mapping[str, Json]", evidence["about"])
        names = ("hits", "near", "away", "target")
        hits, near, away, target = (cast("NDArray[np.float32]", evidence[it]) for it in names)
        members = cast("NDArray[np.bool_]", evidence["pool_members"])
        classes = cast("NDArray[np.int64]", evidence["pool_classes"])
        seed = cast("int", about["seed"])
        every = tuple(
            ReconstructionProximity.of(one.astype(np.int32), other, members, classes)
            for one, other in zip(near, away, strict=True)
        )
        usable = all(len(it.near) for it in every)
        tested = [it.test(rounds, seed) for it in every] if usable else []
        cells, aims = (
            tuple(list_inversion_cells(evidence)),
            cast("NDArray[np.int64]", evidence["aims"]),
        )
        count = len(cells)
        strange = [min(it.nearer, it.farther) for it in tested[count:]]
        return cls(
            cells,
            tuple(_gains(hits.astype(np.bool_), cells, aims)),
            every[:count] if usable else (),
            tuple(float(it.mean()) for it in target[:count]),
            tuple(it.nearer for it in tested[:count]),
            tuple(it.smallest(level / count) for it in tested[:count]),
            level,
            min(1.0, SIDES * PUBLIC_ONES * min(strange[:PUBLIC_ONES], default=1.0)),
            min(1.0, SIDES * min(strange[PUBLIC_ONES:], default=1.0)),
            about,
        )

    @property
    def family(self) -> int:
        """How many attacks are looked at."""
        return len(self.cells)

    @property
    def poor_judge(self) -> bool:
        """Whether the judge may as well guess."""
        right, rows = cast("list[int]", self.about["judge"])
        return clopper_pearson(right, rows, JUDGED).low <= 1 / cast("int", self.about["classes"])

    @property
    def doubt(self) -> str:
        """Return why no p-value of nearness is believed, or nothing."""
        if self.about["clustered"]:
            return explain_dependence("the permutation test")
        return SHIFTED if self.control <= self.level else ""

    def doubts(self, at: int) -> str:
        """Return why the nearness of one attack is not believed, or nothing."""
        given = self.cells[at][1] == GENERATOR
        return self.doubt or (TAUGHT if given and self.drawn <= self.level else "")

    def gain(self, at: int, confidence: float) -> Measurement:
        """Return what one attack gains over the better baseline."""
        doubted = self.poor_judge
        right, rows = cast("list[int]", self.about["judge"])
        return Measurement.of(
            self.gains[at].over_baseline(confidence, self.family),
            GAIN,
            Unit.SHARE,
            bound=BoundKind.AT_LEAST,
            params=_params(self.cells[at]),
            doubted=doubted,
            astray=BiasDirection.EITHER if doubted else None,
            details={
                **self.gains[at].details(),
                "target_chance": self.target[at],
                "judge_accuracy": right / rows,
                "public_data": self.about["public_data"],
                "public_rows": self.about["public_rows"],
                **({"doubt": POOR_JUDGE} if doubted else {}),
            },
        )

    def proximity(self, at: int, confidence: float) -> Measurement:
        """Return how much oftener members than others are nearest to what one attack made up."""
        found, doubt = self.nearness[at], self.doubts(at)
        given = self.cells[at][1] == GENERATOR
        return Measurement.of(
            found.advantage(confidence, self.family),
            PROXIMITY,
            Unit.SHARE,
            bound=BoundKind.AT_LEAST,
            params=_params(self.cells[at]),
            doubted=bool(doubt),
            astray=BiasDirection.EITHER if doubt else None,
            details={
                "p_value": self.chances[at],
                "smallest_shown": self.smallest[at],
                "control_p_value": self.control,
                **({"drawn_p_value": self.drawn} if given else {}),
                **found.details(),
                **({"doubt": doubt} if doubt else {}),
            },
        )

    def readings(self, confidence: float) -> Iterator[Reading]:
        """Yield both figures of every attack; a Gap where there is nothing to be near to."""
        for at, cell in enumerate(self.cells):
            yield self.gain(at, confidence)
            if self.nearness:
                yield self.proximity(at, confidence)
            else:
                gap = FEW_MEMBERS if self.about["members"] else NO_MEMBERS
                yield missing_metric_gap(gap, PROXIMITY, cell)

    def verdict(self) -> Measurement:
        """Return whether any attack's finds are nearer to members than chance allows.

        Silence of tests that would not have seen an advantage of ``WEAK`` is no answer.
        """
        sound = [at for at in range(len(self.nearness)) if not self.doubts(at)]
        least = min((self.smallest[at] for at in sound), default=1.0)
        doubt = self.doubt or (TAUGHT if self.nearness and not sound else "")
        nearer = [
            f"{self.cells[at][0]}, prior {self.cells[at][1]}"
            for at in sound
            if self.chances[at] <= self.level / self.family
        ]
        blind = doubt or not self.nearness or least > WEAK
        value = SHOWN if nearer and not doubt else OPEN if blind else NOT_SEEN
        reason = doubt or (BLIND if self.nearness else "there are no members to be near to")
        details: dict[str, Json] = {
            "level": self.level,
            "shown_by": cast("Json", nearer if value == SHOWN else []),
            "power": least,
            **({"reason": reason} if value == OPEN else {}),
        }
        rows = sum(len(it.near) for it in self.nearness) or sum(it.hits.size for it in self.gains)
        method = "permutation of members and others within classes, joint by bonferroni"
        return Measurement(
            metric=VERDICT,
            value=value,
            bound=BoundKind.AT_LEAST,
            method=method,
            n=rows,
            details=details,
        )


def _gains(
    flags: NDArray[np.bool_], cells: tuple[Cell, ...], aims: NDArray[np.int64]
) -> Iterator[ReconstructionGain]:
    """Yield what each attack hits, beside the baselines that know as much without the model."""
    mean, row, *drawn = flags[len(cells) :]
    for one, (_, prior) in zip(flags[: len(cells)], cells, strict=True):
        yield ReconstructionGain(
            one, mean, row, aims, drawn[0] if drawn and prior == GENERATOR else None
        )


def _params(cell: Cell) -> dict[str, str]:
    return {"attack": cell[0], "prior": cell[1]}


def missing_metric_gap(gap: Gap, metric: str, cell: Cell) -> Gap:
    """Return a gap of one metric of one attack."""
    return Gap(
        reason=gap.reason,
        detail=gap.detail,
        cure=gap.cure,
        metric=metric,
        params=_params(cell),
    )
