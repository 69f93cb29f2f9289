"""Verifies a record by a public key or a trust policy, with the keys that the local store knows."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from auditor.domain.artifacts import digest_files
from auditor.domain.policies import AssuranceLevel
from auditor.domain.records import AuditRecord
from auditor.domain.requests import AuditRequest
from auditor.domain.trust_context import ModelBinding, TrustPolicyStatus
from auditor.domain.verification_steps import StepResult, VerificationStep
from auditor.errors import UsageError
from auditor.reports.folder import BUNDLE, SIGNER, TIMESTAMP, RecordFolder
from auditor.store.key_audit import check_record_signer
from auditor.store.key_lifecycle import list_ended_keys
from auditor.trust.keys.files import load_public_key
from auditor.trust.policies.auditors import find_auditor
from auditor.trust.policies.evaluate_signature import evaluate_signature
from auditor.trust.policies.evidence import read_model_attestations, read_model_digests
from auditor.trust.policies.query import QueryTime, TrustQuery
from auditor.trust.policies.trust_policy import ModelClaim, TrustPolicy
from auditor.trust.policy_files import load_trust_policy
from auditor.trust.signatures.verify import verify_keyless
from auditor.trust.timestamps import TimestampAuthorities
from auditor.trust.verification_result import IssueCode, IssueGrade
from auditor.workflows.approvals import AuthorizedSigners, check_waiver_keys
from auditor.workflows.ledger import load_key_registry, open_existing_store
from auditor.workflows.settings import AuditorSettings
from auditor.workflows.trust_acceptance import find_trust_policy_status, read_signature_evidence
from auditor.workflows.verify.folder import RecordVerifier, verify_folder
from auditor.workflows.verify.timestamps import check_record_timestamp, current_moment
from auditor.workflows.verify.verifiers import build_verifier


@dataclass(frozen=True, slots=True)
class VerifierOptions:
    """What to believe besides a key: how much its records may claim (``highest``; a trust policy
    says so itself), a ledger's key, its witnesses' keys, and clocks.
    """

    ledger: Path | None = None
    witnesses: tuple[Path, ...] = ()
    clocks: TimestampAuthorities | None = None
    highest: AssuranceLevel = AssuranceLevel.A0

    def verifier(self, key: Path | bytes) -> RecordVerifier:
        """Return what verifying needs with a public key."""
        found = build_verifier(key, self.ledger, self.witnesses, self.highest)
        return replace(found, clocks=self.clocks, now=current_moment())


@dataclass(frozen=True, slots=True)
class RecordTrustOptions:
    """Whose records the options of a command say to believe, and how much they may claim."""

    key: Path | None
    trust: Path | None
    assurance: AssuranceLevel
    ledger: Path | None = None
    witnesses: tuple[Path, ...] = ()

    def verify(self, folder: RecordFolder) -> tuple[VerificationStep, ...]:
        """Verify a record's folder by them. Raises ``UsageError`` unless it is just one of them."""
        asides = VerifierOptions(self.ledger, self.witnesses, highest=self.assurance)
        return verify_record_folder(folder, self.key, read_trust_policy_option(self.trust), asides)


def verify_record_folder(
    folder: RecordFolder,
    key: Path | None,
    policy: TrustPolicy | None,
    asides: VerifierOptions = VerifierOptions(),
) -> tuple[VerificationStep, ...]:
    """Verify a record's folder by a key, or by the auditor of a trust policy who signed it.

    Raises ``UsageError`` unless just one of them is given.
    """
    if asides.witnesses and asides.ledger is None:
        raise UsageError(
            "a witness's key says nothing without the ledger's", cure="Give --ledger-key too."
        )
    if policy is not None and asides.highest is not AssuranceLevel.A0:
        raise UsageError(
            "A trust policy says by itself how much each auditor may claim",
            cure="Remove --assurance, or give --key.",
        )
    if policy is None and key is not None:
        return verify_folder(folder, asides.verifier(key))
    if policy is None or key is not None:
        raise UsageError(
            "It must be clear whose records to believe", cure="Give --key or --trust, one of them."
        )
    clocks = _clocks(folder, policy, asides)
    stamped = check_record_timestamp(folder, clocks, current_moment())[1]
    when = QueryTime(current_moment().at, stamped)
    found = find_auditor(policy, folder.read(BUNDLE), when, standing=find_policy_acceptance(policy))
    doubts = [f"{it.code}: {it.text}" for it in found.objections if it.grade is IssueGrade.WARNING]
    who = found.auditor
    said = "" if who is None else f"{policy}: {who.name} may claim {who.highest.name}"
    step = VerificationStep.of("trust", found.mistakes, "; ".join([said, *doubts]))
    if found.auditor is None:
        return (step,)
    checker = replace(asides, clocks=clocks).verifier(found.auditor.key.pem)
    steps = verify_folder(folder, replace(checker, highest=found.auditor.highest))
    return (step, *steps, *_waivers(folder, policy, steps))


