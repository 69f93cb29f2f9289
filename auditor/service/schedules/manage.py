"""Creates, changes, pauses and ends schedules, and derives the audit order of each run."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import yaml

from auditor._time import generate_id
from auditor._yaml import LOADER
from auditor.domain.artifacts import FileDigest
from auditor.domain.auditfiles import AuditFile
from auditor.domain.datasets import DatasetRole
from auditor.domain.digests import is_digest
from auditor.domain.json import (
    Json,
    JsonPart,
    OmitUnset,
    digest_json,
    encode_canonical,
    read_fields,
    read_json,
    write_fields,
)
from auditor.domain.requests import InputFile
from auditor.errors import NotFoundError, ScheduleError
from auditor.service.domain.access import ApiKey, AuditLogAction, build_log_entry
from auditor.service.domain.schedules import Schedule, ScheduleState, WatchedFile
from auditor.service.domain.submissions import AuditOrder, UploadedFile, UploadKind
from auditor.service.domain.triggers import ScheduleTrigger
from auditor.service.jobs.submit import MOST_BYTES, validate_order
from auditor.service.schedules.context import ScheduleContext
from auditor.service.schedules.cron import parse_cron

WAIT = 3600
"""Seconds that a run waits for a target without a worker, where nobody said how long."""
MODEL, VERSION = "model", "version"
RESOLVED = "resolved"
"""Under which the digest of the policy stands, as it was when the schedule was made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileReplacement:
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
    name: OmitUnset[str | None] = None

    to_json = write_fields


OLDER = {"wait": "wait_for_target", "sets": "sealed_sets"}
"""What earlier versions called what they kept of an order."""


def read_kept_order(body: Mapping[str, Json]) -> AuditOrder:
    """Read what is asked as a schedule keeps it. Raises ``RecordError``."""
    said = {OLDER.get(name, name): it for name, it in body.items() if it is not None}
    return read_json(AuditOrder, said, "asked")


def replace_file(asked: AuditOrder, put: FileReplacement) -> AuditOrder:
    """Return what asks for the same with one file in another's place. Raises ``ScheduleError``."""
    there = find_single_file(asked, put.path)
    file = FileDigest(put.name or there.file.name, put.size, put.sha256)
    others = tuple(InputFile(it.path, file) if it is there else it for it in asked.inputs)
    return replace(asked, inputs=others)


def find_single_file(asked: AuditOrder, path: str) -> InputFile:
    """Return the one file behind a path. Raises ``ScheduleError`` where there are several."""
    found = [item for item in asked.inputs if item.path == path]
    if len(found) != 1:
        raise ScheduleError(
            f"{path} has {len(found)} files, but a schedule can replace only a single file",
            cure="Submit the audit again with its files, and create a schedule from that audit.",
        )
    return found[0]


def find_batch_path(file: AuditFile, role: str | None) -> str:
    """Return the path of the data that batches take the place of. Raises ``ScheduleError``.

    Without a role it is that of the production data.
    """
    named = DatasetRole.PRODUCTION.value if role is None else role
    found = next((it.path for key, it in file.data.items() if key.value == named), None)
    if found is None:
        roles = ", ".join(key.value for key in file.data)
        raise ScheduleError(
            f"{file.source} has no {named!r} data for a batch to replace",
            cure=f"Set batch_role to one of its roles: {roles or 'there is none'}.",
        )
    return found


def set_model_version(raw: bytes, version: str) -> bytes:
    """Return an audit file that calls its model's version so, and is otherwise as it was.

    Raises ``ScheduleError`` where it has no model to call.
    """
    text = raw.decode("utf-8-sig")
    model = _child(yaml.compose(text, Loader=LOADER), MODEL)
    if not isinstance(model, yaml.MappingNode) or not model.value:
        raise ScheduleError("the audit file has no model", cure="Create another schedule.")
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


