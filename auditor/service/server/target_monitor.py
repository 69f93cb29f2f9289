"""Look what the targets of a process turn out to be, so that a changed one is audited on again."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from auditor.clock import now
from auditor.domain.canonical import Json
from auditor.domain.targets import TargetSpec
from auditor.errors import AuditorError
from auditor.store.service.sightings import Sightings
from auditor.store.store import Store
from auditor.targets.probing import ROLES, probe_target


@dataclass(slots=True)
class Sighter:
    """Probes each target that a process (``seer``) works for, once; a served one tells nothing."""

    store: Store
    seer: str
    targets: Sequence[TargetSpec]
    say: Callable[[Mapping[str, Json]], None]
    done: bool = False

    def look(self) -> None:
        """Keep what the targets are; one that cannot be probed is told, and no other is kept up."""
        if self.done:
            return
        self.done = True
        for spec in self.targets:
            if spec.runtime not in ROLES or spec.endpoints:
                continue
            try:
                Sightings(self.store).note(self.seer, spec.name, probe_target(spec), now())
            except AuditorError as error:
                self.say({"event": "unseen", "target": spec.name, "problem": error.problem})
