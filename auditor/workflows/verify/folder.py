"""Verify a record's folder offline, with nothing but its files and a public key."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial

from auditor.attesting import attestations, objections
from auditor.deciding import decided, known_of
from auditor.domain.canonical import digest, parse
from auditor.domain.checks import Check
from auditor.domain.evidence_levels import evidence_levels
from auditor.domain.observed import Result, Seen
from auditor.domain.policies import Assurance, Policy
from auditor.domain.provenance import lineage_of
from auditor.domain.readings import Reading
from auditor.domain.record_json import read_record
from auditor.domain.records import AuditRecord
from auditor.domain.steps import Step, StepResult
from auditor.domain.targets import EvidenceLevel
from auditor.errors import AuditorError, DossierError
from auditor.extras import alike
from auditor.folders import APART, BUNDLE, ERASURE, KNOWN, RECORD, SIGNER, RecordFolder
from auditor.inclusion import erasure, inclusion
from auditor.judging.context import JudgingContext, ReadingsAt
from auditor.judging.judge import judge
from auditor.keyproofs import key_life
from auditor.ledgers.notes import NoteKey
from auditor.measuring import CONFIDENCE, readings
from auditor.publishing import inputs_of
from auditor.recalling import LoadPolicy, falls_short, load_results, policy_of
from auditor.rendering.schemas import validate_record
from auditor.reshowing import on_paper, reshown
from auditor.seeds import sealed_seed
from auditor.signatures.clocks import Clocks
from auditor.signatures.keys import read_public_key
from auditor.signatures.objections import Verification
from auditor.signatures.trust import Moment
from auditor.signing.records import signed_files, verify_record
from auditor.timestamping import look_at_time
from auditor.unsealing import committed, secret_of, strangers
from auditor.withholding import figures, look, withheld

SHOWN = KNOWN - APART
"""The files that show a record; their digests are signed with it."""


@dataclass(frozen=True, slots=True)
class Verifier:
    """What verifying needs: the checks and the policy reader of this version, and a public key.

    ``highest`` is the assurance that a record of that key may claim; a key alone is good for A0.
    ``environment`` is the digest of the packages that are installed here. With the key of a ledger
    the proof of inclusion is checked as well, and with those of witnesses who cosigned; with
    ``clocks`` the timestamp, which must hold ``now``.
    """

    checks: Mapping[str, type[Check]]
    load_policy: LoadPolicy
    key: bytes
    code: str
    environment: str = ""
    ledger: NoteKey | None = None
    witnesses: tuple[NoteKey, ...] = ()
    clocks: Clocks | None = None
    now: Moment | None = None
    highest: Assurance = Assurance.A0


def verify_folder(folder: RecordFolder, verifier: Verifier) -> tuple[Step, ...]:
    """Look at everything in a record's folder and say, step by step, what holds.

    Raises ``RecordError`` when there is no record to look at, ``KeyFileError`` for a bad key.
    """
    raw = folder.read(RECORD)
    found = verify_record(folder.read(BUNDLE), raw, verifier.key, files=SHOWN)
    signature = _signature(found)
    try:
        record = read_record(raw)
    except AuditorError as error:
        return (Step("record", StepResult.FAILED, error.problem), signature)
    timed, moment = look_at_time(folder, verifier.clocks, verifier.now)
    return (
        Step.of(
            "record",
            [*validate_record(parse(raw)), *_twins(record)],
            f"{RECORD} is canonical and follows its schema",
        ),
        signature,
        _folder(folder, found, verifier.key),
        _evidence(folder, record),
        *_claimed(record, verifier),
        *_spoken_of(record, verifier),
        *decided(folder, record, None if verifier.now is None else str(verifier.now)),
        *_recomputed(folder, record, verifier),
        inclusion(folder, record, verifier.ledger, verifier.witnesses),
        *sealed_seed(record, verifier.ledger),
        *on_paper(folder),
        timed,
        key_life(folder, record, verifier.key, verifier.ledger, moment),
    )


def _twins(record: AuditRecord) -> Iterator[str]:
    """Name what a record lists twice: each place is seen, judged and given once."""
    listed = {
        "observations": [(item.check, item.target) for item in record.observations],
        "findings": [(item.name, item.target) for item in record.findings],
        "datasets": [(item.role, item.digest) for item in record.request.datasets],
    }
    for part, names in listed.items():
        twice = sorted({" ".join(name) for name in names if names.count(name) > 1})
        yield from (f"its {part} name {name} twice" for name in twice)


def _signature(found: Verification) -> Step:
    mistakes = [f"{BUNDLE} and {RECORD}: {item}" for item in objections(found)]
    return Step.of("signature", mistakes, f"{BUNDLE} signs {RECORD} with the key given")


def _folder(folder: RecordFolder, found: Verification, key: bytes) -> Step:
    """Hold every file against what was signed, whichever version of auditor wrote it."""
    signed = signed_files(found) if found.verified else {}
    mistakes = [f"{name} is no file of a record" for name in folder.strangers()]
    mistakes += [
        f"{name} is not the file that was signed"
        for name, known in signed.items()
        if name in SHOWN and digest(folder.read(name)) != known
    ]
    # What an earlier version did not write yet is neither there nor signed.
    mistakes += [
        f"{name} is not signed" for name in sorted(SHOWN - set(signed)) if folder.has(name)
    ]
    if folder.read(SIGNER) != key:
        mistakes.append(f"{SIGNER} is not the key given")
    shown = sorted(SHOWN & set(signed))
    return Step.of("files", mistakes, f"{', '.join(shown)} are the ones that were signed")


def _evidence(folder: RecordFolder, record: AuditRecord) -> Step:
    named = record.blobs
    mistakes = [mistake for digest in sorted(named) if (mistake := _damage(folder, digest))]
    unnamed = set(folder.evidence_names()) - {item.removeprefix("sha256:") for item in named}
    mistakes += [f"evidence/{name} is not named in the record" for name in sorted(unnamed)]
    mistakes += strangers(folder, record)
    return Step.of(
        "evidence", mistakes, f"{len(named)} blobs have the digests that the record names"
    )


def _damage(folder: RecordFolder, digest: str) -> str:
    try:
        folder.evidence(digest)
    except AuditorError as error:
        return error.problem
    return ""


def _recomputed(folder: RecordFolder, record: AuditRecord, verifier: Verifier) -> Iterator[Step]:
    if committed(record):
        yield from _committed(folder, record, verifier)
    else:
        yield from _from_evidence(folder, record, verifier)


def _committed(folder: RecordFolder, record: AuditRecord, verifier: Verifier) -> Iterator[Step]:
    """Take the way of a plain record where all rows are shown, and say what is left elsewhere."""
    erased = folder.has(ERASURE)
    try:
        if secret_of(folder, record) is not None:
            yield Step.of("rows", [], "nothing is withheld: the folder has the record's key")
            yield from _from_evidence(folder, record, verifier)
            return
        remains = look(folder, record, verifier.checks)
        policy = policy_of(folder, record, verifier.load_policy)
    except AuditorError as error:
        yield Step("rows", StepResult.FAILED, error.problem)
        return
    yield withheld(remains, erased=erased)
    yield from figures(record, remains)
    yield _parameters(record, [Seen(one.observation, one.check, {}) for one in remains], policy)
    yield Step("judgement", StepResult.WITHHELD, "not checked: findings rest on withheld figures")
    yield from _shown(folder, record, policy, verifier)
    if erased:
        yield erasure(folder, record, verifier.ledger)


def _from_evidence(folder: RecordFolder, record: AuditRecord, verifier: Verifier) -> Iterator[Step]:
    try:
        results = load_results(folder, record, verifier.checks)
        policy = policy_of(folder, record, verifier.load_policy)
        context = known_of(folder, record, CONFIDENCE)
    except AuditorError as error:
        yield Step("figures", StepResult.FAILED, error.problem)
        return
    readings_at = cache(partial(readings, results))
    mistakes = _figures(record, readings_at(CONFIDENCE))
    yield Step.of("figures", mistakes, f"{len(record.readings)} readings recomputed")
    yield _parameters(record, results, policy)
    mistakes = _judgement(record, readings_at, policy, context)
    yield Step.of("judgement", mistakes, "the policy gives these findings")
    yield from _shown(folder, record, policy, verifier)


def _shown(
    folder: RecordFolder, record: AuditRecord, policy: Policy, verifier: Verifier
) -> Iterator[Step]:
    try:
        same = record.tool.get("code") == verifier.code
        yield _lineage(record, policy, verifier.key, same_code=same)
        yield from attestations(folder, record, policy, verifier.key, same_code=same)
        inputs = inputs_of(record, policy, verifier.checks, folder.evidence)
        here = record.tool.get("environment") == verifier.environment
        yield reshown(folder, inputs, same_code=same, same_environment=here)
    except DossierError as error:
        yield Step("renderings", StepResult.FAILED, error.problem)
    except AuditorError:
        raise
    except Exception as error:  # noqa: BLE001 -- a forged record says what nobody can show
        reason = f"the record says what cannot be shown ({type(error).__name__})"
        yield Step("renderings", StepResult.FAILED, reason)


def _lineage(record: AuditRecord, policy: Policy, key: bytes, *, same_code: bool) -> Step:
    """Hold the edges of a record against the rest of it; another version may have drawn others."""
    expected = set(lineage_of(record, policy.catalogues, read_public_key(key).identity))
    wrong = sorted(expected ^ set(record.lineage))
    if wrong and not same_code:
        detail = "another version of auditor drew it in its own way, and signed that"
        return Step("lineage", StepResult.NOT_CHECKED, detail)
    mistakes = [f"the edge to {edge.role} {edge.destination} is missing or wrong" for edge in wrong]
    named = f"{len(expected)} edges name what the record rests on"
    return Step.of("lineage", mistakes, named)


def _figures(record: AuditRecord, again: Sequence[Reading]) -> Iterator[str]:
    if len(again) != len(record.readings):
        yield f"the evidence gives {len(again)} readings, the record has {len(record.readings)}"
    for index, (mine, theirs) in enumerate(zip(again, record.readings, strict=False)):
        if not alike(mine.to_json(), theirs.to_json()):
            yield f"reading {index} ({theirs.check}) is not what its evidence gives"


def _parameters(record: AuditRecord, results: Sequence[Result], policy: Policy) -> Step:
    short = [said for item in results if (said := _short(record, item, policy))]
    return Step.of("parameters", short, "the checks ran as policy and budget ask")


def _short(record: AuditRecord, result: Result, policy: Policy) -> str:
    return falls_short(record, result, policy) if isinstance(result, Seen) else ""


def _claimed(record: AuditRecord, verifier: Verifier) -> Iterator[Step]:
    """Yield a step only where a record claims too much: what it may claim is no news."""
    if record.assurance > verifier.highest:
        shown = verifier.highest.name
        claimed = record.assurance.name
        yield Step(
            "assurance",
            StepResult.FAILED,
            f"ASSURANCE: nothing shows more than {shown}, and it claims {claimed}: say --assurance "
            f"{claimed} of a key that you believe so much, or name it in a trust policy",
        )


def _spoken_of(record: AuditRecord, verifier: Verifier) -> Iterator[Step]:
    """Yield a step only where a record says more of where it ran than its own facts show."""
    facts = {name: replace(item, evidence=None) for name, item in record.fingerprints.items()}
    shown = evidence_levels(record.request.targets, facts, record.readings)
    same = record.tool.get("code") == verifier.code
    for name, found in record.fingerprints.items():
        level = shown.get(name, EvidenceLevel.UNOPENED)
        if found.evidence is None or found.evidence.or_less(level) is found.evidence:
            continue
        said = f"it calls {name} {found.evidence.value}, and its facts show {level.value}"
        # Another version may have known more or less of that provider; gates take the weaker word.
        result = StepResult.FAILED if same else StepResult.NOT_CHECKED
        yield Step("evidence level", result, said)


def _judgement(
    record: AuditRecord, readings_at: ReadingsAt, policy: Policy, context: JudgingContext
) -> Iterator[str]:
    findings = judge(policy, readings_at, context)
    if record.confidence != CONFIDENCE:
        yield f"it was judged at confidence {record.confidence}, not {CONFIDENCE}"
    claimed = record.request.policy
    if policy.digest != claimed.digest:
        yield f"the policy's digest is {policy.digest}"
    if (policy.name, policy.version) != (claimed.name, claimed.version):
        yield f"the policy of that digest is {policy.name} {policy.version}"
    theirs = {(item.name, item.target): item.to_json() for item in record.findings}
    mine = {(item.name, item.target): item.to_json() for item in findings}
    for place in sorted(set(theirs) | set(mine)):
        if not alike(mine.get(place), theirs.get(place)):
            yield f"rule {place[0]} on {place[1]} comes out otherwise"
