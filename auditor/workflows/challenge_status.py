"""Status of a record's challenges, and of records that rest on the same evidence."""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass

from auditor.domain.challenges import Challenge, ChallengeOutcome
from auditor.domain.check_subject import Subject
from auditor.domain.digests import is_digest
from auditor.domain.json import compute_digest
from auditor.domain.lineage import LineageEdge, build_entity_id
from auditor.domain.records import AuditRecord
from auditor.domain.verification_steps import VerificationStep
from auditor.errors import DatasetError, RecordError, StoreError
from auditor.inputs.datasets.counterexamples import CounterexampleSet, parse_counterexamples
from auditor.reports.folder import EXAMPLES, SIGNED, RecordFolder, challenge_name
from auditor.store.blob_urls import StoreLocation
from auditor.store.blobs import BlobStorage
from auditor.store.record_store import RecordStore
from auditor.store.unit_of_work import UnitOfWork
from auditor.trust.signatures.decisions import is_signed_by, open_challenge
from auditor.workflows.challenge import explain_input_mismatch
from auditor.workflows.ledger import open_existing_store

NAME = "challenges"


def list_challenges(
    record: AuditRecord, folder: RecordFolder, place: StoreLocation | RecordStore
) -> Mapping[str, bytes]:
    """Return the signed challenges in a record's folder and in the store here, by where they lie.

    Those to other records that rest on the same evidence count as well. Raises ``StoreError`` for
    a store that cannot be read.
    """
    found = dict(folder.challenges())
    with ExitStack() as stack:
        store = stack.enter_context(open_existing_store(place))
        if store is not None:
            work = stack.enter_context(store.looking())
            fresh = [
                raw for raw in list_stored_challenges(record, work) if raw not in found.values()
            ]
            found |= {f"the ledger here ({at})": raw for at, raw in enumerate(fresh, start=1)}
    return found


def list_stored_challenges(record: AuditRecord, work: UnitOfWork) -> tuple[bytes, ...]:
    """Return the signed challenges in a store that count for a record, the oldest first.

    They count by lineage, and by the evidence that they name where the store lacks records between.
    """
    told = work.challenges()
    if told:
        known = {name for name in (record.digest, record.derived_from) if name is not None}
        nodes = [build_entity_id("record", name) for name in known]
        above = [edge.destination for edge in work.ancestors(*nodes) if _is_judging(edge)]
        below = [edge.source for edge in work.descendants(*nodes, *above) if _is_judging(edge)]
        family = frozenset(known | {f"sha256:{name.partition(':')[2]}" for name in above + below})
    else:
        family = frozenset()
    kept = (raw for named, raw in told if named in family or _concerns(record, raw))
    return tuple(dict.fromkeys(kept))


def load_challenge_files(record: AuditRecord, store: RecordStore) -> Mapping[str, bytes]:
    """Return the signed challenges in a store that count for a record, with their examples.

    They lie as ``auditor challenge`` puts them into a folder. Raises ``RecordError`` for a
    challenge that cannot be read: without it a gate elsewhere would open.
    """
    with store.looking() as work:
        kept = list_stored_challenges(record, work)
    files = {challenge_name(compute_digest(raw), SIGNED): raw for raw in kept}
    for digest in {open_challenge(raw).examples for raw in kept}:
        _refuse_no_digest(digest)
        if store.blobs.has(digest):
            files[challenge_name(digest, EXAMPLES)] = store.blobs.get(digest)
    return files


def _is_judging(edge: LineageEdge) -> bool:
    ends = (edge.source, edge.destination)
    return edge.relation == "wasDerivedFrom" and all(name.startswith("record:") for name in ends)


def _concerns(record: AuditRecord, raw: bytes) -> bool:
    try:
        return rests_on_challenged_evidence(record, open_challenge(raw))
    except RecordError:
        return False  # the ledger says of which record it is, and by that it counts


def rests_on_challenged_evidence(record: AuditRecord, told: Challenge) -> bool:
    """Whether a record rests on what a challenge contradicts: it or what it was judged from.

    Judging keeps evidence as it is, so that the same of one model on one target tells it.
    """
    if told.record in {record.digest, record.derived_from}:
        return True
    artifact, found = record.request.artifact, record.fingerprints.get(told.target)
    same = told.artifact == (None if artifact is None else artifact.digest)
    return (
        same
        and found is not None
        and told.identity == found.identity
        and any(
            seen.target == told.target and seen.basis in told.evidence
            for seen in record.observations
        )
    )


