"""Read what a waiver says, from the document that is signed or from YAML that somebody wrote."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn

from auditor.domain.canonical import JsonObject
from auditor.domain.waivers import ANY, API, KIND, Coordinate, Waiver, mistakes_of, moment
from auditor.errors import WaiverError

MOST_TEXT = 2000
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
NEEDED = (
    *("apiVersion", "kind", "rule", "model", "artifact", "policy", "owner", "approver", "reason"),
    *("ticket", "created", "expires"),
)
OPTIONAL = ("policy_digest", "target", "slice", "compensating")
LINES = ("rule", "model", "policy", "owner", "approver", "ticket")
"""Settings that are a text of one line."""
EXACT = 2**53
"""From here on whole numbers are not told apart by all who read JSON (RFC 7493)."""
Where = Callable[[str], str]
"""Says where a setting of a document stands, such as ``waiver.yaml:4``."""


def read_waiver(content: JsonObject, where: Where) -> Waiver:
    """Read a document strictly. Raises ``WaiverError`` that names the place of a mistake."""
    reader = _Reader(content, where)
    reader.refuse_strange()
    rule, model, policy, owner, approver, ticket = (reader.line(name) for name in LINES)
    written = reader.line("artifact")
    waiver = Waiver(
        rule=rule,
        model=model,
        artifact=None if written == ANY else reader.digest("artifact"),
        policy=policy,
        policy_digest=reader.digest("policy_digest") if reader.has("policy_digest") else None,
        target=reader.line("target") if reader.has("target") else None,
        slice=reader.place(),
        owner=owner,
        approver=approver,
        reason=reader.reason(),
        ticket=ticket,
        created=reader.time("created"),
        expires=reader.time("expires"),
        compensating=reader.listed("compensating"),
    )
    mistake = next(mistakes_of(waiver), None)
    if mistake is not None:
        reader.refuse(*mistake)
    return waiver


@dataclass(frozen=True, slots=True)
class _Reader:
    """The settings of one document."""

    content: JsonObject
    where: Where

    def refuse(self, name: str, problem: str, cure: str) -> NoReturn:
        raise WaiverError(f"{self.where(name)}: {name} {problem}", cure=cure)

    def refuse_strange(self) -> None:
        strange = sorted(set(self.content) - {*NEEDED, *OPTIONAL})
        if strange:
            cure = f"There are {', '.join((*NEEDED, *OPTIONAL))}."
            self.refuse(strange[0], "is no setting of a waiver", cure)
        for name, wanted in (("apiVersion", API), ("kind", KIND)):
            if self.content.get(name) != wanted:
                self.refuse(name, f"is {self.content.get(name)!r}", f"Write {name}: {wanted}.")
        for name in NEEDED:
            if self.content.get(name) is None:
                self.refuse(name, "is missing", "docs/waivers.md shows a whole waiver.")

    def line(self, name: str) -> str:
        value = self.content.get(name)
        if not isinstance(value, str) or not value.strip() or not value.isprintable():
            self.refuse(name, f"is {value!r}, which is no text of one line", "Write it as a text.")
        if len(value) > MOST_TEXT:
            self.refuse(name, f"has more than {MOST_TEXT} characters", "Write less.")
        return value.strip()

    def reason(self) -> str:
        value = self.content.get("reason")
        shown = value.replace("\n", " ") if isinstance(value, str) else ""
        if not isinstance(value, str) or not shown.isprintable() or len(value) > MOST_TEXT:
            cure = f"Write it as a text of at most {MOST_TEXT} characters."
            self.refuse("reason", "is no text that can be shown", cure)
        return value.strip()

    def time(self, name: str) -> str:
        value = self.line(name)
        text = f"{value}T00:00:00Z" if DAY.fullmatch(value) else value
        if moment(text) is None:
            cure = "Write a time in UTC, as 2026-06-30T12:00:00Z, or a day, which is its beginning."
            self.refuse(name, f"is {value!r}, which is no time", cure)
        return text

    def has(self, name: str) -> bool:
        return self.content.get(name) is not None

    def digest(self, name: str) -> str:
        value = self.line(name)
        if not DIGEST.fullmatch(value):
            also = f", or `{ANY}` for every version of the model" if name == "artifact" else ""
            self.refuse(name, f"is {value!r}", f"Write sha256: and 64 hexadecimal digits{also}.")
        return value

    def listed(self, name: str) -> tuple[str, ...]:
        value = self.content.get(name, ())
        texts = value if isinstance(value, Sequence) and not isinstance(value, str) else (None,)
        found = tuple(item for item in texts if isinstance(item, str) and item.isprintable())
        if len(found) != len(texts) or any(len(item) > MOST_TEXT for item in found):
            self.refuse(name, "is no list of texts", "Write texts or digests as a list.")
        return found

    def place(self) -> dict[str, Coordinate]:
        value = self.content.get("slice", {})
        if not isinstance(value, Mapping):
            self.refuse("slice", f"is {value!r}", "Write its coordinates as `{sex: F}`.")
        found = {
            name: item
            for name, item in value.items()
            if isinstance(item, str | int | float)
            and not isinstance(item, bool)
            and (isinstance(item, str) or abs(item) < EXACT)
        }
        if len(found) != len(value):
            self.refuse(
                "slice", "has a value that is no text and no number of our size", "Mend it."
            )
        return found
