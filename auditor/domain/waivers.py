"""Waivers: signed, expiring permissions to break one rule for one artifact.

A waiver hides no finding.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import NoReturn

from auditor.domain.confusable_names import fold_name
from auditor.domain.digests import Digest, is_digest
from auditor.domain.findings import format_place
from auditor.domain.json import Json, JsonObject, OmitUnset, digest_json, write_fields
from auditor.errors import WaiverError

API, KIND = "auditor/v1", "Waiver"
ANY = "any"
"""What ``artifact`` says where a waiver is for every version of a model: never by silence."""
LONGEST = timedelta(days=180)
FEWEST_WORDS = 3
PRECONDITIONS = "policy."
"""How the ids begin of what a policy asks of the audit itself: no leave of a rule covers that."""
TIME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z")
Coordinate = str | int | float


class WaiverValidity(StrEnum):
    """Whether a waiver counts at a time."""

    VALID = "valid"
    EARLY = "early"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class WaiverSubject:
    """What was audited, and by which policy, as far as waivers speak of it."""

    model: str
    artifact: str | None
    policy: str
    policy_digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiver:
    """Leave to break ``rule`` until ``expires``: ``owner`` bears the risk, ``approver`` agreed.

    ``artifact`` is the digest of the one artifact that it is for, ``None`` for every version of
    the model. Without ``target`` or ``slice`` it is for every target and every slice.
    """

    rule: str
    model: str
    artifact: str | None
    policy: str
    owner: str
    approver: str
    reason: str
    ticket: str
    created: str
    expires: str
    policy_digest: OmitUnset[str | None] = None
    target: OmitUnset[str | None] = None
    slice: OmitUnset[Mapping[str, Coordinate]] = field(default_factory=dict)
    compensating: OmitUnset[tuple[str, ...]] = ()

    @property
    def digest(self) -> Digest:
        """Digest of what it says, by which findings name it."""
        return digest_json(self.to_json())

    @property
    def name(self) -> str:
        """The rule with the place that it is for, as findings are named."""
        return f"{self.rule}{format_place(self.slice)}"

    def to_json(self) -> dict[str, Json]:
        """Return the document that is signed; what is not said is left out."""
        said = write_fields(self) | {"artifact": self.artifact or ANY}
        return {"apiVersion": API, "kind": KIND, **said}

    def life(self, now: str) -> WaiverValidity:
        """Return whether it counts at a time; where that is no time, it does not."""
        begins, ends, asked = (
            parse_waiver_time(self.created),
            parse_waiver_time(self.expires),
            parse_waiver_time(now),
        )
        if begins is None or ends is None or asked is None or asked >= ends:
            return WaiverValidity.EXPIRED
        return WaiverValidity.EARLY if asked < begins else WaiverValidity.VALID

    def foreign_to(self, audited: WaiverSubject) -> str:
        """Say why it is not for what was audited; nothing where it is."""
        if self.model != audited.model:
            return f"it is for the model {self.model}"
        if self.artifact is not None and self.artifact != audited.artifact:
            return f"it is for another artifact, {self.artifact}"
        if self.policy != audited.policy:
            return f"it is for the policy {self.policy}"
        if self.policy_digest is not None and self.policy_digest != audited.policy_digest:
            return f"it is for another edition of the policy {self.policy}, {self.policy_digest}"
        return ""

    def covers(self, rule: str, target: str, place: Mapping[str, Coordinate]) -> bool:
        """Whether it is for a rule on a target and a slice."""
        return (
            self.rule == rule
            and self.target in {None, target}
            and (not self.slice or format_place(self.slice) == format_place(place))
        )

    def __str__(self) -> str:
        """Name the waiver as messages do."""
        return f"the waiver {self.ticket} of {self.name} (approved by {self.approver})"


@dataclass(frozen=True, slots=True)
class WaiverRef:
    """A signed waiver as a request names it: the digests of its bundle, of what it says, and of
    the public key (as PEM) that signed it; ``file`` is the name that it was given under.
    """

    digest: str
    waiver: str
    key: str
    file: str

    to_json = write_fields


@dataclass(frozen=True, slots=True)
class SignedWaiver:
    """A waiver whose signature holds, with the bytes that show it: its bundle, and the key."""

    waiver: Waiver
    ref: WaiverRef
    bundle: bytes
    key: bytes


def find_waiver_mistakes(waiver: Waiver) -> Iterator[tuple[str, str, str]]:
    """Yield what no waiver may be: the setting, what is wrong with it, and the cure."""
    if waiver.rule.startswith(PRECONDITIONS):
        problem = f"is {waiver.rule}, which the policy asks of the audit itself"
        yield "rule", problem, "Audit again as the policy asks; no waiver covers that."
    if is_same_person(waiver.owner, waiver.approver):
        problem = f"is {waiver.approver}, who is the owner as well"
        cure = "Let somebody else approve it than who answers for the risk."
        yield "approver", problem, cure
    if len(waiver.reason.split()) < FEWEST_WORDS:
        problem = f"is {waiver.reason!r}, which is no reason"
        yield "reason", problem, f"Say why in {FEWEST_WORDS} words at least."
    begins, ends = parse_waiver_time(waiver.created), parse_waiver_time(waiver.expires)
    if begins is None or ends is None or ends <= begins:
        problem = f"is {waiver.expires}, which is not after created ({waiver.created})"
        yield "expires", problem, "Write a later time."
    elif ends - begins > LONGEST:
        problem = f"is {waiver.expires}, more than {LONGEST.days} days after {waiver.created}"
        cure = f"Let it end within {LONGEST.days} days; sign another one then, if it must be."
        yield "expires", problem, cure


def is_same_person(one: str, other: str) -> bool:
    """Whether two names are one person's, however they are written."""
    return _person(one) == _person(other)


def _person(name: str) -> str:
    return " ".join(fold_name(name).split())


def parse_waiver_time(text: str) -> datetime | None:
    """Return a time that is written as the ledger writes times; nothing for another text."""
    if not TIME.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        return None


MOST_TEXT = 2000
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
    reader = _WaiverReader(content, where)
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
    mistake = next(find_waiver_mistakes(waiver), None)
    if mistake is not None:
        reader.refuse(*mistake)
    return waiver


@dataclass(frozen=True, slots=True)
class _WaiverReader:
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
        if parse_waiver_time(text) is None:
            cure = "Write a time in UTC, as 2026-06-30T12:00:00Z, or a day, which is its beginning."
            self.refuse(name, f"is {value!r}, which is no time", cure)
        return text

    def has(self, name: str) -> bool:
        return self.content.get(name) is not None

    def digest(self, name: str) -> str:
        value = self.line(name)
        if not is_digest(value):
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
