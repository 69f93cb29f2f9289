"""A challenge: somebody's counterexamples to what a record claims, tried on the record's target."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from auditor.domain.canonical import Json
from auditor.domain.json_parts import Part
from auditor.domain.lineage import INVALIDATED, Activity, Edge, Entity, Provenance, entity_id

SCHEMA = "auditor/challenge/v1"


class Result(StrEnum):
    """What came of one example under one claim; the further down, the further it got."""

    CHANGED = "changed"
    NOT_OF_THE_DATA = "not_of_the_data"
    OTHER_LABEL = "other_label"
    NOT_LOOKED_AT = "not_looked_at"
    OUTSIDE_BUDGET = "outside_budget"
    OUTSIDE_SPACE = "outside_space"
    NOT_PROVED = "not_proved"
    WRONG_BEFORE = "wrong_before"
    BROKEN_BEFORE = "broken_before"
    NO_WORSE = "no_worse"
    NOT_MISCLASSIFIED = "not_misclassified"
    HOLDS = "holds"


class Outcome(StrEnum):
    """What a challenge comes to.

    ``REFUTED``: the policy is no longer kept by what is left, or a proof is false. ``LOWERED``:
    figures move, and every denying rule is kept by what is left. ``FAILED``: no example holds.
    """

    REFUTED = "refuted"
    LOWERED = "lowered"
    FAILED = "failed"


REASONS: Mapping[Result, str] = MappingProxyType(
    {
        Result.HOLDS: "counts as broken: the record had counted its row as robust",
        Result.OTHER_LABEL: "the label given is not the one that the evaluation data hold",
        Result.NOT_OF_THE_DATA: "it starts from no row of the evaluation data, and a share of them "
        "is all that the record claims",
        Result.NOT_LOOKED_AT: "the record counted nothing on its row",
        Result.WRONG_BEFORE: "the model was wrong on its row without any change",
        Result.BROKEN_BEFORE: "its row counts as broken within this budget already",
        Result.NOT_PROVED: "nothing was proved of its row at this distance",
        Result.CHANGED: "the row was changed, and accuracy is claimed of rows as they are",
        Result.NO_WORSE: "it breaks no more rows than the record counts already, or fewer of them "
        "at a larger budget",
        Result.OUTSIDE_BUDGET: "the change is larger than the largest budget",
        Result.OUTSIDE_SPACE: "the change leaves the range or the steps, moves what may not move, "
        "or breaks what every row keeps",
        Result.NOT_MISCLASSIFIED: "the model on its target is not misled",
    }
)


@dataclass(frozen=True, slots=True)
class Trial:
    """One example under the claim of one check: ``eps`` is the smallest budget that it keeps.

    ``distance`` is the size of the change as the claim measures it; ``decided`` what the target
    said, or how many rows it got wrong. ``budget`` is the name of a budget that is no number.
    """

    example: int
    row: str
    check: str
    result: Result
    decided: str
    distance: float | None = None
    eps: float | None = None
    budget: str | None = None

    def to_json(self) -> dict[str, Json]:
        """Return the document's form."""
        return {
            "example": self.example,
            "row": self.row,
            "check": self.check,
            "result": self.result.value,
            "decided": self.decided,
            "distance": self.distance,
            "eps": self.eps,
            "budget": self.budget,
        }


def furthest(trials: Iterable[Trial]) -> tuple[Trial, ...]:
    """Return each example once, by its trial that got furthest."""
    order = {result: at for at, result in enumerate(Result)}
    found: dict[int, Trial] = {}
    for item in trials:
        before = found.get(item.example)
        if before is None or order[item.result] > order[before.result]:
            found[item.example] = item
    return tuple(found[at] for at in sorted(found))