def _waivers(
    folder: RecordFolder, policy: TrustPolicy, steps: tuple[VerificationStep, ...]
) -> tuple[VerificationStep, ...]:
    """Ask the trust policy about the waivers of a record that verifies."""
    if any(step.result is StepResult.FAILED for step in steps):
        return ()
    record = folder.record
    return tuple(check_waiver_keys(record, folder, read_deciders((), policy)))


def _clocks(
    folder: RecordFolder, policy: TrustPolicy, asides: VerifierOptions
) -> TimestampAuthorities | None:
    """Return whose timestamps to believe: those named, who want one, else those of the policy."""
    if asides.clocks is not None:
        return replace(asides.clocks, revoked=policy.revoked)
    return policy.clocks if folder.has(TIMESTAMP) else None


def read_trust_policy_option(path: Path | None) -> TrustPolicy | None:
    """Return the trust policy that an option names. Raises ``TrustPolicyError``."""
    return None if path is None else load_trust_policy(path).policy


def check_key_in_ledger(record: AuditRecord, folder: RecordFolder) -> tuple[VerificationStep, ...]:
    """Ask the ledger here, if there is one, what became of the key that a record verified by."""
    with open_existing_store(AuditorSettings.from_environment().place) as store:
        return () if store is None else (check_record_signer(store, record, folder.read(SIGNER)),)


def read_deciders(keys: Sequence[Path], policy: TrustPolicy | None) -> AuthorizedSigners:
    """Return whose decisions count now: these public keys, and those of a trust policy by role."""
    pems = tuple(load_public_key(path).pem for path in keys)
    ended = list_ended_keys(load_key_registry(AuditorSettings.from_environment()))
    if policy is None:
        return AuthorizedSigners(pems, ended)
    return AuthorizedSigners(
        pems, ended, policy, QueryTime(current_moment().at), find_policy_acceptance(policy)
    )


def judge_signer(folder: RecordFolder, policy: TrustPolicy | None) -> tuple[VerificationStep, ...]:
    """Judge by a trust policy, and now, the signature that a record's audit saw of its artifact.

    So a key that was revoked since, or that only the audit file named, opens no gate. A policy
    without rules says nothing of models. The record must have been verified before.
    """
    if policy is None or not policy.rules:
        return ()
    record = folder.record
    seen = read_signature_evidence(record, folder)
    if not seen:
        mistake = (
            f"{IssueCode.UNSIGNED}: the record's audit did not look at the artifact's signature"
        )
        return (VerificationStep.of("signer", [mistake], ""),)
    request = record.request
    claimed = ModelClaim(request.name, request.version, request.tags)
    asked = TrustQuery(policy, claimed, QueryTime(current_moment().at), verify_keyless)
    presented = read_model_attestations(seen)
    bindings = (*presented.bindings, *_bindings_here(request))
    presented = replace(presented, standing=find_policy_acceptance(policy), bindings=bindings)
    files, measured = read_model_digests(seen)
    found = evaluate_signature(asked, presented, measured, files)
    mistakes = [f"{it.code}: {it.text}" for it in found.objections if it.grade is IssueGrade.ERROR]
    if request.artifact is None or digest_files(files) != request.artifact.digest:
        mistakes.append(f"{IssueCode.CONTRADICTION}: the audit saw a signature over other files")
    detail = f"{policy} lets {found.identity} sign {claimed.subject}"
    return (VerificationStep.of("signer", mistakes, detail),)


def _bindings_here(request: AuditRequest) -> tuple[ModelBinding, ...]:
    """Return what was registered on this machine and binds the model's name or bytes otherwise."""
    with open_existing_store(AuditorSettings.from_environment().place) as store:
        if store is None:
            return ()
        with store.unit_of_work() as work:
            return work.contradictions(request)


def find_policy_acceptance(policy: TrustPolicy) -> TrustPolicyStatus:
    """Return how a trust policy stands to those accepted on this machine; nothing is made there."""
    with open_existing_store(AuditorSettings.from_environment().place) as store:
        return (
            TrustPolicyStatus.UNKNOWN if store is None else find_trust_policy_status(store, policy)
        )
