"""Evasion attacks on regression models: predictions pushed below or above the tolerance."""

from dataclasses import dataclass, replace

import numpy as np

from auditor.attacks.evasion.apgd import AutoPgd
from auditor.attacks.evasion.attack_protocol import (
    AttackContext,
    AttackFeedback,
    AttackState,
    EvasionAttack,
    Mask,
    Query,
    QueryResult,
)
from auditor.attacks.evasion.goals import RegressionErrorGoal
from auditor.attacks.evasion.losses import Labels, LossAim, score_lead
from auditor.attacks.evasion.suite_parser import AttackSuite
from auditor.domain.tasks import Floats

LOW, WITHIN, HIGH = range(3)


def score_bands(values: Floats, truth: Floats, tolerance: float) -> Floats:
    """Return ``[n, 3]`` scores of ``[n, 1]`` predictions, of which the largest names the band.

    Too low scores by how far the prediction is below the tolerated numbers, too high by how far it
    is above, both in tolerances, and within them scores 0.
    """
    away = (values[:, 0] - truth) / tolerance
    return np.stack([-away - 1, np.zeros(len(away)), away - 1], axis=1)


@dataclass(frozen=True, slots=True)
class OneSidedGoal:
    """Success is an error to one side: a goal on ``score_bands``, of which labels have no say."""

    band: int

    def reached(self, probabilities: Floats, labels: Labels) -> Mask:
        """Return for each row whether the band is reached."""
        found: Mask = self.margin(probabilities, labels) > 0
        return found

    def margin(self, scores: Floats, labels: Labels) -> Floats:
        """Return how far each row is beyond the tolerance, to this side."""
        return score_lead(scores, self.aim(labels))

    def aim(self, labels: Labels) -> LossAim:
        """Return this side to raise, and what is within the tolerance to lower."""
        toward = np.zeros((len(labels), 3), dtype=np.bool_)
        away = toward.copy()
        toward[:, self.band], away[:, WITHIN] = True, True
        return LossAim(toward, away)


@dataclass(frozen=True, slots=True, eq=False)
class RegressionState:
    """An attack on bands, at work on the twin's numbers; ``truth`` is each row's."""

    state: AttackState
    truth: Floats
    tolerance: float

    @property
    def best(self) -> Floats:
        """The strongest or nearest point of each row so far."""
        return self.state.best

    def ask(self) -> Query | None:
        """Ask what the attack asks."""
        return self.state.ask()

    def tell(self, answer: QueryResult) -> "RegressionState":
        """Tell the attack of bands, whose slopes are those of the number or their opposite."""
        question = self.state.ask()
        if question is None:
            return self
        truth = self.truth[question.rows]

        def pull(cotangent: Floats) -> Floats:
            return answer.pull((cotangent[:, HIGH] - cotangent[:, LOW])[:, None] / self.tolerance)

        turned = replace(
            answer, logits=score_bands(answer.logits, truth, self.tolerance), pull=pull
        )
        return replace(self, state=self.state.tell(turned))

    def take(self, keep: Mask) -> "RegressionState":
        """Return the state of some rows only."""
        return replace(self, state=self.state.take(keep), truth=self.truth[keep])


@dataclass(frozen=True, slots=True)
class OneSidedAttack:
    """An attack on the twin of a regression that pushes predictions to one side."""

    attack: EvasionAttack
    band: int

    source = AttackFeedback.TWIN

    @property
    def name(self) -> str:
        """The attack and the side."""
        return f"{self.attack.name}, {'upwards' if self.band == HIGH else 'downwards'}"

    @property
    def rounds(self) -> int:
        """Those of the attack."""
        return self.attack.rounds

    @property
    def queries(self) -> int:
        """Those of the attack."""
        return self.attack.queries

    @property
    def passes(self) -> int:
        """Those of the attack."""
        return self.attack.passes

    @property
    def minimises(self) -> bool:
        """Whether the attack does."""
        return self.attack.minimises

    def begin(self, ground: AttackContext, rng: np.random.Generator) -> RegressionState | None:
        """Begin the attack towards one side. Raises ``TypeError`` where classes are attacked."""
        if not isinstance(ground.goal, RegressionErrorGoal):
            raise TypeError(ground.goal)
        truth, tolerance = ground.labels.astype(np.float64), ground.goal.task.tolerance
        scores = score_bands(ground.probabilities, truth, tolerance)
        own = replace(ground, goal=OneSidedGoal(self.band), probabilities=scores)
        state = self.attack.begin(own, rng)
        return None if state is None else RegressionState(state, truth, tolerance)


