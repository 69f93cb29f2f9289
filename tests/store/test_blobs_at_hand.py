"""A worker whose blobs are another store's does not start; one that lacks a single file does."""

import pytest

from auditor.errors import StoreError
from auditor.service.domain.submissions import UploadedFile, UploadKind
from auditor.service.store.agents import refuse_other_blobs
from auditor.service.store.submission_history import ServiceStore
from auditor.store.record_store import RecordStore

NOW = "2026-01-01T00:00:00Z"
FAR = "sha256:" + "0a" * 32


def test_none_of_the_uploads_at_hand_are_the_blobs_of_another_store(store: RecordStore) -> None:
    service = ServiceStore(store)
    service.add_project("mine", NOW)
    refuse_other_blobs(store)  # nothing was uploaded yet
    far = UploadedFile(
        project="mine", digest=FAR, kind=UploadKind.DATASET, name="x", size=1, at=NOW
    )
    service.note_upload(far)
    with pytest.raises(StoreError, match="none of the uploads"):
        refuse_other_blobs(store)
    near = store.blobs.put(b"near")
    service.note_upload(
        UploadedFile(project="mine", digest=near, kind=UploadKind.DATASET, name="y", size=4, at=NOW)
    )
    refuse_other_blobs(store)
