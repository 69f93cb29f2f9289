"""Whether retrainings by a recipe agree with the artifact as they agree with one another."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from auditor.domain.canonical import Json
from auditor.domain.readings import Gap, Reason
from auditor.shadows.likeness import BRIER, ERROR, UNSURE, Likeness

FEWEST = 2
"""Retrainings below which there is no agreement among them."""
LEVEL = 0.001
MEASURES = {ERROR: "The error", BRIER: "The Brier score", UNSURE: "The mean doubt"}
Decisions = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Agreement:
    """Shares of held-out rows on which models decide alike.

    ``artifact`` is how often the artifact decides as a retraining does, on average; ``among`` how
    often two retrainings do; ``lowest`` is that of the retraining which agrees least with all the
    others. ``rank`` is the exact p-value that the artifact is one more retraining, by its place
    among them; ``rows`` that it agrees as often as the lowest retraining, row by row. ``likeness``
    says whether it is as good and as sure as they are: what errs at random agrees with nobody, and
    a far better model agrees with it no less.
    """

    artifact: float
    among: float
    lowest: float
    rank: float
    rows: float
    retrained: int
    count: int
    level: float
    likeness: tuple[Likeness, ...] = ()

    @property
    def disagrees(self) -> bool:
        """Whether the artifact agrees less than every retraining, beyond chance of the rows."""
        return self.rank <= 1 / (self.retrained + 1) and self.rows <= self.level

    @property
    def apart(self) -> tuple[Likeness, ...]:
        """The measures by which the artifact is another model than its retrainings."""
        return tuple(item for item in self.likeness if item.apart)

    @property
    def differs(self) -> bool:
        """Whether the recipe surely is not that of the artifact."""
        return self.disagrees or bool(self.apart)

    def to_json(self) -> dict[str, Json]:
        """Return the form in which details hold it."""
        return {
            "agrees_with_artifact": self.artifact,
            "agree_among_themselves": self.among,
            "lowest_agreement": self.lowest,
            "p_rank": self.rank,
            "p_rows": self.rows,
            "retrained": self.retrained,
            "rows": self.count,
            "likeness": {item.measure: item.to_json() for item in self.likeness},
        }


def agreement(
    artifact: Decisions,
    retrained: Decisions,
    level: float = LEVEL,
    alike: tuple[Likeness, ...] = (),
) -> Agreement:
    """Compare what the artifact decides ``[n]`` with what ``k`` retrainings do ``[k, n]``.

    ``alike`` is what ``likeness`` found of the same models.

    The rows must be held out from all. If the recipe is that of the artifact, the ``k + 1`` models
    are exchangeable, and the artifact is as likely as any to agree least with the others: that
    place is an exact permutation test, which with few retrainings proves little. So the artifact
    must fall short of the least agreeable retraining as well, by an exact sign test over the rows
    on which the two agree with different numbers of others. Raises ``ValueError`` for fewer than
    two retrainings, or no rows.
    """
    count, rows = retrained.shape
    if count < FEWEST or not rows:
        message = f"{count} retrainings on {rows} rows show no agreement"
        raise ValueError(message)
    shared = _with_others(np.vstack([artifact[None], retrained]))
    shares = shared.mean(axis=1) / count
    lowest = 1 + int(np.argmin(shares[1:]))
    fewer = int((shared[0] < shared[lowest]).sum())
    differing = fewer + int((shared[0] > shared[lowest]).sum())
    pairs = _with_others(retrained)
    return Agreement(
        artifact=float(shares[0]),
        among=float(pairs.mean()) / (count - 1),
        lowest=float(shares[lowest]),
        rank=float((shares <= shares[0]).sum()) / (count + 1),
        rows=float(binomtest(fewer, differing, 0.5, "greater").pvalue) if differing else 1.0,
        retrained=count,
        count=rows,
        level=level,
        likeness=alike,
    )


def mismatch(found: Agreement, metric: str = "") -> Gap | None:
    """Return the Gap of a recipe that does not make this artifact; ``None`` where it may."""
    if not found.differs:
        return None
    return Gap(
        reason=Reason.RECIPE_MISMATCH,
        detail=_how(
            found, f"the recipe's {found.retrained} retrainings", "held-out rows", "what it makes"
        ),
        cure="Name the code, settings and data that made this artifact.",
        metric=metric,
    )


def unlike(found: Agreement) -> Gap | None:
    """Return the Gap of ready shadow models that are not like this artifact; ``None``: they may be.

    It is the same test as of retrainings.
    """
    if not found.differs:
        return None
    of = f"the {found.retrained} shadow models"
    return Gap(
        reason=Reason.SHADOWS_MISMATCH,
        detail=_how(found, of, "rows that none of them learnt from", "what made them"),
        cure="Name models trained by the code and settings, and on the kind of data, that made "
        "this artifact.",
    )


def _how(found: Agreement, of: str, rows: str, made: str) -> str:
    """Say by what the artifact stands apart from models ``of`` some kind."""
    if found.disagrees:
        return (
            f"The artifact decides as {of} do on {found.artifact:.1%} of {found.count} {rows}, "
            f"where they decide alike on {found.among:.1%}, and none of them on less than "
            f"{found.lowest:.1%}."
        )
    one = found.apart[0]
    return (
        f"{MEASURES[one.measure]} of the artifact is {one.artifact:.3f} on {found.count} {rows}, "
        f"and that of {of} {one.retrained:.3f}, give or take {one.scatter:.3f}: {made} "
        "is another kind of model."
    )


def _with_others(decided: Decisions) -> NDArray[np.int64]:
    """Return with how many other models each one decides alike, ``[k, n]``."""
    found = np.zeros(decided.shape, dtype=np.int64)
    for choice in np.unique(decided):
        chosen = decided == choice
        found += chosen * (chosen.sum(axis=0) - 1)
    return found
