"""Identity of an endpoint: checks that the same server and model still answer, by canary rows."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from auditor.domain.json import Json
from auditor.domain.targets import EndpointSpec
from auditor.errors import TargetChangedError, TargetError
from auditor.targets.endpoints.client import (
    EndpointClient,
    InferenceResponse,
    ModelMetadata,
    ServerMetadata,
    TensorMetadata,
)
from auditor.targets.endpoints.config import EndpointAddress
from auditor.targets.endpoints.throttle import Clock, RequestSender
from auditor.targets.protocol import Anything, to_plain_text

ROWS = 8
CLOSE = 1e-4
"""Of the largest score, how far two runs of one model lie apart at most: batches of other sizes
differ by 1e-6 in single precision."""


@dataclass(frozen=True, slots=True, eq=False)
class CanaryRows:
    """The first rows of a request, and how they were asked."""

    name: str
    rows: Anything
    outputs: tuple[str, ...]
    fixed: int | None


class ScoreCanary:
    """Keeps the first rows that were scored, with their scores.

    What a server says of itself does not tell one model from the next where it keeps no versions.
    Rows that were asked twice before they are relied on, and came back otherwise, tell nothing:
    such a model is not deterministic.
    """

    def __init__(self) -> None:
        self._asked: CanaryRows | None = None
        self._scores: Mapping[str, Anything] = {}
        self._repeats: bool | None = None

    @property
    def asked(self) -> CanaryRows | None:
        """What to ask again; nothing as long as it is not known that scores repeat."""
        return self._asked if self._repeats else None

    def note(
        self, name: str, rows: Anything, outputs: Sequence[str], fixed: int | None,
        scores: Mapping[str, Anything],
    ) -> None:  # fmt: skip
        """Take note of a request and its answer: the first one, and the first that repeats it."""
        if self._repeats is not None or len(rows) == 0:
            return
        head = rows[: fixed or ROWS]
        asked = CanaryRows(name, head.copy(), tuple(outputs), fixed)
        first = {output: array[: len(head)].copy() for output, array in scores.items()}
        if (
            self._asked is not None
            and _same(self._asked.rows, head)
            and set(first) >= set(self._scores)
        ):
            self._repeats = self.agrees(first)
        else:
            self._asked, self._scores = asked, first

    def agrees(self, scores: Mapping[str, Anything]) -> bool:
        """Whether the scores of the rows are those of before, but for rounding."""
        return all(_close(array, scores[name]) for name, array in self._scores.items())


def _same(left: Anything, right: Anything) -> bool:
    return left.shape == right.shape and left.dtype == right.dtype and bool((left == right).all())


def _close(left: Anything, right: Anything) -> bool:
    if left.shape != right.shape:
        return False
    if left.dtype.kind != "f" or right.dtype.kind != "f":
        return bool((left == right).all())
    largest = max(1.0, float(np.abs(left).max(initial=0.0)))
    return bool((np.abs(left.astype(np.float64) - right) <= CLOSE * largest).all())


def build_header_facts(
    spec: EndpointSpec,
    address: EndpointAddress,
    server: ServerMetadata,
    served: ModelMetadata,
    version: str,
) -> dict[str, Any]:
    """Return the facts that must match for another audit to be of the same target.

    ``version`` is the model's version as its answers name it. Header values are never part of
    this; of the address only host, port and path are.
    """
    machine: dict[str, Json] = {
        "host": address.place,
        "encrypted": address.encrypted,
        "certificate": server.certificate or None,
    }
    runtime: dict[str, Json] = {
        "name": "endpoint",
        "protocol": spec.protocol.value,
        "path": address.path,
        "server": server.name,
        "version": server.version,
        "extensions": sorted(server.extensions),
        "model": served.name or spec.model,
        "model_version": version or spec.model_version,
        "model_versions": sorted(served.versions),
        "platform": served.platform,
        "labels_only": spec.labels_only,
        "inputs": describe_tensors(served.inputs),
        "outputs": describe_tensors(served.outputs),
    }
    return {"machine": machine, "runtime": runtime, "placement": "unknown", "opsets": {}}


def describe_tensors(slots: Iterable[TensorMetadata]) -> list[Json]:
    """Return inputs or outputs as a child lists them."""
    return [slot.to_json() for slot in slots]


def describe_differences(
    before: tuple[ServerMetadata, ModelMetadata], now: tuple[ServerMetadata, ModelMetadata]
) -> tuple[str, ...]:
    """Say in words what a server says otherwise than it did."""
    sides: tuple[
        tuple[str, ServerMetadata | ModelMetadata, ServerMetadata | ModelMetadata], ...
    ] = (
        ("server", before[0], now[0]),
        ("model", before[1], now[1]),
    )
    return tuple(
        f"the {whose}'s {entry.name} was {_shown(old)} and is {_shown(new)}"
        for whose, earlier, later in sides
        for entry in fields(earlier)
        if (old := getattr(earlier, entry.name)) != (new := getattr(later, entry.name))
    )


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        names = [slot.name if isinstance(slot, TensorMetadata) else str(slot) for slot in value]
        return "[" + ", ".join(names)[:100] + "]"
    return repr(value)[:120]


RECHECK_SECONDS = 30.0
"""After how long a server is asked again what it is, before rows go to it."""


@dataclass(frozen=True, slots=True)
class InitialIdentity:
    """What server and model said of themselves at first, and the seconds until they had."""

    server: ServerMetadata
    served: ModelMetadata
    seconds: float


class EndpointIdentity:
    """Knows what was met, and fails for good once server or model say otherwise.

    What they say of themselves is asked at first, after a connection was lost or made anew, and
    now and then; which version answered is looked at with every answer. A record speaks of what was
    met first, so that nothing that comes after a change may enter it.
    """

    def __init__(
        self,
        spec: EndpointSpec,
        title: str,
        client: EndpointClient,
        courier: RequestSender,
        clock: Clock,
    ) -> None:
        self._spec = spec
        self._title = title
        self._client = client
        self._courier = courier
        self._clock = clock
        self._met: InitialIdentity | None = None
        self._looked: float | None = None
        self._connections = 0
        self._kept = True
        self._answered: tuple[str, str] | None = None
        self._changed: TargetChangedError | None = None
        self.looks = 0
        """How often server and model were asked what they are."""

    @property
    def version(self) -> str:
        """The version that the model's answers name; empty where they name none, or none came."""
        return self._answered[1] if self._answered else ""

    def known(self) -> InitialIdentity:
        """Return what was met, without looking again."""
        return self._met or self.met()

    def met(self) -> InitialIdentity:
        """Return what was met; look first where that is due. Raises ``TargetChangedError``."""
        if self._changed is not None:
            raise self._changed
        due = self._looked is None or self._clock() - self._looked > RECHECK_SECONDS
        if self._met is None or due:
            return self.look()
        return self._met

    def look(self) -> InitialIdentity:
        """Ask server and model what they are, and compare it with what was met.

        Raises ``TargetChangedError``; ``TargetError`` for a version that is not served.
        """
        server, first = self._courier.send(self._client.server)
        self._connections = self._client.connections
        served, second = self._courier.send(self._client.served)
        # Where every request takes a connection of its own, a new one says nothing.
        self._kept = self._client.connections == self._connections
        self._connections = self._client.connections
        if self._met is None:
            wanted = self._spec.model_version
            if wanted and served.versions and wanted not in served.versions:
                raise TargetError(
                    f"{self._title} does not serve version {wanted!r} of {self._spec.model!r}, but "
                    f"{to_plain_text(', '.join(served.versions[:10]), 200)}",
                    cure="Set `endpoint.model_version` to one of them.",
                )
            self._met = InitialIdentity(server, served, first + second)
        found = describe_differences((self._met.server, self._met.served), (server, served))
        if found:
            raise self.change(found[0])
        self.looks += 1
        self._looked = self._clock()
        return self._met

    def forget(self) -> None:
        """Look again before the next rows are sent."""
        self._looked = None

    def check(self, answer: InferenceResponse) -> None:
        """Raise ``TargetChangedError`` where another model or version answers than did before.

        An answer over a connection that was made anew without a word is believed only when
        server and model still say the same of themselves. Raises ``TargetError`` where a version
        is pinned and none is named.
        """
        if self._kept and self._client.connections != self._connections:
            self.look()
        said, wanted = (answer.model, answer.version), self._spec.model_version
        if wanted and answer.version and answer.version != wanted:
            raise self.change(f"version {wanted!r} was asked, and {answer.version!r} answers")
        if wanted and not answer.version and wanted not in self.known().served.versions:
            raise TargetError(
                f"{self._title} does not say which version of {self._spec.model!r} answers, so "
                f"that nobody knows whether it is {wanted!r}",
                cure="Remove `endpoint.model_version`, or use a server that keeps versions.",
            )
        if self._answered is None:
            self._answered = said
        if said != self._answered:
            before, now = (" version ".join(names) for names in (self._answered, said))
            raise self.change(f"{before!r} answered before, and {now!r} answers now")

    def change(self, what: str) -> TargetChangedError:
        """Return the error that from now on every request raises."""
        self._changed = TargetChangedError(
            f"{self._title} changed during the audit: {what}"[:500],
            cure="Audit again when the roll-out has ended; `endpoint.model_version` pins a "
            "version where the server keeps several.",
        )
        return self._changed
