"""Verify a record's folder offline, with nothing but its files and a public key."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial

from auditor.checks.measure import CONFIDENCE, compute_readings
from auditor.domain.checks import Check
from auditor.domain.digests import Digest, is_digest
from auditor.domain.evidence_levels import assess_evidence_levels
from auditor.domain.json import Json, compute_digest, parse_json
from auditor.domain.name_suggestions import format_name_list
from auditor.domain.number_text import format_counted
from auditor.domain.observed_checks import ObservedCheck, Result
from auditor.domain.policies import AssuranceLevel, Policy
from auditor.domain.provenance import build_lineage
from auditor.domain.readings import Reading
from auditor.domain.record_json import read_record
from auditor.domain.records import AuditRecord
from auditor.domain.targets import EvidenceLevel
from auditor.domain.verification_steps import StepResult, VerificationStep
from auditor.errors import AuditorError, DossierError
from auditor.policy.evaluate.context import JudgingContext, ReadingsAt
from auditor.policy.evaluate.engine import judge_readings
from auditor.reports.attestations import check_attestations, find_signature_issues
from auditor.reports.folder import APART, BUNDLE, ERASURE, RECORD, SIGNER, RecordFolder, known_files
from auditor.reports.publish import build_rendering_inputs
from auditor.reports.schemas import validate_record
from auditor.trust.ledger.notes import NoteKey
from auditor.trust.signatures.keys import read_public_key
from auditor.trust.signatures.records import list_signed_files, verify_record
from auditor.trust.signatures.trusted_signers import VerificationTime
from auditor.trust.timestamps import TimestampAuthorities
from auditor.trust.verification_result import SignatureVerification
from auditor.workflows.evidence import (
    LoadPolicy,
    explain_observation_shortfall,
    list_commitments,
    list_foreign_openings,
    load_record_policy,
    load_results,
    read_record_secret,
)
from auditor.workflows.human_decisions import build_record_context, check_decisions
from auditor.workflows.verify.disclosure import (
    check_withheld_rows,
    open_disclosed_evidence,
    recompute_disclosed_figures,
)
from auditor.workflows.verify.inclusion import check_erasure, check_inclusion
from auditor.workflows.verify.key_lifecycle import check_key_lifecycle
from auditor.workflows.verify.rendered_report import check_rendering, report_unchecked_pdf
from auditor.workflows.verify.sealed_seed import check_sealed_seed
from auditor.workflows.verify.timestamps import check_record_timestamp

SHOWN = known_files() - APART
"""The files that show a record; their digests are signed with it."""


@dataclass(frozen=True, slots=True)
class RecordVerifier:
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
    clocks: TimestampAuthorities | None = None
    now: VerificationTime | None = None
    highest: AssuranceLevel = AssuranceLevel.A0


def verify_folder(folder: RecordFolder, verifier: RecordVerifier) -> tuple[VerificationStep, ...]:
    """Look at everything in a record's folder and say, step by step, what holds.

    Raises ``RecordError`` when there is no record to look at, ``KeyFileError`` for a bad key.
    """
    raw = folder.read(RECORD)
    found = verify_record(folder.read(BUNDLE), raw, verifier.key, files=SHOWN)
    mistakes = [f"{BUNDLE} and {RECORD}: {item}" for item in find_signature_issues(found)]
    signature = VerificationStep.of(
        "signature", mistakes, f"{BUNDLE} signs {RECORD} with the key given"
    )
    try:
        record = read_record(raw)
    except AuditorError as error:
        return (VerificationStep("record", StepResult.FAILED, error.problem), signature)
    timed, moment = check_record_timestamp(folder, verifier.clocks, verifier.now)
    return (
        VerificationStep.of(
            "record",
            [*validate_record(parse_json(raw)), *_twins(record)],
            f"{RECORD} is canonical and follows its schema",
        ),
        signature,
        _folder(folder, found, verifier.key),
        _evidence(folder, record),
        *_claimed(record, verifier),
        *_spoken_of(record, verifier),
        *check_decisions(folder, record, None if verifier.now is None else str(verifier.now)),
        *_recomputed(folder, record, verifier),
        check_inclusion(folder, record, verifier.ledger, verifier.witnesses),
        *check_sealed_seed(record, verifier.ledger),
        *report_unchecked_pdf(folder),
        timed,
        check_key_lifecycle(folder, record, verifier.key, verifier.ledger, moment),
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


def _folder(folder: RecordFolder, found: SignatureVerification, key: bytes) -> VerificationStep:
    """Hold every file against what was signed, whichever version of auditor wrote it."""
    signed = list_signed_files(found) if found.verified else {}
    mistakes = [f"{name} is not a file of a record" for name in folder.strangers()]
    mistakes += [f"{name} is not the file that was signed" for name in _altered(folder, signed)]
    # What an earlier version did not write yet is neither there nor signed.
    unsigned = [name for name in sorted(SHOWN - set(signed)) if folder.has(name)]
    if found.verified:
        mistakes += [f"{name} is not signed" for name in unsigned]
    elif unsigned:
        mistakes.append("no file is signed with the key given")
    if folder.read(SIGNER) != key:
        mistakes.append(f"{SIGNER} is not the key given")
    shown = sorted(SHOWN & set(signed))
    return VerificationStep.of(
        "files", mistakes, f"{', '.join(shown)} are the ones that were signed"
    )


def _altered(folder: RecordFolder, signed: Mapping[str, str]) -> list[str]:
    return [
        name
        for name, known in signed.items()
        if name in SHOWN and compute_digest(folder.read(name)) != known
    ]


def _evidence(folder: RecordFolder, record: AuditRecord) -> VerificationStep:
    named = record.blobs
    mistakes = [mistake for digest in sorted(named) if (mistake := _damage(folder, digest))]
    unnamed = set(folder.evidence_names()) - {Digest(item).hex for item in named if is_digest(item)}
    mistakes += [f"evidence/{name} is not named in the record" for name in sorted(unnamed)]
    mistakes += list_foreign_openings(folder, record)
    return VerificationStep.of(
        "evidence", mistakes, f"{len(named)} blobs have the digests that the record names"
    )


def _damage(folder: RecordFolder, digest: str) -> str:
    try:
        folder.evidence(digest)
    except AuditorError as error:
        return error.problem
    return ""


def _recomputed(
    folder: RecordFolder, record: AuditRecord, verifier: RecordVerifier
) -> Iterator[VerificationStep]:
    if list_commitments(record):
        yield from _committed(folder, record, verifier)
    else:
        yield from _from_evidence(folder, record, verifier)


def _committed(
    folder: RecordFolder, record: AuditRecord, verifier: RecordVerifier
) -> Iterator[VerificationStep]:
    """Take the way of a plain record where all rows are shown, and say what is left elsewhere."""
    erased = folder.has(ERASURE)
    try:
        if read_record_secret(folder, record) is not None:
            yield VerificationStep.of(
                "rows", [], "nothing is withheld: the folder has the record's key"
            )
            yield from _from_evidence(folder, record, verifier)
            return
        remains = open_disclosed_evidence(folder, record, verifier.checks)
        policy = load_record_policy(folder, record, verifier.load_policy)
    except AuditorError as error:
        yield VerificationStep("rows", StepResult.FAILED, error.problem)
        return
    yield check_withheld_rows(remains, erased=erased)
    yield from recompute_disclosed_figures(record, remains)
    yield _parameters(
        record, [ObservedCheck(one.observation, one.check, {}) for one in remains], policy
    )
    yield VerificationStep(
        "judgement", StepResult.WITHHELD, "not checked: findings rest on withheld figures"
    )
    yield from _shown(folder, record, policy, verifier)
    if erased:
        yield check_erasure(folder, record, verifier.ledger)


def _from_evidence(
    folder: RecordFolder, record: AuditRecord, verifier: RecordVerifier
) -> Iterator[VerificationStep]:
    try:
        results = load_results(folder, record, verifier.checks)
        policy = load_record_policy(folder, record, verifier.load_policy)
        context = build_record_context(folder, record, CONFIDENCE)
    except AuditorError as error:
        yield VerificationStep("figures", StepResult.FAILED, error.problem)
        return
    readings_at = cache(partial(compute_readings, results))
    texts = _Texts(same_code=record.tool.get("code") == verifier.code)
    mistakes = _figures(record, readings_at(CONFIDENCE), texts)
    yield VerificationStep.of(
        "figures", mistakes, f"{format_counted(len(record.readings), 'reading')} recomputed"
    )
    yield _parameters(record, results, policy)
    mistakes = _judgement(record, readings_at, policy, context, texts)
    yield VerificationStep.of("judgement", mistakes, "the policy gives these findings")
    if texts.other:
        worded = format_name_list(texts.other, 3)
        detail = f"another version of auditor worded {worded}, and signed that"
        yield VerificationStep("texts", StepResult.NOT_CHECKED, detail)
    yield from _shown(folder, record, policy, verifier)


def _shown(
    folder: RecordFolder, record: AuditRecord, policy: Policy, verifier: RecordVerifier
) -> Iterator[VerificationStep]:
    try:
        same = record.tool.get("code") == verifier.code
        yield _lineage(record, policy, verifier.key, same_code=same)
        yield from check_attestations(folder, record, policy, verifier.key, same_code=same)
        inputs = build_rendering_inputs(record, policy, verifier.checks, folder.evidence)
        here = record.tool.get("environment") == verifier.environment
        found = verify_record(folder.read(BUNDLE), folder.read(RECORD), verifier.key, files=SHOWN)
        altered = _altered(folder, list_signed_files(found) if found.verified else {})
        yield check_rendering(folder, inputs, altered, same_code=same, same_environment=here)
    except DossierError as error:
        yield VerificationStep("renderings", StepResult.FAILED, error.problem)
    except AuditorError:
        raise
    except Exception as error:  # noqa: BLE001 -- a forged record says what nobody can show
        reason = f"the record says what cannot be shown ({type(error).__name__})"
        yield VerificationStep("renderings", StepResult.FAILED, reason)


def _lineage(
    record: AuditRecord, policy: Policy, key: bytes, *, same_code: bool
) -> VerificationStep:
    """Hold the edges of a record against the rest of it; another version may have drawn others."""
    expected = set(build_lineage(record, policy.catalogues, read_public_key(key).identity))
    wrong = sorted(expected ^ set(record.lineage))
    if wrong and not same_code:
        detail = "another version of auditor drew it in its own way, and signed that"
        return VerificationStep("lineage", StepResult.NOT_CHECKED, detail)
    mistakes = [f"the edge to {edge.role} {edge.destination} is missing or wrong" for edge in wrong]
    named = f"{len(expected)} edges name what the record rests on"
    return VerificationStep.of("lineage", mistakes, named)


TEXTS = frozenset({"message", "detail", "cure"})
"""What findings and gaps say to people: no rule and no gate reads it."""


@dataclass(frozen=True, slots=True)
class _Texts:
    """Compares readings and findings with recorded ones; another version may word them otherwise.

    ``other`` names those that differ in their texts alone.
    """

    same_code: bool
    other: list[str] = field(default_factory=list)

    def are_equal(
        self, name: str, mine: Mapping[str, Json] | None, theirs: Mapping[str, Json] | None
    ) -> bool:
        if mine == theirs or self.same_code or mine is None or theirs is None:
            return mine == theirs
        equal = _without_texts(mine) == _without_texts(theirs)
        if equal:
            self.other.append(name)
        return equal


def _without_texts(item: Mapping[str, Json]) -> dict[str, Json]:
    kept = {name: value for name, value in item.items() if name not in TEXTS}
    details = kept.get("details")
    if isinstance(details, Mapping) and "doubt" in details:
        kept["details"] = {**details, "doubt": ""}
    decides = kept.get("would_decide")
    if isinstance(decides, Mapping) and "needs" in decides:
        kept["would_decide"] = {**decides, "needs": ""}
    return kept


def _figures(record: AuditRecord, again: Sequence[Reading], texts: _Texts) -> Iterator[str]:
    if len(again) != len(record.readings):
        yield f"the evidence gives {len(again)} readings, the record has {len(record.readings)}"
    for index, (mine, theirs) in enumerate(zip(again, record.readings, strict=False)):
        name = f"reading {index} ({theirs.check})"
        if not texts.are_equal(name, mine.to_json(), theirs.to_json()):
            yield f"{name} is not what its evidence gives"


def _parameters(record: AuditRecord, results: Sequence[Result], policy: Policy) -> VerificationStep:
    short = [said for item in results if (said := _short(record, item, policy))]
    return VerificationStep.of("parameters", short, "the checks ran as policy and budget ask")


def _short(record: AuditRecord, result: Result, policy: Policy) -> str:
    return (
        explain_observation_shortfall(record, result, policy)
        if isinstance(result, ObservedCheck)
        else ""
    )


def _claimed(record: AuditRecord, verifier: RecordVerifier) -> Iterator[VerificationStep]:
    """Yield a step only where a record claims too much: what it may claim is no news."""
    if record.assurance > verifier.highest:
        shown = verifier.highest.name
        claimed = record.assurance.name
        yield VerificationStep(
            "assurance",
            StepResult.FAILED,
            f"ASSURANCE: nothing shows more than {shown}, and it claims {claimed}: say --assurance "
            f"{claimed} of a key that you believe so much, or name it in a trust policy",
        )


def _spoken_of(record: AuditRecord, verifier: RecordVerifier) -> Iterator[VerificationStep]:
    """Yield a step only where a record says more of where it ran than its own facts show."""
    facts = {name: replace(item, evidence=None) for name, item in record.fingerprints.items()}
    shown = assess_evidence_levels(record.request.targets, facts, record.readings)
    same = record.tool.get("code") == verifier.code
    for name, found in record.fingerprints.items():
        level = shown.get(name, EvidenceLevel.UNOPENED)
        if found.evidence is None or found.evidence.or_less(level) is found.evidence:
            continue
        said = f"it calls {name} {found.evidence.value}, and its facts show {level.value}"
        # Another version may have known more or less of that provider; gates take the weaker word.
        result = StepResult.FAILED if same else StepResult.NOT_CHECKED
        yield VerificationStep("evidence level", result, said)


def _judgement(
    record: AuditRecord,
    readings_at: ReadingsAt,
    policy: Policy,
    context: JudgingContext,
    texts: _Texts,
) -> Iterator[str]:
    findings = judge_readings(policy, readings_at, context)
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
        name = f"rule {place[0]} on {place[1]}"
        if not texts.are_equal(name, mine.get(place), theirs.get(place)):
            yield f"{name} comes out otherwise"
