"""Generator supplied as an ONNX file: maps latent points to rows, with gradients from a twin.

The generator runs in a child process. It must produce rows with the shape and range that the model
takes. Gradients need a differentiable twin, which is compared with the file before use.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from auditor.domain.artifacts import Artifact
from auditor.domain.isolation import IsolationLevel
from auditor.domain.models import TwinSource
from auditor.domain.readings import Gap, GapReason
from auditor.domain.targets import ModelInterface, TargetSpec
from auditor.domain.tasks import Array, Floats, InputSpace
from auditor.errors import ArtifactError, ModelFailedError, SubjectLostError, TwinError
from auditor.targets.input_layout import DTYPES, TensorSlot, read_tensor_slots
from auditor.targets.outputs import read_output
from auditor.targets.protocol import ModelConnection
from auditor.targets.session import connect_model
from auditor.targets.supervisor import ProcessSupervisor
from auditor.targets.twin import (
    LEAST_CORRELATION,
    MOST_DIFFERENCE,
    find_missing_library,
    require_finite_answer,
    resolve_twin_source,
    supervise_twin,
)

POINTS, DIRECTIONS, STEP = 24, 8, 0.05
ASK_ALONE = "Attacks that only ask the target use it all the same."


class FileGenerator(Protocol):
    """A generator whose file is open."""

    digest: str

    @property
    def interface(self) -> ModelInterface:
        """By which a twin takes latent points, and gives flat rows."""
        ...

    @property
    def size(self) -> int:
        """How many coordinates a latent point has."""
        ...

    def make(self, latents: Floats) -> Floats:
        """Return flat rows ``[n, d]``."""
        ...


class GeneratorWithTwin:
    """A generator with its twin; implements ``domain.generators.DifferentiableGenerator``.

    Rows are always made by the file itself; the twin gives slopes alone.
    """

    slopeless: Gap | None = None

    def __init__(self, made: FileGenerator, keeper: ProcessSupervisor) -> None:
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
        return require_finite_answer(reply.arrays.get("gradient"), latents.shape, "gradient")

    def twin(self, latents: Floats) -> Floats:
        """Return the rows ``[n, d]`` that the twin makes."""
        points = latents.astype(self._made.interface.input_dtype)
        reply = self._keeper.ask({"op": "twin_forward"}, {"x": points})
        found = reply.arrays.get("logits")
        shape = (len(latents),) if found is None else (len(latents), *found.shape[1:])
        return require_finite_answer(found, shape, "rows")


@contextmanager
def open_generator_twin(
    spec: TargetSpec,
    folder: Path,
    artifact: Artifact,
    made: FileGenerator,
    isolation: IsolationLevel | None,
) -> Iterator[GeneratorWithTwin | Gap]:
    """Yield the generator with slopes, or why it has none: no twin of it is its equal."""
    source = resolve_twin_source(TwinSource())
    gap = find_missing_library(source)
    if gap is not None:
        yield gap
        return
    keeper = supervise_twin(spec, folder, artifact, made.interface, source, isolation)
    try:
        sloped = GeneratorWithTwin(made, keeper)
        try:
            why_not = _examined(sloped)
        except (TwinError, SubjectLostError) as error:
            detail = f"No slope comes back through the generator: {error.problem}"
            why_not = Gap(reason=GapReason.TWIN_UNSUPPORTED, detail=detail, cure=ASK_ALONE)
        yield why_not or sloped
    finally:
        keeper.close()


def _examined(sloped: GeneratorWithTwin) -> Gap | None:
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
    return Gap(reason=GapReason.TWIN_DIFFERS, detail=detail, cure=ASK_ALONE)


MARGIN = 0.05
"""Of a coordinate's range, how far a made value may lie beyond it: an attack cuts it off there."""
MOST_OUTSIDE = 0.25
LEAST_SPREAD = 0.02
"""Of how rows of the data vary, how much made rows must: those of another unit, or a generator that
makes always the same, vary less. Pixels of 0 to 1 among such of 0 to 255 vary by 0.004."""
AS_THE_DATA = "Export it so that it makes rows as the data hold them, in the units of the model's "
AS_THE_DATA += "input."


