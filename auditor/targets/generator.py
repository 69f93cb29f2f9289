"""The owner's generator: an ONNX file from latent points to rows, in a child process, with slopes
where a differentiable twin of it can be built.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from auditor.domain.artifacts import Artifact
from auditor.domain.isolation import Isolation
from auditor.domain.readings import Gap
from auditor.domain.targets import Interface, TargetSpec
from auditor.domain.tasks import Array, Floats, InputSpace
from auditor.errors import ArtifactError, ModelFailedError
from auditor.targets.connections import Connection
from auditor.targets.generator_rows import refuse_other_range, refuse_other_shape
from auditor.targets.generator_slopes import SlopedGenerator, opened_slopes
from auditor.targets.interfaces import Slot, read_slots
from auditor.targets.layouts import DTYPES
from auditor.targets.opening import connect
from auditor.targets.replies import output_of

AXES = 2
PROBES = 256
"""Likely rows by which a generator is met."""
AT_ONCE = 2_000_000
"""Numbers of rows that are made at once."""
EXPORT = "Export it with one input of latent points [n, size], and one output of rows."


@dataclass(frozen=True, slots=True)
class Ends:
    """The two ends of a generator's file: latent points of ``size`` in, rows out."""

    input: str
    dtype: str
    fixed_batch: int | None
    size: int
    output: str

    @property
    def interface(self) -> Interface:
        """The interface by which a twin takes latent points, and gives flat rows for scores."""
        return Interface(
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

    def __init__(self, connection: Connection, digest: str, ends: Ends, width: int) -> None:
        self.digest = digest
        self.slopeless: Gap | None = None
        self._connection = connection
        self._ends = ends
        self._width = width

    @property
    def interface(self) -> Interface:
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
        made = asked(self._connection, self._ends, latents).reshape(len(latents), -1)
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
    isolation: Isolation | None = None,
) -> Iterator[OpenedGenerator | SlopedGenerator]:
    """Open the generator staged in ``folder``, hold it against rows that the model takes, and close
    it at the end.

    It runs on this machine's processor within the limits of ``spec``: it is no part of the target.
    Raises ``ArtifactError`` that names what does not fit, with the rows ``sample`` ``[n, ...]`` or
    the input space; what the runtime raises for a file that it cannot run.
    """
    place = TargetSpec("generator", time_limit=spec.time_limit, memory_limit=spec.memory_limit)
    connection = connect(place, folder, artifact, isolation)
    try:
        made = _met(connection, artifact, space, sample)
        with opened_slopes(place, folder, artifact, made, isolation) as found:
            if isinstance(found, Gap):
                made.slopeless = found
            yield made if isinstance(found, Gap) else found
    finally:
        connection.close()


def asked(connection: Connection, ends: Ends, latents: Floats) -> Floats:
    """Return the rows ``[n, ...]`` that a file makes of latent points, as it shapes them."""
    header = {"op": "infer", "outputs": [ends.output], "fixed_batch": ends.fixed_batch}
    reply = connection.ask(header, {ends.input: latents.astype(ends.dtype)})
    array, _ = output_of(reply, ends.output)
    if array.shape[:1] != latents.shape[:1] or array.dtype.kind not in "iuf":
        raise ArtifactError(
            f"the generator made {array.dtype} of shape {array.shape} of {len(latents)} points",
            cure=EXPORT,
        )
    return np.asarray(array, dtype=np.float64)


def _met(
    connection: Connection, artifact: Artifact, space: InputSpace | Gap, sample: Array
) -> OpenedGenerator:
    header = connection.opened.header
    ends = _ends(read_slots(header.get("inputs")), read_slots(header.get("outputs")))
    latents = np.random.default_rng(0).normal(size=(PROBES, ends.size))
    rows = asked(connection, ends, latents)
    refuse_other_shape(rows.shape[1:], sample.shape[1:])
    refuse_other_range(rows.reshape(PROBES, *sample.shape[1:]), space, sample)
    if rows.tobytes() != asked(connection, ends, latents).tobytes():
        raise ArtifactError(
            "the generator makes other rows of the same latent points when it is asked again",
            cure="Export it in evaluation mode, with all chance in its latent points.",
        )
    width = int(np.prod(sample.shape[1:]))
    return OpenedGenerator(connection, artifact.digest, ends, width)


def _ends(inputs: tuple[Slot, ...], outputs: tuple[Slot, ...]) -> Ends:
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
    return Ends(entry.name, dtype, entry.shape[0], size, leaving.name)
