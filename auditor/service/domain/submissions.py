"""Submissions: requested audits with their state, events, uploaded files, and results."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Annotated, Any, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, GetPydanticSchema
from pydantic_core import core_schema

from auditor.domain.artifacts import FileDigest
from auditor.domain.budgets import Budget
from auditor.domain.digests import DIGEST_PATTERN
from auditor.domain.json import (
    Json,
    JsonPart,
    OmitUnset,
    build_field_error,
    digest_json,
    read_fields,
    read_json,
    refuse_unknown_fields,
    write_fields,
)
from auditor.domain.requests import InputFile
from auditor.domain.source_locations import SourceLocations
from auditor.domain.waivers import parse_waiver_time
from auditor.errors import RecordError, SubmissionError

ID = re.compile(r"sub-[0-9a-f]{24}")
DIGEST = re.compile(DIGEST_PATTERN)
HEX = re.compile(r"[0-9a-f]{64}")
OWN = ("id", "project", "submitter", "submitted")


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


def _match(pattern: re.Pattern[str]) -> Callable[[str, str], None]:
    def refuse(text: str, place: str) -> None:
        if not pattern.fullmatch(text):
            raise build_field_error(place, f"of the form {pattern.pattern}")

    return refuse


def _refuse_unprintable(text: str, place: str) -> None:
    if not text.strip() or not text.isprintable():
        raise build_field_error(place, "a text of one line")


def _refuse_repeats(names: Sequence[str], place: str) -> None:
    if len(set(names)) != len(names):
        raise build_field_error(place, "a list of names that are all different")


def _refuse_odd_files(inputs: Sequence[InputFile], place: str) -> None:
    for at, item in enumerate(inputs):
        if item.file.size < 0:
            raise build_field_error(f"{place}[{at}].size", "a number of bytes")
        _refuse_unprintable(item.path, f"{place}[{at}].path")
        _refuse_unprintable(item.file.name, f"{place}[{at}].name")
        _match(HEX)(item.file.sha256, f"{place}[{at}].sha256")


def _refuse_other_times(text: str, place: str) -> None:
    if parse_waiver_time(text) is None:
        raise build_field_error(place, "a time in UTC, as 2026-01-01T00:00:00Z")


def _refuse_other_kinds(text: str, place: str) -> None:
    if text not in KINDS:
        raise build_field_error(place, f"one of {', '.join(sorted(KINDS))}")


SubmissionId: TypeAlias = Annotated[str, _match(ID)]
Line: TypeAlias = Annotated[str, _refuse_unprintable]
TimeText: TypeAlias = Annotated[str, _refuse_other_times]
# What is sent is bounded by pydantic, for the documents too; what is kept, by functions.
Sum: TypeAlias = Annotated[str, Field(pattern=f"^{DIGEST_PATTERN}$"), _match(DIGEST)]
Name: TypeAlias = Annotated[str, Field(min_length=1, max_length=200), _refuse_unprintable]
Names: TypeAlias = Annotated[tuple[Name, ...], Field(max_length=100), _refuse_repeats]
SET = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
SetName: TypeAlias = Annotated[str, Field(pattern=SET), _refuse_unprintable]
SetNames: TypeAlias = Annotated[
    tuple[SetName, ...],
    Field(max_length=4),
    AfterValidator(lambda names: tuple(dict.fromkeys(names))),
    _refuse_repeats,
]
MOST_WAIT = 7 * 24 * 3600


class InputFileForm(BaseModel):
    """A file that the audit file names: its path as written there, and what it is."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"path": "model.onnx", "name": "model.onnx", "size": 1024, "sha256": "ab" * 32}
            ]
        },
    )
    path: Annotated[str, Field(min_length=1, max_length=4096)]
    name: Annotated[str, Field(min_length=1, max_length=4096)]
    size: Annotated[int, Field(ge=0)]
    sha256: Annotated[str, Field(pattern=f"^{HEX.pattern}$")]

    def read(self) -> InputFile:
        """Return the file that it says."""
        return InputFile(self.path, FileDigest(self.name, self.size, self.sha256))


def _read_places(body: dict[str, Any]) -> SourceLocations:
    try:
        return read_json(SourceLocations, body, "places")
    except RecordError as error:
        raise SubmissionError(error.problem, cure="Send places as the client does.") from None


