"""Builds the submission of a prepared audit to a service, every file by its digest."""

import io
from collections.abc import Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import BinaryIO

from auditor.domain.json import compute_digest, encode_canonical
from auditor.domain.requests import InputFile
from auditor.errors import DatasetError
from auditor.inputs.resolve import Locate
from auditor.service.client.uploads import UploadSource
from auditor.service.domain.submissions import AuditOrder, UploadKind
from auditor.workflows.input_copies import locate_input_files
from auditor.workflows.prepare import PreparedAudit


def build_order(
    prepared: PreparedAudit,
    wait: int | None,
    *,
    sealed: bool = False,
    sealed_sets: tuple[str, ...] = (),
    baseline: str | None = None,
) -> AuditOrder:
    """Return the order for an audit: what is asked, and what of it is the service's to choose."""
    request = prepared.request
    return AuditOrder(
        audit_file=compute_digest(prepared.file.raw),
        source=prepared.file.source,
        inputs=request.inputs,
        policy=prepared.policy.digest,
        targets=tuple(spec.name for spec in request.targets),
        budget=request.budget,
        only=request.only,
        places=prepared.places,
        sealed=sealed,
        sealed_sets=sealed_sets,
        wait_for_target=wait,
        baseline=baseline,
    )


def list_upload_sources(prepared: PreparedAudit, locate: Locate) -> Sequence[UploadSource]:
    """Return every file that a service needs to carry an audit out."""
    model = prepared.file.model
    models = {model.artifact, model.parent}
    return [
        _paper("policy.json", encode_canonical(prepared.policy.document)),
        _paper(prepared.file.source, prepared.file.raw),
        *(_file(item, path, models) for item, path in locate_input_files(prepared, locate)),
    ]


def _paper(name: str, raw: bytes) -> UploadSource:
    return UploadSource(
        kind=UploadKind.DATASET,
        digest=compute_digest(raw),
        name=name,
        size=len(raw),
        opened=partial(io.BytesIO, raw),
    )


def _file(item: InputFile, path: Path, models: set[str | None]) -> UploadSource:
    return UploadSource(
        kind=UploadKind.ARTIFACT if item.path in models else UploadKind.DATASET,
        digest=item.file.digest,
        name=item.file.name,
        size=item.file.size,
        opened=partial(_opened, path),
    )


def _opened(path: Path) -> AbstractContextManager[BinaryIO]:
    try:
        return path.open("rb")
    except OSError as error:
        raise DatasetError(
            f"{path} cannot be read: {error.strerror}",
            cure="Do not change the file during the upload. Try again.",
        ) from None
