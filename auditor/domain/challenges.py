"""Challenges: submitted counterexamples to a record's claims, tried on the record's target."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any, ClassVar

from auditor.domain.digests import Digest
from auditor.domain.evidence import Evidence
from auditor.domain.json import Json, JsonPart, read_fields, write_fields
from auditor.domain.lineage import (
    INVALIDATED,
    LineageActivity,
    LineageEdge,
    LineageEntity,
    ProvenanceGraph,
    build_entity_id,
)

CHALLENGE_SCHEMA = "auditor/challenge/v1"


class CounterexampleKind(StrEnum):
    """What an example is: an input, a change of view of a row, or one change for all rows."""

    INPUTS = "inputs"
    VIEWS = "views"
    PERTURBATIONS = "perturbations"


@dataclass(frozen=True, slots=True)
class CounterexampleClaims:
    """What a check says of counterexamples, in its class variable ``by_example``.

    ``claims`` returns what evidence under some parameters claims (parts that can each weigh
    examples, by what the names of their evidence begin with), or why nothing of it can be
    challenged: the end of a sentence that begins with "it cannot be challenged by examples
    because". ``kind`` is the kind of example that it is tried by.
    """

    kind: CounterexampleKind
    claims: Callable[[Evidence, Mapping[str, Json]], Mapping[str, Any] | str]


class ExampleResult(StrEnum):
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


class ChallengeOutcome(StrEnum):
    """What a challenge comes to.

    ``REFUTED``: the policy is no longer kept by what is left, or a proof is false. ``LOWERED``:
    figures move, and every denying rule is kept by what is left. ``FAILED``: no example holds.
    """

    REFUTED = "refuted"
    LOWERED = "lowered"
    FAILED = "failed"


REASONS: Mapping[ExampleResult, str] = MappingProxyType(
    {
        ExampleResult.HOLDS: "counts as broken: the record had counted its row as robust",
        ExampleResult.OTHER_LABEL: "the label given is not the one that the evaluation data hold",
        ExampleResult.NOT_OF_THE_DATA: "it starts from no row of the evaluation data, and a share "
        "of them is all that the record claims",
        ExampleResult.NOT_LOOKED_AT: "the record counted nothing on its row",
        ExampleResult.WRONG_BEFORE: "the model was wrong on its row without any change",
        ExampleResult.BROKEN_BEFORE: "its row counts as broken within this budget already",
        ExampleResult.NOT_PROVED: "nothing was proved of its row at this distance",
        ExampleResult.CHANGED: "the row was changed, and accuracy is claimed of rows as they are",
        ExampleResult.NO_WORSE: "it breaks no more rows than the record counts already, or fewer "
        "of them at a larger budget",
        ExampleResult.OUTSIDE_BUDGET: "the change is larger than the largest budget",
        ExampleResult.OUTSIDE_SPACE: "the change leaves the range or the steps, moves what may not "
        "move, or breaks what every row keeps",
        ExampleResult.NOT_MISCLASSIFIED: "the model on its target is not misled",
    }
)


@dataclass(frozen=True, slots=True)
class ExampleTrial:
    """One example under the claim of one check: ``eps`` is the smallest budget that it keeps.

    ``distance`` is the size of the change as the claim measures it; ``decided`` what the target
    said, or how many rows it got wrong. ``budget`` is the name of a budget that is no number.
    """

    example: int
    row: str
    check: str
    result: ExampleResult
    decided: str
    distance: float | None = None
    eps: float | None = None
    budget: str | None = None

    to_json = write_fields


def select_furthest_trials(trials: Iterable[ExampleTrial]) -> tuple[ExampleTrial, ...]:
    """Return each example once, by its trial that got furthest."""
    order = {result: at for at, result in enumerate(ExampleResult)}
    found: dict[int, ExampleTrial] = {}
    for item in trials:
        before = found.get(item.example)
        if before is None or order[item.result] > order[before.result]:
            found[item.example] = item
    return tuple(found[at] for at in sorted(found))


@dataclass(frozen=True, slots=True)
class RuleOutcomeChange:
    """A rule that comes out otherwise when the broken rows are counted."""

    rule: str
    target: str
    was: str
    now: str

    to_json = write_fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """What was tried against a record, and what it came to; signed by whoever tried it.

    ``record``, ``artifact``, ``identity`` (of the target's fingerprint) and ``examples`` (of the
    file) are digests; ``evidence`` are those of the observations under which an example holds,
    by which other records that rest on them are known. ``disproved`` names checks of which a proof
    is false.
    """

    schema: ClassVar[str] = CHALLENGE_SCHEMA
    record: str
    record_id: str
    artifact: str | None
    target: str
    identity: str
    examples: str
    trials: tuple[ExampleTrial, ...]
    disproved: tuple[str, ...]
    moved: tuple[RuleOutcomeChange, ...]
    outcome: ChallengeOutcome
    signer: str
    tried: str
    evidence: tuple[str, ...] = ()

    @property
    def holding(self) -> tuple[int, ...]:
        """The examples that hold under some claim."""
        return tuple(
            sorted({item.example for item in self.trials if item.result is ExampleResult.HOLDS})
        )

    @property
    def furthest(self) -> tuple[ExampleTrial, ...]:
        """Each example once, under the claim where it got furthest."""
        return select_furthest_trials(self.trials)

    to_json = write_fields

    @classmethod
    def from_json(cls, found: Json, place: str) -> "Challenge":
        """Read the document. Raises ``RecordError`` for what is none.

        One of an earlier version names no evidence, and counts by its record alone.
        """
        part = JsonPart(found, place)
        return read_fields(cls, part, **({} if "evidence" in part.value else {"evidence": ()}))

    def provenance(self, signed: str) -> ProvenanceGraph:
        """Return what the document of the digest ``signed`` states of where things come from."""
        itself = LineageEntity(
            "challenge", signed, attrs={"id": self.tried, "outcome": self.outcome.value}
        )
        run = LineageActivity("trial", Digest(signed).hex[:24], self.tried, self.tried)
        record, key = build_entity_id("record", self.record), build_entity_id("key", self.signer)
        used = {"examples": self.examples, "target": self.identity}
        if self.artifact is not None:
            used["artifact"] = self.artifact
        edges = {
            LineageEdge(record, "wasInfluencedBy", itself.id, "challenge"),
            LineageEdge(itself.id, "wasGeneratedBy", run.id, "trial"),
            LineageEdge(itself.id, "wasAttributedTo", key, "signer"),
            *(
                LineageEdge(run.id, "used", build_entity_id(kind, item), kind)
                for kind, item in used.items()
            ),
        }
        if self.outcome is ChallengeOutcome.REFUTED:
            edges.add(LineageEdge(record, INVALIDATED, run.id, "trial"))
        named = (
            LineageEntity("key", self.signer.removeprefix("key:")),
            LineageEntity("examples", self.examples),
        )
        return ProvenanceGraph((itself, *named), (run,), tuple(sorted(edges)))
