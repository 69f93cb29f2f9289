"""What runs on this machine share: its settings, its store with the ledger, and its signer."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key

from auditor._environment import environment_lock
from auditor._time import utc_now
from auditor.domain.checkpoint import AuditCheckpoint
from auditor.domain.evidence import Blob
from auditor.domain.json import encode_canonical
from auditor.domain.policies import Policy
from auditor.domain.requests import AuditRequest
from auditor.domain.waivers import SignedWaiver
from auditor.errors import DatasetError
from auditor.inputs.resolve import Locate
from auditor.store.key_lifecycle import open_report_signer
from auditor.store.ledger_events import log_policy, log_waivers
from auditor.store.record_store import RecordStore
from auditor.store.resume_cache import open_resume_cache
from auditor.trust.disclosure import CommittedBlob
from auditor.trust.keys.files import NOBODY, PasswordSource
from auditor.trust.signatures.keys import KeySigner, Signer, read_public_key
from auditor.workflows.audit import AuditEnvironment, ignore_commitment
from auditor.workflows.input_copies import locate_input_files
from auditor.workflows.ledger import REPORT_ROLE, log_key_roles, open_ledger_store
from auditor.workflows.prepare import PreparedAudit
from auditor.workflows.settings import AuditorSettings
from auditor.workflows.trust_acceptance import with_store_state
from auditor.workflows.wiring import OPENERS, describe_tool


@dataclass(frozen=True, slots=True)
class Workspace:
    """What runs on this machine share: settings, the store, and the signer."""

    settings: AuditorSettings
    store: RecordStore
    signer: Signer
    made_keys: tuple[Path, ...]

    @property
    def identity(self) -> str:
        """The name by which policies speak of the signer's key."""
        return read_public_key(self.signer.public_pem()).identity

    def surroundings(
        self,
        keep: Callable[[Blob], None] | None = None,
        note: Callable[[CommittedBlob], None] = ignore_commitment,
    ) -> AuditEnvironment:
        """Return what an audit needs of the world; the lock of its environment is kept."""
        self.store.blobs.put(environment_lock())
        return AuditEnvironment(
            openers=OPENERS,
            unit_of_work=self.store.unit_of_work,
            keep=keep or self.keep,
            clock=utc_now,
            tool=describe_tool(),
            signer=self.identity,
            note=note,
        )

    def informed(self, prepared: PreparedAudit) -> PreparedAudit:
        """Return an audit with what the store knows of its model and its trust policy by now."""
        return with_store_state(prepared, self.store, utc_now())

    def note(self, policy: Policy, waivers: Sequence[SignedWaiver]) -> str:
        """Put down what is judged by, and say what is odd about the policy, or nothing.

        Raises ``WaiverError`` and ``KeyFileError`` for waivers that may not count.
        """
        log_waivers(self.store, waivers, self.signer.public_pem(), utc_now())
        return log_policy(self.store, policy, utc_now())

    def unfinished(self, request: AuditRequest) -> AbstractContextManager[AuditCheckpoint]:
        """Open what an interrupted run of the same request, by the same code, had seen."""
        return open_resume_cache(
            self.settings.unfinished, f"{request.digest} {dict(describe_tool())}"
        )

    def keep(self, blob: Blob) -> None:
        """Keep a blob of evidence."""
        self.store.blobs.put(blob.raw)

    def keep_inputs(self, prepared: PreparedAudit, locate: Locate) -> None:
        """Keep what an audit was given, so that it can be reproduced from its record.

        Raises ``DatasetError`` when a file changed after it was digested.
        """
        self.store.blobs.put(prepared.file.raw)
        for raw in (encode_canonical(prepared.policy.document), *prepared.dossier.blobs):
            self.store.blobs.put(raw)
        if prepared.compared is not None:
            self.store.blobs.put(prepared.compared.canonical())
        for item, path in locate_input_files(prepared, locate):
            if self.store.blobs.put_file(path) != f"sha256:{item.file.sha256}":
                raise DatasetError(
                    f"{item.path} changed while it was read", cure="Let it rest, and try again."
                )


@contextmanager
def open_workspace(
    settings: AuditorSettings, passwords: PasswordSource = NOBODY
) -> Iterator[Workspace]:
    """Open the store, its ledger and the signer; a first run makes a pair of keys for each.

    ``passwords`` open keys that are encrypted.
    """
    signer, made = open_report_signer(settings.home, settings.signer, passwords)
    store, made_too = open_ledger_store(settings.place, passwords)
    try:
        log_key_roles(store, {REPORT_ROLE: signer.public_pem().decode()}, utc_now())
        yield Workspace(settings, store, signer, tuple(filter(None, (made, made_too))))
    finally:
        store.close()


@contextmanager
def open_worker_workspace(settings: AuditorSettings) -> Iterator[Workspace]:
    """Open the store for whoever only carries out checks: neither record nor ledger is theirs to
    sign, and no key of a service has to lie where models run.

    What would be signed here all the same bears a key of the moment, and is refused by the store.
    """
    store = RecordStore.open(settings.database, settings.blobs)
    try:
        yield Workspace(settings, store, KeySigner(generate_private_key(SECP256R1())), ())
    finally:
        store.close()
