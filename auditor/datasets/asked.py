"""Columns that are asked for and are not there: told at the setting that names them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import PurePath

from auditor.datasets.opening import named_columns
from auditor.datasets.schemas import Schema
from auditor.datasets.sources import AbsentColumnError, Source, columns_like
from auditor.documents import Place
from auditor.domain.auditfiles import AuditFile
from auditor.domain.datasets import Role
from auditor.errors import DatasetError
from auditor.pointing import Locate, setting, there

TRUTH = ("labels", "predictions", "scores")
"""Settings whose columns hold what a model is asked for."""


def refuse_absent(audit: AuditFile, locate: Locate, roles: Sequence[Role]) -> None:
    """Raise ``DatasetError`` for the first data file, or schema, that the audit names in vain."""
    places: list[tuple[Place, str]] = []
    if audit.input.features is not None:
        places.append((("input", "features"), audit.input.features))
    for role in roles:
        section = audit.data[role]
        places.append((("data", role.value, "path"), section.path))
        if PurePath(section.path).suffix.lower() == ".npy":  # its columns are files too
            arrays = [item for item in named_columns(section) if item[1].lower().endswith(".npy")]
            places += [(("data", role.value, *place), name) for place, name in arrays]
    for place, written in places:
        there(audit, place, written, locate, error=DatasetError, plain=False)


@contextmanager
def asked_by(audit: AuditFile, role: Role) -> Iterator[None]:
    """Say of a column that the block lacks, which setting of the audit file names it.

    Raises ``DatasetError`` for memory that is not there, too.
    """
    try:
        yield
    except MemoryError:
        path = audit.data[role].path
        raise DatasetError(
            f"{setting(audit, 'data', role.value, 'path')}: {path} does not fit into the memory of "
            "this machine",
            cure="Take a smaller sample, or a machine with more memory.",
        ) from None
    except AbsentColumnError as error:
        named = [(("data", role.value, *at), it) for at, it in named_columns(audit.data[role])]
        named.append((("input", "text"), audit.input.text or ""))
        place = next((place for place, name in named if name == error.column), None)
        if place is None:
            raise
        problem = f"{setting(audit, *place)}: {error.problem}"
        raise DatasetError(problem, cure=error.cure) from None


def refuse_unknown_features(source: Source, schema: Schema) -> None:
    """Raise ``DatasetError`` at the line of the schema that lists what is no column of a table."""
    listed = {feature.name for feature in schema.features}
    for feature, place in zip(schema.features, schema.places, strict=True):
        if feature.name not in source.columns:
            free = [name for name in source.columns if name not in listed]
            raise DatasetError(
                f"{place}: {source.name} has no column {feature.name!r}; "
                f"{columns_like(feature.name, free or list(source.columns))}",
                cure="Mend the name in the schema, or the data file.",
            )


def refuse_answers(audit: AuditFile, role: Role, names: Sequence[str]) -> None:
    """Raise ``DatasetError`` where the model would read the very column that it is judged by."""
    for place, name in named_columns(audit.data[role]):
        if place[0] in TRUTH and name in names:
            raise DatasetError(
                f"{setting(audit, 'data', role.value, *place)}: the column {name!r} is also an "
                "input of the model, which would only have to repeat it",
                cure="Take it out of the inputs (the schema of input.features, or input.text), or "
                "name the column that holds the truth.",
            )
