"""What runs on this machine share: its settings, its store with the ledger, and its signer."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key

from auditor.accepting import inform
from auditor.audits import Surroundings, ignore
from auditor.bringing import brought
from auditor.clock import now
from auditor.disclosing.sealing import Sealed
from auditor.domain.canonical import canonical
from auditor.domain.evidence import Blob
from auditor.domain.memories import Memory
from auditor.domain.policies import Policy
from auditor.domain.requests import AuditRequest
from auditor.domain.waivers import SignedWaiver
from auditor.environments import environment_lock
from auditor.errors import DatasetError
from auditor.holding import report_signer
from auditor.keeping import REPORT_ROLE, note_keys, open_kept
from auditor.noting import note_policy, note_waivers
from auditor.pointing import Locate
from auditor.preparing import Prepared
from auditor.settings import Settings
from auditor.signatures.keys import KeySigner, Signer, read_public_key
from auditor.signing.passwords import NOBODY, Passwords
from auditor.store.store import Store
from auditor.store.unfinished import unfinished
from auditor.wiring import OPENERS, tool


@dataclass(frozen=True, slots=True)
class Workplace:
    """What runs on this machine share: settings, the store, and the signer."""

    settings: Settings
    store: Store
    signer: Signer
    made_keys: tuple[Path, ...]

    @property
    def identity(self) -> str:
        """The name by which policies speak of the signer's key."""
        return read_public_key(self.signer.public_pem()).identity

    def surroundings(
        self, keep: Callable[[Blob], None] | None = None, note: Callable[[Sealed], None] = ignore
    ) -> Surroundings:
        """Return what an audit needs of the world; the lock of its environment is kept."""
        self.store.blobs.put(environment_lock())
        return Surroundings(
            openers=OPENERS,
            unit_of_work=self.store.unit_of_work,
            keep=keep or self.keep,
            clock=now,
            tool=tool(),
            signer=self.identity,
            note=note,
        )

    def informed(self, prepared: Prepared) -> Prepared:
        """Return an audit with what the store knows of its model and its trust policy by now."""
        return inform(prepared, self.store, now())

    def note(self, policy: Policy, waivers: Sequence[SignedWaiver]) -> str:
        """Put down what is judged by, and say what is odd about the policy, or nothing.

        Raises ``WaiverError`` and ``KeyFileError`` for waivers that may not count.
        """
        note_waivers(self.store, waivers, self.signer.public_pem(), now())
        return note_policy(self.store, policy, now())

    def unfinished(self, request: AuditRequest) -> AbstractContextManager[Memory]:
        """Open what an interrupted run of the same request, by the same code, had seen."""
        return unfinished(self.settings.unfinished, f"{request.digest} {dict(tool())}")

    def keep(self, blob: Blob) -> None:
        """Keep a blob of evidence."""
        self.store.blobs.put(blob.raw)

    def keep_inputs(self, prepared: Prepared, locate: Locate) -> None:
        """Keep what an audit was given, so that it can be reproduced from its record.

        Raises ``DatasetError`` when a file changed after it was digested.
        """
        self.store.blobs.put(prepared.file.raw)
        for raw in (canonical(prepared.policy.document), *prepared.dossier.blobs):
            self.store.blobs.put(raw)
        if prepared.compared is not None:
            self.store.blobs.put(prepared.compared.canonical())
        for item, path in brought(prepared, locate):
            if self.store.blobs.put_file(path) != f"sha256:{item.file.sha256}":
                raise DatasetError(
                    f"{item.path} changed while it was read", cure="Let it rest, and try again."
                )


@contextmanager
def workplace(settings: Settings, passwords: Passwords = NOBODY) -> Iterator[Workplace]:
    """Open the store, its ledger and the signer; a first run makes a pair of keys for each.

    ``passwords`` open keys that are encrypted.
    """
    signer, made = report_signer(settings.home, settings.signer, passwords)
    store, made_too = open_kept(settings.place, passwords)
    try:
        note_keys(store, {REPORT_ROLE: signer.public_pem().decode()}, now())
        yield Workplace(settings, store, signer, tuple(filter(None, (made, made_too))))
    finally:
        store.close()


@contextmanager
def workbench(settings: Settings) -> Iterator[Workplace]:
    """Open the store for whoever only carries out checks: neither record nor ledger is theirs to
    sign, and no key of a service has to lie where models run.

    What would be signed here all the same bears a key of the moment, and is refused by the store.
    """
    store = Store.open(settings.database, settings.blobs)
    try:
        yield Workplace(settings, store, KeySigner(generate_private_key(SECP256R1())), ())
    finally:
        store.close()
