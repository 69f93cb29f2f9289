"""What a model needs of whatever runs it: a process here, or a server elsewhere."""

from collections.abc import Mapping
from typing import Any, Protocol

from auditor.targets.frames import Anything, Frame


class Connection(Protocol):
    """Something that holds a model open and answers requests about it.

    A child process is one (``keeping.Keeper``), a served endpoint another. Requests are those of
    ``child.sessions``: at least ``infer`` (one input array; the header's ``outputs`` names what
    is wanted, all where it is missing) and ``time``.
    """

    @property
    def opened(self) -> Frame:
        """What the other end said when it was opened; opens it where it is not.

        Header: ``machine``, ``runtime``, ``conditions``, ``inputs`` and ``outputs`` (lists of
        ``{"name", "type", "shape"}`` with ONNX Runtime's type names), ``placement``, ``opsets``.
        """
        ...

    @property
    def level(self) -> str:
        """How far the model is cut off from this machine: an ``Isolation``, or ``remote``."""
        ...

    @property
    def seconds(self) -> float:
        """The time limit of one request."""
        ...

    def ask(self, header: Mapping[str, Any], arrays: Mapping[str, Anything] | None = None) -> Frame:
        """Send one request and return its answer.

        Raises ``SubjectLostError`` where the other end was lost (the next request opens it
        anew), ``ModelFailedError`` where it refuses, ``TargetError`` where it is not to be had.
        """
        ...

    def close(self) -> None:
        """End it."""
        ...
