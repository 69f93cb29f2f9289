"""Registry of the report formats in which a record is shown, each one file.

A format is in a module of ``formats`` with ``FORMATS``, or another package names it under the
entry-point group ``auditor.formats``. Few are part of every record's folder; `auditor export`
writes the others.
"""

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

import auditor.reports.formats
from auditor._resources import list_entry_points
from auditor.domain.json import Json, encode_canonical
from auditor.errors import BrokenCheckError
from auditor.reports.format_names import GROUP
from auditor.reports.rendering_inputs import ReportInputs


@dataclass(frozen=True, slots=True)
class ReportFormat:
    """One way to show a record: its ``name``, and the ``file`` that it is shown in.

    ``render`` is pure: the same inputs give the same bytes, or ``None`` where there is nothing to
    show. One that is ``kept`` is part of every record's folder, and signed with it; the others are
    rendered when they are asked for, as all of other packages are.
    """

    name: str
    file: str
    render: Callable[[ReportInputs], bytes | None]
    kept: bool = False


@cache
def list_shipped_formats() -> tuple[ReportFormat, ...]:
    """Return the formats of this package; folders of earlier versions may hold each of them."""
    package = auditor.reports.formats
    names = [item.name for item in pkgutil.iter_modules(package.__path__)]
    modules = [importlib.import_module(f"{package.__name__}.{name}") for name in names]
    return tuple(item for module in modules for item in vars(module).get("FORMATS", ()))


def discover_formats() -> Mapping[str, ReportFormat]:
    """Return every format by its name, those of other packages included.

    Raises ``BrokenCheckError`` for one that does not load, or has the name or file of another.
    """
    found = {item.name: item for item in list_shipped_formats()}
    for entry in list_entry_points(GROUP):
        try:
            item = entry.load()
        except Exception as error:
            raise BrokenCheckError(
                f"{entry.value} does not load: {type(error).__name__}: {error}",
                cure="Fix the package, or remove it.",
            ) from error
        if not isinstance(item, ReportFormat) or not {item.name, item.file}.isdisjoint(
            {*found, *(other.file for other in found.values())}
        ):
            raise BrokenCheckError(
                f"{entry.value} is not a ReportFormat, or has the name or file of another format",
                cure="Name a ReportFormat, and give it a name and a file of its own.",
            )
        found[item.name] = item
    return MappingProxyType(found)


def render_all(inputs: ReportInputs) -> Mapping[str, bytes]:
    """Return the bytes of every shipped format by its file; the same inputs give the same."""
    return render_formats(inputs, list_shipped_formats())


def render_folder_files(inputs: ReportInputs) -> Mapping[str, bytes]:
    """Return the bytes of the files that a record's folder is shown in, by their names."""
    return render_formats(inputs, (item for item in list_shipped_formats() if item.kept))


def render_formats(inputs: ReportInputs, formats: Iterable[ReportFormat]) -> Mapping[str, bytes]:
    """Return the bytes of some formats by their files, without those that show nothing."""
    made = ((item.file, item.render(inputs)) for item in formats)
    return {file: raw for file, raw in made if raw is not None}


def list_rendered_files() -> frozenset[str]:
    """Return the names of all files that a record's folder may be shown in."""
    return frozenset(item.file for item in list_shipped_formats())


def encode_text(written: str) -> bytes:
    """Return a text as the bytes of a file."""
    return written.encode("utf-8", errors="replace")


def encode_document(document: Json) -> bytes:
    """Return a JSON document as the bytes of a file."""
    return encode_canonical(document) + b"\n"
