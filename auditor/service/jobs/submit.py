"""Submits and cancels audits: validates the whole order before anything is queued."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from auditor._time import generate_id
from auditor.domain.auditfiles import AuditFile
from auditor.domain.baselines import refuse_same_files
from auditor.domain.budgets import Budget
from auditor.domain.json import encode_canonical
from auditor.domain.policies import Policy
from auditor.domain.records import AuditRecord
from auditor.domain.requests import InputFile
from auditor.domain.source_locations import SourceLocations
from auditor.errors import (
    NotFoundError,
    PolicyError,
    RecordError,
    StateConflictError,
    StoreError,
    SubmissionError,
    TargetError,
)
from auditor.service.approvals.status import find_baseline_record
from auditor.service.audit_log import build_log_entry
from auditor.service.domain.access import ApiKey, AuditLogAction
from auditor.service.domain.submissions import DIGEST, Submission, SubmissionResult, SubmissionState
from auditor.service.jobs.queue import JobQueue, describe_wait
from auditor.service.sealed_sets import add_sealed_inputs, refuse_sealed_inputs
from auditor.workflows.prepare import AuditOverrides, choose_checks, read_overridden_audit_file


def load_project_baseline(
    desk: JobQueue, project: str, named: str, file: AuditFile, inputs: Sequence[InputFile]
) -> AuditRecord:
    """Return the record of a project under a digest, to hold another audit against.

    It is kept among the blobs from now on, where whoever audits reads it. Raises
    ``SubmissionError`` for one that is no baseline by now (``find_baseline_record``), of another
    model, or of the very files that are handed in.
    """
    model = file.model
    given = {item.file.sha256 for item in inputs if item.path == model.artifact}
    try:
        record = find_baseline_record(desk.kept.store, project, named, desk.clock())
        refuse_same_files(None if model.artifact is None else given, record)
    except RecordError as error:
        raise SubmissionError(error.problem, cure=error.cure) from None
    if record.request.name != model.name:
        raise SubmissionError(
            f"the baseline {named} is a record of {record.request.name}, and what is audited is "
            f"{model.name}: their figures are not compared",
            cure=f"Name a record of {model.name}.",
        )
    desk.kept.store.blobs.put(encode_canonical(record.to_json()))
    return record


def refuse_unsupported_audit(
    file: AuditFile, *, allow_recipes: bool, compared: bool = False
) -> None:
    """Raise ``SubmissionError`` for an audit file that asks for what no service does.

    ``allow_recipes`` is the leave of whoever runs the service, which an author cannot give. One
    that is ``compared`` with a record that was named beside it takes that, and not its own.
    """
    for setting, cure in _unserved(file, allow_recipes=allow_recipes, compared=compared):
        raise SubmissionError(f"{file.source}: {setting} is not for a service", cure=cure)


def _unserved(file: AuditFile, *, allow_recipes: bool, compared: bool) -> Iterator[tuple[str, str]]:
    here = "Remove it, or audit on your own machine."
    if file.recipe is not None and not allow_recipes:
        yield (
            "recipe",
            "It runs code: remove it, or let the service be started with --allow-recipes.",
        )
    if file.recipe is not None and file.recipe.unsandboxed:
        yield "recipe.allow: unsandboxed", "Write `allow: true`: code runs within bubblewrap there."
    if file.disclosure is not None:
        yield "disclosure", here
    if file.baseline is not None and not compared:
        yield "baseline", "Name a record of the service beside it, by its digest."
    if file.waivers:
        yield "waivers", "Remove them, and judge the record again with the waivers."


MOST_BYTES = 2**20
"""No audit file and no policy is larger."""
UPWARDS = re.compile(r"(^|/)\.\.?(/|$)")


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditOrder:
    """What a caller asks for. ``policy`` is a digest or a pack's name; no ``targets`` are those of
    the audit file. ``wait`` is how many seconds to wait for targets without a worker. For what is
    ``sealed`` the service draws the seed; ``sets`` are data that the auditor holds; ``baseline`` is
    the digest of a record of the project.
    """

    audit_file: str
    source: str
    inputs: tuple[InputFile, ...]
    policy: str
    targets: tuple[str, ...] = ()
    budget: Budget | None = None
    only: tuple[str, ...] = ()
    places: SourceLocations | None = None
    sealed: bool = False
    sets: tuple[str, ...] = ()
    wait: int | None = None
    baseline: str | None = None


def submit_audit(
    desk: JobQueue, caller: ApiKey, asked: AuditOrder, once: str | None = None
) -> tuple[Submission, bool]:
    """Put down and queue what a caller asks for; ``once`` makes calls with one key one call.

    Returns the submission, and whether it is new. Raises ``AuditFileError`` and ``PolicyError``
    with lines, ``TargetError`` for a target that is unknown, or has no live worker and is not to
    be waited for, ``SubmissionError`` for files that were not uploaded and for what is not audited
    here, ``ConflictError`` for a key that was used for something else, ``QuotaError`` where as many
    audits of the project wait as may.
    """
    # What was handed in before is the same audit, whoever died or challenged its baseline since.
    again = once is not None and desk.kept.was_submitted(caller.project, once)
    policy, file = validate_order(desk, caller.project, asked, again=again)
    mine = build_submission(desk, caller, asked, policy, file)
    absent = () if again else _absent(desk, caller.project, file, asked)
    act = build_log_entry(
        caller, AuditLogAction.AUDIT_ASKED, mine.id, mine.submitted, asked=mine.asked
    )
    waits = describe_wait(mine.submitted, absent, asked.wait or 0)
    kept, new = desk.kept.submit(
        mine, once, model=file.model.name, most=desk.most_waiting, act=act, held=waits
    )
    if desk.kept.state(kept.id) is SubmissionState.QUEUED:
        desk.engine.submit(kept.id)
    return kept, new


def validate_order(
    desk: JobQueue, project: str, asked: AuditOrder, *, again: bool = False
) -> tuple[Policy, AuditFile]:
    """Return the policy and the audit file of what is asked, once all of it holds.

    Of what is handed in ``again`` the baseline held at first. Raises as ``submit_audit``, but for
    workers, which may come and go.
    """
    policy = _policy(desk, project, asked.policy)
    file = _file(desk, project, asked)
    refuse_unsupported_audit(file, allow_recipes=desk.recipes, compared=asked.baseline is not None)
    if asked.baseline is not None and not again:
        load_project_baseline(desk, project, asked.baseline, file, asked.inputs)
    if asked.sets and not asked.sealed:
        raise SubmissionError("sealed sets are for sealed audits", cure="Say sealed: true.")
    choose_checks(desk.readers.checks, policy, file.budget, asked.only)
    _refuse_missing(desk, project, _inputs(desk, project, asked, file), file)
    return policy, file


def build_submission(
    desk: JobQueue, caller: ApiKey, asked: AuditOrder, policy: Policy, file: AuditFile
) -> Submission:
    """Return what is to be kept, held against every rule of its form, as anybody's would be."""
    draft = Submission(
        id=generate_id("sub"),
        project=caller.project,
        submitter=caller.id,
        audit_file=asked.audit_file,
        source=asked.source,
        inputs=_inputs(desk, caller.project, asked, file),
        policy=policy.digest,
        targets=tuple(spec.name for spec in file.targets),
        budget=asked.budget,
        only=asked.only,
        places=asked.places,
        sealed=asked.sealed,
        sealed_sets=asked.sets,
        baseline=asked.baseline,
        submitted=desk.clock(),
    )
    return Submission.from_json(draft.to_json())


