"""What a project registered before: artifacts under names and versions, and policies."""

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from auditor.domain.canonical import digest_json, parse
from auditor.domain.json_parts import Part
from auditor.domain.requests import AuditRequest, PolicyRef
from auditor.domain.trust import Binding
from auditor.store.tables import RegistrationRow, RegistrationSubjectRow, RequestRow

NO_PROJECT = ""
"""The project of what no service registered."""


def subjects_of(request: AuditRequest, registration: int, project: str) -> RegistrationSubjectRow:
    """Return the row by which a registration is looked up."""
    return RegistrationSubjectRow(
        registration=registration,
        project=project,
        model=digest_json([request.name, request.version]),
        artifact=None if request.artifact is None else request.artifact.digest,
        policy=digest_json(request.policy.name),
        policy_digest=request.policy.digest,
    )


def contradictions(session: Session, request: AuditRequest, project: str) -> tuple[Binding, ...]:
    """Return what a project registered before and binds a name, version or bytes otherwise.

    The first artifact under a name and a version is bound to them, and the other way round; what
    was tried with them later binds nothing. A request without an artifact contradicts nothing.
    """
    if request.artifact is None:
        return ()
    mine = digest_json([request.name, request.version])
    bound = _first(session, project, mine)
    if bound is not None and bound.digest != request.artifact.digest:
        return (bound,)
    row = RegistrationSubjectRow
    asked = (
        select(row.model)
        .where(row.project == project, row.artifact == request.artifact.digest)
        .group_by(row.model)
        .order_by(func.min(row.registration))
    )
    for model in session.scalars(asked).all():
        first = _first(session, project, model)
        if first is not None and first.digest == request.artifact.digest:
            return () if model == mine else (first,)
    return ()


def policies_used(session: Session, name: str, project: str) -> tuple[tuple[PolicyRef, str], ...]:
    """Return the editions of a policy that a project registered, and when first: oldest first."""
    row = RegistrationSubjectRow
    first = (
        select(func.min(row.registration).label("id"))
        .where(row.project == project, row.policy == digest_json(name))
        .group_by(row.policy_digest)
        .subquery()
    )
    asked = (
        select(RequestRow.body, RegistrationRow.registered)
        .join(RequestRow, RequestRow.digest == RegistrationRow.request_digest)
        .join(first, first.c.id == RegistrationRow.id)
        .order_by(RegistrationRow.id)
    )
    return tuple((_policy(_request(body)), at) for body, at in session.execute(asked))


def _first(session: Session, project: str, model: str) -> Binding | None:
    row = RegistrationSubjectRow
    asked = (
        select(RequestRow.body, row.artifact, RegistrationRow.registered)
        .join(RegistrationRow, RegistrationRow.id == row.registration)
        .join(RequestRow, RequestRow.digest == RegistrationRow.request_digest)
        .where(row.project == project, row.model == model, row.artifact.is_not(None))
        .order_by(row.registration)
        .limit(1)
    )
    found = session.execute(asked).first()
    if found is None:
        return None
    body, artifact, registered = found
    named = _request(body).part("artifact")
    return Binding(named.get("name", str), named.get("version", str), str(artifact), registered)


def _policy(request: Part) -> PolicyRef:
    part = request.part("policy")
    return PolicyRef(part.get("name", str), part.get("version", str), part.get("digest", str))


def _request(body: str) -> Part:
    return Part(parse(body.encode()), "request")
