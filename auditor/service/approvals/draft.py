"""Cases that a person labels before the verdict is shown: what they say is their own opinion then.

Source: Parasuraman and Manzey 2010, "Complacency and bias in human use of automation", 4.2.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from auditor.domain.evidence import Item, decode
from auditor.domain.json_parts import Part
from auditor.domain.people import Labelled
from auditor.domain.records import AuditRecord, Observation
from auditor.people.panels import Panel, read_kept
from auditor.refusals import CallError, StandingError

CHECK = "quality.accuracy"
"""The check that scores every row, and keeps what is true of it."""


@dataclass(frozen=True, slots=True)
class Case:
    """A row of the data by its id, what is true of it, and what the model says."""

    id: str
    truth: str
    model: str


@dataclass(frozen=True, slots=True)
class Drawn:
    """The cases of a record that one person is asked for, and the names of the classes."""

    cases: tuple[Case, ...]
    classes: tuple[str, ...]


def drawn(panel: Panel, project: str, record: str, person: str) -> Drawn:
    """Return the cases of a record that a person is asked to label, the same ones each time.

    They are drawn by SHA-256 of the record's digest, the person and the case, so that nobody
    chooses them. Raises ``NotFoundError`` for a record or a person of another project, and
    ``StandingError`` where the policy asks for none, or the record has none to label.
    """
    kept, who = panel.record(project, record), panel.person(project, person)
    read = read_kept(kept)
    asked = panel.policy_of(read).blind_labels
    if not asked:
        raise StandingError(
            f"the policy of {record} asks for no labels", cure="Approve the record as it is."
        )
    observation = next((it for it in read.observations if it.check == CHECK), None)
    if observation is None or observation.committed:
        raise StandingError(
            f"the record {read.id} has no labelled cases that could be shown",
            cure=f"Audit with {CHECK}, on data with labels.",
        )
    return _drawn(panel, read, observation, f"{record} {who.id}", asked)


def label(
    panel: Panel, project: str, given: Labelled, most: int = 200
) -> tuple[Labelled, tuple[Case, ...]]:
    """Keep what a person calls the cases of a record, once, and return it with the cases.

    Raises as ``drawn``, ``CallError`` for other cases or classes, and ``StandingError`` for other
    labels than the first ones.
    """
    found = drawn(panel, project, given.record, given.person)
    ids = {case.id for case in found.cases}
    strange = set(given.labels.values()) - set(found.classes)
    if set(given.labels) != ids or strange:
        what = f"{min(strange)[:most]!r} is no class" if strange else "they are other cases"
        raise CallError(
            f"these are no labels of the cases asked for: {what}",
            cure="GET /v1/approvals/cases names the cases and the classes; label each.",
        )
    labels = given.labels
    counted = Labelled(
        record=given.record,
        person=given.person,
        labels=dict(labels),
        truth=sum(labels[case.id] == case.truth for case in found.cases),
        model=sum(labels[case.id] == case.model for case in found.cases),
        at=panel.clock(),
        by=given.by,
    )
    kept = panel.people.label(project, counted)
    if kept.labels != counted.labels:
        raise StandingError(
            "the cases were labelled otherwise before, and the truth was shown since",
            cure="The first labels stand.",
        )
    return kept, found.cases


def _drawn(
    panel: Panel, record: AuditRecord, observation: Observation, salt: str, asked: int
) -> Drawn:
    ids, truth, decided, classes = _scored(panel, observation)
    order = sorted(range(len(ids)), key=lambda at: hashlib.sha256(
        f"{salt} {ids[at]}".encode()).digest())  # fmt: skip
    if len(order) < asked:
        raise StandingError(
            f"the record {record.id} has {len(order)} cases, and {asked} are to be labelled",
            cure="Audit with more rows.",
        )
    cases = (Case(ids[at], classes[truth[at]], classes[decided[at]]) for at in order[:asked])
    return Drawn(tuple(cases), classes)


def _scored(
    panel: Panel, observation: Observation
) -> tuple[list[str], list[int], list[int], tuple[str, ...]]:
    blobs = panel.kept.store.blobs
    found: Mapping[str, Item] = {
        name: decode(blobs.get(observation.evidence[name]))
        for name in ("ids", "labels", "decided", "task")
    }
    task = found["task"]
    if isinstance(task, np.ndarray):
        raise StandingError("the evidence names no classes", cure="Audit again.")
    ids, truth, decided = (np.asarray(found[name]) for name in ("ids", "labels", "decided"))
    classes = Part(task, "task").texts("classes")
    texts = [str(item) for item in ids.tolist()]
    return texts, [int(at) for at in truth], [int(at) for at in decided], classes
