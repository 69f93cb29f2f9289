"""Verify a record's folder by a key, or by whom a trust policy lets audit."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import click

from auditor.accepting import signature_seen, standing_in
from auditor.approving import Deciders, may_waive
from auditor.cli.key_choices import known_keys
from auditor.cli.timing import right_now
from auditor.domain.artifacts import digest_files
from auditor.domain.policies import Assurance
from auditor.domain.records import AuditRecord
from auditor.domain.requests import AuditRequest
from auditor.domain.steps import Step, StepResult
from auditor.domain.trust import Binding, Standing
from auditor.errors import UsageError
from auditor.folders import BUNDLE, SIGNER, TIMESTAMP, RecordFolder
from auditor.holding import ended_keys
from auditor.keeping import store_if_kept
from auditor.keyaudits import signer_here
from auditor.settings import Settings
from auditor.signatures.clocks import Clocks
from auditor.signatures.keyless import verify_keyless
from auditor.signatures.objections import Code, Grade
from auditor.signing.keys import load_public_key
from auditor.timestamping import look_at_time
from auditor.trustfiles import load_trust_policy
from auditor.trusting.asking import Asked, When
from auditor.trusting.auditors import Vouched, auditor_of
from auditor.trusting.evidence import read_measured, read_presented
from auditor.trusting.judging import judge
from auditor.trusting.policies import Claimed, TrustPolicy
from auditor.verifiers import verifier
from auditor.verifying import Verifier, verify_folder

F = TypeVar("F", bound=Callable[..., object])


@dataclass(frozen=True, slots=True)
class Asides:
    """What to believe besides a key: how much its records may claim (``highest``; a trust policy
    says so itself), a ledger's key, its witnesses' keys, and clocks.
    """

    ledger: Path | None = None
    witnesses: tuple[Path, ...] = ()
    clocks: Clocks | None = None
    highest: Assurance = Assurance.A0

    def verifier(self, key: Path | bytes) -> Verifier:
        """Return what verifying needs with a public key."""
        found = verifier(key, self.ledger, self.witnesses, self.highest)
        return replace(found, clocks=self.clocks, now=right_now())


@dataclass(frozen=True, slots=True)
class Whose:
    """Whose records the options of a command say to believe, and how much they may claim."""

    key: Path | None
    trust: Path | None
    assurance: Assurance
    ledger: Path | None = None
    witnesses: tuple[Path, ...] = ()

    def verify(self, folder: RecordFolder) -> tuple[Step, ...]:
        """Verify a record's folder by them. Raises ``UsageError`` unless it is just one of them."""
        asides = Asides(self.ledger, self.witnesses, highest=self.assurance)
        return verify_by(folder, self.key, read_trust(self.trust), asides)


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


def verify_by(
    folder: RecordFolder, key: Path | None, policy: TrustPolicy | None, asides: Asides = Asides()
) -> tuple[Step, ...]:
    """Verify a record's folder by a key, or by the auditor of a trust policy who signed it.

    Raises ``UsageError`` unless just one of them is given.
    """
    if asides.witnesses and asides.ledger is None:
        raise UsageError(
            "a witness's key says nothing without the ledger's", cure="Give --ledger-key too."
        )
    if policy is not None and asides.highest is not Assurance.A0:
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
    stamped = look_at_time(folder, clocks, right_now())[1]
    when = When(right_now().at, stamped)
    found = auditor_of(policy, folder.read(BUNDLE), when, standing=standing_here(policy))
    step = _trust(policy, found)
    if found.auditor is None:
        return (step,)
    checker = replace(asides, clocks=clocks).verifier(found.auditor.key.pem)
    steps = verify_folder(folder, replace(checker, highest=found.auditor.highest))
    return (step, *steps, *_waivers(folder, policy, steps))


