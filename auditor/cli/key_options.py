"""Which keys the options of a command mean, and what the ledger says of them."""

from pathlib import Path

from auditor.cli.asking import new_password, passwords
from auditor.cli.own_ledger import own_ledger
from auditor.clock import now, written
from auditor.errors import UsageError
from auditor.holding import (
    book_of,
    find_life,
    refuse_ledger_role,
    rotate,
)
from auditor.keeping import store_if_kept
from auditor.ledgers.key_events import KeyRole
from auditor.ledgers.key_lives import KeyBook, KeyLife
from auditor.settings import Settings
from auditor.signatures.keys import Signer, read_public_key
from auditor.signatures.trust import Moment
from auditor.signing.key_roles import identity_of, refuse_second_role
from auditor.signing.keys import STEMS, KeyFiles, load_public_key, new_keys, read_pem
from auditor.signing.ledger_keys import LEDGER_PUBLIC, load_note_key, new_ledger_key
from auditor.signing.locking import is_locked
from auditor.signing.opening import open_signer, scheme_of
from auditor.signing.pairs import prepare_next, swap_pairs
from auditor.signing.passwords import Passwords


def time_option(name: str, text: str | None) -> str | None:
    """Return a time in the one form that the ledger writes. Raises ``UsageError``."""
    if text is None:
        return None
    try:
        return written(Moment.parse(text).at)
    except ValueError:
        raise UsageError(
            f"{name} {text} is no time", cure="Write it as 2026-01-31T12:00:00Z."
        ) from None


def made_pair(home: Path, role: KeyRole, settings: Settings, password: bytes | None) -> KeyFiles:
    """Make the pair of a role in a folder. Raises ``KeyFileError``."""
    if role is not KeyRole.LEDGER:
        return new_keys(home, stem=STEMS[role], password=password)
    private = new_ledger_key(home, settings.ledger_origin, password=password)
    public = home / LEDGER_PUBLIC
    return KeyFiles(private, public, load_note_key(public).name)


def public_of(key: str | None, settings: Settings, asked: Passwords) -> str:
    """Return a public key as PEM: of a public or private key file, or of what a URI names."""
    named = key or settings.signer or str(settings.home / f"{STEMS[KeyRole.REPORT]}.pub")
    if scheme_of(named) is not None or b"PRIVATE KEY" in read_pem(Path(named)):
        return open_signer(named, asked).public_pem().decode()
    return load_public_key(Path(named)).pem.decode()


def known_keys(settings: Settings) -> KeyBook:
    """Return what the ledger tells of keys; nothing where none was begun."""
    with store_if_kept(settings.place) as store:
        if store is None:
            return KeyBook()
        with store.ledger() as ledger:
            return book_of(ledger.key_entries())


def find_key(
    key: str | None, settings: Settings, asked: Passwords
) -> tuple[str, str, KeyLife | None]:
    """Return how a key was named, its identity, and its life where the ledger knows it.

    Raises ``KeyFileError`` where it is no key, or the start of several identities.
    """
    book = known_keys(settings)
    if key is not None and key.startswith("key:"):
        life = find_life(book, key)
        return key, identity_of(life), life
    pem = public_of(key, settings, asked)
    name = key or settings.signer or str(settings.home / f"{STEMS[KeyRole.REPORT]}.pub")
    return name, read_public_key(pem.encode()).identity, book.lives.get(pem)


def life_rows(life: KeyLife, at: str) -> list[tuple[str, str, str]]:
    """Return what happened to a key, a row each, and at the end what may be said of it now."""
    begun = f"in use as a {life.role} key"
    follows = "" if life.begun.told.replaces is None else ", on the word of the key before it"
    rows = [(str(life.begun.index), life.begun.time, begun + follows)]
    rows += [
        (str(item.index), item.time, item.told.change.value)
        for item in (life.retired, life.revoked)
        if item is not None
    ]
    return [*rows, ("", at, f"now {life.words(at)}")]


def rotate_key(
    role: KeyRole, key: str | None, to: str | None, *, encrypt: bool, not_after: str | None
) -> str:
    """Let one key follow another, and say what was done. Raises ``KeyFileError``."""
    refuse_ledger_role(role)
    settings = Settings.from_environment()
    asked = passwords(settings)
    stem, home = STEMS[role], settings.home
    own = home / f"{stem}.key"
    named = key or (settings.signer if role is KeyRole.REPORT else None) or str(own)
    in_home = named == str(own)
    if to is None and not in_home:
        raise UsageError(
            f"{named} is not the {role} key of {home}, whose files can be replaced",
            cure="Name the key that follows it with --to.",
        )
    old = open_signer(named, asked)
    locked = to is None and (encrypt or is_locked(read_pem(own)))
    password = new_password(settings) if locked else None
    new = open_signer(to or str(prepare_next(home, stem, password)), asked)
    refuse_second_role(home, role, new.public_pem())
    _put_down(role, old, new, not_after)
    identity = read_public_key(new.public_pem()).identity
    if to is not None:
        return f"{identity} is the {role} key from now on; name it wherever {named} was named."
    aside = swap_pairs(home, stem, old.public_pem(), new.public_pem())
    return (
        f"{identity} is the {role} key from now on, in {own}\n"
        f"The old one signs no more: delete {aside}, and keep {aside.with_suffix('.pub')}."
    )


def _put_down(role: KeyRole, old: Signer, new: Signer, not_after: str | None) -> None:
    with own_ledger() as store, store.unit_of_work() as work:
        rotate(work, role, old, new, now(), not_after=not_after)
