"""A service without doors or engines: audits that have ended, and people who speak of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from decision_papers import AUDITOR, approval, finding
from decision_papers import record as plain_record
from waiver_papers import new_signer

from auditor.domain.approvals import Approval, ApprovalAnswer, HumanFinding
from auditor.domain.budgets import Budget
from auditor.domain.findings import Finding, Outcome
from auditor.domain.json import compute_digest, encode_canonical
from auditor.domain.policies import Policy
from auditor.domain.records import AuditRecord
from auditor.domain.requests import PolicyRef
from auditor.domain.targets import TargetSpec
from auditor.errors import StoreError
from auditor.reports.folder import BUNDLE, RECORD, SIGNER
from auditor.service.approvals.people import ApprovalContext
from auditor.service.approvals.status import RecordGate
from auditor.service.domain.people import DecisionKind, Person, SignedDecision
from auditor.service.domain.submissions import AuditOrder, Submission, SubmissionResult
from auditor.service.store.people import keep_decision
from auditor.service.store.submission_history import ServiceStore
from auditor.store.database import migrate
from auditor.store.key_lifecycle import build_key_book, record_key_revocation
from auditor.store.ledger_events import log_approval
from auditor.store.record_store import RecordStore
from auditor.trust.ledger.notes import MemoryNoteSigner
from auditor.trust.signatures.decisions import sign_approval, sign_finding
from auditor.trust.signatures.keys import KeySigner
from auditor.trust.signatures.records import sign_record
from auditor.workflows.audit import AuditEnvironment
from auditor.workflows.gate import GateQuestion
from auditor.workflows.ledger import log_key_roles
from auditor.workflows.verify.folder import RecordVerifier

LOG = MemoryNoteSigner("log.example/1", Ed25519PrivateKey.from_private_bytes(bytes(32)))
START = "2026-03-01T00:00:00Z"
NOW = "2026-03-02T00:00:00Z"
"""When anything is asked: audits end an hour after one another from ``START`` on."""
MINE, THEIRS = "mine", "theirs"
PASSED = finding(outcome=Outcome.PASSED)


def hours(number: float, since: str = START) -> str:
    at = datetime.fromisoformat(since).astimezone(UTC) + timedelta(hours=number)
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True)
class Audit:
    """An audit that has ended, and its first record."""

    submission: Submission
    record: AuditRecord

    @property
    def id(self) -> str:
        return self.submission.id


@dataclass(frozen=True)
class Someone:
    """A person of a project, whose private key is here."""

    person: Person
    signer: KeySigner


@dataclass
class SmallService:
    """What a service keeps, by hand: nothing runs, and records are what is said here."""

    store: RecordStore
    policies: dict[str, Policy] = field(default_factory=dict)
    now: str = NOW
    made: int = 0

    @classmethod
    def open(cls, folder: Path) -> "SmallService":
        url = f"sqlite:///{folder / 'auditor.db'}"
        migrate(url)
        store = RecordStore.open(url, folder / "blobs", LOG)
        log_key_roles(store, {"report": AUDITOR.public_pem().decode()}, START)
        for project in (MINE, THEIRS):
            ServiceStore(store).add_project(project, START)
        return cls(store)

    @property
    def panel(self) -> ApprovalContext:
        return ApprovalContext(
            kept=ServiceStore(self.store),
            around=cast("AuditEnvironment", None),  # nothing is judged again here
            signer=AUDITOR,
            checks={},
            verifier=self.verifier,
            policy=lambda raw, _: self.policies[compute_digest(raw)],
            clock=lambda: self.now,
        )

    @property
    def looker(self) -> RecordGate:
        """Asks records without verifying whole folders: those here have four files."""
        return RecordGate(self.panel, self.verifier, whole=False)

    @staticmethod
    def verifier(key: bytes) -> RecordVerifier:
        return RecordVerifier({}, lambda *_: cast("Policy", None), key, "sha256:0")

    def policy(self, name: str = "tests", *, kept: bool = True, **asks: Any) -> Policy:  # noqa: ANN401 -- any field
        """Put down a policy that asks for something."""
        raw = encode_canonical({"name": name, **{it: str(asks[it]) for it in sorted(asks)}})
        made = Policy(
            name=name, version="1", owner="o", digest=compute_digest(raw), document={}, source=name,
            rules=(), **asks,
        )  # fmt: skip
        self.policies[made.digest] = made
        if kept:
            self.store.blobs.put(raw)
        return made

    def record(self, policy: Policy, *findings: Finding, **changes: Any) -> AuditRecord:  # noqa: ANN401 -- any field of a record or its request
        """Return a record that ended an hour after the last one, changed where asked."""
        self.made += 1
        usual = plain_record(*(findings or (PASSED,)))
        named = PolicyRef(policy.name, policy.version, policy.digest)
        of_request = {it: changes.pop(it) for it in list(changes) if hasattr(usual.request, it)}
        first = {"policy": named, "targets": (TargetSpec("cpu"),)}
        request = replace(usual.request, **{**first, **of_request})
        at = {"registered": hours(self.made - 1), "finished": hours(self.made)}
        return replace(usual, id=f"aud-{self.made}", request=request, **{**at, **changes})

    def keep(self, record: AuditRecord, by: KeySigner = AUDITOR) -> str:
        """Keep a record that a key signed, and return its files' manifest."""
        raw = record.canonical()
        artifact = record.request.artifact
        named = None if artifact is None else artifact.digest
        bundle = sign_record(raw, named, record.request.name, by)
        with self.store.unit_of_work() as work:
            work.register(record.request, record.registered)
            work.save(record, bundle)
        return self.files({RECORD: raw, BUNDLE: bundle, SIGNER: by.public_pem()})

    def files(self, named: Mapping[str, bytes]) -> str:
        blobs = self.store.blobs
        return blobs.put(
            encode_canonical({name: blobs.put(raw) for name, raw in sorted(named.items())})
        )

    def submits(
        self, policy: Policy, project: str = MINE, by: str = "k1", *, sealed: bool = False
    ) -> Submission:
        """Hand an audit in, which does not end yet."""
        self.made += 1
        submission = Submission(
            id=f"sub-{self.made:024x}",
            project=project,
            submitter=by,
            submitted=START,
            order=AuditOrder(
                audit_file=compute_digest(b"audit.yaml"),
                source="audit.yaml",
                inputs=(),
                policy=policy.digest,
                targets=("cpu",),
                budget=Budget.CI,
                sealed=sealed,
            ),
        )
        ServiceStore(self.store).submit(submission, None)
        return submission

    def ends(self, submission: Submission, record: AuditRecord, files: str | None) -> Audit:
        """Let an audit end with a record."""
        ending = SubmissionResult(ended=record.finished, record=record.digest, files=files)
        assert ServiceStore(self.store).end(submission.id, ending)
        return Audit(submission, record)

    def audits(
        self,
        policy: Policy,
        *findings: Finding,
        project: str = MINE,
        by: str = "k1",
        signer: KeySigner = AUDITOR,
        **changes: Any,  # noqa: ANN401 -- any field of a record or its request
    ) -> Audit:
        """Audit the model under a policy: where nothing is said of it, it passes."""
        submission = self.submits(policy, project, by)
        record = self.record(policy, *findings, **changes)
        return self.ends(submission, record, self.keep(record, signer))

    def judges_again(self, audit: Audit, policy: Policy, *findings: Finding) -> AuditRecord:
        """Judge an audit's evidence again into another record of the same audit."""
        fresh = self.record(policy, *findings, derived_from=audit.record.digest)
        self.panel.rejudged.add(audit.id, fresh.digest, self.keep(fresh), fresh.finished)
        return fresh

    def names(
        self, name: str, *may: str, project: str = MINE, caller: str | None = None
    ) -> Someone:
        """Let somebody decide in a project, by a new key."""
        self.made += 1
        signer = new_signer()
        person = Person(
            id=f"per-{self.made:024x}", project=project, name=name,
            key=signer.public_pem().decode(), created=hours(self.made),
            may=frozenset(map(DecisionKind, may or ("waiver", "approval", "finding"))),
            caller=caller,
        )  # fmt: skip
        assert self.panel.people.add(person, "admin")
        return Someone(person, signer)

    def answers(
        self,
        who: Someone,
        record: AuditRecord,
        answer: ApprovalAnswer = ApprovalAnswer.YES,
        **changes: Any,  # noqa: ANN401 -- any field of an approval
    ) -> bytes:
        """Let a person answer a record at the service, an hour after it ended."""
        usual = {"by": who.person.name, "created": hours(1, record.finished)}
        said = approval(record, **{"answer": answer, **usual, **changes})
        bundle = sign_approval(said, who.signer)
        self._decides(who, DecisionKind.APPROVAL, bundle, record)
        self.notes(said, who.signer)
        return bundle

    def decides_alone(self, who: Someone, record: AuditRecord) -> None:
        """Let a person say yes at the service, of which the ledger was not told."""
        bundle = sign_approval(approval(record, by=who.person.name), who.signer)
        self._decides(who, DecisionKind.APPROVAL, bundle, record)

    def notes(self, said: Approval, by: KeySigner) -> None:
        """Put an approval into the ledger, as a command on this very machine does."""
        with self.store.unit_of_work() as work:
            log_approval(work, said, sign_approval(said, by), by.public_pem(), START)

    def finds(self, who: Someone, record: AuditRecord, bundle: bytes | None = None) -> None:
        """Let a person find something wrong with a record."""
        said = HumanFinding(
            record=record.digest, record_id=record.id, by=who.person.name, role="clinician",
            reason="Row r17 is a scar.", created=record.finished,
        )  # fmt: skip
        raw = sign_finding(said, who.signer) if bundle is None else bundle
        self._decides(who, DecisionKind.FINDING, raw, record)

    def _decides(
        self, who: Someone, kind: DecisionKind, bundle: bytes, record: AuditRecord
    ) -> None:
        decision = SignedDecision(
            project=who.person.project, digest=compute_digest(bundle), kind=kind,
            person=who.person.id, bundle=bundle, key=who.person.key, at=record.finished, by="k9",
            record=record.digest,
        )  # fmt: skip
        with self.store.unit_of_work() as work:
            assert keep_decision(work.session, decision)

    def revokes(self, key: KeySigner) -> None:
        """Let the ledger say that a key was stolen before anything here was signed."""
        with self.store.unit_of_work() as work:
            life = build_key_book(work.key_entries()).lives[key.public_pem().decode()]
            record_key_revocation(work, life, START, "stolen", NOW)

    def question(self, policy: Policy, **changes: Any) -> GateQuestion:  # noqa: ANN401 -- any field
        """Return what a gate asks now of the model under a policy."""
        artifact = plain_record().request.artifact
        assert artifact is not None
        now = datetime.fromisoformat(self.now).astimezone(UTC)
        usual = GateQuestion(artifact.digest, policy, None, None, None, now)
        return replace(usual, **changes)

    def loses(self, digest_: str) -> None:
        """Let a blob be gone."""
        self.store.blobs.path(digest_).unlink()
        try:
            self.store.blobs.get(digest_)
        except StoreError:
            return
        raise AssertionError(digest_)
