"""Whether the blobs that a process has are those of the database that it has."""

from sqlalchemy import select

from auditor.errors import StoreError
from auditor.store.service.tables import UploadRow
from auditor.store.store import Store

LOOKED_AT = 20


def refuse_other_blobs(store: Store) -> None:
    """Raise ``StoreError`` where not one of the files uploaded last is among the blobs.

    Whoever works on without them fails every audit that it takes up.
    """
    newest = select(UploadRow.digest).order_by(UploadRow.at.desc()).limit(LOOKED_AT)
    with store.reading() as session:
        digests = session.scalars(newest).all()
    if digests and not any(store.blobs.has(digest) for digest in digests):
        raise StoreError(
            "none of the uploads that the database names is among the blobs here",
            cure="Set AUDITOR_BLOBS_URL, or AUDITOR_HOME, as the service has it.",
        )
