"""Command-line options for trust, and the verification of record folders by them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from auditor.cli.key_options import load_key_registry
from auditor.cli.timestamp_options import current_moment
from auditor.domain.artifacts import digest_files
from auditor.domain.policies import AssuranceLevel
from auditor.domain.records import AuditRecord
from auditor.domain.requests import AuditRequest
from auditor.domain.trust import ModelBinding, TrustPolicyStatus
from auditor.domain.verification_steps import StepResult, VerificationStep
from auditor.errors import KeyFileError, UsageError
from auditor.reports.folder import BUNDLE, SIGNER, TIMESTAMP, RecordFolder
from auditor.store.key_audit import check_record_signer
from auditor.store.key_lifecycle import list_ended_keys
from auditor.trust.artifacts.verify import VerificationRequest
from auditor.trust.keys.files import load_certificates, load_public_key, read_pem
from auditor.trust.policies.auditors import AuditorMatch, find_auditor
from auditor.trust.policies.evaluate import evaluate_signature
from auditor.trust.policies.evidence import read_model_attestations, read_model_digests
from auditor.trust.policies.query import QueryTime, TrustQuery
from auditor.trust.policies.trust_policy import ModelClaim, TrustPolicy
from auditor.trust.policy_files import load_trust_policy
from auditor.trust.signatures.trusted_signers import (
    UNKNOWN_KIND,
    SignerIdentity,
    TrustedKey,
    TrustedSigners,
    VerificationTime,
)
from auditor.trust.signatures.verify import verify_keyless
from auditor.trust.supply_chain.verify import MOST_DOCUMENT_BYTES
from auditor.trust.timestamps import TimestampAuthorities
from auditor.trust.verification_result import IssueCode, IssueGrade, VerificationProfile
from auditor.workflows.approvals import AuthorizedSigners, check_waiver_keys
from auditor.workflows.ledger import open_existing_store
from auditor.workflows.settings import AuditorSettings
from auditor.workflows.trust_acceptance import find_trust_policy_status, read_signature_evidence
from auditor.workflows.verify.folder import RecordVerifier, verify_folder
from auditor.workflows.verify.timestamps import check_record_timestamp
from auditor.workflows.verify.verifiers import build_verifier

F = TypeVar("F", bound=Callable[..., object])


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


def ledger_options(command: F) -> F:
    """Let a command be told by which ledger, and which witnesses of it, a record must be known."""
    ledger = click.option(
        "--ledger-key",
        "ledger_key",
        type=click.Path(path_type=Path),
        help="The public key of the ledger (ledger.pub): the record must be in it.",
    )
    witnesses = click.option(
        "--witness-key",
        "witness_keys",
        type=click.Path(path_type=Path),
        multiple=True,
        help="The public key of a witness that must have cosigned; repeats.",
    )
    return ledger(witnesses(command))


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
            cure="Leave --assurance out, or give --key.",
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
    step = _trust(policy, found)
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


def _trust(policy: TrustPolicy, found: AuditorMatch) -> VerificationStep:
    doubts = [f"{it.code}: {it.text}" for it in found.objections if it.grade is IssueGrade.WARNING]
    who = found.auditor
    said = "" if who is None else f"{policy}: {who.name} may claim {who.highest.name}"
    return VerificationStep.of("trust", found.mistakes, "; ".join([said, *doubts]))


MOST_TRUST_ROOT = 4 * 2**20
HEX = 64
_PATH = click.Path(path_type=Path)
_OPTIONS = (
    click.option("--key", type=_PATH, help="The public key that you trust."),
    click.option("--trust", type=_PATH, help="A trust policy (YAML) that says whom to trust."),
    click.option("--model", help="The model's name, by which a trust policy finds its rule."),
    click.option("--version", "model_version", help="The model's version, likewise."),
    click.option("--tag", "tags", multiple=True, help="A tag of the model, likewise. Repeats."),
    click.option(
        "--document",
        "documents",
        type=_PATH,
        multiple=True,
        help="Signed statements that a trust policy may ask for. Repeats.",
    ),
    click.option("--roots", type=_PATH, multiple=True, help="Authorities (PEM) that you trust."),
    click.option(
        "--identity",
        multiple=True,
        help="The signer's name in the certificate: email:ADDRESS or uri:URI. Repeats.",
    ),
    click.option("--issuer", help="Who vouched for a keyless identity (OIDC issuer)."),
    click.option(
        "--trusted-root", type=_PATH, help="Sigstore's trusted_root.json, for keyless ones."
    ),
    click.option(
        "--revoked",
        multiple=True,
        metavar="SHA256",
        help="A certificate, key or statement that no longer counts. Repeats.",
    ),
    click.option(
        "--at",
        metavar="TIME",
        help="When it was signed, if something that you trust proves it; default: now.",
    ),
    click.option(
        "--profile",
        type=click.Choice([item.value for item in VerificationProfile]),
        help="compat takes older habits of signers, with warnings; default: strict.",
    ),
)


@dataclass(frozen=True, slots=True)
class TrustOptions:
    """The options of ``trusted``, as given."""

    key: Path | None
    trust: Path | None
    model: str | None
    model_version: str | None
    tags: tuple[str, ...]
    documents: tuple[Path, ...]
    roots: tuple[Path, ...]
    identity: tuple[str, ...]
    issuer: str | None
    trusted_root: Path | None
    revoked: tuple[str, ...]
    at: str | None
    profile: str | None

    @property
    def alone(self) -> bool:
        """Whether nothing but a key or a trust policy was given."""
        other = (self.roots, self.identity, self.revoked, self.issuer, self.trusted_root, self.at)
        return not any((*other, *self._of_model))

    def question(self) -> VerificationRequest:
        """Return by what to verify an artifact. Raises ``UsageError`` and ``KeyFileError``."""
        if any(self._of_model):
            raise UsageError(
                "Only a trust policy asks for the model's name, version, tags and documents",
                cure="Give --trust, or leave --model, --version, --tag and --document out.",
            )
        return VerificationRequest(
            self._trusted(),
            self._moment(),
            VerificationProfile(self.profile or VerificationProfile.STRICT),
        )

    def asked(self, policy: TrustPolicy) -> TrustQuery:
        """Return what a trust policy is asked. Raises ``UsageError``."""
        other = (self.key, self.roots, self.identity, self.issuer, self.trusted_root, self.revoked)
        if any((*other, self.profile)):
            raise UsageError(
                "A trust policy says by itself whom to trust, and how",
                cure="Give --trust without --key, --roots, --identity, --issuer, --trusted-root, "
                "--revoked and --profile.",
            )
        if self.model is None or self.model_version is None:
            raise UsageError(
                "A trust policy has a rule a model",
                cure="Give --model and --version: what you take the artifact for.",
            )
        moment = self._moment()
        when = QueryTime(datetime.now(UTC), moment if moment.proven else None)
        return TrustQuery(policy, ModelClaim(self.model, self.model_version, self.tags), when)

    @property
    def _of_model(self) -> tuple[object, ...]:
        return self.model, self.model_version, self.tags, self.documents

    def _trusted(self) -> TrustedSigners:
        ways = [self.key is not None, bool(self.roots), self.trusted_root is not None]
        if sum(ways) != 1:
            raise UsageError(
                "It must be clear whom to trust, in one way",
                cure="Give --key, or --trust, or --roots with --identity, or --trusted-root with "
                "--identity and --issuer.",
            )
        revoked = dict.fromkeys(_digest(item) for item in self.revoked)
        if self.key is not None:
            if self.identity or self.issuer is not None:
                raise UsageError(
                    "A key has no other identity than itself", cure="Leave --identity out."
                )
            key = TrustedKey(load_public_key(self.key).pem)
            return TrustedSigners(keys=(key,), revoked=revoked)
        return TrustedSigners(
            roots=tuple(_roots(path) for path in self.roots),
            trusted_root=None if self.trusted_root is None else _trust_root(self.trusted_root),
            identities=self._identities(),
            revoked=revoked,
        )

    def _identities(self) -> tuple[SignerIdentity, ...]:
        keyless = self.trusted_root is not None
        if not self.identity or keyless != (self.issuer is not None):
            raise UsageError(
                "Without a name, anyone whom the authority ever vouched for could have signed",
                cure="Give --identity"
                + (" and --issuer." if keyless else ", and --issuer only with --trusted-root."),
            )
        try:
            return tuple(SignerIdentity.parse(name, self.issuer) for name in self.identity)
        except ValueError as error:
            raise UsageError(f"--identity: {error}", cure=UNKNOWN_KIND) from None

    def _moment(self) -> VerificationTime:
        if self.at is None:
            return VerificationTime(datetime.now(UTC))
        try:
            return VerificationTime.parse(self.at, proven=True)
        except ValueError:
            raise UsageError(
                f"--at {self.at} is no time", cure="Write it as 2026-01-31T12:00:00Z."
            ) from None


def trust_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say whom to trust; the command takes them as ``**options``."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def _roots(path: Path) -> bytes:
    load_certificates(path)
    return read_pem(path)


def read_document(path: Path) -> bytes:
    """Return the bytes of a document. Raises ``UsageError`` for none, and for a huge one."""
    try:
        with path.open("rb") as file:
            raw = file.read(MOST_DOCUMENT_BYTES + 1)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {error.strerror}", cure="Name a signed statement."
        ) from None
    if len(raw) > MOST_DOCUMENT_BYTES:
        raise UsageError(
            f"{path} has more than {MOST_DOCUMENT_BYTES} bytes", cure="Name another document."
        )
    return raw


def _trust_root(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MOST_TRUST_ROOT)
    except OSError as error:
        raise KeyFileError(
            f"{path} cannot be read: {error.strerror}", cure="Name a trusted_root.json."
        ) from None


def _digest(text: str) -> str:
    found = text.removeprefix("key:").removeprefix("sha256:").lower()
    if len(found) != HEX or set(found) - set("0123456789abcdef"):
        raise UsageError(f"--revoked {text} is no SHA-256", cure="Give its 64 hexadecimal digits.")
    return found


def assurance_option(command: F) -> F:
    """Add ``--assurance``; the command takes an ``AssuranceLevel``, A0 where nothing is said."""
    return click.option(
        "--assurance",
        type=click.Choice([item.name for item in AssuranceLevel]),
        default=AssuranceLevel.A0.name,
        show_default=True,
        callback=lambda _context, _option, name: AssuranceLevel[name],
        help="The most that records of --key may claim; A1 for the key of a service you trust.",
    )(command)
