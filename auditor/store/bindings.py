"""Which artifact was registered first under a model's name and version."""

from collections.abc import Iterator, Mapping

from sqlalchemy import select
from sqlalchemy.orm import Session

from auditor.domain.canonical import Json, canonical, parse
from auditor.domain.requests import AuditRequest
from auditor.domain.trust import Binding
from auditor.store.tables import RegistrationRow, RequestRow


def contradictions(session: Session, request: AuditRequest) -> tuple[Binding, ...]:
    """Return what was registered before and binds the request's name, version or bytes otherwise.

    The first artifact under a name and a version is bound to them, and the other way round; what
    was tried with them later binds nothing. A request without an artifact contradicts nothing.
    """
    if request.artifact is None:
        return ()
    mine = (request.name, request.version)
    bound = _first(session, *mine)
    if bound is not None and bound.digest != request.artifact.digest:
        return (bound,)
    pairs = dict.fromkeys(
        (item.name, item.version)
        for item in _registered(session, _member("digest", request.artifact.digest))
        if item.digest == request.artifact.digest
    )
    found = [item for pair in pairs if (item := _first(session, *pair)) is not None]
    theirs = [item for item in found if item.digest == request.artifact.digest]
    first = next(iter(theirs), None)
    return () if first is None or (first.name, first.version) == mine else (first,)


def _first(session: Session, name: str, version: str) -> Binding | None:
    listed = _registered(session, f"{_member('name', name)},{_member('version', version)}")
    return next((it for it in listed if (it.name, it.version) == (name, version)), None)


def _registered(session: Session, within: str) -> Iterator[Binding]:
    """Yield the artifacts of requests whose canonical text has this part, the oldest first."""
    asked = (
        select(RequestRow.body, RegistrationRow.registered)
        .join(RequestRow, RequestRow.digest == RegistrationRow.request_digest)
        .where(RequestRow.body.contains(within, autoescape=True))
        .order_by(RegistrationRow.id)
    )
    for body, registered in session.execute(asked):
        found = _artifact(body)
        digest = found.get("digest")
        if isinstance(digest, str):
            yield Binding(str(found["name"]), str(found["version"]), digest, registered)


def _artifact(body: str) -> Mapping[str, Json]:
    found = parse(body.encode())
    artifact = found.get("artifact") if isinstance(found, Mapping) else None
    return artifact if isinstance(artifact, Mapping) else {}


def _member(name: str, value: str) -> str:
    """Return a member as canonical JSON writes it, to look for before anything is parsed."""
    return canonical({name: value}).decode()[1:-1]
