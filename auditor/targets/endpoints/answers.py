"""What one protocol's client is asked and says, whichever protocol it speaks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from auditor.domain.canonical import Json
from auditor.targets.frames import Anything
from auditor.targets.scores import Key


@dataclass(frozen=True, slots=True)
class Declared:
    """An input or output as a server declares it, with ONNX Runtime's name of its type."""

    name: str
    type: str
    shape: tuple[int | None, ...]

    def to_json(self) -> dict[str, Json]:
        """Return the form in which a child declares it."""
        return {"name": self.name, "type": self.type, "shape": list(self.shape)}


@dataclass(frozen=True, slots=True)
class Server:
    """What a server says of itself.

    ``certificate`` is the SHA-256 of its TLS certificate, empty on a plain connection.
    """

    name: str = ""
    version: str = ""
    extensions: tuple[str, ...] = ()
    certificate: str = ""


@dataclass(frozen=True, slots=True)
class Served:
    """What a server says of one model."""

    inputs: tuple[Declared, ...]
    outputs: tuple[Declared, ...]
    name: str = ""
    versions: tuple[str, ...] = ()
    platform: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """The outputs of one request, and which model and version the server says gave them."""

    arrays: Mapping[str, Anything]
    model: str = ""
    version: str = ""
    keys: Mapping[str, list[Key]] = field(default_factory=dict)


class Client(Protocol):
    """Speaks one protocol with one server; each call is one attempt and connects if it must.

    Every call raises ``AttemptError`` for what may pass and deliberate errors for what will not.
    """

    @property
    def connections(self) -> int:
        """How often the server was connected to, as far as the client is told."""
        ...

    def server(self) -> Server:
        """Ask the server what it is."""
        ...

    def served(self) -> Served:
        """Ask what the model takes and gives."""
        ...

    def infer(self, name: str, rows: Anything, outputs: Sequence[str]) -> Answer:
        """Send ``rows`` as the input ``name``, and read at least ``outputs``."""
        ...

    def ping(self) -> None:
        """Make a round trip that does not touch the model."""
        ...

    def close(self) -> None:
        """Drop the connection."""
        ...
