"""Submits and cancels audits: validates the whole order before anything is queued."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from auditor._time import generate_id
from auditor.domain.auditfiles import AuditFile
from auditor.domain.baselines import refuse_same_files
from auditor.domain.digests import is_digest
from auditor.domain.json import encode_canonical
from auditor.domain.policies import Policy
from auditor.domain.records import AuditRecord
from auditor.domain.requests import InputFile
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
from auditor.service.domain.access import ApiKey, AuditLogAction, build_log_entry
from auditor.service.domain.submissions import (
    AuditOrder,
    Submission,
    SubmissionResult,
    SubmissionState,
)
from auditor.service.jobs.queue import JobQueue, describe_wait
from auditor.service.sealed_sets import add_sealed_inputs, refuse_sealed_inputs
from auditor.workflows.prepare import choose_checks, read_overridden_audit_file


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
            f"baseline {named} is a record of {record.request.name}, but the audited "
            f"model is {model.name}",
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
        raise SubmissionError(f"{file.source}: {setting} does not work at a service", cure=cure)


def _unserved(file: AuditFile, *, allow_recipes: bool, compared: bool) -> Iterator[tuple[str, str]]:
    here = "Remove it, or audit on your own machine."
    if file.recipe is not None and not allow_recipes:
        yield (
            "recipe",
            (
                "A recipe runs code: remove it, or ask the operator to start the service "
                "with --allow-recipes."
            ),
        )
    if file.recipe is not None and file.recipe.unsandboxed:
        yield (
            "recipe.allow: unsandboxed",
            ("Write `allow: true`. The code runs in bubblewrap at the service."),
        )
    if file.disclosure is not None:
        yield "disclosure", here
    if file.baseline is not None and not compared:
        yield "baseline", "Name a record of the service beside it, by its digest."
    if file.waivers:
        yield "waivers", "Remove them, and judge the record again with the waivers."


MOST_BYTES = 2**20
"""No audit file and no policy is larger."""
UPWARDS = re.compile(r"(^|/)\.\.?(/|$)")


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
    waits = describe_wait(mine.submitted, absent, asked.wait_for_target or 0) if absent else None
    kept, new = desk.kept.submit(
        mine, once, model=file.model.name, most=desk.most_waiting, act=act, held=waits
    )
    if waits is None if new else desk.kept.state(kept.id) is SubmissionState.QUEUED:
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
    # The audit file is read under the names of this service; a target written out is refused.
    file = read_overridden_audit_file(
        _uploaded(desk, project, asked.audit_file, "audit file"),
        asked.source,
        desk.readers,
        targets=asked.targets,
        budget=asked.budget,
        only=asked.only,
    )
    refuse_unsupported_audit(file, allow_recipes=desk.recipes, compared=asked.baseline is not None)
    if asked.baseline is not None and not again:
        load_project_baseline(desk, project, asked.baseline, file, asked.inputs)
    if asked.sealed_sets and not asked.sealed:
        raise SubmissionError("sealed sets need a sealed audit", cure="Add sealed: true.")
    choose_checks(desk.readers.checks, policy, file.budget, asked.only)
    inputs = add_sealed_inputs(desk.kept, project, file, asked.inputs, asked.sealed_sets)
    _refuse_missing(desk, project, inputs, file)
    return policy, file


def build_submission(
    desk: JobQueue, caller: ApiKey, asked: AuditOrder, policy: Policy, file: AuditFile
) -> Submission:
    """Return what is to be kept, held against every rule of its form, as anybody's would be."""
    resolved = replace(
        asked,
        inputs=add_sealed_inputs(desk.kept, caller.project, file, asked.inputs, asked.sealed_sets),
        policy=policy.digest,
        targets=tuple(spec.name for spec in file.targets),
    )
    return Submission.of(
        resolved,
        id=generate_id("sub"),
        project=caller.project,
        submitter=caller.id,
        submitted=desk.clock(),
    )


def cancel_submission(desk: JobQueue, caller: ApiKey, submission: Submission) -> None:
    """End a submission before its next check. Raises ``StateConflictError`` for one that has
    ended.
    """
    now = desk.clock()
    act = build_log_entry(caller, AuditLogAction.AUDIT_CANCELLED, submission.id, now)
    if not desk.kept.end(submission.id, SubmissionResult(ended=now), act):
        state = desk.kept.state(submission.id)
        raise StateConflictError(
            f"{submission.id} has already ended: it is {state}", cure="Read its result."
        )
    # What is in hand meanwhile ends for nothing: how a submission ended stays as it was first.
    desk.engine.cancel(submission.id)


def _policy(desk: JobQueue, project: str, named: str) -> Policy:
    """Return the policy under a digest or of a pack; its document is among the blobs from now on.

    No path is ever looked for: a caller's word opens no file of the service's machine.
    """
    if not is_digest(named):
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
            f"policy {named} is not a resolved document: the resolved document has the "
            f"digest {policy.digest}",
            cure="Send the resolved policy, with everything that it extends, as canonical JSON.",
        )
    return policy


def _uploaded(desk: JobQueue, project: str, digest: str, what: str) -> bytes:
    """Return the bytes of a small file that a project uploaded. Raises ``SubmissionError``."""
    if not desk.kept.has_upload(project, digest):
        raise SubmissionError(
            f"the {what} {digest} was not uploaded", cure="Upload it first with PUT."
        )
    refuse_sealed_inputs(desk.kept, project, [digest])
    if desk.blobs.size(digest) > MOST_BYTES:
        raise SubmissionError(f"the {what} {digest} is larger than 1 MiB", cure="Send another.")
    return desk.blobs.get(digest)


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
    name, digest = item.file.name, item.file.digest
    if name.startswith("/") or "\\" in name or UPWARDS.search(name):
        return f"{item.path} has a file named {name[:80]!r}, which is not a name below a folder"
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
    if absent and not asked.wait_for_target:
        raise TargetError(
            f"no worker for {', '.join(absent)} is online",
            cure=f"Start one (`auditor worker --target {absent[0]}`), wait for it with "
            "wait_for_target, or use a target with a worker "
            f"({', '.join(sorted(live)) or 'there is none'}).",
        )
    return absent
