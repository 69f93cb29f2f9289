"""What attacks that look for the nearest success share: what they found, and where they go next."""

from dataclasses import dataclass, replace

import numpy as np

from auditor.attacks.apgd import aimed
from auditor.attacks.asking import Answer, Ground, Mask
from auditor.attacks.balls import Ball
from auditor.attacks.losses import Aim, ahead
from auditor.attacks.norms import TINY, Norm, chosen, size, wide
from auditor.domain.tasks import Floats


@dataclass(frozen=True, slots=True, eq=False)
class Quest:
    """The walks that an attack takes in turn, and the nearest success of each row so far.

    ``whole`` is the aim that counts and ``aims`` that of each walk; ``fresh`` says for which rows
    it is the first walk to its classes. ``best`` is the nearest success, or the clean row, and
    ``length`` the norm of its change (infinite: none). ``low`` and ``high`` are how far each
    coordinate may change, in ranges.
    """

    ball: Ball
    whole: Aim
    aims: tuple[Aim, ...]
    fresh: tuple[Mask, ...]
    best: Floats
    length: Floats
    low: Floats
    high: Floats
    walk: int = 0

    @classmethod
    def begin(cls, ground: Ground, walks: int, *, untargeted: bool) -> "Quest":
        """Begin with one walk a class, the likeliest class first, and then from the first again.

        ``untargeted``: the first walk goes to any harmful class.
        """
        clean = ground.ball.clean.astype(np.float64)
        low, high = ground.ball.reach()
        places = range(walks - untargeted)
        aims = [ground.aim] if untargeted else []
        fresh = [np.ones(len(clean), dtype=np.bool_)] if untargeted else []
        # With one class only, a walk to it is the same as to any.
        known = np.where(_classes(ground) == 1, int(untargeted), 0)
        return cls(
            ball=ground.ball,
            whole=ground.aim,
            aims=(*aims, *(_towards(ground, place) for place in places)),
            fresh=(*fresh, *(place + known < _classes(ground) for place in places)),
            best=clean,
            length=np.full(len(clean), np.inf),
            low=low,
            high=high,
        )

    @property
    def aim(self) -> Aim:
        """The aim of the walk that is on."""
        return self.aims[self.walk]

    @property
    def last(self) -> bool:
        """Whether no walk comes after this one."""
        return self.walk + 1 >= len(self.aims)

    def further(self) -> "Quest":
        """Return the quest on its next walk."""
        return replace(self, walk=self.walk + 1)

    def hear(self, answer: Answer) -> tuple["Quest", Mask, Floats]:
        """Return the quest after an answer, which points succeed, and the norm of their change."""
        points = answer.points
        length = size(self.ball.change(points), self.ball.norm, self.ball.channels)
        found = answer.reached | (ahead(answer.logits, self.whole) > 0)
        nearer = found & (length < self.length)
        if not nearer.any():
            return self, found, length
        best = chosen(nearer, points, self.best)
        return replace(self, best=best, length=np.where(nearer, length, self.length)), found, length

    def start(self, rng: np.random.Generator, share: float) -> Floats:
        """Return where a walk starts: no change, or, on a way known already, a random one.

        The random one is as long as a ``share`` of the way to the best success.
        """
        ball, fresh = self.ball, self.fresh[self.walk]
        if fresh.all():
            return np.zeros(self.best.shape)
        noise = np.where(ball.scale > 0, rng.normal(size=self.best.shape), 0.0)
        if ball.norm is Norm.L0:
            length, radius = np.ones(len(fresh)), np.full(len(fresh), share)
        else:
            length = np.maximum(size(noise, ball.norm), TINY)
            radius = share * np.minimum(self.length, ball.eps)
        change = wide(~fresh * radius / length, noise) * noise
        return np.asarray(np.clip(change, self.low, self.high))

    def take(self, keep: Mask) -> "Quest":
        """Return the quest for some rows only."""
        return replace(
            self,
            ball=self.ball.take(keep),
            whole=self.whole.take(keep),
            aims=tuple(aim.take(keep) for aim in self.aims),
            fresh=tuple(rows[keep] for rows in self.fresh),
            best=self.best[keep],
            length=self.length[keep],
            low=self.low[keep],
            high=self.high[keep],
        )


def _classes(ground: Ground) -> Floats:
    return np.asarray(np.maximum(ground.aim.toward.sum(axis=1), 1))


def _towards(ground: Ground, place: int) -> Aim:
    """Return each row's aim at its class of a rank, beginning again after its last one."""
    classes = _classes(ground)
    ranks = place % classes + 1
    toward = ground.aim.toward
    for rank in np.unique(ranks):
        toward = np.where((ranks == rank)[:, None], aimed(ground, int(rank)).toward, toward)
    return Aim(toward, ground.aim.away)