SentFile: TypeAlias = Annotated[
    InputFile,
    GetPydanticSchema(
        lambda _, known: core_schema.no_info_after_validator_function(
            InputFileForm.read, known(InputFileForm)
        )
    ),
]
SentPlaces: TypeAlias = Annotated[
    SourceLocations,
    GetPydanticSchema(
        lambda _, known: core_schema.no_info_after_validator_function(
            _read_places, known(dict[str, Any])
        )
    ),
]
ORDER_EXAMPLE: dict[str, Any] = {
    "audit_file": "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "source": "audit.yaml",
    "inputs": [{"path": "model.onnx", "name": "model.onnx", "size": 1024, "sha256": "ab" * 32}],
    "policy": "baseline", "targets": ["cpu"], "budget": "ci", "wait_for_target": 600,
    "baseline": "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditOrder:
    """What shall be audited. Digests were uploaded before; ``policy`` is one, or a pack's name, and
    ``baseline`` a record of the project. ``wait_for_target`` is how many seconds to wait for a
    live worker. What is ``sealed`` has its seed drawn here, and may name ``sealed_sets`` of inputs.
    """

    __pydantic_config__ = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [ORDER_EXAMPLE]}
    )
    audit_file: Sum
    source: Name
    inputs: Annotated[tuple[SentFile, ...], Field(max_length=100_000), _refuse_odd_files]
    policy: Name
    targets: Names = ()
    budget: Budget | None = None
    only: Names = ()
    places: SentPlaces | None = None
    sealed: OmitUnset[bool] = False
    sealed_sets: OmitUnset[SetNames] = ()
    wait_for_target: OmitUnset[Annotated[int, Field(ge=0, le=MOST_WAIT)] | None] = None
    baseline: OmitUnset[Sum | None] = None

    to_json = write_fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """An order that a service took in: its id there, its project, and who sent it when.

    Every file of the order is named by digest, and is a blob; its policy is the digest of a
    resolved document. ``submitter`` is the id of the caller's key. It waits for no worker: that is
    written beside it.
    """

    id: SubmissionId
    project: Line
    submitter: Line
    submitted: TimeText
    order: AuditOrder

    @classmethod
    def of(cls, order: AuditOrder, **own: str) -> "Submission":
        """Return what is kept of an order, held to every rule of its form, whoever made it.

        ``own`` are the fields that an order does not have. Raises ``SubmissionError``.
        """
        draft = cls(order=replace(order, wait_for_target=None), **own)
        return cls.from_json(draft.to_json())

    @property
    def asked(self) -> str:
        """The digest of what was asked, whoever asked, whenever, and under whatever id."""
        return digest_json({**self.order.to_json(), "project": self.project})

    @property
    def blobs(self) -> tuple[str, ...]:
        """The digest of everything that it needs, once each, in order."""
        order = self.order
        files = (item.file.digest for item in order.inputs)
        named = filter(None, (order.audit_file, order.policy, order.baseline, *files))
        return tuple(dict.fromkeys(named))

    def to_json(self) -> dict[str, Json]:
        """Return the form that is kept and sent: the order's fields beside its own."""
        return {**self.order.to_json(), **{name: getattr(self, name) for name in OWN}}

    @classmethod
    def from_json(cls, found: Json, place: str = "submission") -> "Submission":
        """Read a submission. Raises ``SubmissionError``, also for a field that it does not have."""
        try:
            body = JsonPart(found, place).value
            part = JsonPart({name: body[name] for name in body.keys() - set(OWN)}, place)
            refuse_unknown_fields(AuditOrder, part)
            order = read_fields(AuditOrder, part, **({} if "only" in part.value else {"only": ()}))
            _match(DIGEST)(order.policy, f"{place}.policy")
            if not order.targets:
                raise build_field_error(f"{place}.targets", "a list of names, one at least")
            if order.wait_for_target is not None:
                raise build_field_error(
                    f"{place}.wait_for_target",
                    "left out: a submission that was taken in says it in an event",
                )
            return read_fields(cls, JsonPart(found, place), order=order)
        except RecordError as error:
            raise SubmissionError(
                error.problem, cure="Send the request in the form of this version's client."
            ) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmissionEvent:
    """One line of a submission's history, by its number from 1; ``kind`` is one of ``KINDS``."""

    submission: SubmissionId
    number: int
    at: TimeText
    kind: Annotated[str, _refuse_other_kinds]
    detail: Mapping[str, Json] = field(default_factory=dict)

    to_json = write_fields

    @classmethod
    def from_json(cls, found: Json, place: str = "event") -> "SubmissionEvent":
        """Read an event. Raises ``SubmissionError`` for what is none."""
        try:
            return read_fields(cls, JsonPart(found, place))
        except RecordError as error:
            raise SubmissionError(
                error.problem, cure="Use a client of the same version as the service."
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
        """Return the form that is sent, to the project itself."""
        said = write_fields(self)
        return {name: said[name] for name in said if name != "project"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmissionFailure:
    """Why a submission gave no record, and what to do about it."""

    problem: str
    cure: str

    to_json = write_fields


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
