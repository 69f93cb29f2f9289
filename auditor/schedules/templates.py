"""What a schedule asks, as it is kept, and what a run puts in the place of a part of it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

import yaml

from auditor.documents import LOADER
from auditor.domain.artifacts import FileDigest
from auditor.domain.auditfiles import AuditFile
from auditor.domain.budgets import Budget
from auditor.domain.canonical import Json
from auditor.domain.datasets import Role
from auditor.domain.json_parts import Part
from auditor.domain.places import read_places
from auditor.domain.request_json import read_input
from auditor.domain.requests import InputFile
from auditor.domain.submissions import Submission
from auditor.refusals import ScheduleError
from auditor.submitting import Asked

WAIT = 3600
"""Seconds that a run waits for a target without a worker, where nobody said how long."""
MODEL, VERSION = "model", "version"
RESOLVED = "resolved"
"""Under which the digest of the policy stands, as it was when the schedule was made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Put:
    """A file that a run puts in the place of the one that the audit file calls ``path``.

    ``name`` is the file's own, where it is known: the digest of an artifact covers names, so that
    under another one nobody finds what was audited. ``by`` is whose key brought it: who handed the
    audit in, as far as people's approvals go.
    """

    path: str
    sha256: str
    size: int
    version: str | None = None
    by: str | None = None
    name: str | None = None

    def to_json(self) -> dict[str, Json]:
        """Return the form that is kept."""
        return {
            "path": self.path, "sha256": self.sha256, "size": self.size, "version": self.version,
            "by": self.by, **({} if self.name is None else {"name": self.name}),
        }  # fmt: skip

    @classmethod
    def read(cls, part: Part) -> "Put":
        """Read it back. Raises ``RecordError``."""
        return cls(
            path=part.get("path", str),
            sha256=part.get("sha256", str),
            size=part.get("size", int),
            version=part.maybe("version", str),
            by=part.maybe("by", str),
            name=part.maybe("name", str),
        )


def asked_json(asked: Asked) -> dict[str, Json]:
    """Return what is asked as it is kept."""
    return {
        "audit_file": asked.audit_file,
        "source": asked.source,
        "inputs": [item.to_json() for item in asked.inputs],
        "policy": asked.policy,
        "targets": list(asked.targets),
        "budget": None if asked.budget is None else asked.budget.value,
        "only": list(asked.only),
        "places": None if asked.places is None else asked.places.to_json(),
        "wait": asked.wait,
        "sealed": asked.sealed,
        "sets": list(asked.sets),
        "baseline": asked.baseline,
    }


def read_asked_json(body: Mapping[str, Json]) -> Asked:
    """Read what is asked as it was kept. Raises ``RecordError``."""
    part = Part(body, "asked")
    return Asked(
        audit_file=part.get("audit_file", str),
        source=part.get("source", str),
        inputs=part.list_of("inputs", read_input),
        policy=part.get("policy", str),
        targets=part.texts("targets"),
        budget=None if part.value.get("budget") is None else part.choice("budget", Budget),
        only=part.texts("only"),
        places=None if part.value.get("places") is None else read_places(part.part("places")),
        wait=part.maybe("wait", int),
        sealed=part.maybe("sealed", bool) or False,
        sets=part.texts("sets") if "sets" in part.value else (),
        baseline=part.maybe("baseline", str),
    )


def same_as(submission: Submission) -> Asked:
    """Return what asks for the same as a submission."""
    return Asked(
        audit_file=submission.audit_file,
        source=submission.source,
        inputs=submission.inputs,
        policy=submission.policy,
        targets=submission.targets,
        budget=submission.budget,
        only=submission.only,
        places=submission.places,
        sealed=submission.sealed,
        sets=submission.sealed_sets,
        baseline=submission.baseline,
        wait=WAIT,
    )


def with_file(asked: Asked, put: Put) -> Asked:
    """Return what asks for the same with one file in another's place. Raises ``ScheduleError``."""
    there = alone(asked, put.path)
    file = FileDigest(put.name or there.file.name, put.size, put.sha256)
    others = tuple(InputFile(it.path, file) if it is there else it for it in asked.inputs)
    return replace(asked, inputs=others)


def alone(asked: Asked, path: str) -> InputFile:
    """Return the one file behind a path. Raises ``ScheduleError`` where there are several."""
    found = [item for item in asked.inputs if item.path == path]
    if len(found) != 1:
        raise ScheduleError(
            f"{path} has {len(found)} files, and only a single one can be put in its place",
            cure="Hand the audit in anew with its files, and make a schedule of that.",
        )
    return found[0]


def path_of_batches(file: AuditFile, role: str | None) -> str:
    """Return the path of the data that batches take the place of. Raises ``ScheduleError``.

    Without a role it is that of the production data.
    """
    named = Role.PRODUCTION.value if role is None else role
    found = next((it.path for key, it in file.data.items() if key.value == named), None)
    if found is None:
        roles = ", ".join(key.value for key in file.data)
        raise ScheduleError(
            f"{file.source} names no data of the role {named!r} for a batch to take the place of",
            cure=f"Name one with batch_role: {roles or 'there is none'}.",
        )
    return found


def with_version(raw: bytes, version: str) -> bytes:
    """Return an audit file that calls its model's version so, and is otherwise as it was.

    Raises ``ScheduleError`` where it has no model to call.
    """
    text = raw.decode("utf-8-sig")
    model = _child(yaml.compose(text, Loader=LOADER), MODEL)
    if not isinstance(model, yaml.MappingNode) or not model.value:
        raise ScheduleError("the audit file has no model", cure="Make another schedule.")
    said = json.dumps(version, ensure_ascii=False)
    written = _child(model, VERSION)
    if written is not None:
        begin, end = written.start_mark.index, written.end_mark.index
        return (text[:begin] + said + text[end:]).encode()
    first = model.value[0][0].start_mark
    after = ", " if model.flow_style else "\n" + " " * first.column
    return (text[: first.index] + f"version: {said}{after}" + text[first.index :]).encode()


def _child(node: yaml.Node | None, name: str) -> yaml.Node | None:
    pairs = node.value if isinstance(node, yaml.MappingNode) else []
    return next((value for key, value in pairs if key.value == name), None)
