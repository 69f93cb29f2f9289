"""Slopes through a generator: a differentiable twin of its file, examined against the file."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import numpy as np

from auditor.domain.artifacts import Artifact
from auditor.domain.isolation import Isolation
from auditor.domain.readings import Gap, Reason
from auditor.domain.targets import Interface, TargetSpec
from auditor.domain.tasks import Floats
from auditor.domain.twins import TwinSource
from auditor.errors import SubjectLostError, TwinError
from auditor.targets.fidelity import LEAST_CORRELATION, MOST_DIFFERENCE
from auditor.targets.keeping import Keeper
from auditor.targets.twins import expect, keep_twin, no_library, settled

POINTS, DIRECTIONS, STEP = 24, 8, 0.05
ASK_ALONE = "Attacks that only ask the target use it all the same."


class Made(Protocol):
    """A generator whose file is open."""

    digest: str

    @property
    def interface(self) -> Interface:
        """By which a twin takes latent points, and gives flat rows."""
        ...

    @property
    def size(self) -> int:
        """How many coordinates a latent point has."""
        ...

    def make(self, latents: Floats) -> Floats:
        """Return flat rows ``[n, d]``."""
        ...


class SlopedGenerator:
    """A generator with its twin; implements ``domain.generators.DifferentiableGenerator``.

    Rows are always made by the file itself; the twin gives slopes alone.
    """

    slopeless: Gap | None = None

    def __init__(self, made: Made, keeper: Keeper) -> None:
        self._made = made
        self._keeper = keeper

    @property
    def digest(self) -> str:
        """The digest of its files."""
        return self._made.digest

    @property
    def size(self) -> int:
        """How many coordinates a latent point has."""
        return self._made.size

    def make(self, latents: Floats) -> Floats:
        """Return flat rows ``[n, d]`` of latent points ``[n, size]``."""
        return self._made.make(latents)

    def pull(self, latents: Floats, slopes: Floats) -> Floats:
        """Pull slopes in rows ``[n, d]`` back to latent points ``[n, size]``, in one question.

        Raises ``SubjectLostError`` or ``TwinError``.
        """
        points = latents.astype(self._made.interface.input_dtype)
        reply = self._keeper.ask({"op": "twin_pull"}, {"x": points, "cotangent": slopes})
        return expect(reply.arrays.get("gradient"), latents.shape, "gradient")

    def twin(self, latents: Floats) -> Floats:
        """Return the rows ``[n, d]`` that the twin makes."""
        points = latents.astype(self._made.interface.input_dtype)
        reply = self._keeper.ask({"op": "twin_forward"}, {"x": points})
        found = reply.arrays.get("logits")
        shape = (len(latents),) if found is None else (len(latents), *found.shape[1:])
        return expect(found, shape, "rows")


@contextmanager
def opened_slopes(
    spec: TargetSpec, folder: Path, artifact: Artifact, made: Made, isolation: Isolation | None
) -> Iterator[SlopedGenerator | Gap]:
    """Yield the generator with slopes, or why it has none: no twin of it is its equal."""
    source = settled(TwinSource())
    gap = no_library(source)
    if gap is not None:
        yield gap
        return
    keeper = keep_twin(spec, folder, artifact, made.interface, source, isolation)
    try:
        sloped = SlopedGenerator(made, keeper)
        yield _why_not(sloped) or sloped
    finally:
        keeper.close()


def _why_not(sloped: SlopedGenerator) -> Gap | None:
    try:
        return _examined(sloped)
    except (TwinError, SubjectLostError) as error:
        detail = f"No slope comes back through the generator: {error.problem}"
        return Gap(reason=Reason.TWIN_UNSUPPORTED, detail=detail, cure=ASK_ALONE)


def _examined(sloped: SlopedGenerator) -> Gap | None:
    """Hold the twin's rows and slopes against the file's, on likely latent points."""
    rng = np.random.default_rng(0)
    points = rng.normal(size=(POINTS, sloped.size))
    rows = sloped.make(points)
    twin = sloped.twin(points)
    unit = float(rows.std()) or 1.0
    if twin.shape != rows.shape or float(np.abs(twin - rows).max()) > MOST_DIFFERENCE * unit:
        return _astray("makes other rows than the file")
    seen, foretold = [], []
    for _ in range(DIRECTIONS):
        way, towards = rng.normal(size=points.shape), rng.normal(size=rows.shape)
        both = sloped.make(np.concatenate([points + STEP * way, points - STEP * way]))
        seen.append(((both[:POINTS] - both[POINTS:]) * towards).sum(axis=1) / (2 * STEP))
        foretold.append((sloped.pull(points, towards) * way).sum(axis=1))
    ours, theirs = np.concatenate(foretold), np.concatenate(seen)
    length = float(np.linalg.norm(ours) * np.linalg.norm(theirs))
    correlation = float(ours @ theirs) / length if length > 0 else 0.0
    if correlation < LEAST_CORRELATION:
        return _astray(f"has slopes that correlate by {correlation:.2g} with how its rows move")
    return None


def _astray(why: str) -> Gap:
    detail = f"No slope comes back through the generator: its differentiable twin {why}."
    return Gap(reason=Reason.TWIN_DIFFERS, detail=detail, cure=ASK_ALONE)
