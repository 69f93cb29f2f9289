"""People of a project who decide, and their signed decisions."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from auditor.domain.json import Json


class DecisionKind(StrEnum):
    """What a person may sign, each of which a key needs permission for."""

    WAIVER = "waiver"
    APPROVAL = "approval"
    FINDING = "finding"


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A named person of a project, whose public key (PEM) may take the decisions ``may``.

    ``caller`` is the id of the key of the service by which the person calls, if that is known.
    ``ended`` is since when nothing that the key signs counts, and ``reason`` why.
    """

    id: str
    project: str
    name: str
    key: str
    may: frozenset[DecisionKind]
    created: str
    caller: str | None = None
    ended: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedDecision:
    """A signed decision as a project keeps it, under the digest of its bundle.

    ``artifact`` and ``record`` are the digests of what it is about, where it is about one alone.
    ``key`` is the public key (PEM) that signed it, ``by`` the id of the key that handed it in.
    """

    project: str
    digest: str
    kind: DecisionKind
    person: str
    bundle: bytes
    key: str
    at: str
    by: str
    artifact: str | None = None
    record: str | None = None
    number: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class BlindLabels:
    """What a person who had not seen a record's verdict called some of its cases, by their ids."""

    record: str
    person: str
    labels: Mapping[str, str] = field(default_factory=dict)
    truth: int = 0
    model: int = 0
    at: str = ""
    by: str = ""

    def to_json(self) -> dict[str, Json]:
        """Return the form that is kept: how many agree with the truth, and with the model."""
        labels: dict[str, Json] = dict(self.labels)
        return {"labels": labels, "truth": self.truth, "model": self.model}


@dataclass(frozen=True, slots=True)
class RejudgedRecord:
    """A record of a submission: its digest, the manifest of its files, and since when.

    The first has the number 0, those that were judged again count on. ``policy`` is a digest.
    """

    submission: str
    number: int
    record: str
    files: str | None
    at: str
    verdict: str
    policy: str
    derived_from: str | None
