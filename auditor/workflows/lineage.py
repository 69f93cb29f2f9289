"""Lineage queries: what a record rests on, and which verdicts rest on a thing."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from auditor._yaml import read_yaml_document
from auditor.domain.digests import ENTITY_PREFIX, Digest
from auditor.domain.json import compute_digest, digest_json
from auditor.domain.lineage import LineageEdge, build_entity_id
from auditor.domain.provenance import build_provenance
from auditor.errors import AuditorError, UsageError
from auditor.reports.folder import BUNDLE, RECORD, RecordFolder
from auditor.reports.lineage_trace import LineageTrace
from auditor.store.unit_of_work import UnitOfWork
from auditor.trust.signatures.decisions import open_challenge

SHOWN = 5
YAML = frozenset({".yaml", ".yml"})
_CURE = "Name a record's folder or id, a file, or the first digits of a digest."


def trace_folder(folder: RecordFolder) -> LineageTrace:
    """Return what the record in a folder rests on, without any store.

    Challenges that lie in the folder count too. Raises ``RecordError`` for what cannot be read.
    """
    record = folder.record
    told = [build_provenance(record, compute_digest(folder.read(BUNDLE)))]
    told += [
        open_challenge(raw).provenance(compute_digest(raw)) for raw in folder.challenges().values()
    ]
    return LineageTrace.of(
        (build_entity_id("record", record.digest),),
        [edge for item in told for edge in item.edges],
        [entity for item in told for entity in item.entities],
        [activity for item in told for activity in item.activities],
    )


def is_record_stored(work: UnitOfWork, folder: RecordFolder) -> bool:
    """Whether the store keeps the very record that lies in a folder."""
    return any(
        item.kind == "record" for item in work.entities_like(compute_digest(folder.read(RECORD)))
    )


def trace_lineage(
    work: UnitOfWork, asked: str | RecordFolder, *, down: bool | None = None
) -> LineageTrace:
    """Return the lineage of what ``asked`` names: a folder, a file, a record's id, or a digest.

    ``down`` says whether to ask what rests on it; by default that is asked of all but records.
    Raises ``UsageError`` where the store knows no such thing, or several.
    """
    roots = _roots(work, asked)
    if down is None:
        down = not all(root.startswith("record:") for root in roots)
    edges = work.descendants(*roots) if down else work.ancestors(*roots)
    edges = (*edges, *work.invalidations(_ends(edges, roots)))
    entities, activities = work.described(_ends(edges, roots))
    return LineageTrace.of(roots, edges, entities, activities, down=down)


def _ends(edges: Sequence[LineageEdge], roots: Sequence[str]) -> list[str]:
    ends = {end for edge in edges for end in (edge.source, edge.destination)}
    return sorted(ends | set(roots))


def _roots(work: UnitOfWork, asked: str | RecordFolder) -> tuple[str, ...]:
    if isinstance(asked, RecordFolder):
        return _known(work, compute_digest(asked.read(RECORD)), str(asked.path))
    path = Path(asked)
    if (path / RECORD).is_file():
        return _roots(work, RecordFolder(path))
    if path.is_file():
        digests = list(_digests(path))
        file_found = [item.id for named in digests for item in work.entities_like(named)]
        if file_found:
            return tuple(dict.fromkeys(file_found))
        raise UsageError(
            f"{path} ({digests[0]}) is in the lineage of no record that is kept here",
            cure="See that it is unchanged since the audit, and that AUDITOR_HOME is the audit's.",
        )
    stored = work.find_record(asked)
    if stored is not None:
        return (build_entity_id("record", stored.digest),)
    found = ENTITY_PREFIX.fullmatch(asked.lower())
    if found is None:
        raise UsageError(f"{asked[:80]!r} names nothing that lineage could be of", cure=_CURE)
    kind, start = found.groups()
    return _known(work, f"sha256:{start}", asked, "" if kind in {None, "sha256"} else str(kind))


def _digests(path: Path) -> Iterator[str]:
    """Yield the digest of a file's bytes and, of a policy, of the document in it."""
    try:
        yield Digest.of_file(path)
        if path.suffix in YAML:
            yield digest_json(read_yaml_document(path.read_bytes(), path.name, UsageError).content)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", cure=_CURE) from None
    except (AuditorError, ValueError):
        return  # no document that could be a policy: its bytes are all there is to ask about


def _known(work: UnitOfWork, start: str, asked: str, kind: str = "") -> tuple[str, ...]:
    """Return the entities whose digest begins so; all of one digest, or it is ambiguous."""
    found = [item for item in work.entities_like(start) if kind in {"", item.kind}]
    digests = dict.fromkeys(item.digest for item in found)
    if not digests:
        raise UsageError(
            f"{asked[:80]!r} is in the lineage of no record that is kept here",
            cure=f"{_CURE} AUDITOR_HOME must be the one of the audit.",
        )
    if len(digests) > 1:
        shown = ", ".join(sorted(item.id for item in found)[:SHOWN])
        raise UsageError(
            f"{asked[:80]!r} is the beginning of {len(digests)} digests, such as {shown}",
            cure="Give more digits, or the kind before them, as in dataset:4f2a.",
        )
    return tuple(item.id for item in found)
