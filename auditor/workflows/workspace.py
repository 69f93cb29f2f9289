"""The workspace of this machine: its settings, its store with the ledger, and its signer."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key

from auditor._environment import environment_lock
from auditor._resources import scratch_folder
from auditor._time import utc_now
from auditor.domain.evidence import Blob
from auditor.domain.json import encode_canonical
from auditor.domain.policies import Policy
from auditor.domain.requests import AuditRequest
from auditor.domain.waivers import SignedWaiver
from auditor.errors import DatasetError, UsageError
from auditor.inputs.api_arguments import StrPath, describe_value, read_optional_path, read_path_name
from auditor.inputs.resolve import Locate
from auditor.store.blob_urls import StoreLocation
from auditor.store.key_lifecycle import open_report_signer
from auditor.store.ledger_events import log_policy, log_waivers
from auditor.store.record_store import RecordStore
from auditor.store.resume_cache import ResumeCache, open_resume_cache
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

EPHEMERAL = "ephemeral"
"""What a record says of a key that ended with the process that made it."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """The key that signs records: a file or URI, or one of the moment.

    ``password_file`` holds the password of one that is encrypted, on its first line.
    """

    name: str | None
    password_file: Path | None = None

    @classmethod
    def load(cls, name: StrPath, *, password_file: StrPath | None = None) -> "SigningKey":
        """Name a private key by its file, or by the URI of a token such as ``pkcs11:…``.

        It is opened when it signs. Raises ``UsageError`` for what is neither.
        """
        password = read_optional_path(password_file, "password_file")
        return cls(read_path_name(name, "name", uri=True), password)

    @classmethod
    def ephemeral(cls) -> "SigningKey":
        """Make a key that ends with the audit: nothing is written to the user's home folder.

        The record says so, and nobody can pin such a key beforehand, so that it opens no gate
        elsewhere.
        """
        return cls(None)


@dataclass(frozen=True, slots=True)
class Workspace:
    """What runs on this machine share: settings, the store, and the signer.

    One that is ``ephemeral`` ends with the process: its key is of the moment, and no ledger knows
    what it signs. Records say so.
    """

    settings: AuditorSettings
    store: RecordStore
    signer: Signer
    made_keys: tuple[Path, ...]
    ephemeral: bool = False

    @property
    def challenged_at(self) -> StoreLocation:
        """The store whose challenges count here: the user's own."""
        return (AuditorSettings.from_environment() if self.ephemeral else self.settings).place

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
            tool={**describe_tool(), **({"key": EPHEMERAL} if self.ephemeral else {})},
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

    def unfinished(self, request: AuditRequest) -> AbstractContextManager[ResumeCache]:
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
            if self.store.blobs.put_file(path) != item.file.digest:
                raise DatasetError(
                    f"{item.path} changed while it was read",
                    cure="Do not change the file during the audit. Try again.",
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
def open_workspace_for(key: SigningKey | None, argument: str = "key") -> Iterator[Workspace]:
    """Open what a caller from Python runs in: the user's own with their key or the ``key`` named.

    With an ephemeral one a folder of the moment takes the store's place. Raises ``KeyFileError``,
    and ``UsageError`` that says which ``argument`` is no key.
    """
    if key is not None and not isinstance(key, SigningKey):
        raise UsageError(
            f"{argument} is {describe_value(key)}, not a key that signs",
            cure="Pass auditor.Key.load('signer.key') or auditor.Key.ephemeral().",
        )
    if key is not None and key.name is None:
        with scratch_folder() as home:
            settings = AuditorSettings(home, f"sqlite:///{home / 'auditor.db'}")
            with open_worker_workspace(settings) as place:
                yield replace(place, ephemeral=True)
        return
    settings = AuditorSettings.from_environment()
    if key is not None:
        password = key.password_file or settings.password_file
        settings = replace(settings, signer=key.name, password_file=password)
    with open_workspace(settings, PasswordSource(settings.password_file)) as place:
        yield place


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
