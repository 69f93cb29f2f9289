"""Finds where each input file of a prepared audit lies: the staged copy, or the path named."""

from collections.abc import Iterator
from pathlib import Path

from auditor.domain.requests import InputFile
from auditor.inputs.resolve import Locate
from auditor.workflows.prepare import PreparedAudit


def locate_input_files(prepared: PreparedAudit, locate: Locate) -> Iterator[tuple[InputFile, Path]]:
    """Yield every file of a request, and where it lies: among the copies, or as it is named."""
    copies, papers = prepared.materials.copies, prepared.request.documents
    model = prepared.file.model
    for item in prepared.request.inputs:
        path = copies.get(item.file.sha256) or locate(item.path)
        beside = item.path == model.artifact and item.file in papers
        if beside or item.path in {model.trust, model.signature}:
            path = locate(item.path).parent / item.file.name
        if path.is_dir():
            path /= item.file.name.removeprefix(f"{item.path.rstrip('/')}/")
        yield item, path
