"""A waiver: a signed, expiring leave for one rule and one artifact; it hides nothing."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from auditor.domain.canonical import Json, digest_json
from auditor.domain.findings import place_text
from auditor.domain.lookalikes import folded_name

API, KIND = "auditor/v1", "Waiver"
ANY = "any"
"""What ``artifact`` says where a waiver is for every version of a model: never by silence."""
LONGEST = timedelta(days=180)
FEWEST_WORDS = 3
PRECONDITIONS = "policy."
"""How the ids begin of what a policy asks of the audit itself: no leave of a rule covers that."""
TIME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z")
Coordinate = str | int | float


class Life(StrEnum):
    """Whether a waiver counts at a time."""

    VALID = "valid"
    EARLY = "early"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Audited:
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
    policy_digest: str | None = None
    target: str | None = None
    slice: Mapping[str, Coordinate] = field(default_factory=dict)
    compensating: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """Digest of what it says, by which findings name it."""
        return digest_json(self.to_json())

    @property
    def name(self) -> str:
        """The rule with the place that it is for, as findings are named."""
        return f"{self.rule}{place_text(self.slice)}"

    def to_json(self) -> dict[str, Json]:
        """Return the document that is signed; what is not said is left out."""
        said: dict[str, Json] = {
            "apiVersion": API,
            "kind": KIND,
            "rule": self.rule,
            "model": self.model,
            "artifact": self.artifact or ANY,
            "policy": self.policy,
            "owner": self.owner,
            "approver": self.approver,
            "reason": self.reason,
            "ticket": self.ticket,
            "created": self.created,
            "expires": self.expires,
        }
        beside: dict[str, Json] = {
            "policy_digest": self.policy_digest,
            "target": self.target,
            "slice": dict(self.slice),
            "compensating": list(self.compensating),
        }
        return said | {name: value for name, value in beside.items() if value}

    def life(self, now: str) -> Life:
        """Return whether it counts at a time; where that is no time, it does not."""
        begins, ends, asked = moment(self.created), moment(self.expires), moment(now)
        if begins is None or ends is None or asked is None or asked >= ends:
            return Life.EXPIRED
        return Life.EARLY if asked < begins else Life.VALID

    def foreign_to(self, audited: Audited) -> str:
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
            and (not self.slice or place_text(self.slice) == place_text(place))
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

    def to_json(self) -> dict[str, Json]:
        """Return the record's form."""
        return {"digest": self.digest, "waiver": self.waiver, "key": self.key, "file": self.file}


@dataclass(frozen=True, slots=True)
class SignedWaiver:
    """A waiver whose signature holds, with the bytes that show it: its bundle, and the key."""

    waiver: Waiver
    ref: WaiverRef
    bundle: bytes
    key: bytes


def mistakes_of(waiver: Waiver) -> Iterator[tuple[str, str, str]]:
    """Yield what no waiver may be: the setting, what is wrong with it, and the cure."""
    if waiver.rule.startswith(PRECONDITIONS):
        problem = f"is {waiver.rule}, which the policy asks of the audit itself"
        yield "rule", problem, "Audit again as the policy asks; no waiver covers that."
    if same_person(waiver.owner, waiver.approver):
        problem = f"is {waiver.approver}, who is the owner as well"
        cure = "Let somebody else approve it than who answers for the risk."
        yield "approver", problem, cure
    if len(waiver.reason.split()) < FEWEST_WORDS:
        problem = f"is {waiver.reason!r}, which is no reason"
        yield "reason", problem, f"Say why in {FEWEST_WORDS} words at least."
    begins, ends = moment(waiver.created), moment(waiver.expires)
    if begins is None or ends is None or ends <= begins:
        problem = f"is {waiver.expires}, which is not after created ({waiver.created})"
        yield "expires", problem, "Write a later time."
    elif ends - begins > LONGEST:
        problem = f"is {waiver.expires}, more than {LONGEST.days} days after {waiver.created}"
        cure = f"Let it end within {LONGEST.days} days; sign another one then, if it must be."
        yield "expires", problem, cure


def same_person(one: str, other: str) -> bool:
    """Whether two names are one person's, however they are written."""
    return _person(one) == _person(other)


def _person(name: str) -> str:
    return " ".join(folded_name(name).split())


def moment(text: str) -> datetime | None:
    """Return a time that is written as the ledger writes times; nothing for another text."""
    if not TIME.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        return None
