"""Audits that were submitted, prepared again from their files, and held to what was asked."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from auditor._scratch import scratch_folder
from auditor.domain.baselines import refuse_same_artifact
from auditor.domain.record_json import read_record
from auditor.domain.records import AuditRecord
from auditor.domain.requests import ServiceAdditions
from auditor.errors import SubmissionError
from auditor.inputs.materialize import FindInput, materialize_inputs
from auditor.service.domain.submissions import Submission
from auditor.service.jobs.submit import refuse_unsupported_audit
from auditor.workflows.prepare import (
    AuditOverrides,
    PreparedAudit,
    Resolvers,
    prepare_audit,
    read_overridden_audit_file,
)


@contextmanager
def prepare_job(  # noqa: PLR0913 -- whose files, how each kind is found, and what leave there is
    submission: Submission,
    readers: Callable[[bytes], Resolvers],
    blob: Callable[[str], bytes],
    find: FindInput,
    *,
    allow_recipes: bool,
    turn: ServiceAdditions | None = None,
) -> Iterator[PreparedAudit]:
    """Lay a submission's files out and prepare the audit, for as long as the block lasts.

    ``readers`` takes a policy's document; ``blob`` returns small files, ``find`` the inputs;
    ``turn`` is what was added to what is asked when that was registered. Raises
    ``InvalidInputError`` for what cannot be audited.
    """
    parts = readers(blob(submission.policy))
    overrides = AuditOverrides(
        policy=submission.policy,
        targets=submission.targets,
        budget=submission.budget,
        only=submission.only,
        turn=turn,
    )
    asked = read_overridden_audit_file(
        blob(submission.audit_file), submission.source, overrides, parts
    )
    compared = _compared(submission, blob)
    refuse_unsupported_audit(asked, allow_recipes=allow_recipes, compared=compared is not None)
    with scratch_folder() as folder:
        laid = materialize_inputs(submission.inputs, find, folder)
        with prepare_audit(asked, laid.locate, overrides, parts) as prepared:
            _refuse_another(submission, prepared)
            if compared is not None:
                refuse_same_artifact(prepared.request.artifact, compared)
            yield replace(prepared.against(compared), places=submission.places)


def refuse_changed_audit(submission: Submission, registered: str, prepared: PreparedAudit) -> None:
    """Raise ``SubmissionError`` where an audit is another than was registered, by digest."""
    if prepared.request.digest != registered:
        raise SubmissionError(
            f"the submission {submission.id} asks for another audit than was registered: the "
            "service's targets or its version changed meanwhile, or those here are others",
            cure="Submit it again; start every worker with the service's own targets.yaml.",
        )


def _compared(submission: Submission, blob: Callable[[str], bytes]) -> AuditRecord | None:
    """Return the record that limits are taken from; its signature held when it was handed in."""
    named = submission.baseline
    return None if named is None else read_record(blob(named))


def _refuse_another(submission: Submission, prepared: PreparedAudit) -> None:
    if prepared.policy.digest != submission.policy:
        raise SubmissionError(
            f"the policy reads as {prepared.policy.digest}, and was submitted as "
            f"{submission.policy}",
            cure="Use the same version of auditor as the service.",
        )
