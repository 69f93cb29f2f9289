"""The origin of an exported artifact, and how far its answers differ from the original's."""

from collections.abc import Mapping
from dataclasses import dataclass

from auditor.domain.json import OmitUnset, write_fields


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportDifference:
    """How the answers of an export and of its original compare over ``rows`` rows.

    ``largest`` is the largest absolute difference of one number among the answers, which are ``of``
    probabilities, scores or values; ``equal`` counts the rows with the same decision, and is
    ``None`` where the answers decide nothing.
    """

    of: str
    rows: int
    largest: float
    equal: OmitUnset[int | None] = None

    to_json = write_fields


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportOrigin:
    """What an ONNX file was made from: a class of a library, by an exporter, for these opsets.

    In an audit file and a record it is the owner's word, which nothing here confirms.
    """

    original: str
    library: str
    library_version: str
    exporter: str
    exporter_version: str
    opsets: Mapping[str, int]
    difference: ExportDifference

    to_json = write_fields
