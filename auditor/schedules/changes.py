"""What a run asks for otherwise than its schedule does: a file, targets, all checks."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from auditor.domain.canonical import Json
from auditor.domain.json_parts import Part
from auditor.schedules.templates import Put, with_file
from auditor.submitting import Asked


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """How what a run asks differs: a file in another's place, only these ``targets``, all checks.

    ``upon`` is the audit upon whose record it runs. ``measured``: what is stored was judged, and
    does not do.
    """

    put: Put | None = None
    targets: tuple[str, ...] = ()
    whole: bool = False
    upon: str | None = None
    measured: bool = False

    def to_json(self) -> dict[str, Json]:
        """Return the form that is kept; what is as the schedule says is left out."""
        said: dict[str, Json] = {} if self.put is None else self.put.to_json()
        beside: dict[str, Json] = {
            "targets": list(self.targets), "whole": self.whole, "upon": self.upon,
            "measured": self.measured,
        }  # fmt: skip
        return said | {name: value for name, value in beside.items() if value}

    @classmethod
    def read(cls, kept: Mapping[str, Json]) -> "Change":
        """Read it back. Raises ``RecordError``."""
        part = Part(kept, "change")
        return cls(
            put=Put.read(part) if "path" in kept else None,
            targets=part.texts("targets") if "targets" in kept else (),
            whole=part.maybe("whole", bool) or False,
            upon=part.maybe("upon", str),
            measured=part.maybe("measured", bool) or False,
        )

    def made_to(self, asked: Asked) -> Asked:
        """Return what is asked with the change in it, but for a version's name.

        Raises ``ScheduleError`` where there is no single file to be replaced.
        """
        found = asked if self.put is None else with_file(asked, self.put)
        return replace(
            found,
            targets=self.targets or found.targets,
            only=() if self.whole else found.only,
        )
