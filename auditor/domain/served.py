"""What a service keeps beside submissions: what was uploaded, and how each submission ended."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from auditor.domain.canonical import Json
from auditor.domain.submissions import State


class UploadKind(StrEnum):
    """What a caller says that an uploaded file is."""

    ARTIFACT = "artifact"
    DATASET = "dataset"


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A file that a project brought: its digest (also of the blob), name, and size in bytes."""

    project: str
    digest: str
    kind: UploadKind
    name: str
    size: int
    at: str

    def to_json(self) -> dict[str, Json]:
        """Return the form that is sent."""
        return {
            "digest": self.digest,
            "kind": self.kind.value,
            "name": self.name,
            "size": self.size,
            "at": self.at,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a submission gave no record, and what to do about it."""

    problem: str
    cure: str

    def to_json(self) -> dict[str, Json]:
        """Return the form that is sent and kept."""
        return {"problem": self.problem, "cure": self.cure}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a submission ended: with a record, with a failure, or, with neither, cancelled.

    ``record`` is the record's digest; ``files`` that of the manifest of its folder, a blob which
    holds a JSON object of digests (blobs too) by the files' names.
    """

    ended: str
    record: str | None = None
    files: str | None = None
    failure: Failure | None = None

    @property
    def state(self) -> State:
        """The state in which a submission ends so."""
        if self.record is not None:
            return State.DONE
        return State.CANCELLED if self.failure is None else State.FAILED

    @property
    def detail(self) -> Mapping[str, Json]:
        """What the last event of the submission says."""
        if self.failure is not None:
            return self.failure.to_json()
        return {} if self.record is None else {"record": self.record}
