"""Key lifecycle in the ledger: registration, rotation and revocation, with one role for a key."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from auditor.domain.key_roles import KeyRole
from auditor.errors import KeyFileError, LedgerError
from auditor.store.ledger import LedgerEntry
from auditor.store.unit_of_work import UnitOfWork
from auditor.trust.keys.files import PRIVATE, PasswordSource, create_key_pair
from auditor.trust.keys.rotation import (
    read_key_identity,
    refuse_ended_key,
    refuse_second_role,
    sign_rotation,
)
from auditor.trust.keys.signers import open_signer
from auditor.trust.ledger.key_events import (
    KeyChange,
    KeyEvent,
    KeyEventEntry,
    KeyHistory,
    KeyRegistry,
)
from auditor.trust.signatures.keys import Signer
from auditor.trust.signatures.records import RECORD, list_signed_files
from auditor.trust.signatures.verify import verify_bundle
from auditor.trust.verification_result import VerificationError

_VERIFY = "See what `auditor ledger verify` finds."


def build_key_book(entries: Iterable[LedgerEntry]) -> KeyRegistry:
    """Return the lives of keys that key events tell, and what makes no sense in them."""
    book = KeyRegistry()
    for entry in entries:
        try:
            told = KeyEvent.parse(entry.document or b"")
        except LedgerError as error:
            book.mistakes.append(f"leaf {entry.index}: {error.problem}")
            continue
        book.add(KeyEventEntry(entry.index, entry.leaf.time, told))
    return book


def list_ended_keys(book: KeyRegistry) -> Mapping[str, str]:
    """Return the keys that the ledger here knows to be no one's word: revoked, or of another role.

    What a key that was only retired signed before that still counts.
    """
    found = {
        public: f"which the ledger here says is revoked since {life.revoked.told.since}"
        for public, life in book.lives.items()
        if life.revoked is not None
    }
    others = {
        public: f"which the ledger here knows as a {life.role} key"
        for public, life in book.lives.items()
        if life.role != KeyRole.DECISION
    }
    return {**others, **found}


def open_report_signer(
    home: Path, named: str | None, passwords: PasswordSource
) -> tuple[Signer, Path | None]:
    """Open the key that signs records, by name or in ``home``, where a first run makes it.

    Returns the signer, and the private key's path if it was made now. Raises ``KeyFileError``.
    """
    private = home / PRIVATE
    made = create_key_pair(home).private if named is None and not private.exists() else None
    signer = open_signer(named or str(private), passwords)
    refuse_second_role(home, KeyRole.REPORT, signer.public_pem())
    return signer, made


def register_key_use(
    work: UnitOfWork, role: str, public: str, at: str, *, not_after: str | None = None
) -> None:
    """Put down that a public key came into use in a role, once; ``at`` is now.

    Raises ``KeyFileError`` where the ledger knows it in another role, or it has come to its end.
    """
    life = _sound(work).lives.get(public)
    if life is None:
        work.append(*KeyEvent(KeyChange.IN_USE, role, public, not_after=not_after).event(at))
        return
    refuse_ended_key(life, role, at)
    if not_after is not None and not_after != life.not_after:
        raise KeyFileError(
            f"the ledger says that the key {read_key_identity(life)} came into use on "
            f"{life.begun.time}, until {life.not_after or 'its retirement'}",
            cure="Give its end when it comes into use; afterwards, rotate or revoke it.",
        )


def record_key_rotation(  # noqa: PLR0913 -- two keys, their role and two times
    work: UnitOfWork, role: str, old: Signer, new: Signer, at: str, *, not_after: str | None = None
) -> None:
    """Put down that one key follows another, on the old one's word; nothing where that is done.

    Raises ``KeyFileError`` for keys that may not, and for the ledger's own.
    """
    refuse_ledger_role(role)
    before, after = old.public_pem(), new.public_pem()
    book = _sound(work)
    life = book.lives.get(before.decode())
    if life is not None and life.retired and life.retired.told.replaced_by == after.decode():
        return
    if life is None:
        work.append(*KeyEvent(KeyChange.IN_USE, role, before.decode()).event(at))
    else:
        refuse_ended_key(life, role, at)
    if after.decode() in book.lives or before == after:
        raise KeyFileError(
            f"the new {role} key was in use before", cure="Rotate to a key that signed nothing yet."
        )
    word = sign_rotation(old, after, role).decode()
    fresh = KeyEvent(
        KeyChange.IN_USE, role, after.decode(), not_after, replaces=before.decode(), rotation=word
    )
    ended = KeyEvent(KeyChange.RETIRED, role, before.decode(), replaced_by=after.decode())
    for told in (fresh, ended):
        work.append(*told.event(at))


def record_key_revocation(
    work: UnitOfWork, life: KeyHistory, since: str, reason: str, at: str
) -> None:
    """Put down that a key counts for nothing since a time, which has been.

    Raises ``KeyFileError`` where that was said before, or the key is the ledger's own.
    """
    refuse_ledger_role(life.role)
    known = _sound(work).lives[life.public]
    if known.revoked is not None:
        raise KeyFileError(
            f"the key {read_key_identity(life)} is {known.words(at)}",
            cure="What the ledger says stays; a trust policy may name an earlier time.",
        )
    if since > at:
        raise KeyFileError(
            f"{since} has not been yet",
            cure="Name the time since when the key may be in other hands.",
        )
    told = KeyEvent(KeyChange.REVOKED, life.role, life.public, since=since, reason=reason)
    work.append(*told.event(at))


def refuse_ledger_role(role: str) -> None:
    """Raise ``KeyFileError`` for the ledger's key, which is what the ledger is known by."""
    if role == KeyRole.LEDGER:
        raise KeyFileError(
            "a ledger's key cannot be rotated or revoked: proofs, checkpoints and witnesses know "
            "the ledger by it",
            cure="Begin another ledger in a new AUDITOR_HOME, and give its key to all who verify; "
            "docs/keys.md says how the old one stays provable.",
        )


def find_record_signer(bundle: bytes, record_digest: str, book: KeyRegistry) -> KeyHistory | None:
    """Return the ledger's report key that signed exactly this record, if there is one."""
    for public, life in book.of_role(KeyRole.REPORT).items():
        try:
            if (
                list_signed_files(verify_bundle(bundle, public.encode())).get(RECORD)
                == record_digest
            ):
                return life
        except VerificationError:
            continue  # a signed thing of another kind
    return None


def find_key_lifecycle(book: KeyRegistry, named: str) -> KeyHistory:
    """Return the life of the key with an identity, or the start of one; raises ``KeyFileError``."""
    found = [item for item in book.lives.values() if read_key_identity(item).startswith(named)]
    if len(found) == 1:
        return found[0]
    raise KeyFileError(
        f"the ledger knows {'several keys' if found else 'no key'} {named[:80]!r}",
        cure="`auditor keys list` shows those that it knows; `auditor keys enrol` puts one down.",
    )


def _sound(work: UnitOfWork) -> KeyRegistry:
    book = build_key_book(work.key_entries())
    if book.mistakes:
        raise LedgerError(f"the ledger's key events contradict: {book.mistakes[0]}", cure=_VERIFY)
    return book
