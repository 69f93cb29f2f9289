"""Projects, the keys of their callers, and what they uploaded."""

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from auditor.domain.api_keys import ApiKey, Role
from auditor.domain.hooks import Told
from auditor.domain.served import Upload, UploadKind
from auditor.refusals import SubmissionError
from auditor.store.service.adding import added
from auditor.store.service.announcing import announce
from auditor.store.service.tables import ApiKeyEndRow, ApiKeyRow, ProjectRow, UploadRow


def require_project(session: Session, name: str) -> None:
    """Raise ``SubmissionError`` where there is no project of that name."""
    if session.get(ProjectRow, name) is None:
        raise SubmissionError(
            f"there is no project {name[:80]!r}", cure="Name one that an administrator has made."
        )


def projects(session: Session) -> tuple[tuple[str, str], ...]:
    """Return every project with when it was made, the oldest first."""
    row = ProjectRow
    asked = select(row.name, row.created).order_by(row.created, row.name)
    return tuple((name, created) for name, created in session.execute(asked))


def keep_key(session: Session, key: ApiKey) -> bool:
    """Keep a key, unless there is one of its id."""
    require_project(session, key.project)
    return added(
        session,
        ApiKeyRow,
        id=key.id,
        project=key.project,
        role=key.role.value,
        name=key.name,
        secret_hash=key.secret_hash,
        created=key.created,
        expires=key.expires,
    )


def find_key(session: Session, key_id: str) -> ApiKey | None:
    """Return the key of an id, ended or not."""
    row = session.get(ApiKeyRow, key_id)
    return None if row is None else _key(row, session.get(ApiKeyEndRow, key_id))


def end_key(session: Session, key_id: str, at: str, reason: str) -> bool:
    """End a key, unless it has ended; web hooks of its project hear of it."""
    first = added(session, ApiKeyEndRow, key_id=key_id, ended=at, reason=reason)
    row = session.get(ApiKeyRow, key_id)
    if first and row is not None:
        announce(session, row.project, Told.KEY_ENDED, key_id, at)
    return first


def ended_keys(session: Session) -> int:
    """Return how many keys of all projects have been ended."""
    return session.scalar(select(func.count()).select_from(ApiKeyEndRow)) or 0


def keys_of(session: Session, project: str) -> tuple[ApiKey, ...]:
    """Return a project's keys, the oldest first."""
    asked = (
        select(ApiKeyRow, ApiKeyEndRow)
        .outerjoin(ApiKeyEndRow, ApiKeyEndRow.key_id == ApiKeyRow.id)
        .where(ApiKeyRow.project == project)
        .order_by(ApiKeyRow.created, ApiKeyRow.id)
    )
    return tuple(_key(row, end) for row, end in session.execute(asked))


def keep_upload(session: Session, upload: Upload) -> bool:
    """Keep an upload, unless the project brought the same bytes as the same kind before."""
    require_project(session, upload.project)
    return added(
        session,
        UploadRow,
        project=upload.project,
        digest=upload.digest,
        kind=upload.kind.value,
        name=upload.name,
        size=upload.size,
        at=upload.at,
    )


def uploads_of(
    session: Session, project: str, kind: UploadKind, cursor: str | None, limit: int
) -> tuple[Upload, ...]:
    """Return a project's uploads in the order of their digests, those after ``cursor``."""
    asked = (
        select(UploadRow)
        .where(UploadRow.project == project, UploadRow.kind == kind.value)
        .where(UploadRow.digest > (cursor or ""))
        .order_by(UploadRow.digest)
        .limit(limit)
    )
    return tuple(_upload(row) for row in session.scalars(asked))


def has_upload(session: Session, project: str, digest: str) -> bool:
    """Whether a project brought the bytes of a digest, as whatever kind."""
    asked = select(UploadRow.digest).where(UploadRow.project == project, UploadRow.digest == digest)
    return session.scalar(asked.limit(1)) is not None


def upload_name(session: Session, project: str, digest: str, kind: UploadKind) -> str | None:
    """Return the name of an upload of a kind, if the project has one of that digest."""
    found = session.get(UploadRow, (project, digest, kind.value))
    return None if found is None else found.name


def _key(row: ApiKeyRow, end: ApiKeyEndRow | None) -> ApiKey:
    return ApiKey(
        id=row.id,
        project=row.project,
        role=Role(row.role),
        name=row.name,
        secret_hash=row.secret_hash,
        created=row.created,
        expires=row.expires,
        ended=None if end is None else end.ended,
    )


def _upload(row: UploadRow) -> Upload:
    return Upload(
        project=row.project,
        digest=row.digest,
        kind=UploadKind(row.kind),
        name=row.name,
        size=row.size,
        at=row.at,
    )
