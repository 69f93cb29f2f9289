"""Row generators: an attacker's prior over rows, as a map from latent points to rows."""

from typing import Protocol, runtime_checkable

from auditor.domain.readings import Gap, GapReason
from auditor.domain.tasks import Floats


class RowGenerator(Protocol):
    """Makes rows of latent points; of points drawn from a standard normal law, likely rows.

    Whoever has a better idea of what rows look like (a network trained on public pictures) plugs it
    in here: attacks that only ask the target need no more than this.
    """

    @property
    def size(self) -> int:
        """How many coordinates a latent point has."""
        ...

    def make(self, latents: Floats) -> Floats:
        """Return flat rows ``[n, d]`` of latent points ``[n, size]``."""
        ...


@runtime_checkable
class DifferentiableGenerator(RowGenerator, Protocol):
    """A generator that attacks with gradients can climb through."""

    def pull(self, latents: Floats, slopes: Floats) -> Floats:
        """Pull slopes in rows ``[n, d]`` back to latent points ``[n, size]``."""
        ...


class OwnerGenerator(RowGenerator, Protocol):
    """A generator of the owner's: a file that runs in a child process with limits.

    It is differentiable too, unless ``slopeless`` says why it is not. ``make`` and ``pull`` raise
    ``SubjectLostError``, ``ModelFailedError`` or ``TwinError``.
    """

    @property
    def digest(self) -> str:
        """The digest of its files, ``sha256:…``."""
        ...

    @property
    def slopeless(self) -> Gap | None:
        """Why no slope comes back through it; ``None`` where one does."""
        ...


NO_GENERATOR = Gap(
    reason=GapReason.NEEDS_GENERATOR,
    detail="The audit names no generator.",
    cure="Name an ONNX model from latent points to rows under generator in the audit file.",
)
