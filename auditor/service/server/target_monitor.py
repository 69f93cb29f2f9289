"""Look what the targets of a process turn out to be, so that a changed one is audited on again."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from auditor._time import utc_now
from auditor.domain.json import Json
from auditor.domain.targets import TargetSpec
from auditor.errors import AuditorError
from auditor.service.store.agents import SightingStore
from auditor.store.record_store import RecordStore
from auditor.targets.probe import ROLES, probe_target


@dataclass(slots=True)
class TargetMonitor:
    """Probes each target that a process (``seer``) works for, once; a served one tells nothing."""

    store: RecordStore
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
                SightingStore(self.store).note(self.seer, spec.name, probe_target(spec), utc_now())
            except AuditorError as error:
                self.say({"event": "unseen", "target": spec.name, "problem": error.problem})
