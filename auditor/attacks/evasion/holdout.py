"""Attackers who prepare on some rows and are judged on others, which they never asked about."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from auditor.attacks.arenas import Bout, gather
from auditor.attacks.bills import Bill
from auditor.attacks.frame import Frame, Mask, Rows
from auditor.attacks.losses import softmax
from auditor.domain.canonical import Json
from auditor.domain.datasets import Role
from auditor.domain.evidence import Evidence
from auditor.domain.models import Twin
from auditor.domain.readings import Gap, Reason
from auditor.domain.subjects import Subject
from auditor.domain.tasks import Floats

FEWEST_ROWS = 10
"""With fewer rows in a half there is nothing to prepare on, or nothing to judge by."""
ROWS_AT_ONCE = 512


@dataclass(frozen=True, slots=True, eq=False)
class Halves:
    """Rows to judge by, and other rows, with the target's answers, to prepare on."""

    judged: Bout
    prepared: Bout


def halves(subject: Subject, rows: int, preparing: int) -> Halves:
    """Split the evaluation rows: the first half of the audit's permutation judges.

    At most ``rows`` are judged, the first of the permutation as in other checks, and ``preparing``
    prepared on. Raises ``TypeError`` where a need is not met: the frame asks for needs first.
    """
    whole = gather(subject, subject.datasets[Role.EVALUATION].rows)
    count = len(whole.sample)
    middle = (count + 1) // 2
    return Halves(
        part(whole, np.arange(min(rows, middle))),
        part(whole, np.arange(middle, count)[:preparing]),
    )


def part(bout: Bout, keep: Rows) -> Bout:
    """Return a bout with some of its rows."""
    return Bout(bout.arena.take(keep), bout.dataset, bout.sample[keep])


def judge(frame: Frame, rows: Rows, craft: Callable[[Rows], Floats], twin: Twin) -> Mask:
    """Ask the target once about one candidate a row; return for each row whether it broke.

    ``craft`` returns the points of some rows; what the twin says of them is noted as its claim.
    """
    reached = np.zeros(len(frame.clean), dtype=np.bool_)
    for first in range(0, len(rows), ROWS_AT_ONCE):
        own = rows[first : first + ROWS_AT_ONCE]
        points = craft(own)
        settled = frame.ball.take(own).settle(points)
        frame.claims(own, softmax(twin.forward(settled)))
        _, reached[own], _ = frame.submit(own, points)
    return reached


def bill(name: str, frame: Frame, live: Mask, fell: Mask, passes: int) -> Bill:
    """Return what one budget brought and cost: ``fell`` are the rows of ``live`` that broke."""
    return Bill(
        attack=name,
        eps=frame.threat.eps,
        live=int(live.sum()),
        broken=int(fell.sum()),
        phantoms=int((frame.claimed & live & ~fell).sum()),
        queries=frame.queries,
        passes=passes,
        refused=frame.refused,
    )


def too_few(split: Halves) -> Evidence | None:
    """Return the evidence that a half has too few rows, or ``None`` where both have enough."""
    judged, prepared = len(split.judged.sample), len(split.prepared.sample)
    if min(judged, prepared) >= FEWEST_ROWS:
        return None
    return {"settings": {"judged": judged, "prepared": prepared}}


def gap_of(settings: dict[str, Json]) -> Gap | None:
    """Return the Gap of evidence that ``too_few`` made; ``None`` for other evidence."""
    if "judged" not in settings:
        return None
    return Gap(
        reason=Reason.TOO_FEW_ROWS,
        detail=f"The attack would be prepared on {settings['prepared']} rows and judged on "
        f"{settings['judged']} others; each takes at least {FEWEST_ROWS}.",
        cure=f"Give at least {2 * FEWEST_ROWS} labelled evaluation rows, better some hundreds.",
    )
