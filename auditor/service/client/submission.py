"""What is handed in to a service: an audit as it was prepared here, every file by its digest."""

import io
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import BinaryIO

from auditor.domain.budgets import Budget
from auditor.domain.json import Json, compute_digest, encode_canonical
from auditor.domain.requests import InputFile
from auditor.domain.source_locations import SourceLocations
from auditor.errors import DatasetError
from auditor.inputs.resolve import Locate
from auditor.service.client.responses import SealedSetSummary
from auditor.service.client.uploads import UploadSource
from auditor.service.domain.submissions import UploadKind
from auditor.workflows.input_copies import locate_input_files
from auditor.workflows.prepare import PreparedAudit


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmissionRequest:
    """An audit to hand in. ``audit_file`` and ``policy`` are digests; ``wait`` is in seconds.

    ``once`` is the word under which the same order is handed in once, however often it is sent. One
    that is ``sealed`` leaves the seed to the service; ``bound`` are sealed sets by the paths of
    their data; ``baseline`` is the digest of the record there that it is held against.
    """

    audit_file: str
    source: str
    inputs: tuple[InputFile, ...]
    policy: str
    targets: tuple[str, ...]
    budget: Budget
    only: tuple[str, ...]
    places: SourceLocations | None
    wait: int | None
    once: str
    sealed: bool = False
    bound: Mapping[str, SealedSetSummary] = field(default_factory=dict)
    baseline: str | None = None

    def to_json(self) -> dict[str, Json]:
        """Return the form that is sent."""
        waited: dict[str, Json] = {} if self.wait is None else {"wait_for_target": self.wait}
        return {
            "audit_file": self.audit_file,
            "source": self.source,
            "inputs": [item.to_json() for item in self.inputs],
            "policy": self.policy,
            "targets": list(self.targets),
            "budget": self.budget.value,
            "only": list(self.only),
            "places": None if self.places is None else self.places.to_json(),
            **({"sealed": True} if self.sealed else {}),
            **({"sealed_sets": [it.name for it in self.bound.values()]} if self.bound else {}),
            **({} if self.baseline is None else {"baseline": self.baseline}),
            **waited,
        }


def build_submission_request(  # noqa: PLR0913 -- what is asked, and what of it is the service's
    prepared: PreparedAudit,
    wait: int | None,
    nonce: str,
    *,
    sealed: bool = False,
    bound: Mapping[str, SealedSetSummary] | None = None,
    baseline: str | None = None,
) -> SubmissionRequest:
    """Return the order for an audit; ``nonce`` tells it from the same one at another time."""
    request = prepared.request
    return SubmissionRequest(
        audit_file=compute_digest(prepared.file.raw),
        source=prepared.file.source,
        inputs=request.inputs,
        policy=prepared.policy.digest,
        targets=tuple(spec.name for spec in request.targets),
        budget=request.budget,
        only=request.only,
        places=prepared.places,
        wait=wait,
        once=f"{request.digest} {nonce}",
        sealed=sealed,
        bound=bound or {},
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
        digest=f"sha256:{item.file.sha256}",
        name=item.file.name,
        size=item.file.size,
        opened=partial(_opened, path),
    )


def _opened(path: Path) -> AbstractContextManager[BinaryIO]:
    try:
        return path.open("rb")
    except OSError as error:
        raise DatasetError(
            f"{path} cannot be read: {error.strerror}", cure="Let it rest, and try again."
        ) from None
