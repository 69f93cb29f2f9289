"""Attacks of others on texts: what they return is a claim, which the judge alone settles."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from auditor.attacks.frame import ask
from auditor.attacks.texts.judging import Judge
from auditor.domain.tasks import Floats

Consult = Callable[[Sequence[str]], Floats]
"""Gives the target's probabilities of texts, ``[n, classes]``; raises ``SpentError``."""
MOST_WORDS_OF_A_FAILURE = 200


class SpentError(Exception):
    """A row has no query left."""


class Recipe(Protocol):
    """An attack of a library on one text at a time."""

    def __call__(self, consult: Consult, text: str, label: int) -> str | None:
        """Return a text that the attack calls broken, or ``None`` where it gives up."""
        ...


@dataclass(frozen=True, slots=True)
class Claims:
    """What an attack claimed: ``confirmed`` of it stood in the judge's eyes, ``spent`` rows ran out
    of queries first. ``failure`` is what it raised, if it did not come to its end.
    """

    claimed: int
    confirmed: int
    spent: int
    failure: str = ""


def pursue(recipe: Recipe, judge: Judge, tick: Callable[[], None]) -> Claims:
    """Let an attack loose on every row that is right, and have its claims judged.

    One query a row is kept for the judge. An attack that raises anything is ended there.
    """
    claimed = confirmed = spent = 0
    failure = ""
    for row in judge.live.tolist():
        tick()
        try:
            claim = recipe(_consult(judge, row), judge.texts[row], int(judge.labels[row]))
        except SpentError:
            spent += 1
            continue
        except Exception as error:  # noqa: BLE001 -- code of others may raise anything
            failure = f"{type(error).__name__}: {error}"[:MOST_WORDS_OF_A_FAILURE]
            break
        if claim is not None:
            claimed += 1
            _, reached = judge.submit(np.array([row], dtype=np.int64), [claim])
            confirmed += int(reached[0])
    return Claims(claimed, confirmed, spent, failure)


def _consult(judge: Judge, row: int) -> Consult:
    def consult(texts: Sequence[str]) -> Floats:
        asked = judge.repeats * len(texts)
        if judge.asked[row] + asked + judge.repeats > judge.most_queries:
            raise SpentError
        judge.asked[row] += asked
        _, probabilities = ask(judge.model, np.array(list(texts), dtype=np.str_), judge.repeats)
        return probabilities

    return consult