def check_challenges(
    record: AuditRecord, found: Mapping[str, bytes], key: bytes, *, strict: bool
) -> VerificationStep:
    """Hold a record against the challenges that were found.

    One that refutes the verdict shuts the gate, under ``strict`` also one that lowers a figure;
    so does one that cannot be read, or that is of another record: it was put there for a reason.
    """
    mistakes = [
        mistake
        for where, raw in found.items()
        if (mistake := _objection(record, where, raw, key, strict=strict))
    ]
    count = f"{len(found)} challenges leave the verdict as it is" if found else "none is known here"
    return VerificationStep.of(NAME, mistakes, count)


def _objection(record: AuditRecord, where: str, raw: bytes, key: bytes, *, strict: bool) -> str:
    try:
        told = open_challenge(raw)
    except RecordError as error:
        return f"{where}: {error.problem}"
    inside = where.startswith(f"{NAME}/")
    if inside and not rests_on_challenged_evidence(record, told):
        return f"{where} is a challenge to another record, {told.record_id}"
    if told.outcome is ChallengeOutcome.FAILED or (
        told.outcome is ChallengeOutcome.LOWERED and not strict
    ):
        return ""
    who = "the record's own signer" if is_signed_by(raw, key) else told.signer
    return f"{where}: {describe_challenge(told)} on {told.target}, tried by {who} at {told.tried}"


def describe_challenge(challenge: Challenge) -> str:
    """Say in a sentence what a challenge came to."""
    count = len(challenge.holding)
    held = f"{count} {'example holds' if count == 1 else 'examples hold'}"
    moved = [f"{item.rule} was {item.was} and is {item.now}" for item in challenge.moved]
    moved += [f"what {check} proved is false" for check in challenge.disproved]
    return f"{held}; {', '.join(moved) or 'figures are lower, and every rule comes out as before'}"


@dataclass(frozen=True, slots=True)
class EarlierExamples:
    """The examples of earlier challenges, and which of these challenges are left out, and why.

    Anybody can sign a challenge, and none may end the next one. What is left out makes a new one
    weaker, and opens no gate: that looks at what was signed alone.
    """

    files: tuple[CounterexampleSet, ...]
    left_out: tuple[str, ...] = ()

    def fitting(self, subject: Subject) -> "EarlierExamples":
        """Leave out the examples that are no inputs of the subject's model."""
        why = [explain_input_mismatch(subject, item) for item in self.files]
        kept = (item for item, wrong in zip(self.files, why, strict=True) if not wrong)
        return EarlierExamples(tuple(kept), (*self.left_out, *filter(None, why)))


def collect_earlier_examples(
    record: AuditRecord, found: Mapping[str, bytes], folder: RecordFolder, blobs: BlobStorage
) -> EarlierExamples:
    """Return the examples of earlier challenges, each file once: a new one counts on from there.

    Of one that failed nothing counts. Those to other records on the same evidence were held
    against another policy: whoever tries their examples here too must not hear that they were
    counted.
    """
    files, left_out = dict[str, CounterexampleSet](), list[str]()
    for where, raw in found.items():
        try:
            told = open_challenge(raw)
            counts = told.record == record.digest and told.outcome is not ChallengeOutcome.FAILED
            if counts and told.examples not in files:
                files[told.examples] = _examples(told.examples, folder, blobs)
        except (RecordError, DatasetError, StoreError) as error:
            left_out.append(f"{where}: {error.problem}")
    return EarlierExamples(tuple(files.values()), tuple(left_out))


def _examples(digest: str, folder: RecordFolder, blobs: BlobStorage) -> CounterexampleSet:
    _refuse_no_digest(digest)
    name = challenge_name(digest, EXAMPLES)
    if blobs.has(digest):
        return parse_counterexamples(blobs.get(digest), name)
    if folder.has(name) and compute_digest(raw := folder.read(name)) == digest:
        return parse_counterexamples(raw, name)
    raise RecordError(
        f"its examples {digest} lie neither whole in the folder nor in the store here",
        cure=f"Put them into {folder.path} as {name}.",
    )


def _refuse_no_digest(examples: str) -> None:
    if not is_digest(examples):
        raise RecordError(
            f"a challenge names the examples {examples[:80]!r}, which is not a digest",
            cure="Take the challenge as `auditor challenge` wrote it.",
        )


def refuse_challenged_record(record: AuditRecord, found: Mapping[str, bytes]) -> None:
    """Refuse to judge again what a challenge stands against: the evidence lacks what it showed.

    Raises ``RecordError``.
    """
    for where in found:
        raise RecordError(
            f"the record {record.id} was challenged ({where}), which its evidence does not count",
            cure="Run the audit again, with a stronger attack: what is seen again stays refuted.",
        )