def _waivers(
    folder: RecordFolder, policy: TrustPolicy, steps: tuple[Step, ...]
) -> tuple[Step, ...]:
    """Ask the trust policy about the waivers of a record that verifies."""
    if any(step.result is StepResult.FAILED for step in steps):
        return ()
    record = folder.record
    return tuple(may_waive(record, folder, deciders((), policy)))


def _clocks(folder: RecordFolder, policy: TrustPolicy, asides: Asides) -> Clocks | None:
    """Return whose timestamps to believe: those named, who want one, else those of the policy."""
    if asides.clocks is not None:
        return replace(asides.clocks, revoked=policy.revoked)
    return policy.clocks if folder.has(TIMESTAMP) else None


def read_trust(path: Path | None) -> TrustPolicy | None:
    """Return the trust policy that an option names. Raises ``TrustPolicyError``."""
    return None if path is None else load_trust_policy(path).policy


def key_here(record: AuditRecord, folder: RecordFolder) -> tuple[Step, ...]:
    """Ask the ledger here, if there is one, what became of the key that a record verified by."""
    with store_if_kept(Settings.from_environment().place) as store:
        return () if store is None else (signer_here(store, record, folder.read(SIGNER)),)


def deciders(keys: Sequence[Path], policy: TrustPolicy | None) -> Deciders:
    """Return whose decisions count now: these public keys, and those of a trust policy by role."""
    pems = tuple(load_public_key(path).pem for path in keys)
    ended = ended_keys(known_keys(Settings.from_environment()))
    if policy is None:
        return Deciders(pems, ended)
    return Deciders(pems, ended, policy, When(right_now().at), standing_here(policy))


def signer_by(folder: RecordFolder, policy: TrustPolicy | None) -> tuple[Step, ...]:
    """Judge by a trust policy, and now, the signature that a record's audit saw of its artifact.

    So a key that was revoked since, or that only the audit file named, opens no gate. A policy
    without rules says nothing of models. The record must have been verified before.
    """
    if policy is None or not policy.rules:
        return ()
    record = folder.record
    seen = signature_seen(record, folder)
    if not seen:
        mistake = f"{Code.UNSIGNED}: the record's audit did not look at the artifact's signature"
        return (Step.of("signer", [mistake], ""),)
    request = record.request
    claimed = Claimed(request.name, request.version, request.tags)
    asked = Asked(policy, claimed, When(right_now().at), verify_keyless)
    presented = read_presented(seen)
    bindings = (*presented.bindings, *_bindings_here(request))
    presented = replace(presented, standing=standing_here(policy), bindings=bindings)
    files, measured = read_measured(seen)
    found = judge(asked, presented, measured, files)
    mistakes = [f"{it.code}: {it.text}" for it in found.objections if it.grade is Grade.ERROR]
    if request.artifact is None or digest_files(files) != request.artifact.digest:
        mistakes.append(f"{Code.CONTRADICTION}: the audit saw a signature over other files")
    detail = f"{policy} lets {found.identity} sign {claimed.subject}"
    return (Step.of("signer", mistakes, detail),)


def _bindings_here(request: AuditRequest) -> tuple[Binding, ...]:
    """Return what was registered on this machine and binds the model's name or bytes otherwise."""
    with store_if_kept(Settings.from_environment().place) as store:
        if store is None:
            return ()
        with store.unit_of_work() as work:
            return work.contradictions(request)


def standing_here(policy: TrustPolicy) -> Standing:
    """Return how a trust policy stands to those accepted on this machine; nothing is made there."""
    with store_if_kept(Settings.from_environment().place) as store:
        return Standing.UNKNOWN if store is None else standing_in(store, policy)


def _trust(policy: TrustPolicy, found: Vouched) -> Step:
    doubts = [f"{it.code}: {it.text}" for it in found.objections if it.grade is Grade.WARNING]
    who = found.auditor
    said = "" if who is None else f"{policy}: {who.name} may claim {who.highest.name}"
    return Step.of("trust", found.mistakes, "; ".join([said, *doubts]))
