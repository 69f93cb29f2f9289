"""How a key in a token is named: ``pkcs11:token=LABEL;object=LABEL`` (RFC 7512)."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn
from urllib.parse import unquote_to_bytes

from auditor.errors import KeyFileError

SCHEME = "pkcs11"
_PATH = frozenset({"token", "serial", "object", "id", "type"})
_QUERY = frozenset({"module-path", "pin-source"})
_FILE = "file:"


@dataclass(frozen=True, slots=True)
class TokenUri:
    """What a URI says: the token and the key by their attributes, the library, where the PIN lies.

    ``token`` and ``label`` are labels, ``serial`` is the token's number, ``id`` the key's own name
    in bytes. What is ``None`` is not asked for.
    """

    text: str
    token: str | None = None
    serial: bytes | None = None
    label: str | None = None
    id: bytes | None = None
    module: Path | None = None
    pin: Path | None = None

    @classmethod
    def parse(cls, text: str) -> "TokenUri":
        """Read a URI. Raises ``KeyFileError`` where it names no key, or gives a PIN away."""
        scheme, _, rest = text.partition(":")
        path, _, query = rest.partition("?")
        found = _attributes(text, path, ";", _PATH)
        asked = _attributes(text, query, "&", _QUERY)
        if scheme != SCHEME or not ({"object", "id"} & set(found)):
            _refuse(text, "it names no key by its object or id")
        if not ({"token", "serial"} & set(found)):
            _refuse(text, "it names no token by its label or serial number")
        if found.get("type", b"private") != b"private":
            _refuse(text, "signing takes a key of type private")
        return cls(
            text,
            token=_text(text, found.get("token")),
            serial=found.get("serial"),
            label=_text(text, found.get("object")),
            id=found.get("id"),
            module=_path(text, asked.get("module-path")),
            pin=_path(text, asked.get("pin-source")),
        )


def _attributes(text: str, part: str, sign: str, known: frozenset[str]) -> Mapping[str, bytes]:
    found: dict[str, bytes] = {}
    for item in filter(None, part.split(sign)):
        name, equals, value = item.partition("=")
        if name == "pin-value":
            raise KeyFileError(
                "a PIN in a URI can be read by every user of the machine",
                cure="Put it into a file: pin-source=file:PATH, or AUDITOR_PASSWORD_FILE=PATH.",
            )
        if not equals or not value or name not in known or name in found:
            _refuse(text, f"{name[:40]!r} is unknown, empty or there twice")
        found[name] = unquote_to_bytes(value)
    return found


def _text(text: str, value: bytes | None) -> str | None:
    if value is None:
        return None
    try:
        return value.decode()
    except UnicodeDecodeError:
        _refuse(text, "a label is not UTF-8")


def _path(text: str, value: bytes | None) -> Path | None:
    named = _text(text, value)
    return None if named is None else Path(named.removeprefix(_FILE))


def _refuse(text: str, reason: str) -> NoReturn:
    raise KeyFileError(
        f"{text} is no URI of a private key in a token: {reason}",
        cure="Write it as pkcs11:token=LABEL;object=LABEL?module-path=/path/to/library.so "
        "(RFC 7512).",
    )
