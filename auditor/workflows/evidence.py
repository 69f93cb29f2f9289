"""Loads and unseals the evidence in a record's folder, by disclosure key or by openings."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from tokenize import TokenError
from typing import cast

from auditor.checks.measure import (
    CONFIDENCE,
    compute_readings,
    get_check_parameters,
    instantiate_check,
    order_results,
)
from auditor.domain.check_subject import CheckShard, derive_seed
from auditor.domain.checks import Check
from auditor.domain.digests import Digest
from auditor.domain.evidence import Evidence, Item, decode_evidence, encode_evidence
from auditor.domain.json import Json, JsonPart
from auditor.domain.observed_checks import ObservedCheck, Result
from auditor.domain.policies import Policy
from auditor.domain.readings import Gap, GapReason
from auditor.domain.records import AuditRecord, CheckObservation
from auditor.domain.row_limits import ALL_ROWS, ROWS_IN_TIME, FixedRows
from auditor.errors import AuditorError, BrokenCheckError, RecordError
from auditor.policy.check_parameters import resolve_check_parameters
from auditor.reports.folder import ERASURE, EVIDENCE, KEY, OPENINGS, ROWS, RecordFolder
from auditor.trust.disclosure import (
    CommitmentOpening,
    DisclosureKey,
    EvidenceCommitment,
    EvidenceLocation,
    RowEncoding,
    build_full_opening,
    commit_evidence,
    reveal_inputs,
)

_CURE = "Take the folder as auditor wrote it, unchanged."


@dataclass(frozen=True, slots=True, eq=False)
class UnsealedItem:
    """One item of evidence as far as it is ``shown``; ``item`` may be null in itself.

    ``withheld`` are the numbers of the rows that a shown ``item`` lacks.
    """

    place: EvidenceLocation
    commitment: EvidenceCommitment
    item: "Item | None"
    withheld: frozenset[int] = frozenset()
    shown: bool = True
    opening: CommitmentOpening | None = None

    @property
    def whole(self) -> bool:
        """Whether all of it is shown."""
        return self.shown and not self.withheld

    @property
    def lacking(self) -> int:
        """How many of its rows are withheld."""
        return len(self.withheld) if self.shown else self.commitment.header.leaves

    @property
    def one_leaf(self) -> bool:
        """Whether it is bound as one leaf and not by row."""
        return self.commitment.header.form is RowEncoding.WHOLE

    def opened(self, secret: DisclosureKey | None) -> CommitmentOpening:
        """Return what opens it. Raises ``RecordError`` where nothing of it is shown."""
        if self.opening is not None:
            return self.opening
        if secret is None or not self.shown:
            raise RecordError(f"nothing of {self.place.item} is shown", cure=_CURE)
        return build_full_opening(secret.key, self.place, self.item, self.commitment)


def read_record_secret(folder: RecordFolder, record: AuditRecord) -> DisclosureKey | None:
    """Return a record's key, where it lies in the folder.

    Raises ``RecordError`` where it is malformed or another record's, or the folder contradicts
    itself: a key beside openings, rows without a key, or either beside the proof of an erasure.
    """
    held = [name for name in (KEY, ROWS, OPENINGS) if folder.has(name)]
    if held and folder.has(ERASURE):
        raise RecordError(f"{ERASURE} lies beside {held[0]}, which was to be gone", cure=_CURE)
    if (ROWS in held) != (KEY in held) or {KEY, OPENINGS} <= set(held):
        raise RecordError(
            f"{' and '.join(held)} do not go together: a key opens all rows, openings some",
            cure=_CURE,
        )
    if KEY not in held:
        return None
    secret = DisclosureKey.parse(folder.read(KEY))
    hidden = {item.file.digest for item in record.request.inputs}
    if set(secret.blobs) != list_commitments(record) or not set(secret.inputs) <= hidden:
        raise RecordError(f"{KEY} is the key of another record", cure=_CURE)
    reveal_inputs(record.request, secret)
    return secret


def list_commitments(record: AuditRecord) -> set[str]:
    """Return the digests of the commitments that a record names."""
    sealed = (seen for seen in record.observations if seen.committed)
    return {digest for seen in sealed for digest in seen.evidence.values()}


def select_opening_files(
    folder: RecordFolder, record: AuditRecord, secret: DisclosureKey
) -> dict[str, bytes]:
    """Return the files that open ``record``, of those that open the record in ``folder``."""
    named = list_commitments(record)
    own = replace(secret, blobs={name: secret.blobs[name] for name in named})
    places = [f"{ROWS}/{Digest(name).hex}" for name in sorted(named)]
    return {KEY: own.emit(), **{place: folder.read(place) for place in places}}


def unseal_observation(
    folder: RecordFolder, seen: CheckObservation, secret: DisclosureKey | None
) -> Mapping[str, UnsealedItem]:
    """Return every item of a committed observation, as far as the folder shows it.

    Raises ``RecordError`` for what is not what the record binds, and where the items of one
    observation do not withhold the same rows.
    """
    found = {name: _item(folder, seen, name, secret) for name in seen.evidence}
    by_row = [one for one in found.values() if one.shown and not one.one_leaf]
    if len({one.withheld for one in by_row}) > 1:
        raise RecordError(
            f"the evidence of {seen.check} on {seen.target} withholds other rows in one place than "
            "in another",
            cure=_CURE,
        )
    return found


def list_foreign_openings(folder: RecordFolder, record: AuditRecord) -> Iterator[str]:
    """Name the files that open what the record does not name."""
    known = {Digest(digest).hex for digest in list_commitments(record)}
    for place in (ROWS, OPENINGS):
        for name in folder.names_in(place):
            if name not in known:
                yield f"{place}/{name} opens nothing that is named in the record"


def _item(
    folder: RecordFolder, seen: CheckObservation, name: str, secret: DisclosureKey | None
) -> UnsealedItem:
    digest = seen.evidence[name]
    place, bound = (
        EvidenceLocation(seen.target, seen.check, name),
        EvidenceCommitment.parse(folder.evidence(digest)),
    )
    key = Digest(digest).hex
    try:
        if secret is not None:
            raw = folder.read(f"{ROWS}/{Digest(bound.digest).hex}")
            try:
                by_key = decode_evidence(raw)
                blob = encode_evidence(by_key)
                rows = None if bound.header.form is RowEncoding.WHOLE else bound.header.leaves
                same = commit_evidence(secret.key, place, by_key, rows) == bound
            except (ValueError, TypeError, EOFError, SyntaxError, OverflowError, MemoryError):
                raise RecordError("its rows are neither an array nor JSON", cure=_CURE) from None
            if blob.raw != raw or not same or secret.blobs[bound.digest] != blob.digest:
                raise RecordError("its rows are not those that the record binds", cure=_CURE)
            return UnsealedItem(place, bound, by_key)
        if not folder.has(f"{OPENINGS}/{key}"):
            return UnsealedItem(place, bound, None, shown=False)
        opening = CommitmentOpening.parse(folder.read(f"{OPENINGS}/{key}"))
        item = opening.item(bound)
    except AuditorError as error:
        raise RecordError(
            f"{name} of {seen.check} on {seen.target}: {error.problem}", cure=error.cure
        ) from None
    return UnsealedItem(place, bound, item, opening.withheld, opening=opening)


DAMAGED = (
    *(ValueError, EOFError, RecursionError, MemoryError, OverflowError),
    *(TypeError, SyntaxError, TokenError),
)
"""What reading a blob raises that is neither an array nor JSON."""
LoadPolicy = Callable[[bytes, str], Policy]


def load_results(
    folder: RecordFolder, record: AuditRecord, checks: Mapping[str, type[Check]]
) -> tuple[Result, ...]:
    """Load every observation with its evidence, in the order of the record's readings.

    Raises ``RecordError`` for missing, damaged or withheld evidence, ``BrokenCheckError`` when a
    check is not installed at the version that observed.
    """
    secret = read_record_secret(folder, record)
    seen = [_load(folder, item, checks, secret) for item in record.observations]
    return order_results(record, seen)


def load_record_policy(
    folder: RecordFolder, record: AuditRecord, load_policy: LoadPolicy
) -> Policy:
    """Load the policy that a record was judged by, which lies among its evidence."""
    digest = record.request.policy.digest
    return load_policy(folder.evidence(digest), f"the policy {record.request.policy.name}")


def explain_observation_shortfall(record: AuditRecord, seen: ObservedCheck, policy: Policy) -> str:
    """Say how an observation is less than ``policy`` asks for at the record's budget, or nothing.

    Every parameter must be the one that the policy and the budget give; a grid may hold more
    values than are asked for. The seed must be the audit's own for that check.
    """
    check, observed = type(seen.check), get_check_parameters(seen.check)
    # What single rules ask at is left to them: a value that nobody observed has no reading.
    bare = replace(policy, rules=())
    asked = get_check_parameters(
        instantiate_check(check, resolve_check_parameters(check, bare, record.request.budget))
    )
    name = _other(check, observed, asked)
    if name is not None:
        return f"{check.id} was observed with {name} {observed.get(name)}, not {asked[name]}"
    if seen.observation.seed != derive_seed(record.request.seed, check.id, CheckShard()):
        return f"{check.id} was observed with a seed that is not the audit's"
    return ""


def find_unobserved_checks(
    record: AuditRecord, checks: Sequence[Check]
) -> Mapping[str, tuple[str, ...]]:
    """Return by target those of ``checks`` that nobody carried out there with these parameters.

    One that has a Gap was tried, and would have it again.
    """
    seen = {(item.target, item.check): item.params for item in record.observations}
    tried = {(it.target, it.check) for it in record.readings if isinstance(it, Gap)}
    found: dict[str, tuple[str, ...]] = {}
    for spec in record.request.targets:
        there = tuple(
            check.id
            for check in checks
            if (
                (spec.name, check.id) not in tried
                if (params := seen.get((spec.name, check.id))) is None
                else _other(type(check), params, get_check_parameters(check)) is not None
            )
        )
        if there:
            found[spec.name] = there
    return found


def _other(
    check: type[Check], observed: Mapping[str, Json], asked: Mapping[str, Json]
) -> str | None:
    """Return the first parameter that is not the one asked for; a grid may hold more values."""
    grids = set(check.grid.values())
    for name, value in asked.items():
        same = _covers(observed.get(name), value) if name in grids else observed.get(name) == value
        if not same:
            return name
    return None


def _covers(observed: Json, asked: Json) -> bool:
    held = observed if isinstance(observed, list) else []
    return isinstance(asked, list) and all(value in held for value in asked)


def read_recorded_rows(
    folder: RecordFolder, record: AuditRecord
) -> Mapping[tuple[str, str], FixedRows | Gap]:
    """Return by target and check the rows that each observation of a record looked at.

    All of them, unless time ended it before; the Gap of a check for which there was no time. Raises
    ``RecordError`` for evidence that says neither.
    """
    secret = read_record_secret(folder, record)
    found: dict[tuple[str, str], FixedRows | Gap] = {
        (it.target, it.check): it
        for it in record.readings
        if isinstance(it, Gap) and it.reason is GapReason.OVER_BUDGET and not it.metric
    }
    for seen in record.observations:
        rows = ALL_ROWS
        if ROWS_IN_TIME in seen.evidence:
            if seen.committed:
                said = unseal_observation(folder, seen, secret)[ROWS_IN_TIME].item
            else:
                said = _decoded(folder, ROWS_IN_TIME, seen.evidence[ROWS_IN_TIME])
            part = JsonPart(cast("Json", said), f"{seen.check}: {ROWS_IN_TIME}")
            rows = _read_rows(part)
        found[seen.target, seen.check] = rows
    return found


def _read_rows(part: JsonPart) -> FixedRows:
    parts = part.get("parts", tuple[int, ...])
    if min(parts, default=0) < 1:
        raise RecordError(f"{part.place} has no rows", cure=_CURE)
    return FixedRows(
        parts,
        part.get("races", bool),
        part.get("looks", int),
        part.get("decided", bool),
        part.maybe("asked", tuple[float, ...]) or (),
    )


def find_observing_check(observation: CheckObservation, checks: Mapping[str, type[Check]]) -> Check:
    """Return the check that observed. Raises ``BrokenCheckError`` where it is not installed."""
    check = checks.get(observation.check)
    if check is None or check.version != observation.version:
        has = "no such check" if check is None else f"version {check.version}"
        raise BrokenCheckError(
            f"{observation.check} version {observation.version} saw this, and here is {has}",
            cure="Use the version of auditor that made it.",
        )
    return instantiate_check(check, observation.params)


def _load(
    folder: RecordFolder,
    observation: CheckObservation,
    checks: Mapping[str, type[Check]],
    secret: DisclosureKey | None,
) -> ObservedCheck:
    check = find_observing_check(observation, checks)
    named = observation.evidence.items()
    evidence: Evidence = (
        _unsealed(folder, observation, secret)
        if observation.committed
        else {name: _decoded(folder, name, digest) for name, digest in named}
    )
    seen = ObservedCheck(observation, check, evidence)
    try:
        compute_readings([seen], CONFIDENCE)
    except AuditorError:
        raise
    except Exception as error:  # noqa: BLE001 -- a forger's evidence may be anything under its digest
        raise RecordError(
            f"the evidence of {seen.observation.check} on {seen.observation.target} is not what "
            f"that check sees ({type(error).__name__})",
            cure="Take the folder as auditor wrote it, unchanged.",
        ) from None
    return seen


def _unsealed(
    folder: RecordFolder, observation: CheckObservation, secret: DisclosureKey | None
) -> Evidence:
    found = unseal_observation(folder, observation, secret)
    if not all(one.whole for one in found.values()):
        raise RecordError(
            f"{folder.path} withholds evidence of {observation.check} on {observation.target}",
            cure="Ask the record's author for the folder with its key, in which every row lies.",
        )
    return {name: one.item for name, one in found.items()}


def _decoded(folder: RecordFolder, name: str, digest: str) -> Item:
    raw = folder.evidence(digest)
    try:
        return decode_evidence(raw)
    except DAMAGED as error:
        place = f"{EVIDENCE}/{Digest(digest).hex}"
        raise RecordError(
            f"{place} ({name}) is neither an array nor JSON: {error}",
            cure="Take the folder as auditor wrote it, unchanged.",
        ) from None
