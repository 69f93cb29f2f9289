"""Whether the one who answers is still the one that was met first."""

from dataclasses import dataclass

from auditor.domain.endpoints import EndpointSpec
from auditor.errors import TargetChangedError, TargetError
from auditor.targets.endpoints.answers import Answer, Client, Served, Server
from auditor.targets.endpoints.couriers import Courier
from auditor.targets.endpoints.facts import differences
from auditor.targets.endpoints.limits import Clock
from auditor.targets.messages import plain

RECHECK_SECONDS = 30.0
"""After how long a server is asked again what it is, before rows go to it."""


@dataclass(frozen=True, slots=True)
class Met:
    """What server and model said of themselves at first, and the seconds until they had."""

    server: Server
    served: Served
    seconds: float


class Identity:
    """Knows what was met, and fails for good once server or model say otherwise.

    What they say of themselves is asked at first, after a connection was lost or made anew, and
    now and then; which version answered is looked at with every answer. A record speaks of what was
    met first, so that nothing that comes after a change may enter it.
    """

    def __init__(
        self, spec: EndpointSpec, title: str, client: Client, courier: Courier, clock: Clock
    ) -> None:
        self._spec = spec
        self._title = title
        self._client = client
        self._courier = courier
        self._clock = clock
        self._met: Met | None = None
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

    def known(self) -> Met:
        """Return what was met, without looking again."""
        return self._met or self.met()

    def met(self) -> Met:
        """Return what was met; look first where that is due. Raises ``TargetChangedError``."""
        if self._changed is not None:
            raise self._changed
        due = self._looked is None or self._clock() - self._looked > RECHECK_SECONDS
        if self._met is None or due:
            return self.look()
        return self._met

    def look(self) -> Met:
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
            self._require_version(served)
            self._met = Met(server, served, first + second)
        found = differences((self._met.server, self._met.served), (server, served))
        if found:
            raise self.change(found[0])
        self.looks += 1
        self._looked = self._clock()
        return self._met

    def forget(self) -> None:
        """Look again before the next rows are sent."""
        self._looked = None

    def check(self, answer: Answer) -> None:
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

    def _require_version(self, served: Served) -> None:
        wanted = self._spec.model_version
        if wanted and served.versions and wanted not in served.versions:
            raise TargetError(
                f"{self._title} does not serve version {wanted!r} of {self._spec.model!r}, but "
                f"{plain(', '.join(served.versions[:10]), 200)}",
                cure="Set `endpoint.model_version` to one of them.",
            )

    def change(self, what: str) -> TargetChangedError:
        """Return the error that from now on every request raises."""
        self._changed = TargetChangedError(
            f"{self._title} changed during the audit: {what}"[:500],
            cure="Audit again when the roll-out has ended; `endpoint.model_version` pins a "
            "version where the server keeps several.",
        )
        return self._changed
