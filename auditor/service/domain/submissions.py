"""Submissions: requested audits with their state, events, uploaded files, and results."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from auditor.domain.artifacts import FileDigest
from auditor.domain.budgets import Budget
from auditor.domain.json import Json, JsonPart, build_field_error, digest_json
from auditor.domain.requests import InputFile
from auditor.domain.source_locations import SourceLocations, read_source_locations
from auditor.domain.waivers import parse_waiver_time
from auditor.errors import RecordError, SubmissionError

ID = re.compile(r"sub-[0-9a-f]{24}")
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
HEX = re.compile(r"[0-9a-f]{64}")
OPTIONAL = frozenset({"budget", "only", "places", "sealed", "sealed_sets", "baseline"})
OWN = frozenset({"id", "submitter", "submitted"})
NEEDED = frozenset({"project", "audit_file", "source", "inputs", "policy", "targets"})
FIELDS = OPTIONAL | OWN | NEEDED


class SubmissionState(StrEnum):
    """How far a submission is."""

    QUEUED = "queued"
    WAITING = "waiting_for_target"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


ENDED = frozenset({SubmissionState.DONE, SubmissionState.FAILED, SubmissionState.CANCELLED})


class SubmissionEventKind(StrEnum):
    """What an event may say beside a new state."""

    CHECK_STARTED = "check_started"
    PROGRESS = "progress"
    CHECK_ENDED = "check_ended"
    NOTE = "note"


KINDS = frozenset(
    {*(item.value for item in SubmissionState), *(item.value for item in SubmissionEventKind)}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """What a caller asked a service to audit; every file is named by digest, and is a blob.

    ``submitter`` is the id of the caller's key; ``audit_file`` and ``policy`` are digests (the
    policy's of its resolved document); ``source`` is the audit file's name, for messages;
    ``inputs`` are the files that the audit file names; ``places`` say where it stands in a
    repository. For one that is ``sealed`` the service draws the seed; ``sealed_sets`` name inputs
    that the auditor holds, ``baseline`` the record to compare with.
    """

    id: str
    project: str
    submitter: str
    audit_file: str
    source: str
    inputs: tuple[InputFile, ...]
    policy: str
    targets: tuple[str, ...]
    submitted: str
    budget: Budget | None = None
    only: tuple[str, ...] = ()
    places: SourceLocations | None = None
    sealed: bool = False
    sealed_sets: tuple[str, ...] = ()
    baseline: str | None = None

    @property
    def asked(self) -> str:
        """The digest of what was asked, whoever asked, whenever, and under whatever id."""
        body = self.to_json()
        return digest_json({name: body[name] for name in sorted(body.keys() - OWN)})

    @property
    def blobs(self) -> tuple[str, ...]:
        """The digest of everything that it needs, once each, in order."""
        files = (f"sha256:{item.file.sha256}" for item in self.inputs)
        named = filter(None, (self.audit_file, self.policy, self.baseline, *files))
        return tuple(dict.fromkeys(named))

    def to_json(self) -> dict[str, Json]:
        """Return the form that is sent and kept."""
        return {
            "id": self.id,
            "project": self.project,
            "submitter": self.submitter,
            "audit_file": self.audit_file,
            "source": self.source,
            "inputs": [item.to_json() for item in self.inputs],
            "policy": self.policy,
            "targets": list(self.targets),
            "budget": None if self.budget is None else self.budget.value,
            "only": list(self.only),
            "places": None if self.places is None else self.places.to_json(),
            "submitted": self.submitted,
            **({"sealed": True} if self.sealed else {}),
            **({"sealed_sets": list(self.sealed_sets)} if self.sealed_sets else {}),
            **({} if self.baseline is None else {"baseline": self.baseline}),
        }

    @classmethod
    def from_json(cls, body: Json) -> "Submission":
        """Read a submission. Raises ``SubmissionError``, also for a field that it does not have."""
        try:
            return _submission(JsonPart(body, "submission"))
        except RecordError as error:
            raise SubmissionError(
                error.problem, cure="Send it as this version of auditor's client makes it."
            ) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmissionEvent:
    """One line of a submission's history, by its number from 1; ``kind`` is one of ``KINDS``."""

    submission: str
    number: int
    at: str
    kind: str
    detail: Mapping[str, Json] = field(default_factory=dict)

    def to_json(self) -> dict[str, Json]:
        """Return the form that is sent."""
        return {
            "submission": self.submission,
            "number": self.number,
            "at": self.at,
            "kind": self.kind,
            "detail": dict(self.detail),
        }

    @classmethod
    def from_json(cls, body: Json) -> "SubmissionEvent":
        """Read an event. Raises ``SubmissionError`` for what is none."""
        try:
            part = JsonPart(body, "event")
            return cls(
                submission=_matching(part, "submission", ID),
                number=part.get("number", int),
                at=_time(part, "at"),
                kind=_one_of(part, "kind"),
                detail=part.mapping("detail"),
            )
        except RecordError as error:
            raise SubmissionError(
                error.problem, cure="Use a client of the service's own version."
            ) from None


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class ShardKey:
    """What one check saw of one target for a submission is kept once, under this."""

    submission: str
    target: str
    check: str
    shard: str = ""

    @property
    def said(self) -> dict[str, Json]:
        """What a history says of which check it speaks of."""
        return {"target": self.target, "check": self.check}