@dataclass(frozen=True, slots=True, eq=False)
class SequentialState:
    """Two states of the same rows, of which the second begins when the first has asked enough."""

    now: RegressionState
    later: RegressionState | None
    left: int

    @property
    def best(self) -> Floats:
        """That of the state at work: what the one before it found has been judged already."""
        return self.now.best

    def ask(self) -> Query | None:
        """Ask what the state at work asks."""
        return self.now.ask()

    def tell(self, answer: QueryResult) -> "SequentialState":
        """Tell the state at work, and let the other begin after its last question."""
        told = self.now.tell(answer)
        if self.later is not None and (self.left == 1 or told.ask() is None):
            return SequentialState(self.later, None, 0)
        return replace(self, now=told, left=self.left - 1)

    def take(self, keep: Mask) -> "SequentialState":
        """Return the states of some rows only."""
        later = None if self.later is None else self.later.take(keep)
        return replace(self, now=self.now.take(keep), later=later)


@dataclass(frozen=True, slots=True)
class TwoSidedAttack:
    """An attack on the twin of a regression that looks for the nearest error to either side.

    It goes upwards and then downwards with the same rows: others would leave out those that are
    broken already, though the other side may be nearer.
    """

    attack: EvasionAttack

    source = AttackFeedback.TWIN
    minimises = True

    @property
    def name(self) -> str:
        """The attack."""
        return f"{self.attack.name}, both ways"

    @property
    def rounds(self) -> int:
        """Twice those of the attack."""
        return 2 * self.attack.rounds

    @property
    def queries(self) -> int:
        """Twice those of the attack."""
        return 2 * self.attack.queries

    @property
    def passes(self) -> int:
        """Twice those of the attack."""
        return 2 * self.attack.passes

    def begin(
        self, ground: AttackContext, rng: np.random.Generator
    ) -> RegressionState | SequentialState | None:
        """Begin upwards. Raises ``TypeError`` where classes are attacked."""
        up, down = (OneSidedAttack(self.attack, band).begin(ground, rng) for band in (HIGH, LOW))
        if up is None or down is None:
            return up or down
        return SequentialState(up, down, self.attack.rounds)


def build_regression_suite(suite: AttackSuite) -> AttackSuite:
    """Return the suite for a regression: attacks on the twin go upwards and downwards.

    A rank means nothing where there is one way: climbs towards the second class and more are left
    out. Attacks on the target go both ways by themselves.
    """
    return AttackSuite(_turned(suite.bounded), _turned(suite.minimal))


def _turned(attacks: tuple[EvasionAttack, ...]) -> tuple[EvasionAttack, ...]:
    found: list[EvasionAttack] = []
    for attack in attacks:
        if attack.source is not AttackFeedback.TWIN:
            found.append(attack)
        elif attack.minimises:
            found.append(TwoSidedAttack(attack))
        elif isinstance(attack, AutoPgd):
            if attack.rank <= 1:
                one = replace(attack, rank=0)
                found += [OneSidedAttack(one, HIGH), OneSidedAttack(one, LOW)]
        else:
            found += [OneSidedAttack(attack, HIGH), OneSidedAttack(attack, LOW)]
    return tuple(found)
