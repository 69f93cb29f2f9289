"""Sealed datasets: rows that the auditor holds, given only to audits whose order names them."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import cast

from auditor._yaml import read_yaml_document
from auditor.domain.artifacts import FileDigest
from auditor.domain.auditfiles import AuditFile
from auditor.domain.datasets import DatasetRole
from auditor.domain.digests import Digest
from auditor.domain.json import Json
from auditor.domain.requests import InputFile
from auditor.errors import (
    AuditFileError,
    ConflictError,
    NotFoundError,
    StateConflictError,
    SubmissionError,
)
from auditor.service.domain.access import ApiKey, AuditLogAction, build_log_entry
from auditor.service.domain.schedules import SealedSet
from auditor.service.store.audit_attempts import SealedSetStore
from auditor.service.store.submission_history import ServiceStore


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedSetOrder:
    """What somebody wants to be held: a file that the project uploaded, under a name."""

    name: str
    role: DatasetRole
    digest: str
    file: str
    note: str = ""


def hold_sealed_set(
    kept: ServiceStore, caller: ApiKey, wish: SealedSetOrder, clock: Callable[[], str]
) -> SealedSet:
    """Hold a file from now on: no order may name it by its digest any more.

    Raises ``SubmissionError`` where it was not uploaded, ``StateConflictError`` where an audit of
    the project names it in the open: its rows are no secret, and whoever asks for that audit again
    would be refused for ever; ``ConflictError`` where the name or the bytes were held before.
    """
    if not kept.has_upload(caller.project, wish.digest):
        raise SubmissionError(
            f"the file {wish.digest} was not uploaded", cure="Upload it first with PUT."
        )
    sets = SealedSetStore(kept.store)
    if sets.was_named(caller.project, wish.digest):
        raise StateConflictError(
            f"an audit of this project already names {wish.digest} openly",
            cure=(
                "Seal rows that no audit has used: the requester of that audit may "
                "have a copy of these."
            ),
        )
    size, at = kept.store.blobs.size(wish.digest), clock()
    made = SealedSet(
        project=caller.project,
        name=wish.name,
        role=wish.role,
        file=FileDigest(wish.file, size, Digest(wish.digest).hex),
        note=wish.note,
        by=caller.id,
        at=at,
    )
    act = build_log_entry(caller, AuditLogAction.SEALED_SET_KEPT, wish.name, at, digest=wish.digest)
    if not sets.add(made, act):
        raise ConflictError(
            f"a sealed set {wish.name}, or one with these bytes, exists or existed",
            cure="Use another name for other rows: a name always means the same rows.",
        )
    return made


def release_sealed_set(
    kept: ServiceStore, caller: ApiKey, name: str, reason: str, clock: Callable[[], str]
) -> None:
    """Hold a set no more that no audit has used; its name and its bytes cannot be held again.

    Raises ``NotFoundError`` where there is none, ``StateConflictError`` for one that was used.
    """
    sets = SealedSetStore(kept.store)
    found = sets.named(caller.project, (name,)).get(name)
    if found is None:
        raise NotFoundError(
            f"there is no sealed set {name}", cure="List the sealed sets with GET /v1/sealed-sets."
        )
    if sets.was_named(caller.project, found.digest):
        raise StateConflictError(
            f"an audit used the sealed set {name}",
            cure="Keep the set: without it, a caller who knows its digest could read its rows.",
        )
    act = build_log_entry(caller, AuditLogAction.SEALED_SET_RELEASED, name, clock(),
                          digest=found.digest, reason=reason)  # fmt: skip
    sets.release(act)


def refuse_sealed_inputs(kept: ServiceStore, project: str, digests: Sequence[str]) -> None:
    """Raise ``SubmissionError`` where an order names bytes by digest that the auditor holds."""
    found = SealedSetStore(kept.store).holding(project, digests)
    for digest in digests:
        if digest in found:
            raise SubmissionError(
                f"{digest} is a sealed set", cure="Name the sealed set in sealed_sets."
            )


def add_sealed_inputs(
    kept: ServiceStore,
    project: str,
    file: AuditFile,
    inputs: tuple[InputFile, ...],
    names: Sequence[str],
) -> tuple[InputFile, ...]:
    """Return the inputs of an order with the files of its sealed sets, where each belongs.

    Files of these sets that are among ``inputs`` already are left out first, as they are where an
    order is repeated. Raises ``SubmissionError`` for a set that there is not, or that the audit
    file would show or name elsewhere too.
    """
    found = SealedSetStore(kept.store).named(project, names)
    held = {item.digest for item in found.values()}
    own = tuple(item for item in inputs if item.file.digest not in held)
    refuse_sealed_inputs(kept, project, [item.file.digest for item in own])
    mistakes = [said for name in names for said in _mistakes(file, found.get(name), own, name)]
    roles = Counter(item.role for item in found.values())
    mistakes += [f"several sets are {role} data" for role, many in roles.items() if many > 1]
    if mistakes:
        raise SubmissionError(
            "; ".join(mistakes[:3]),
            cure=(
                "Name a path in the audit file only for the role of the set, and send "
                "no such input."
            ),
        )
    bound = (InputFile(file.data[found[name].role].path, found[name].file) for name in names)
    return (*own, *bound)


def _mistakes(
    file: AuditFile, item: SealedSet | None, own: Sequence[InputFile], name: str
) -> Iterator[str]:
    if item is None:
        yield f"there is no sealed set {name}"
        return
    if item.role not in file.data:
        yield f"{name} is {item.role} data, but {file.source} has none"
        return
    path = file.data[item.role].path
    if any(it.path == path for it in own):
        yield f"{path} is {name}, and among the inputs too"
    # What reads a file as something else would quote it where it finds a mistake.
    content = read_yaml_document(file.raw, file.source, AuditFileError).content
    if Counter(_texts(cast("Json", content)))[path] != 1:
        yield f"{file.source} names {path} elsewhere too, and {name} is {item.role} data alone"
    if PurePath(path).suffix != PurePath(item.file.name).suffix:
        yield f"{path} has another ending than {item.file.name}, which {name} is"
    if file.show_examples:
        yield f"{file.source} asks to show examples, and {name} is not to be shown"
    if file.recipe is not None:
        yield f"{file.source} has a recipe, whose code could take {name} with it"


def _texts(found: Json) -> Iterator[str]:
    if isinstance(found, str):
        yield found
    elif isinstance(found, dict):
        for item in found.values():
            yield from _texts(item)
    elif isinstance(found, list):
        for item in found:
            yield from _texts(item)
