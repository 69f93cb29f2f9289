"""Prepares a submitted audit again from its files, and refuses one that has changed."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from auditor._resources import scratch_folder
from auditor.domain.baselines import refuse_same_artifact
from auditor.domain.record_json import read_record
from auditor.domain.requests import ServiceAdditions
from auditor.errors import SubmissionError
from auditor.inputs.materialize import FindInput, materialize_inputs
from auditor.service.domain.submissions import Submission
from auditor.service.jobs.submit import refuse_unsupported_audit
from auditor.workflows.prepare import (
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
    order = submission.order
    parts = readers(blob(order.policy))
    asked = read_overridden_audit_file(
        blob(order.audit_file),
        order.source,
        parts,
        policy=order.policy,
        targets=order.targets,
        budget=order.budget,
        only=order.only,
        turn=turn,
    )
    # The record that limits are taken from; its signature held when it was handed in
    named = order.baseline
    compared = None if named is None else read_record(blob(named))
    refuse_unsupported_audit(asked, allow_recipes=allow_recipes, compared=compared is not None)
    with scratch_folder() as folder:
        laid = materialize_inputs(order.inputs, find, folder)
        with prepare_audit(asked, laid.locate, parts) as prepared:
            if prepared.policy.digest != order.policy:
                raise SubmissionError(
                    f"the policy has the digest {prepared.policy.digest}, but was "
                    f"submitted as {order.policy}",
                    cure="Use the same version of auditor as the service.",
                )
            if compared is not None:
                refuse_same_artifact(prepared.request.artifact, compared)
            yield replace(prepared.against(compared), places=order.places)


def refuse_changed_audit(submission: Submission, registered: str, prepared: PreparedAudit) -> None:
    """Raise ``SubmissionError`` where an audit is another than was registered, by digest."""
    if prepared.request.digest != registered:
        raise SubmissionError(
            f"submission {submission.id} no longer matches its registered request: the "
            "targets or the version of the service changed, or this worker has others",
            cure="Submit it again, and start every worker with the targets.yaml of the service.",
        )