@dataclass(frozen=True, slots=True)
class Moved:
    """A rule that comes out otherwise when the broken rows are counted."""

    rule: str
    target: str
    was: str
    now: str

    def to_json(self) -> dict[str, Json]:
        """Return the document's form."""
        return {"rule": self.rule, "target": self.target, "was": self.was, "now": self.now}


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """What was tried against a record, and what it came to; signed by whoever tried it.

    ``record``, ``artifact``, ``identity`` (of the target's fingerprint) and ``examples`` (of the
    file) are digests; ``evidence`` are those of the observations under which an example holds,
    by which other records that rest on them are known. ``disproved`` names checks of which a proof
    is false.
    """

    record: str
    record_id: str
    artifact: str | None
    target: str
    identity: str
    examples: str
    trials: tuple[Trial, ...]
    disproved: tuple[str, ...]
    moved: tuple[Moved, ...]
    outcome: Outcome
    signer: str
    tried: str
    evidence: tuple[str, ...] = ()

    @property
    def holding(self) -> tuple[int, ...]:
        """The examples that hold under some claim."""
        return tuple(sorted({item.example for item in self.trials if item.result is Result.HOLDS}))

    @property
    def furthest(self) -> tuple[Trial, ...]:
        """Each example once, under the claim where it got furthest."""
        return furthest(self.trials)

    def to_json(self) -> dict[str, Json]:
        """Return the document that is signed."""
        return {
            "schema": SCHEMA,
            "record": self.record,
            "record_id": self.record_id,
            "artifact": self.artifact,
            "target": self.target,
            "identity": self.identity,
            "examples": self.examples,
            "trials": [item.to_json() for item in self.trials],
            "disproved": list(self.disproved),
            "moved": [item.to_json() for item in self.moved],
            "outcome": self.outcome.value,
            "signer": self.signer,
            "tried": self.tried,
            "evidence": list(self.evidence),
        }

    def provenance(self, signed: str) -> Provenance:
        """Return what the document of the digest ``signed`` states of where things come from."""
        itself = Entity(
            "challenge", signed, attrs={"id": self.tried, "outcome": self.outcome.value}
        )
        run = Activity("trial", signed.removeprefix("sha256:")[:24], self.tried, self.tried)
        record, key = entity_id("record", self.record), entity_id("key", self.signer)
        used = {"examples": self.examples, "target": self.identity}
        if self.artifact is not None:
            used["artifact"] = self.artifact
        edges = {
            Edge(record, "wasInfluencedBy", itself.id, "challenge"),
            Edge(itself.id, "wasGeneratedBy", run.id, "trial"),
            Edge(itself.id, "wasAttributedTo", key, "signer"),
            *(Edge(run.id, "used", entity_id(kind, item), kind) for kind, item in used.items()),
        }
        if self.outcome is Outcome.REFUTED:
            edges.add(Edge(record, INVALIDATED, run.id, "trial"))
        named = (Entity("key", self.signer.removeprefix("key:")), Entity("examples", self.examples))
        return Provenance((itself, *named), (run,), tuple(sorted(edges)))


def read_challenge(part: Part) -> Challenge:
    """Read the document. Raises ``RecordError`` for what is none."""
    return Challenge(
        record=part.get("record", str),
        record_id=part.get("record_id", str),
        artifact=part.maybe("artifact", str),
        target=part.get("target", str),
        identity=part.get("identity", str),
        examples=part.get("examples", str),
        trials=part.list_of("trials", _trial),
        disproved=part.texts("disproved"),
        moved=part.list_of("moved", _moved),
        outcome=part.choice("outcome", Outcome),
        signer=part.get("signer", str),
        tried=part.get("tried", str),
        # A challenge of an earlier version names none, and counts by its record alone.
        evidence=part.texts("evidence") if "evidence" in part.value else (),
    )


def _trial(part: Part) -> Trial:
    return Trial(
        example=part.get("example", int),
        row=part.get("row", str),
        check=part.get("check", str),
        result=part.choice("result", Result),
        decided=part.get("decided", str),
        distance=part.maybe("distance", float),
        eps=part.maybe("eps", float),
        budget=part.maybe("budget", str),
    )


def _moved(part: Part) -> Moved:
    names = ("rule", "target", "was", "now")
    rule, target, was, now = (part.get(name, str) for name in names)
    return Moved(rule, target, was, now)
