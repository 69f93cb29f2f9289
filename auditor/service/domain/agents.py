"""Agents, the work leased to them, and the observed identity of targets."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from auditor.domain.json import Json, JsonObject, digest_json
from auditor.service.domain.submissions import ShardKey

LEASE = re.compile(r"lea-[0-9a-f]{24}")
LEASED_RESULT_PREDICATE = "urn:auditor:shard:v1"
"""The type of what an agent signs about one shard."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """A machine that an admin enrolled in a project, for some of the service's targets.

    ``id`` is also that of the API key that it calls with; ``public_key`` (PEM) is of the key that
    signs its results.
    """

    id: str
    project: str
    name: str
    targets: tuple[str, ...]
    public_key: str
    enrolled: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentHello:
    """What an agent says of itself when it starts: its code, its targets, and a probe of each."""

    code: str
    targets: tuple[str, ...]
    probes: Mapping[str, Json]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardOffer:
    """One shard, offered to agents for the ``number``-th time; nobody takes it after ``until``."""

    id: str
    key: ShardKey
    number: int
    at: str
    until: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardLease:
    """An offer in the hands of one agent, which has it until ``until`` unless it renews it."""

    offer: ShardOffer
    agent: str
    until: str

    def over(self, now: str) -> bool:
        """Whether it is over at a time of the service's own clock, as that writes it."""
        return self.until < now


@dataclass(frozen=True, slots=True)
class LeaseProgress:
    """How far a check is."""

    done: int
    total: int
    note: str = ""


def build_result_annotations(lease: str, key: ShardKey, agent: str) -> dict[str, object]:
    """Return what a result's signature says beside its digest: of which lease and shard it is."""
    return {
        "lease": lease,
        "agent": agent,
        "submission": key.submission,
        "target": key.target,
        "check": key.check,
        "shard": key.shard,
    }


TOLD = ("machine", "runtime")
"""The facts of a fingerprint's identity that are known before a model is open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetSighting:
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


def select_identity_facts(told: JsonObject) -> dict[str, Json]:
    """Return what must match of a probe, or of a fingerprint's identity; nothing where it lacks."""
    found = {name: told[name] for name in TOLD if told.get(name)}
    return found if len(found) == len(TOLD) else {}