CHANGES = {
    ScheduleState.PAUSED: AuditLogAction.SCHEDULE_PAUSED,
    ScheduleState.ACTIVE: AuditLogAction.SCHEDULE_RESUMED,
    ScheduleState.ENDED: AuditLogAction.SCHEDULE_ENDED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleOrder:
    """What a caller wants audited again: what is asked, or the same as an audit of the project.

    ``cron`` says when, ``on`` upon what; ``batch_role`` which data a batch takes the place of, and
    ``watch`` a place whose new files are batches.
    """

    name: str
    asked: AuditOrder | None
    same: str | None
    cron: str | None
    on: tuple[ScheduleTrigger, ...]
    batch_role: str | None
    watch: str | None = None


def create_schedule(scheduler: ScheduleContext, caller: ApiKey, wish: ScheduleOrder) -> Schedule:
    """Make a schedule of what is looked at as any audit that is handed in.

    Raises ``ScheduleError``, ``NotFoundError`` for an audit that there is not, and as
    ``submit_audit`` for what is asked.
    """
    now, asked = scheduler.now(), _asked(scheduler, caller.project, wish)
    cron = None if wish.cron is None else parse_cron(wish.cron, now).text
    triggers = _triggers(wish, asked)
    policy, file = validate_order(scheduler.desk, caller.project, asked)
    batches = _replaced(wish, triggers, asked, file)
    # What a schedule asks, if it is not too long
    kept = {**asked.to_json(), RESOLVED: policy.digest}
    if len(encode_canonical(kept)) > MOST_BYTES:
        raise ScheduleError(
            f"{file.source} names more files than a schedule holds",
            cure="Use fewer files: the limit is 1 MiB of names.",
        )
    schedule = Schedule(
        id=generate_id("sch"),
        project=caller.project,
        maker=caller.id,
        name=wish.name,
        model=file.model.name,
        asked=kept,
        cron=cron,
        triggers=triggers,
        batch_path=batches,
        created=now,
        resumed=now,
        watch=wish.watch,
    )
    there = _there(scheduler, schedule)
    # What is written down of who made a schedule
    act_asked = digest_json(dict(schedule.asked))
    watched: dict[str, Json] = {} if schedule.watch is None else {"watch": schedule.watch}
    act = build_log_entry(
        caller, AuditLogAction.SCHEDULE_MADE, schedule.id, schedule.created, asked=act_asked,
        cron=schedule.cron, **watched,
    )  # fmt: skip
    scheduler.kept.add(schedule, act, there)
    return schedule


def _there(scheduler: ScheduleContext, schedule: Schedule) -> Sequence[WatchedFile]:
    """Return what lies in a schedule's place as it begins: it is past.

    Raises ``ScheduleError`` for a place that may not be watched, or cannot.
    """
    if schedule.watch is None:
        return ()
    return scheduler.roots.place(schedule.project, schedule.watch).files()


def find_schedule(scheduler: ScheduleContext, project: str, name: str) -> Schedule:
    """Return a schedule of a project. Raises ``NotFoundError``."""
    schedule = scheduler.kept.find(project, name)
    if schedule is None:
        raise NotFoundError(
            f"there is no schedule {name}", cure="List the schedules with GET /v1/schedules."
        )
    return schedule


def change_schedule_state(
    scheduler: ScheduleContext, caller: ApiKey, name: str, state: ScheduleState
) -> Schedule:
    """Let a schedule of the caller's project rest, go on, or end.

    Raises ``NotFoundError``, ``StateConflictError`` for one that has ended, and ``ScheduleError``
    where its place cannot be watched any more.
    """
    schedule = find_schedule(scheduler, caller.project, name)
    now = scheduler.now()
    act = build_log_entry(caller, CHANGES[state], schedule.id, now)
    there = _there(scheduler, schedule) if state is ScheduleState.ACTIVE else ()
    scheduler.kept.change(schedule, state, caller.id, now, act, there)
    return find_schedule(scheduler, caller.project, name)


def _asked(scheduler: ScheduleContext, project: str, wish: ScheduleOrder) -> AuditOrder:
    if (wish.asked is None) == (wish.same is None):
        raise ScheduleError("a schedule needs either audit or same_as", cure="Send one of the two.")
    if wish.asked is not None:
        wait = wish.asked.wait_for_target
        return replace(wish.asked, wait_for_target=WAIT if wait is None else wait)
    desk, name = scheduler.desk, str(wish.same)
    submission = desk.kept.submission(project, name)
    if submission is None:
        raise NotFoundError(
            f"there is no audit {name}", cure="List the audits with GET /v1/audits."
        )
    # A pack's document was never uploaded; the project has it by this audit, and now by its digest.
    policy = submission.order.policy
    upload = UploadedFile(
        project=project, digest=policy, kind=UploadKind.DATASET, name="policy.json",
        size=desk.blobs.size(policy), at=scheduler.now(),
    )  # fmt: skip
    desk.kept.note_upload(upload)
    return replace(submission.order, wait_for_target=WAIT)


def _replaced(
    wish: ScheduleOrder, triggers: tuple[ScheduleTrigger, ...], asked: AuditOrder, file: AuditFile
) -> str | None:
    """Return the path of what batches take the place of, once every such place is one file's."""
    if ScheduleTrigger.NEW_VERSION in triggers:
        if file.model.artifact is None:
            raise ScheduleError(
                f"{file.source} names no artifact, so new_version does not apply",
                cure="Remove new_version.",
            )
        find_single_file(asked, file.model.artifact)
    if ScheduleTrigger.BATCH not in triggers:
        return None
    path = find_batch_path(file, wish.batch_role)
    find_single_file(asked, path)
    return path


def _triggers(wish: ScheduleOrder, asked: AuditOrder) -> tuple[ScheduleTrigger, ...]:
    watched = [] if wish.watch is None else [ScheduleTrigger.BATCH]
    named = (*([] if wish.cron is None else [ScheduleTrigger.CRON]), *wish.on, *watched)
    if ScheduleTrigger.CRON in wish.on:
        raise ScheduleError(
            "cron is not a value of on", cure="Write the expression as cron instead."
        )
    if not named:
        raise ScheduleError(
            "the schedule has no trigger", cure="Set cron, or name triggers with on."
        )
    if wish.batch_role is not None and ScheduleTrigger.BATCH not in named:
        raise ScheduleError("batch_role needs the trigger batch", cure="Add batch to on.")
    if ScheduleTrigger.POLICY_CHANGED in named and is_digest(asked.policy):
        raise ScheduleError(
            "the policy is named by its digest, so policy_changed does not apply",
            cure="Name a pack as policy, or remove policy_changed.",
        )
    return tuple(dict.fromkeys(named))


@dataclass(frozen=True, slots=True, kw_only=True)
class RunChange:
    """How what a run asks differs: a file in another's place, only these ``targets``, all checks.

    ``upon`` is the audit upon whose record it runs. ``measured``: what is stored was judged, and
    does not do.
    """

    put: OmitUnset[FileReplacement | None] = None
    targets: OmitUnset[tuple[str, ...]] = ()
    whole: OmitUnset[bool] = False
    upon: OmitUnset[str | None] = None
    measured: OmitUnset[bool] = False

    def to_json(self) -> dict[str, Json]:
        """Return the form that is kept; what is as the schedule says is left out."""
        said: dict[str, Json] = {} if self.put is None else self.put.to_json()
        return said | write_fields(replace(self, put=None))

    @classmethod
    def from_json(cls, found: Json, place: str) -> "RunChange":
        """Read it back. Raises ``RecordError``."""
        part = JsonPart(found, place)
        put = read_json(FileReplacement, found, place) if "path" in part.value else None
        return read_fields(cls, part, put=put)

    def made_to(self, asked: AuditOrder) -> AuditOrder:
        """Return what is asked with the change in it, but for a version's name.

        Raises ``ScheduleError`` where there is no single file to be replaced.
        """
        found = asked if self.put is None else replace_file(asked, self.put)
        return replace(
            found,
            targets=self.targets or found.targets,
            only=() if self.whole else found.only,
        )
