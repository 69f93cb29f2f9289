"""Strict reader for the fields of a trust policy."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import NoReturn, TypeAlias, TypeVar

from auditor.domain.json import Json
from auditor.errors import TrustPolicyError
from auditor.trust.encoding.dsse import is_sha256

Place: TypeAlias = tuple[str | int, ...]
Where: TypeAlias = Callable[[Place], str]
"""Says of a place in the document where a person finds it, as ``file:line``."""
E = TypeVar("E", bound=StrEnum)
MOST_TEXT, MOST_PEM, MOST_LISTED = 2000, 4 * 2**20, 1000
LARGEST = 2**53 - 1
_AGE = re.compile(r"([1-9]\d{0,4})([hdw])")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
TIME_CURE = "Write it in UTC, as 2027-01-31T12:00:00Z, or as the day 2027-01-31, which begins it."


@dataclass(frozen=True, slots=True)
class PolicyFields:
    """One mapping of the document, and where it stands. Every mistake raises ``TrustPolicyError``
    with its place and its cure.
    """

    value: Mapping[str, Json]
    place: Place
    where: Where

    @classmethod
    def of(cls, value: Json, place: Place, where: Where, known: Sequence[str]) -> "PolicyFields":
        """Take a mapping in which nothing but the known settings stands."""
        found = cls({}, place, where)
        if not isinstance(value, Mapping):
            found.refuse("is not a mapping", f"Write settings: {', '.join(known)}.")
        strange = sorted(value.keys() - set(known))
        if strange:
            found.refuse(
                f"{strange[0]!r} is an unknown setting",
                f"There are {', '.join(known)}.",
                strange[0],
            )
        return cls(value, place, where)

    def refuse(self, problem: str, cure: str, *below: str | int) -> NoReturn:
        """Raise the error for what stands here, or below."""
        place = (*self.place, *below)
        name = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
        said = f"{name.removeprefix('.')} " if name else ""
        raise TrustPolicyError(f"{self.where(place)}: {said}{problem}", cure=cure)

    def has(self, name: str) -> bool:
        """Whether a setting is there and not null."""
        return self.value.get(name) is not None

    def text(self, name: str, cure: str) -> str:
        """Return a setting that is a printable text in one line."""
        return self.texts_of(self._needed(name, cure), cure, name)

    def texts_of(self, value: Json, cure: str, *below: str | int) -> str:
        """Return a value that is a printable text in one line."""
        if not isinstance(value, str) or not value.strip() or not value.isprintable():
            self.refuse(f"is {value!r}, which is not a single line of text", cure, *below)
        if len(value) > MOST_TEXT:
            self.refuse(f"has more than {MOST_TEXT} characters", cure, *below)
        return value

    def content(self, name: str, cure: str) -> bytes:
        """Return a setting that is the content of a file."""
        value = self._needed(name, cure)
        if not isinstance(value, str) or not value.strip():
            self.refuse("is not text", cure, name)
        if len(value) > MOST_PEM:
            self.refuse(f"has more than {MOST_PEM} characters", cure, name)
        try:
            return value.encode()
        except UnicodeEncodeError:
            self.refuse("holds half a character", cure, name)

    def whole(self, name: str, cure: str) -> int:
        """Return a setting that is a whole number from 1 on."""
        value = self._needed(name, cure)
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= LARGEST:
            self.refuse(f"is {value!r}, which is not a whole number from 1 on", cure, name)
        return value

    def flag(self, name: str) -> bool:
        """Return a setting that is true or false; false where it is not there."""
        value = self.value.get(name)
        if value is not None and not isinstance(value, bool):
            self.refuse(f"is {value!r}", "Write true or false, without quotes.", name)
        return value is True

    def choice(self, name: str, kind: type[E], default: E) -> E:
        """Return a setting that is a word of an enumeration."""
        value = self.value.get(name)
        return default if value is None else self.word(value, kind, name)

    def word(self, value: Json, kind: type[E], *below: str | int) -> E:
        """Return a value that is a word of an enumeration."""
        words = [item.value for item in kind]
        if value not in words:
            self.refuse(f"is {value!r}", f"Choose from {', '.join(words)}.", *below)
        return kind(value)

    def items(self, name: str, cure: str) -> tuple[Json, ...]:
        """Return a setting that is a list; an empty one where it is not there."""
        value = self.value.get(name)
        if value is None:
            return ()
        if not isinstance(value, Sequence) or isinstance(value, str):
            self.refuse(f"is {value!r}, which is not a list", cure, name)
        if len(value) > MOST_LISTED:
            self.refuse(f"lists more than {MOST_LISTED}", cure, name)
        return tuple(value)

    def texts(self, name: str, cure: str) -> tuple[str, ...]:
        """Return a setting that is a list of texts."""
        return tuple(
            self.texts_of(item, cure, name, at) for at, item in enumerate(self.items(name, cure))
        )

    def named(self, name: str) -> Mapping[str, Json]:
        """Return a setting that maps names to things; an empty one where it is not there."""
        value = self.value.get(name)
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            self.refuse("is not a mapping", "Write `name: {…}` under it.", name)
        return value

    def time(self, name: str) -> datetime | None:
        """Return a setting that is a time in UTC; a day means its beginning."""
        value = self.value.get(name)
        if value is None:
            return None
        if isinstance(value, str):
            try:
                text = f"{value}T00:00:00Z" if _DAY.fullmatch(value) else value
                if text.endswith("Z"):
                    return datetime.fromisoformat(text).astimezone(UTC)
            except ValueError:
                pass
        return self.refuse(f"is {value!r}, which is not a time", TIME_CURE, name)

    def age(self, name: str) -> timedelta | None:
        """Return a setting that is an age, as 12h, 400d or 4w."""
        value = self.value.get(name)
        if value is None:
            return None
        found = _AGE.fullmatch(value) if isinstance(value, str) else None
        if found is None:
            self.refuse(f"is {value!r}, which is not an age", "Write it as 12h, 400d or 4w.", name)
        return int(found[1]) * _UNITS[found[2]]

    def one_of(self, name: str, known: Iterable[str], what: str) -> str:
        """Return a setting that names one of the things which the policy has under ``what``."""
        there = sorted(known)
        value = self.text(name, f"Name one of {what}.")
        if value not in there:
            listed = f"There are {', '.join(there)}." if there else f"Add it under {what}."
            self.refuse(f"names {value!r}, which is not under {what}", listed, name)
        return value

    def digest(self, value: Json, *below: str | int) -> str:
        """Return a value that is a SHA-256 in hexadecimal digits."""
        text = value.removeprefix("key:").removeprefix("sha256:") if isinstance(value, str) else ""
        if not is_sha256(text):
            cure = "Write its 64 hexadecimal digits in lower case."
            self.refuse(f"is {value!r}, which is not a SHA-256", cure, *below)
        return text

    def _needed(self, name: str, cure: str) -> Json:
        if not self.has(name):
            self.refuse(f"has no {name}", cure)
        return self.value[name]
