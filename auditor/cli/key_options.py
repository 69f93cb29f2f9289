"""Key handling for commands: create, read, find and rotate keys, and list ledger events."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from auditor._time import format_time, utc_now
from auditor.cli.passwords import ask_new_password, get_password_source
from auditor.domain.key_roles import KeyRole
from auditor.errors import UsageError
from auditor.store.key_lifecycle import (
    find_key_lifecycle,
    record_key_rotation,
    refuse_ledger_role,
)
from auditor.store.record_store import RecordStore
from auditor.trust.keys.files import (
    STEMS,
    KeyFiles,
    PasswordSource,
    create_key_pair,
    is_locked,
    load_public_key,
    prepare_next_pair,
    read_pem,
    swap_pairs,
)
from auditor.trust.keys.ledger_key import LEDGER_PUBLIC, create_ledger_key, load_note_key
from auditor.trust.keys.rotation import read_key_identity, refuse_second_role
from auditor.trust.keys.signers import open_signer, parse_signer_scheme
from auditor.trust.ledger.key_events import KeyHistory
from auditor.trust.signatures.keys import read_public_key
from auditor.trust.signatures.trusted_signers import VerificationTime
from auditor.workflows.ledger import (
    load_key_registry,
    log_key_roles,
    open_ledger_store,
)
from auditor.workflows.settings import AuditorSettings


@contextmanager
def open_own_ledger() -> Iterator[RecordStore]:
    """Open the store with the ledger's key alone; a ledger that was not begun begins."""
    settings = AuditorSettings.from_environment()
    store, _ = open_ledger_store(settings.place, get_password_source(settings))
    try:
        log_key_roles(store, {}, utc_now())
        yield store
    finally:
        store.close()


def parse_time_option(name: str, text: str | None) -> str | None:
    """Return a time in the one form that the ledger writes. Raises ``UsageError``."""
    if text is None:
        return None
    try:
        return format_time(VerificationTime.parse(text).at)
    except ValueError:
        raise UsageError(
            f"{name} {text} is not a time", cure="Write it as 2026-01-31T12:00:00Z."
        ) from None


def write_key_pair(
    home: Path, role: KeyRole, settings: AuditorSettings, password: bytes | None
) -> KeyFiles:
    """Make the pair of a role in a folder. Raises ``KeyFileError``."""
    if role is not KeyRole.LEDGER:
        return create_key_pair(home, stem=STEMS[role], password=password)
    private = create_ledger_key(home, settings.ledger_origin, password=password)
    public = home / LEDGER_PUBLIC
    return KeyFiles(private, public, load_note_key(public).name)


def read_public_pem(key: str | None, settings: AuditorSettings, asked: PasswordSource) -> str:
    """Return a public key as PEM: of a public or private key file, or of what a URI names."""
    named = key or settings.signer or str(settings.home / f"{STEMS[KeyRole.REPORT]}.pub")
    if parse_signer_scheme(named) is not None or b"PRIVATE KEY" in read_pem(Path(named)):
        return open_signer(named, asked).public_pem().decode()
    return load_public_key(Path(named)).pem.decode()


def find_key(
    key: str | None, settings: AuditorSettings, asked: PasswordSource
) -> tuple[str, str, KeyHistory | None]:
    """Return how a key was named, its identity, and its life where the ledger knows it.

    Raises ``KeyFileError`` where it is no key, or the start of several identities.
    """
    book = load_key_registry(settings)
    if key is not None and key.startswith("key:"):
        life = find_key_lifecycle(book, key)
        return key, read_key_identity(life), life
    pem = read_public_pem(key, settings, asked)
    name = key or settings.signer or str(settings.home / f"{STEMS[KeyRole.REPORT]}.pub")
    return name, read_public_key(pem.encode()).identity, book.lives.get(pem)


def list_key_events(life: KeyHistory, at: str) -> list[tuple[str, str, str]]:
    """Return what happened to a key, a row each, and at the end what may be said of it now."""
    begun = f"in use as a {life.role} key"
    follows = "" if life.begun.told.replaces is None else ", signed by the previous key"
    rows = [(str(life.begun.index), life.begun.time, begun + follows)]
    rows += [
        (str(item.index), item.time, item.told.change.value)
        for item in (life.retired, life.revoked)
        if item is not None
    ]
    return [*rows, ("", at, f"now {life.words(at)}")]


def rotate_key_pair(
    role: KeyRole, key: str | None, to: str | None, *, encrypt: bool, not_after: str | None
) -> str:
    """Let one key follow another, and say what was done. Raises ``KeyFileError``."""
    refuse_ledger_role(role)
    settings = AuditorSettings.from_environment()
    asked = get_password_source(settings)
    stem, home = STEMS[role], settings.home
    own = home / f"{stem}.key"
    named = key or (settings.signer if role is KeyRole.REPORT else None) or str(own)
    in_home = named == str(own)
    if to is None and not in_home:
        raise UsageError(
            f"{named} is not the {role} key in {home}, so its files cannot be replaced",
            cure="Name the new key with --to.",
        )
    old = open_signer(named, asked)
    locked = to is None and (encrypt or is_locked(read_pem(own)))
    password = ask_new_password(settings) if locked else None
    new = open_signer(to or str(prepare_next_pair(home, stem, password)), asked)
    refuse_second_role(home, role, new.public_pem())
    with open_own_ledger() as store, store.unit_of_work() as work:
        record_key_rotation(work, role, old, new, utc_now(), not_after=not_after)
    identity = read_public_key(new.public_pem()).identity
    if to is not None:
        return f"{identity} is the new {role} key; use it instead of {named}."
    aside = swap_pairs(home, stem, old.public_pem(), new.public_pem())
    return (
        f"{identity} is the new {role} key, in {own} The old key must not sign any "
        f"more: delete {aside}, and keep {aside.with_suffix('.pub')}."
    )