def refuse_other_shape(made: tuple[int, ...], row: tuple[int, ...]) -> None:
    """Refuse rows that are neither of the data's shape nor flat; axes of size 1 do not count.

    Raises ``ArtifactError`` that names both shapes.
    """
    flat = (int(np.prod(row)),)
    if _long(made) in {_long(row), flat}:
        return
    raise ArtifactError(
        f"the generator makes rows of shape {list(made)}, and a row of the data has the shape "
        f"{list(row)}",
        cure=f"Export it to make rows of shape {list(row)}, or flat ones of {flat[0]} numbers.",
    )


def refuse_other_range(made: Floats, space: InputSpace | Gap, sample: Array) -> None:
    """Refuse rows ``[n, ...]`` out of the input's range, or that hardly vary beside the data's.

    Raises ``ArtifactError`` that names both ranges.
    """
    if not np.isfinite(made).all():
        raise ArtifactError(
            "the generator makes rows that hold NaN or infinities", cure=AS_THE_DATA
        )
    known = sample.astype(np.float64)
    low, high = _range(space, known)
    widest = float(np.nanmax(high) - np.nanmin(low))
    room = MARGIN * np.where(high > low, high - low, widest)
    outside = float(((made < low - room) | (made > high + room)).mean())
    ends = f"from {made.min():g} to {made.max():g}"
    if outside > MOST_OUTSIDE:
        raise ArtifactError(
            f"the generator makes values {ends}, of which {outside:.0%} lie out of the input's "
            f"range from {np.nanmin(low):g} to {np.nanmax(high):g}",
            cure=AS_THE_DATA,
        )
    spread, usual = made.std(axis=0), np.nanstd(known, axis=0)
    varying = usual > 0
    if varying.any() and float(np.median(spread[varying] / usual[varying])) < LEAST_SPREAD:
        raise ArtifactError(
            f"the generator makes values {ends} that hardly vary from row to row, where the data "
            f"go from {np.nanmin(known):g} to {np.nanmax(known):g}",
            cure=AS_THE_DATA,
        )


def _range(space: InputSpace | Gap, known: Floats) -> tuple[Floats, Floats]:
    low, high = np.nanmin(known, axis=0), np.nanmax(known, axis=0)
    if isinstance(space, Gap):
        return low, high
    declared = [np.broadcast_to(it, known.shape[1:]) for it in (space.low, space.high)]
    return (
        np.where(np.isfinite(declared[0]), declared[0], low),
        np.where(np.isfinite(declared[1]), declared[1], high),
    )