def cancel_submission(desk: JobQueue, caller: ApiKey, submission: Submission) -> None:
    """End a submission before its next check. Raises ``StateConflictError`` for one that has
    ended.
    """
    now = desk.clock()
    act = build_log_entry(caller, AuditLogAction.AUDIT_CANCELLED, submission.id, now)
    if not desk.kept.end(submission.id, SubmissionResult(ended=now), act):
        state = desk.kept.state(submission.id)
        raise StateConflictError(
            f"{submission.id} has ended already: it is {state}", cure="Read what it came to."
        )
    # What is in hand meanwhile ends for nothing: how a submission ended stays as it was first.
    desk.engine.cancel(submission.id)


def _policy(desk: JobQueue, project: str, named: str) -> Policy:
    """Return the policy under a digest or of a pack; its document is among the blobs from now on.

    No path is ever looked for: a caller's word opens no file of the service's machine.
    """
    if not DIGEST.fullmatch(named):
        try:
            policy = desk.pack(named)
        except NotFoundError as error:
            raise SubmissionError(error.problem, cure=error.cure) from None
        desk.blobs.put(encode_canonical(policy.document))
        return policy
    return load_uploaded_policy(desk, project, named)


def load_uploaded_policy(desk: JobQueue, project: str, named: str) -> Policy:
    """Return the policy whose resolved document a project uploaded. Raises ``PolicyError``."""
    policy = desk.policy(_uploaded(desk, project, named, "policy"), "policy")
    if policy.digest != named:
        raise PolicyError(
            f"the policy {named} is not written as its own resolved document: that has the digest "
            f"{policy.digest}",
            cure="Send the document with what it extends put in, as canonical JSON.",
        )
    return policy


