"""What the rows of an audit can carry of attacks on membership, before anything runs."""

from collections.abc import Iterable, Mapping

from auditor.domain.budgets import Foretold, Shortage, Size
from auditor.domain.datasets import Role
from auditor.exposing.pools import LEAST, held_back, rows_for

ASIDE = (
    "{held:,} of {rows:,} evaluation rows are set aside: retrained models are held against the "
    "artifact on them, and {left:,} are left as non-members"
)


def foretold(
    size: Size, most: int, metrics: Iterable[str], least: Mapping[str, int], *, hold: bool
) -> Foretold:
    """Say what ``most`` rows of each kind at most cannot carry, and what is set aside.

    ``least`` maps a metric to the non-members without which it is not told; ``hold`` says that a
    part of the evaluation rows is held back. Copies of training rows among the evaluation rows,
    and rows that share a cluster, may leave fewer than is foretold.
    """
    held = held_back(size.rows) if hold else 0
    members = min(most, size.beside.get(Role.TRAINING.value, 0))
    others = min(most, size.rows - held)
    aside = (ASIDE.format(held=held, rows=size.rows, left=others),) if held else ()
    if min(members, others) < LEAST:
        enough = rows_for(LEAST, hold=hold)
        why = f"{members:,} members and {others:,} non-members are too few to tell apart"
        return Foretold(aside, {name: Shortage(why, enough) for name in metrics})
    return Foretold(
        aside,
        {
            name: _short(others, needed, most, hold=hold)
            for name, needed in least.items()
            if others < needed
        },
    )


def _short(others: int, needed: int, most: int, *, hold: bool) -> Shortage:
    why = f"{others:,} non-members cannot carry it, which takes {needed:,}"
    if most < needed:
        return Shortage(f"{why}, and this budget looks at {most:,} rows at most", None)
    return Shortage(why, rows_for(needed, hold=hold))
