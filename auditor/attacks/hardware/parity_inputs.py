"""Perturbed rows, random and adversarial, on which the outputs of two runs are compared.

A server that knows the evaluation rows can give a file's answers on these, and better ones
elsewhere. So two runs are compared beside the rows as well: where an attacker would go. Moved rows
stay what could be real rows: inside the box, on its steps, and with what a table's schema asks.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.evasion.apgd import AutoPgd
from auditor.attacks.evasion.attack_loop import AttackLoop
from auditor.attacks.evasion.attack_protocol import AttackContext, QueryResult
from auditor.attacks.evasion.attack_setup import AttackSetup
from auditor.attacks.evasion.judge import BestSoFar
from auditor.attacks.evasion.square import SquareAttack
from auditor.attacks.tabular.attack import (
    TabularJudge,
    TabularSearch,
    TabularSetup,
    build_tabular_setup,
)
from auditor.attacks.tabular.capgd import ConstrainedPgd, random_points
from auditor.attacks.text.judge import TextJudge
from auditor.attacks.text.search import TextSearchPlan, attack_texts
from auditor.attacks.text.threat_model import TextThreat
from auditor.attacks.text.word_edits import EDITS, TextWords, edit_word
from auditor.domain.check_subject import ProgressReporter
from auditor.domain.models import Twin
from auditor.domain.tasks import Array, Floats

EPS = (0.02, 0.05, 0.1, 0.2)
"""How far rows are moved, in shares of the range; a row is moved by one of them."""
WORDS = (1, 2, 4, 8)
"""How many words of a text are changed, each by at most ``EDITS_A_WORD`` letters."""
EDITS_A_WORD, LEAST_LETTERS = 2, 4
STEPS = 20
"""Gradient steps to each crafted row."""
QUERIES = 100
"""What a search may ask the model about each row, where it has no gradient."""


@dataclass(frozen=True, slots=True, eq=False)
class PerturbedRows:
    """Rows moved by noise and crafted ones, in the order of the ``clean`` rows."""

    clean: Array
    noise: Array
    crafted: Array

    @property
    def changed(self) -> NDArray[np.bool_]:
        """Which of the noise rows, and then of the crafted ones, are not the clean row."""
        found = []
        for it in (self.noise, self.crafted):
            apart = self.clean != it
            if self.clean.dtype.kind == "f":
                apart &= ~(np.isnan(self.clean) & np.isnan(it))  # a missing value stays
            found.append(np.asarray(apart.reshape(len(self.clean), -1).any(axis=1)))
        return np.concatenate(found)


def row_budgets(count: int, budgets: tuple[float, ...]) -> Floats:
    """Return each row's budget: the rows take them in turn."""
    return np.asarray(budgets, dtype=np.float64)[np.arange(count) % len(budgets)]


def perturb_rows(arena: AttackSetup, seed: int, progress: ProgressReporter) -> PerturbedRows:
    """Move numeric rows. ``arena`` holds the model that is to be turned, its twin if it has one,
    and its own decisions as labels.

    Without a twin rows are crafted by a search that asks the model. Raises what its model and twin
    raise, and ``CancelledError`` through ``progress``.
    """
    rng = np.random.default_rng(seed)
    own = row_budgets(len(arena.rows), EPS)
    noise, crafted = arena.rows.copy(), arena.rows.copy()
    for at, eps in enumerate(EPS):
        progress(at, len(EPS), f"rows moved by {eps:g}")
        places = np.flatnonzero(own == eps)
        if not len(places):
            continue
        part = arena.take(places)
        if arena.space.features:
            held = build_tabular_setup(part)
            judge = _table_judge(held, eps)
            rows: NDArray[np.int64] = np.arange(len(held.arena.rows))
            noise[places] = judge.candidates(rows, random_points(judge.region, rng))
            crafted[places] = _crafted_table(held, eps, rng, lambda: None)
        else:
            ball = part.threat(eps).around(part.rows)
            noise[places] = ball.settle(ball.at(rng.uniform(-eps, eps, part.rows.shape)))
            crafted[places] = _crafted(part, eps, rng)
    progress(len(EPS), len(EPS), "")
    return PerturbedRows(arena.rows, noise, crafted)


def perturb_texts(judge: TextJudge, seed: int, progress: ProgressReporter) -> PerturbedRows:
    """Change words of texts, at random and by a search against the judge's model.

    A text that the search does not turn stands among the crafted ones as noise left it.
    """
    rng = np.random.default_rng(seed)
    counts = row_budgets(len(judge.texts), WORDS).astype(np.int64)
    noise = []
    for text, count in zip(judge.texts, counts, strict=True):
        # A text in which so many words are misspelt, or as many as can be
        words, left = TextWords.of(text), int(count)
        for place in rng.permutation(len(words.words)):
            word = words.words[place]
            other = (
                next(edit_word(word, tuple(EDITS), rng), None)
                if len(word) >= LEAST_LETTERS
                else None
            )
            if left and other is not None:
                words, left = words.put(int(place), other), left - 1
        noise.append(words.text)
    attack_texts(judge, TextSearchPlan(tuple(EDITS), QUERIES), seed, progress)
    crafted = [
        spare if found is None else found for found, spare in zip(judge.crafted, noise, strict=True)
    ]
    clean, noise_, crafted_ = (np.array(it, dtype=np.str_) for it in (judge.texts, noise, crafted))
    return PerturbedRows(clean, noise_, crafted_)


def build_text_threat() -> TextThreat:
    """Return what may be made of a text."""
    return TextThreat(WORDS[-1], EDITS_A_WORD, {})


def _crafted(part: AttackSetup, eps: float, rng: np.random.Generator) -> Array:
    if part.twin is not None:
        # Climb the twin's loss to the last step. An attack stops where a row falls, close to the
        # border, where rounding alone decides.
        twin = part.twin
        ball = part.threat(eps).around(part.rows)
        ground = AttackContext(ball, part.labels, part.goal, part.probabilities)
        state = AutoPgd(STEPS).begin(ground, rng)
        never = np.zeros(len(part.rows), dtype=np.bool_)
        while state is not None and (question := state.ask()) is not None:
            points = ball.settle(question.points, held=question.held)
            logits = twin.forward(points)
            state = state.tell(QueryResult(points, never, np.zeros(0), logits, _pulled(twin)))
        return part.rows if state is None else ball.settle(state.best)
    standing = _standing(part)
    frame = part.frame(eps, standing)
    if frame.threat.movable.any():
        AttackLoop(SquareAttack(QUERIES), frame, None, lambda: None).run(rng)
    return standing.crafted


def _pulled(twin: Twin) -> Callable[[Floats], Floats]:
    return lambda cotangent: np.nan_to_num(twin.backward(cotangent))


def _crafted_table(
    held: TabularSetup, eps: float, rng: np.random.Generator, tick: Callable[[], None]
) -> Array:
    judge = _table_judge(held, eps)
    if held.arena.twin is not None:
        ConstrainedPgd(STEPS).run(judge, held.arena.twin, rng, tick)
    TabularSearch(QUERIES).run(judge, None, rng, tick)
    return judge.standing.crafted


def _table_judge(held: TabularSetup, eps: float) -> TabularJudge:
    standing = _standing(held.arena)
    return TabularJudge(table=held, region=held.region(eps), standing=standing, eps=eps)


def _standing(part: AttackSetup) -> BestSoFar:
    return BestSoFar.clean(part.rows, part.probabilities, part.labels, part.goal)
