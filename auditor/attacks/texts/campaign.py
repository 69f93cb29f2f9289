"""A search for every text at once, so that the target is asked about many rows in one go."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.texts.hunting import Hunt, Plan, Question
from auditor.attacks.texts.judging import Judge
from auditor.domain.subjects import Progress

MOST_ROUNDS = 10_000


def campaign(judge: Judge, plan: Plan, seed: int, progress: Progress) -> tuple[int, ...]:
    """Hunt in every row that is right, until all have nothing more to ask.

    Each row draws from a generator of its own, so that what is found in it does not depend on the
    others. Returns how many words of each row there was something to make of.
    """
    hunts = [
        Hunt(text, judge.threat, plan, np.random.default_rng([seed, row]))
        for row, text in enumerate(judge.texts)
    ]
    movable = tuple(hunt.movable for hunt in hunts)
    total, active = len(judge.live), [int(row) for row in judge.live]
    for _ in range(MOST_ROUNDS):
        progress(total - len(active), total)
        asked = [(row, question) for row in active if (question := hunts[row].ask()) is not None]
        if not asked:
            return movable
        for within in (False, True):
            part = [(row, question) for row, question in asked if question.within is within]
            _judge(judge, hunts, part, within=within)
        active = [row for row, _ in asked]
    message = "a search for words did not come to its end"
    raise AssertionError(message)


def _judge(
    judge: Judge, hunts: Sequence[Hunt], asked: Sequence[tuple[int, Question]], *, within: bool
) -> None:
    """Have the questions of many rows judged together, and tell each row what came of its own."""
    texts = [text for _, question in asked for text in question.texts]
    if not texts:
        return
    counts = [len(question.texts) for _, question in asked]
    rows: NDArray[np.int64] = np.repeat([row for row, _ in asked], counts).astype(np.int64)
    margins, reached = (judge.submit if within else judge.probe)(rows, texts)
    ends = np.cumsum(counts)
    for (row, _), end, count in zip(asked, ends, counts, strict=True):
        hunts[row].tell(margins[end - count : end], reached[end - count : end])