def _submission(part: JsonPart) -> Submission:
    strangers = sorted(set(part.value) - FIELDS)
    if strangers:
        raise RecordError(f"{part.place} has a field {strangers[0]!r} that is unknown", cure="")
    missing = sorted(FIELDS - OPTIONAL - set(part.value))
    if missing:
        raise RecordError(f"{part.place} has no field {missing[0]!r}", cure="")
    return Submission(
        id=_matching(part, "id", ID),
        project=_line(part, "project"),
        submitter=_line(part, "submitter"),
        audit_file=_matching(part, "audit_file", DIGEST),
        source=_line(part, "source"),
        inputs=part.list_of("inputs", _input),
        policy=_matching(part, "policy", DIGEST),
        targets=_names(part, "targets", least=1),
        budget=None if part.value.get("budget") is None else part.choice("budget", Budget),
        only=_names(part, "only") if "only" in part.value else (),
        places=None
        if part.value.get("places") is None
        else read_source_locations(part.part("places")),
        submitted=_time(part, "submitted"),
        sealed=part.maybe("sealed", bool) or False,
        sealed_sets=_names(part, "sealed_sets") if "sealed_sets" in part.value else (),
        baseline=_matching(part, "baseline", DIGEST) if "baseline" in part.value else None,
    )


def _input(part: JsonPart) -> InputFile:
    size = part.get("size", int)
    if size < 0:
        raise build_field_error(f"{part.place}.size", "a number of bytes")
    file = FileDigest(_line(part, "name"), size, _matching(part, "sha256", HEX))
    return InputFile(_line(part, "path"), file)


def _matching(part: JsonPart, name: str, pattern: re.Pattern[str]) -> str:
    found = part.get(name, str)
    if not pattern.fullmatch(found):
        raise build_field_error(f"{part.place}.{name}", f"of the form {pattern.pattern}")
    return found


def _line(part: JsonPart, name: str) -> str:
    return _printable(part.get(name, str), f"{part.place}.{name}")


def _printable(found: Json, place: str) -> str:
    if not isinstance(found, str) or not found.strip() or not found.isprintable():
        raise build_field_error(place, "a text of one line")
    return found


def _names(part: JsonPart, name: str, least: int = 0) -> tuple[str, ...]:
    place, found = f"{part.place}.{name}", part.value.get(name)
    if not isinstance(found, list) or len(found) < least:
        raise build_field_error(place, "a list of names" + (", one at least" if least else ""))
    names = tuple(_printable(item, f"{place}[{i}]") for i, item in enumerate(found))
    if len(set(names)) != len(names):
        raise build_field_error(place, "a list of names that are all different")
    return names


def _time(part: JsonPart, name: str) -> str:
    found = part.get(name, str)
    if parse_waiver_time(found) is None:
        raise build_field_error(f"{part.place}.{name}", "a time in UTC, as 2026-01-01T00:00:00Z")
    return found


def _one_of(part: JsonPart, name: str) -> str:
    found = part.get(name, str)
    if found not in KINDS:
        raise build_field_error(f"{part.place}.{name}", f"one of {', '.join(sorted(KINDS))}")
    return found


class UploadKind(StrEnum):
    """What a caller says that an uploaded file is."""

    ARTIFACT = "artifact"
    DATASET = "dataset"


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadedFile:
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
class SubmissionFailure:
    """Why a submission gave no record, and what to do about it."""

    problem: str
    cure: str

    def to_json(self) -> dict[str, Json]:
        """Return the form that is sent and kept."""
        return {"problem": self.problem, "cure": self.cure}


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmissionResult:
    """How a submission ended: with a record, with a failure, or, with neither, cancelled.

    ``record`` is the record's digest; ``files`` that of the manifest of its folder, a blob which
    holds a JSON object of digests (blobs too) by the files' names.
    """

    ended: str
    record: str | None = None
    files: str | None = None
    failure: SubmissionFailure | None = None

    @property
    def state(self) -> SubmissionState:
        """The state in which a submission ends so."""
        if self.record is not None:
            return SubmissionState.DONE
        return SubmissionState.CANCELLED if self.failure is None else SubmissionState.FAILED

    @property
    def detail(self) -> Mapping[str, Json]:
        """What the last event of the submission says."""
        if self.failure is not None:
            return self.failure.to_json()
        return {} if self.record is None else {"record": self.record}
