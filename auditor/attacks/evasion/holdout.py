"""A holdout split for attacks: prepared on some rows, judged on rows that they never queried."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from auditor.attacks.evasion.attack_setup import AttackRun, prepare_attack_run
from auditor.attacks.evasion.judge import AttackJudge, Mask, Rows
from auditor.attacks.evasion.losses import softmax
from auditor.attacks.evasion.query_costs import QueryCost
from auditor.domain.check_subject import Subject
from auditor.domain.datasets import DatasetRole
from auditor.domain.evidence import Evidence
from auditor.domain.json import Json
from auditor.domain.models import Twin
from auditor.domain.readings import Gap, GapReason
from auditor.domain.tasks import Floats

FEWEST_ROWS = 10
"""With fewer rows in a half there is nothing to prepare on, or nothing to judge by."""
ROWS_AT_ONCE = 512


@dataclass(frozen=True, slots=True, eq=False)
class HoldoutSplit:
    """Rows to judge by, and other rows, with the target's answers, to prepare on."""

    judged: AttackRun
    prepared: AttackRun


def split_holdout(subject: Subject, rows: int, preparing: int) -> HoldoutSplit:
    """Split the evaluation rows: the first half of the audit's permutation judges.

    At most ``rows`` are judged, the first of the permutation as in other checks, and ``preparing``
    prepared on. Raises ``TypeError`` where a need is not met: the frame asks for needs first.
    """
    whole = prepare_attack_run(subject, subject.datasets[DatasetRole.EVALUATION].rows)
    count = len(whole.sample)
    middle = (count + 1) // 2
    return HoldoutSplit(
        select_run_rows(whole, np.arange(min(rows, middle))),
        select_run_rows(whole, np.arange(middle, count)[:preparing]),
    )


def select_run_rows(bout: AttackRun, keep: Rows) -> AttackRun:
    """Return a bout with some of its rows."""
    return AttackRun(bout.arena.take(keep), bout.dataset, bout.sample[keep])


def judge_candidates(
    frame: AttackJudge, rows: Rows, craft: Callable[[Rows], Floats], twin: Twin
) -> Mask:
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


def build_query_cost(
    name: str, frame: AttackJudge, live: Mask, fell: Mask, passes: int
) -> QueryCost:
    """Return what one budget brought and cost: ``fell`` are the rows of ``live`` that broke."""
    return QueryCost(
        attack=name,
        eps=frame.threat.eps,
        live=int(live.sum()),
        broken=int(fell.sum()),
        phantoms=int((frame.claimed & live & ~fell).sum()),
        queries=frame.queries,
        passes=passes,
        refused=frame.refused,
    )


def report_too_few_rows(split: HoldoutSplit) -> Evidence | None:
    """Return the evidence that a half has too few rows, or ``None`` where both have enough."""
    judged, prepared = len(split.judged.sample), len(split.prepared.sample)
    if min(judged, prepared) >= FEWEST_ROWS:
        return None
    return {"settings": {"judged": judged, "prepared": prepared}}


def too_few_rows_gap(settings: dict[str, Json]) -> Gap | None:
    """Return the Gap of evidence that ``report_too_few_rows`` made; ``None`` for other evidence."""
    if "judged" not in settings:
        return None
    return Gap(
        reason=GapReason.TOO_FEW_ROWS,
        detail=f"The attack would be prepared on {settings['prepared']} rows and judged on "
        f"{settings['judged']} others; each takes at least {FEWEST_ROWS}.",
        cure=f"Give at least {2 * FEWEST_ROWS} labelled evaluation rows, better some hundreds.",
    )
