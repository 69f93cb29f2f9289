"""Hand in what a service shall audit: all of it is looked at before anything is queued."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from auditor.acting import act_by
from auditor.clock import fresh_id
from auditor.compared import compared_here
from auditor.desks import Desk, held
from auditor.domain.acts import ActKind
from auditor.domain.api_keys import ApiKey
from auditor.domain.auditfiles import AuditFile
from auditor.domain.budgets import Budget
from auditor.domain.canonical import canonical
from auditor.domain.places import Places
from auditor.domain.policies import Policy
from auditor.domain.requests import InputFile
from auditor.domain.served import Ending
from auditor.domain.submissions import DIGEST, State, Submission
from auditor.errors import PolicyError, StoreError, TargetError
from auditor.preparing import Overrides, chosen_checks, read_asked
from auditor.refusals import NotFoundError, StandingError, SubmissionError
from auditor.sealedsets import refuse_held, with_sets
from auditor.unserved import refuse_unserved

MOST_BYTES = 2**20
"""No audit file and no policy is larger."""
UPWARDS = re.compile(r"(^|/)\.\.?(/|$)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
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
    places: Places | None = None
    sealed: bool = False
    sets: tuple[str, ...] = ()
    wait: int | None = None
    baseline: str | None = None


def submit(
    desk: Desk, caller: ApiKey, asked: Asked, once: str | None = None
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
    policy, file = looked_at(desk, caller.project, asked, again=again)
    mine = drafted(desk, caller, asked, policy, file)
    absent = () if again else _absent(desk, caller.project, file, asked)
    act = act_by(caller, ActKind.AUDIT_ASKED, mine.id, mine.submitted, asked=mine.asked)
    waits = held(mine.submitted, absent, asked.wait or 0)
    kept, new = desk.kept.submit(
        mine, once, model=file.model.name, most=desk.most_waiting, act=act, held=waits
    )
    if desk.kept.state(kept.id) is State.QUEUED:
        desk.engine.submit(kept.id)
    return kept, new


def looked_at(
    desk: Desk, project: str, asked: Asked, *, again: bool = False
) -> tuple[Policy, AuditFile]:
    """Return the policy and the audit file of what is asked, once all of it holds.

    Of what is handed in ``again`` the baseline held at first. Raises as ``submit``, but for
    workers, which may come and go.
    """
    policy = _policy(desk, project, asked.policy)
    file = _file(desk, project, asked)
    refuse_unserved(file, allow_recipes=desk.recipes, compared=asked.baseline is not None)
    if asked.baseline is not None and not again:
        compared_here(desk, project, asked.baseline, file, asked.inputs)
    if asked.sets and not asked.sealed:
        raise SubmissionError("sealed sets are for sealed audits", cure="Say sealed: true.")
    chosen_checks(desk.readers.checks, policy, file.budget, asked.only)
    _refuse_missing(desk, project, _inputs(desk, project, asked, file), file)
    return policy, file


def drafted(
    desk: Desk, caller: ApiKey, asked: Asked, policy: Policy, file: AuditFile
) -> Submission:
    """Return what is to be kept, held against every rule of its form, as anybody's would be."""
    draft = Submission(
        id=fresh_id("sub"),
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


def cancel(desk: Desk, caller: ApiKey, submission: Submission) -> None:
    """End a submission before its next check. Raises ``StandingError`` for one that has ended."""
    now = desk.clock()
    act = act_by(caller, ActKind.AUDIT_CANCELLED, submission.id, now)
    if not desk.kept.end(submission.id, Ending(ended=now), act):
        state = desk.kept.state(submission.id)
        raise StandingError(
            f"{submission.id} has ended already: it is {state}", cure="Read what it came to."
        )
    # What is in hand meanwhile ends for nothing: how a submission ended stays as it was first.
    desk.engine.cancel(submission.id)


def _policy(desk: Desk, project: str, named: str) -> Policy:
    """Return the policy under a digest or of a pack; its document is among the blobs from now on.

    No path is ever looked for: a caller's word opens no file of the service's machine.
    """
    if not DIGEST.fullmatch(named):
        try:
            policy = desk.pack(named)
        except NotFoundError as error:
            raise SubmissionError(error.problem, cure=error.cure) from None
        desk.blobs.put(canonical(policy.document))
        return policy
    return kept_policy(desk, project, named)


def kept_policy(desk: Desk, project: str, named: str) -> Policy:
    """Return the policy whose resolved document a project uploaded. Raises ``PolicyError``."""
    policy = desk.policy(_uploaded(desk, project, named, "policy"), "policy")
    if policy.digest != named:
        raise PolicyError(
            f"the policy {named} is not written as its own resolved document: that has the digest "
            f"{policy.digest}",
            cure="Send the document with what it extends put in, as canonical JSON.",
        )
    return policy


def _file(desk: Desk, project: str, asked: Asked) -> AuditFile:
    """Read the audit file under the names of this service. A target written out is refused."""
    raw = _uploaded(desk, project, asked.audit_file, "audit file")
    overrides = Overrides(targets=asked.targets, budget=asked.budget, only=asked.only)
    return read_asked(raw, asked.source, overrides, desk.readers)


def _uploaded(desk: Desk, project: str, digest: str, what: str) -> bytes:
    """Return the bytes of a small file that a project uploaded. Raises ``SubmissionError``."""
    if not desk.kept.has_upload(project, digest):
        raise SubmissionError(f"the {what} {digest} was not uploaded", cure="PUT it first.")
    refuse_held(desk.kept, project, [digest])
    if desk.blobs.size(digest) > MOST_BYTES:
        raise SubmissionError(f"the {what} {digest} is larger than 1 MiB", cure="Send another.")
    return desk.blobs.get(digest)


def _inputs(desk: Desk, project: str, asked: Asked, file: AuditFile) -> tuple[InputFile, ...]:
    """Return all inputs, those that the auditor holds too. Raises ``SubmissionError``."""
    return with_sets(desk.kept, project, file, asked.inputs, asked.sets)


def _refuse_missing(
    desk: Desk, project: str, inputs: tuple[InputFile, ...], file: AuditFile
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


def _mistake(desk: Desk, project: str, item: InputFile) -> str:
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


def _absent(desk: Desk, project: str, file: AuditFile, asked: Asked) -> tuple[str, ...]:
    live = desk.live(project)
    absent = tuple(spec.name for spec in file.targets if spec.name not in live)
    if absent and not asked.wait:
        raise TargetError(
            f"no worker is live for {', '.join(absent)}",
            cure=f"Start one (`auditor worker --target {absent[0]}`), wait for it with "
            f"wait_for_target, or name one of {', '.join(sorted(live)) or 'none that is live'}.",
        )
    return absent
