"""Hold what documents declare against what was given: confirmed, contradicted, or only claimed."""

import posixpath
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import unquote, urlsplit

from auditor.declaring.believing import Standing
from auditor.declaring.declarations import SHA256, Declared
from auditor.declaring.reading import Told
from auditor.domain.canonical import Json
from auditor.domain.supplies import Given, Part


class Outcome(StrEnum):
    """What came of holding one declared input against what was given."""

    CONFIRMED = "confirmed"
    CONTRADICTED = "contradicted"
    CLAIMED = "claimed"


@dataclass(frozen=True, slots=True)
class Match:
    """One declared input and what came of it; ``given_as`` are the parts that bear its digest."""

    document: str
    standing: Standing
    declared: Declared
    outcome: Outcome
    why: str
    given_as: tuple[Part, ...] = ()

    def to_json(self) -> dict[str, Json]:
        """Return the form that a record holds."""
        part = self.declared.part
        return {
            "document": self.document,
            "signature": self.standing.value,
            "where": self.declared.where,
            "name": self.declared.name,
            "part": None if part is None else part.value,
            "sha256": self.declared.digests.get(SHA256),
            "given_as": [item.value for item in self.given_as],
            "why": self.why,
        }


def match_all(told: Sequence[Told], given: Sequence[Given]) -> tuple[Match, ...]:
    """Return what came of every declared input, in the order in which they stand."""
    return tuple(item for one in told for item in match(one, given))


def match(told: Told, given: Sequence[Given]) -> tuple[Match, ...]:
    """Hold one document against what was given.

    An input is **confirmed** where something given bears its SHA-256. It is **contradicted** where
    what was given under its name is something else; also where the document says which part it
    is, such a part was given, and none of the inputs that it calls so was. Everything else is only
    **claimed**: nothing was given that it could be compared with, or it gives no SHA-256.
    """
    known = {item.sha256 for item in given}
    met = {item.part for item in told.declaration.declared if item.digests.get(SHA256) in known}
    return tuple(
        Match(told.name, told.signed.standing, item, *_judge(item, given, met))
        for item in told.declaration.declared
    )


def _judge(
    item: Declared, given: Sequence[Given], met: set[Part | None]
) -> tuple[Outcome, str, tuple[Part, ...]]:
    sha256 = item.digests.get(SHA256)
    if sha256 is None:
        others = ", ".join(sorted(item.digests))
        why = f"it is declared by {others} and no SHA-256" if others else "no digest is declared"
        return Outcome.CLAIMED, why, ()
    bearers = tuple(dict.fromkeys(one.part for one in given if one.sha256 == sha256))
    if bearers:
        return Outcome.CONFIRMED, _confirmed(item, bearers), bearers
    alike = [one for one in given if one.part in item.parts]
    name = base_name(item.name)
    named = [one for one in alike if name and one.name and base_name(one.name) == name]
    if named:
        why = f"{named[0].part.value} {name} was given with the SHA-256 {named[0].sha256}"
        return Outcome.CONTRADICTED, why, ()
    if item.part is not None and alike and item.part not in met:
        why = f"another {item.part.value} was given, and nothing that the document calls so"
        return Outcome.CONTRADICTED, why, ()
    return Outcome.CLAIMED, "nothing was given to compare it with", ()


def _confirmed(item: Declared, bearers: tuple[Part, ...]) -> str:
    as_what = " and ".join(part.value for part in bearers)
    if item.part is not None and item.part not in bearers:
        return f"it is declared as {item.part.value}, and was given as {as_what}"
    return f"it was given as {as_what}"


def base_name(name: str) -> str:
    """Return the last part of a path or URI, without query and fragment."""
    try:
        path = urlsplit(name).path if "://" in name else name
    except ValueError:  # a bracket that opens no IPv6 address
        path = name
    return posixpath.basename(unquote(path).rstrip("/"))


def undeclared(confirmed: Sequence[Match], given: Sequence[Given]) -> tuple[Given, ...]:
    """Return the given files that no confirmed input is; one digest of several speaks for all."""
    digests = {item.declared.digests[SHA256] for item in confirmed}
    whole = {item.part for item in given if not item.name and item.sha256 in digests}
    return tuple(
        item
        for item in given
        if item.name and item.sha256 not in digests and item.part not in whole
    )
