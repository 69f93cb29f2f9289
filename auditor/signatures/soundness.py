"""What speaks against a manifest by itself, before any file is looked at."""

from collections.abc import Sequence
from itertools import pairwise

from auditor.domain.lookalikes import folded_name
from auditor.signatures.manifests import LONE, Manifest, Resource, is_clean, root_digest
from auditor.signatures.objections import Code, Objection, quoted
from auditor.signatures.serialisations import Part
from auditor.signatures.statements import Statement


def object_to_manifest(manifest: Manifest, statement: Statement) -> tuple[Objection, ...]:
    """Return what speaks against a manifest and the subject that stands for it."""
    found = object_to_resources(manifest)
    found += [_unclean_ignored(path) for path in manifest.ignored if not _may_ignore(path)]
    if len(statement.subjects) != 1:
        text = f"the statement must have one subject, and has {len(statement.subjects)}"
        found.append(Objection(Code.SUBJECT, text))
    elif statement.subjects[0].sha256 != root_digest(manifest.resources):
        found.append(Objection(Code.ROOT, "the subject's digest is not that of the manifest"))
    return tuple(found)


def object_to_resources(manifest: Manifest) -> list[Objection]:
    """Return what speaks against the signed files' names, their order and their shards."""
    names = manifest.names
    found = [_unclean(name) for name in names if not is_clean(name) and list(names) != [LONE]]
    if list(names) == [LONE]:
        found.append(_LONE_NAME)
    found += _object_to_order([item.part for item in manifest.resources])
    found += _object_to_names(names)
    if manifest.serialisation.shard is None:
        found += _object_to_repeats(manifest.resources)
    else:
        found += _object_to_shards(manifest, manifest.serialisation.shard)
    return found


def _object_to_order(parts: Sequence[Part]) -> list[Objection]:
    by_place = [(part.name, part.start or 0) for part in parts]
    by_text = [part.label for part in parts]
    # Shards of one file stand in the order of the file, or of their names as texts.
    if by_text == sorted(by_text) or by_place == sorted(by_place):
        return []
    for before, after in pairwise(parts):
        if (after.name, after.start or 0) < (before.name, before.start or 0):
            text = f"{quoted(after.label)} stands after {quoted(before.label)}"
            return [Objection(Code.RESOURCE_ORDER, f"{text}: names must be sorted")]
    return []


def _object_to_names(names: Sequence[str]) -> list[Objection]:
    found: list[Objection] = []
    seen: dict[str, str] = {}
    for name in names:
        # Case, composition, what is not drawn: file systems or readers take one for the other.
        folded = folded_name(name)
        if folded in seen:
            text = f"{quoted(seen[folded])} and {quoted(name)} are the same file on some machines"
            found.append(Objection(Code.COLLISION, text))
        seen[folded] = name
    return found


def _object_to_repeats(resources: Sequence[Resource]) -> list[Objection]:
    found: list[Objection] = []
    seen: set[str] = set()
    for item in resources:
        if item.part.name in seen:
            text = f"{quoted(item.part.name)} is signed twice"
            found.append(Objection(Code.DUPLICATE, text))
        seen.add(item.part.name)
    return found


def _object_to_shards(manifest: Manifest, shard: int) -> list[Objection]:
    """Shards must cover each file from its first byte to its last, once, in full pieces."""
    placed: dict[str, list[tuple[int, int]]] = {}
    for item in manifest.resources:
        placed.setdefault(item.part.name, []).append((item.part.start or 0, item.part.end or 0))
    found = []
    for name, ranges in placed.items():
        if not _tile(sorted(ranges), shard):
            repeated = len(set(ranges)) != len(ranges)
            text = f"the shards of {quoted(name)} do not cover it once from start to end"
            found.append(Objection(Code.DUPLICATE if repeated else Code.SHARDS, text))
    return found


def _tile(ranges: Sequence[tuple[int, int]], shard: int) -> bool:
    size, place = ranges[-1][1], 0
    for start, end in ranges:
        if start != place or end != min(start + shard, size) or (end == start and size):
            return False
        place = end
    return len(ranges) == 1 or size > 0


def _may_ignore(path: str) -> bool:
    return is_clean(path) and not set(path) & set("*?[")


def _unclean(name: str) -> Objection:
    escapes = name.startswith("/") or "\\" in name or ".." in name.split("/")
    code = Code.PATH_ESCAPE if escapes else Code.RESOURCE_NAME
    return Objection(code, f"{quoted(name)} is not a plain path inside the model")


def _unclean_ignored(path: str) -> Objection:
    text = f"ignore_paths holds {quoted(path)}, which is not a plain path inside the model"
    return Objection(Code.IGNORE_PATHS, text)


_LONE_NAME = Objection(
    Code.SINGLE_FILE_NAME,
    "the signature names the model's only file '.', so it binds the content and not the name",
)
