"""Stand-ins that learn from training data alone, as the model did.

A stand-in that learns from members and non-members learns what differs between them, so that it
never shows how a model that knows one side alone takes the other one for strange.
"""

import numpy as np

from auditor.domain.datasets import Role
from auditor.domain.subjects import Subject
from auditor.domain.tasks import Array
from auditor.exposing.attacks import Include, Shadows
from auditor.exposing.pools import Pool, Rows
from auditor.exposing.standins import KINDS, Ask, halves
from auditor.shadows.features import numbers
from auditor.shadows.stacks import Stack
from auditor.shadows.training import train_stack

MODELS = 4
SALT = 55


def sided(
    subject: Subject, pool: Pool, classes: int, kinds: tuple[str, ...], ask: Ask
) -> dict[str, Shadows]:
    """Return what stand-ins of each kind say, as ``ask`` asks them, that ``taught_on_one_side``."""
    found = {}
    for kind in (name for name in KINDS if name in kinds):
        stack, include = taught_on_one_side(subject, pool, classes, kind)
        found[kind] = Shadows(ask(stack), include)
    return found


def taught_on_one_side(
    subject: Subject, pool: Pool, classes: int, kind: str
) -> tuple[Stack, Include]:
    """Train stand-ins on halves of the members, and on training rows besides.

    Besides are as many rows as make up for the non-members that the others learn from, where the
    training data have them. Half of the members and all non-members are then unseen ``[k, n]``,
    and no attack should tell these from those. Labels are the true ones: answers of the model
    would be of members that it has seen.
    """
    inputs, labels = _besides(subject, pool)
    include = _members_halved(pool, len(labels), np.random.default_rng([subject.seed, SALT]))
    stack = train_stack(
        numbers(np.concatenate([pool.inputs, inputs])),
        np.concatenate([pool.labels, labels]),
        classes,
        include,
        KINDS[kind],
        seed=subject.seed + SALT,
        progress=subject.progress,
    )
    return stack, include[:, : len(pool.labels)]


def _besides(subject: Subject, pool: Pool) -> tuple[Array, Rows]:
    """Return training rows that are not in the pool, with their labels."""
    training = subject.datasets[Role.TRAINING]
    if training.inputs is None or training.labels is None:
        message = "training data without rows or labels teach nothing"
        raise TypeError(message)
    rng = np.random.default_rng([subject.seed, SALT, 1])
    most = int((~pool.member).sum()) // 2
    taken = np.sort(rng.permutation(pool.rest)[:most])
    return training.inputs[taken], training.labels[taken]


def _members_halved(pool: Pool, besides: int, rng: np.random.Generator) -> Include:
    """Return which rows ``[MODELS, n + besides]`` each sees: no non-member, and all besides."""
    include = np.zeros((MODELS, len(pool.labels) + besides), dtype=np.bool_)
    members = np.flatnonzero(pool.member)
    include[:, members] = halves(MODELS, len(members), rng)
    include[:, len(pool.labels) :] = True
    return include
