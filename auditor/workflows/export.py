"""Exports a record as the files of an evidence bundle, from a folder or the store."""

from collections.abc import Callable, Mapping

from auditor.domain.policies import Policy
from auditor.domain.records import AuditRecord
from auditor.domain.verification_steps import StepResult
from auditor.errors import RecordError
from auditor.reports.folder import BUNDLE, KEY, RecordFolder
from auditor.store.unit_of_work import StoredRecord
from auditor.workflows.verify.folder import RecordVerifier, verify_folder

Publish = Callable[[AuditRecord, Policy], Mapping[str, bytes]]


def read_folder_files(folder: RecordFolder, verifier: RecordVerifier) -> Mapping[str, bytes]:
    """Return every file of a record's folder.

    Raises ``RecordError`` unless the folder verifies: nobody should hand over what does not, nor
    the key of evidence that is to be shown in part.
    """
    failed = [step for step in verify_folder(folder, verifier) if step.result is StepResult.FAILED]
    if failed:
        raise RecordError(
            f"{folder.path} does not verify: {failed[0].name}: {failed[0].detail}",
            cure="Take the folder as auditor wrote it, unchanged.",
        )
    if folder.has(KEY):
        raise RecordError(
            f"{folder.path} holds {KEY}, which would give away every row and lets none be erased",
            cure="Choose what is shown with `auditor disclose`, and export the folder it writes.",
        )
    return folder.files()


def load_stored_files(
    stored: StoredRecord, publish: Publish, policy: Policy
) -> Mapping[str, bytes]:
    """Return the files of a record that the store keeps, published again.

    Raises ``RecordError`` where they would not be the ones that were signed: another version of
    auditor shows a record otherwise, and another key signs otherwise.
    """
    files = publish(stored.read(), policy)
    if files[BUNDLE] != stored.bundle:
        raise RecordError(
            f"record {stored.read().id} was published by another version of auditor, or key, or "
            "with a PDF",
            cure="Export the folder that was written then.",
        )
    return files
