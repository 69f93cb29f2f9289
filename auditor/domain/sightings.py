"""What a target turned out to be when somebody began to work for it."""

from collections.abc import Mapping
from dataclasses import dataclass

from auditor.domain.canonical import Json, JsonObject, digest_json

TOLD = ("machine", "runtime")
"""The facts of a fingerprint's identity that are known before a model is open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """What ``seer`` (a worker, or an agent of a project) said that a target is, and when.

    The ``number`` goes up each time that it is another thing than the same seer said before.
    """

    seer: str
    target: str
    number: int
    facts: Mapping[str, Json]
    at: str

    @property
    def identity(self) -> str:
        """The digest of the facts."""
        return digest_json(dict(self.facts))


def facts_told(told: JsonObject) -> dict[str, Json]:
    """Return what must match of a probe, or of a fingerprint's identity; nothing where it lacks."""
    found = {name: told[name] for name in TOLD if told.get(name)}
    return found if len(found) == len(TOLD) else {}
