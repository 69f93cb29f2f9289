"""Recall what a record's checks saw, from the evidence in its folder."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from tokenize import TokenError

from auditor.disclosing.secrets import Secret
from auditor.domain.canonical import Json
from auditor.domain.checks import Check
from auditor.domain.evidence import Evidence, Item, decode
from auditor.domain.observed import Result, Seen
from auditor.domain.policies import Policy
from auditor.domain.readings import Gap
from auditor.domain.records import AuditRecord, Observation
from auditor.domain.subjects import Shard, derive_seed
from auditor.errors import AuditorError, BrokenCheckError, RecordError
from auditor.folders import EVIDENCE, RecordFolder
from auditor.measuring import CONFIDENCE, instantiate, parameters, readings, results_of
from auditor.packs.parameters import parameters_for
from auditor.unsealing import secret_of, unseal

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
    secret = secret_of(folder, record)
    seen = [_load(folder, item, checks, secret) for item in record.observations]
    return results_of(record, seen)


def policy_of(folder: RecordFolder, record: AuditRecord, load_policy: LoadPolicy) -> Policy:
    """Load the policy that a record was judged by, which lies among its evidence."""
    digest = record.request.policy.digest
    return load_policy(folder.evidence(digest), f"the policy {record.request.policy.name}")


def falls_short(record: AuditRecord, seen: Seen, policy: Policy) -> str:
    """Say how an observation is less than ``policy`` asks for at the record's budget, or nothing.

    Every parameter must be the one that the policy and the budget give; a grid may hold more
    values than are asked for. The seed must be the audit's own for that check.
    """
    check, observed = type(seen.check), parameters(seen.check)
    # What single rules ask at is left to them: a value that nobody observed has no reading.
    bare = replace(policy, rules=())
    asked = parameters(instantiate(check, parameters_for(check, bare, record.request.budget)))
    name = _other(check, observed, asked)
    if name is not None:
        return f"{check.id} was observed with {name} {observed.get(name)}, not {asked[name]}"
    if seen.observation.seed != derive_seed(record.request.seed, check.id, Shard()):
        return f"{check.id} was observed with a seed that is not the audit's"
    return ""


def unseen(record: AuditRecord, checks: Sequence[Check]) -> Mapping[str, tuple[str, ...]]:
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
                else _other(type(check), params, parameters(check)) is not None
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


def check_of(observation: Observation, checks: Mapping[str, type[Check]]) -> Check:
    """Return the check that observed. Raises ``BrokenCheckError`` where it is not installed."""
    check = checks.get(observation.check)
    if check is None or check.version != observation.version:
        has = "no such check" if check is None else f"version {check.version}"
        raise BrokenCheckError(
            f"{observation.check} version {observation.version} saw this, and here is {has}",
            cure="Use the version of auditor that made it.",
        )
    return instantiate(check, observation.params)


def _load(
    folder: RecordFolder,
    observation: Observation,
    checks: Mapping[str, type[Check]],
    secret: Secret | None,
) -> Seen:
    check = check_of(observation, checks)
    named = observation.evidence.items()
    evidence: Evidence = (
        _unsealed(folder, observation, secret)
        if observation.committed
        else {name: _decoded(folder, name, digest) for name, digest in named}
    )
    seen = Seen(observation, check, evidence)
    _refuse_forged(seen)
    return seen


def _unsealed(folder: RecordFolder, observation: Observation, secret: Secret | None) -> Evidence:
    found = unseal(folder, observation, secret)
    if not all(one.whole for one in found.values()):
        raise RecordError(
            f"{folder.path} withholds evidence of {observation.check} on {observation.target}",
            cure="Ask the record's author for the folder with its key, in which every row lies.",
        )
    return {name: one.item for name, one in found.items()}


def _decoded(folder: RecordFolder, name: str, digest: str) -> Item:
    raw = folder.evidence(digest)
    try:
        return decode(raw)
    except DAMAGED as error:
        place = f"{EVIDENCE}/{digest.removeprefix('sha256:')}"
        raise RecordError(
            f"{place} ({name}) is no array and no JSON: {error}",
            cure="Take the folder as auditor wrote it, unchanged.",
        ) from None


def _refuse_forged(seen: Seen) -> None:
    try:
        readings([seen], CONFIDENCE)
    except AuditorError:
        raise
    except Exception as error:  # noqa: BLE001 -- a forger's evidence may be anything under its digest
        raise RecordError(
            f"the evidence of {seen.observation.check} on {seen.observation.target} is not what "
            f"that check sees ({type(error).__name__})",
            cure="Take the folder as auditor wrote it, unchanged.",
        ) from None