def _file(desk: JobQueue, project: str, asked: AuditOrder) -> AuditFile:
    """Read the audit file under the names of this service. A target written out is refused."""
    raw = _uploaded(desk, project, asked.audit_file, "audit file")
    overrides = AuditOverrides(targets=asked.targets, budget=asked.budget, only=asked.only)
    return read_overridden_audit_file(raw, asked.source, overrides, desk.readers)


def _uploaded(desk: JobQueue, project: str, digest: str, what: str) -> bytes:
    """Return the bytes of a small file that a project uploaded. Raises ``SubmissionError``."""
    if not desk.kept.has_upload(project, digest):
        raise SubmissionError(f"the {what} {digest} was not uploaded", cure="PUT it first.")
    refuse_sealed_inputs(desk.kept, project, [digest])
    if desk.blobs.size(digest) > MOST_BYTES:
        raise SubmissionError(f"the {what} {digest} is larger than 1 MiB", cure="Send another.")
    return desk.blobs.get(digest)


def _inputs(
    desk: JobQueue, project: str, asked: AuditOrder, file: AuditFile
) -> tuple[InputFile, ...]:
    """Return all inputs, those that the auditor holds too. Raises ``SubmissionError``."""
    return add_sealed_inputs(desk.kept, project, file, asked.inputs, asked.sets)


def _refuse_missing(
    desk: JobQueue, project: str, inputs: tuple[InputFile, ...], file: AuditFile
) -> None:
    """Hold every input against what was uploaded, and the audit file's paths against the inputs.

    Raises ``SubmissionError`` that names the first three that are missing or wrong.
    """
    listed = {item.path for item in inputs}
    mistakes = [f"{path} is not among the inputs" for path in _paths(file) if path not in listed]
    mistakes += [mistake for item in inputs if (mistake := _mistake(desk, project, item))]
    if mistakes:
        more = f"; and {len(mistakes) - 3} more" if len(mistakes) > 3 else ""  # noqa: PLR2004
        raise SubmissionError(
            "; ".join(mistakes[:3]) + more,
            cure="Upload each file that the audit file names, and list it with its digest.",
        )


def _paths(file: AuditFile) -> Iterator[str]:
    """Return the paths that an audit cannot begin without."""
    if file.model.artifact is not None:
        yield file.model.artifact
    yield from (section.path for section in file.data.values())
    if file.input.features is not None:
        yield file.input.features


def _mistake(desk: JobQueue, project: str, item: InputFile) -> str:
    name, digest = item.file.name, f"sha256:{item.file.sha256}"
    if name.startswith("/") or "\\" in name or UPWARDS.search(name):
        return f"{item.path} has a file named {name[:80]!r}, which is no name below a folder"
    if not desk.kept.has_upload(project, digest):
        return f"{item.path} ({digest}) was not uploaded"
    try:
        size = desk.blobs.size(digest)
    except StoreError as error:
        return error.problem
    return "" if size == item.file.size else f"{item.path} has {size} bytes, not {item.file.size}"


def _absent(desk: JobQueue, project: str, file: AuditFile, asked: AuditOrder) -> tuple[str, ...]:
    live = desk.live(project)
    absent = tuple(spec.name for spec in file.targets if spec.name not in live)
    if absent and not asked.wait:
        raise TargetError(
            f"no worker is live for {', '.join(absent)}",
            cure=f"Start one (`auditor worker --target {absent[0]}`), wait for it with "
            f"wait_for_target, or name one of {', '.join(sorted(live)) or 'none that is live'}.",
        )
    return absent