def _long(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(size for size in shape if size != 1) or (1,)


AXES = 2
PROBES = 256
"""Likely rows by which a generator is met."""
AT_ONCE = 2_000_000
"""Numbers of rows that are made at once."""
EXPORT = "Export it with one input of latent points [n, size], and one output of rows."


@dataclass(frozen=True, slots=True)
class GeneratorInterface:
    """The two ends of a generator's file: latent points of ``size`` in, rows out."""

    input: str
    dtype: str
    fixed_batch: int | None
    size: int
    output: str

    @property
    def interface(self) -> ModelInterface:
        """The interface by which a twin takes latent points, and gives flat rows for scores."""
        return ModelInterface(
            input=self.input,
            input_shape=(self.size,),
            input_dtype=self.dtype,
            fixed_batch=self.fixed_batch,
            layout="as_is",
            output=self.output,
            scores="logits",
            because="a generator gives rows",
        )


class OpenedGenerator:
    """A generator in a child process of its own; implements ``domain.generators.GivenGenerator``,
    but for slopes.
    """

    def __init__(
        self, connection: ModelConnection, digest: str, ends: GeneratorInterface, width: int
    ) -> None:
        self.digest = digest
        self.slopeless: Gap | None = None
        self._connection = connection
        self._ends = ends
        self._width = width

    @property
    def interface(self) -> ModelInterface:
        """By which a twin takes latent points, and gives flat rows."""
        return self._ends.interface

    @property
    def size(self) -> int:
        """How many coordinates a latent point has."""
        return self._ends.size

    def make(self, latents: Floats) -> Floats:
        """Return flat rows ``[n, d]`` of latent points ``[n, size]``.

        Raises ``SubjectLostError``; ``ModelFailedError`` for rows that are no numbers.
        """
        step = max(1, AT_ONCE // max(1, self._width))
        parts = [self._made(latents[at : at + step]) for at in range(0, len(latents), step)]
        return np.concatenate(parts)

    def _made(self, latents: Floats) -> Floats:
        made = generate_rows(self._connection, self._ends, latents).reshape(len(latents), -1)
        if made.shape[1] != self._width or not np.isfinite(made).all():
            raise ModelFailedError(
                f"the generator made rows of {made.shape[1]} numbers, some of them none"
                if made.shape[1] == self._width
                else f"the generator made rows of {made.shape[1]} numbers, not {self._width}",
                cure="Export a generator that makes whole rows of every latent point.",
            )
        return made


@contextmanager
def open_generator(  # noqa: PLR0913, PLR0917 -- what is opened, and what it is held against
    spec: TargetSpec,
    folder: Path,
    artifact: Artifact,
    space: InputSpace | Gap,
    sample: Array,
    isolation: IsolationLevel | None = None,
) -> Iterator[OpenedGenerator | GeneratorWithTwin]:
    """Open the generator staged in ``folder``, hold it against rows that the model takes, and close
    it at the end.

    It runs on this machine's processor within the limits of ``spec``: it is no part of the target.
    Raises ``ArtifactError`` that names what does not fit, with the rows ``sample`` ``[n, ...]`` or
    the input space; what the runtime raises for a file that it cannot run.
    """
    place = TargetSpec("generator", time_limit=spec.time_limit, memory_limit=spec.memory_limit)
    connection = connect_model(place, folder, artifact, isolation)
    try:
        header = connection.opened.header
        ends = _ends(
            read_tensor_slots(header.get("inputs")), read_tensor_slots(header.get("outputs"))
        )
        latents = np.random.default_rng(0).normal(size=(PROBES, ends.size))
        rows = generate_rows(connection, ends, latents)
        refuse_other_shape(rows.shape[1:], sample.shape[1:])
        refuse_other_range(rows.reshape(PROBES, *sample.shape[1:]), space, sample)
        if rows.tobytes() != generate_rows(connection, ends, latents).tobytes():
            raise ArtifactError(
                "the generator makes other rows of the same latent points when it is asked again",
                cure="Export it in evaluation mode, with all chance in its latent points.",
            )
        width = int(np.prod(sample.shape[1:]))
        made = OpenedGenerator(connection, artifact.digest, ends, width)
        with open_generator_twin(place, folder, artifact, made, isolation) as found:
            if isinstance(found, Gap):
                made.slopeless = found
            yield made if isinstance(found, Gap) else found
    finally:
        connection.close()


def generate_rows(connection: ModelConnection, ends: GeneratorInterface, latents: Floats) -> Floats:
    """Return the rows ``[n, ...]`` that a file makes of latent points, as it shapes them."""
    header = {"op": "infer", "outputs": [ends.output], "fixed_batch": ends.fixed_batch}
    reply = connection.ask(header, {ends.input: latents.astype(ends.dtype)})
    array, _ = read_output(reply, ends.output)
    if array.shape[:1] != latents.shape[:1] or array.dtype.kind not in "iuf":
        raise ArtifactError(
            f"the generator made {array.dtype} of shape {array.shape} of {len(latents)} points",
            cure=EXPORT,
        )
    return np.asarray(array, dtype=np.float64)


def _ends(inputs: tuple[TensorSlot, ...], outputs: tuple[TensorSlot, ...]) -> GeneratorInterface:
    if len(inputs) != 1 or len(outputs) != 1:
        told = [", ".join(slot.name for slot in slots) or "none" for slots in (inputs, outputs)]
        raise ArtifactError(
            f"the generator has the inputs {told[0]} and the outputs {told[1]}", cure=EXPORT
        )
    (entry,), (leaving,) = inputs, outputs
    dtype = DTYPES.get(entry.type, "")
    size = entry.shape[1] if len(entry.shape) == AXES else None
    if "float" not in dtype or size is None:
        shown = ", ".join("n" if axis is None else str(axis) for axis in entry.shape)
        raise ArtifactError(
            f"the generator's input {entry.name!r} takes {entry.type} of shape [{shown}], which "
            "does not say how many coordinates a latent point has",
            cure="Export it with an input of floats [n, size], whose size is a number.",
        )
    return GeneratorInterface(entry.name, dtype, entry.shape[0], size, leaving.name)
