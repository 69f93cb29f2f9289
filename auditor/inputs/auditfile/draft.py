"""Drafts an audit file from facts about a model and its data."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import yaml

from auditor._yaml import write_number
from auditor.domain.guesses import Confidence, Guess
from auditor.domain.json import Json
from auditor.inputs.datasets.hoped_class import Evidence, guess_favourable
from auditor.inputs.datasets.inspect import is_id_name
from auditor.inputs.datasets.schema_draft import USUAL_DOMAINS, DraftedFeature, draft_domain

TABLE_INPUT = """\
input:
  features: null                  # schema.yaml tells attacks what may move, and how far:
  # features:
  #   - {name: age, kind: integer, range: [18, 100], immutable: true}"""
TAIL = """\
claims: {}                        # what you say of it, as {accuracy: 0.98}
policy: baseline                  # a pack's name, or the path of your own
budget: ci                        # smoke | ci | full
seed: 7
show_examples: false              # true puts rows and pictures into the report
"""
HEAD = """\
# Drafted from the model and the data. Read every line: `found` was measured or read in a file,
# `guess` needs you. An audit takes the file as what you declare."""
OF_ERROR = "write the largest error that does no harm, such as that of the measurement"
NO_GROUPS = (
    "no name of a column says who a person is; name the columns of who must be treated alike, or "
    "tag the model not-about-people"
)
MOST_EVIDENCE = 300
PAIR = 2
BANDED = 3
FROM_LABELS = "the order of the labels; it must be the order of the model's scores"
TEXT_TAG = "text"
"""The tag of models that read texts, which rules of shipped policies go by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftFacts:
    """What was seen of a model and a data file; every name is a guess that a person confirms.

    ``artifact`` is ``None`` where only predictions are there, in the columns ``scores`` and
    ``predictions``. ``model_shape`` is the model's input as it declares it (``None`` for an open
    axis), ``outputs`` how many scores it gives. ``columns`` are all columns or arrays of the data;
    ``classes`` the distinct labels; ``value_range`` the least and greatest input of an array;
    ``spread`` the standard deviation of labels that are numbers to be predicted; ``text`` the
    column for a model that ``reads_text``; ``features`` the drafted lines of ``schema``; ``tags``
    what a person declares of the model.
    ``unbanded`` are columns that say who a person is, in too many values to compare.
    ``positive`` is the class that one score is the probability of (``None``: the last).
    ``evidence`` says by setting why it has its value, and how sure that is; ``doubts`` are lines
    that a person has to read before all others.
    """

    name: str
    artifact: str | None
    data: str
    version: str = "0"
    model_shape: tuple[int | None, ...] | None = None
    outputs: int | None = None
    rows: int | None = None
    columns: tuple[str, ...] = ()
    labels: str | None = None
    classes: tuple[str, ...] = ()
    id: str | None = None
    groups: tuple[str, ...] = ()
    unbanded: tuple[str, ...] = ()
    time: str | None = None
    tags: tuple[str, ...] = ()
    slices: tuple[str, ...] = ()
    scores: tuple[str, ...] = ()
    predictions: str | None = None
    input_shape: tuple[int, ...] | None = None
    value_range: tuple[float, float] | None = None
    value_domain: tuple[float, float] | None = None
    pictures: bool = False
    spread: float | None = None
    tolerance: float | None = None
    reads_text: bool = False
    text: str | None = None
    positive: str | None = None
    favourable: str | None = None
    features: tuple[DraftedFeature, ...] = ()
    schema: str | None = None
    evidence: Mapping[str, Evidence] = field(default_factory=dict)
    doubts: tuple[str, ...] = ()

    def known_by(self, setting: str, words: str, confidence: Confidence) -> "DraftFacts":
        """Return the facts with the evidence for one setting."""
        return replace(self, evidence={**self.evidence, setting: (words, confidence)})

    @property
    def regression(self) -> bool:
        """Whether numbers are drafted as the truth."""
        return self.spread is not None and self.outputs in {None, 1}

    @property
    def largest_harmless_error(self) -> float:
        """The tolerance of a regression: as it is set, else half of the labels' deviation.

        It asks nothing of the model, so that no model is its own measure.
        """
        drafted = float(f"{(self.spread or 0.0) / 2:.2g}")
        return drafted if self.tolerance is None else self.tolerance

    @property
    def domain(self) -> tuple[float, float] | None:
        """The range that is set, else a round one that holds all values, or pictures."""
        if self.value_domain is not None:
            return self.value_domain
        if self.pictures:
            return USUAL_DOMAINS[0]
        if self.input_shape is None or self.value_range is None:
            return None
        return draft_domain(*self.value_range)


VALUES: Mapping[str, Callable[[DraftFacts], Json]] = {
    "model.name": lambda it: it.name,
    "model.version": lambda it: it.version,
    "task.kind": lambda it: "regression" if it.regression else "classification",
    "task.tolerance": lambda it: it.largest_harmless_error,
    "task.classes": lambda it: list(it.classes) if can_list_classes(it) else None,
    "task.positive": lambda it: it.positive or (it.classes[-1] if it.classes else None),
    "task.favourable": lambda it: (
        it.favourable or guess_favourable(it.classes, it.labels)[0] or VALUES["task.positive"](it)
    ),
    "input.domain": lambda it: None if it.domain is None else list(it.domain),
    "input.text": lambda it: it.text,
    "input.features": lambda it: it.schema,
    "data.evaluation.labels": lambda it: it.labels,
    "data.evaluation.id": lambda it: it.id,
    "data.evaluation.groups": lambda it: list(_usable(it.groups)),
    "data.evaluation.time": lambda it: it.time,
    "data.evaluation.slices": lambda it: list(_usable(_slices(it))),
    "data.evaluation.scores": lambda it: list(it.scores),
    "data.evaluation.predictions": lambda it: it.predictions,
}
"""The settings that are guessed, each with how to find its value."""


def list_guesses(seen: DraftFacts) -> tuple[Guess, ...]:
    """Return every guess of the audit file and of the schema, with its evidence."""
    facts = complete_evidence(seen)
    found = [
        Guess(setting, value(facts), *facts.evidence[setting])
        for setting, value in VALUES.items()
        if setting in facts.evidence
    ]
    for item in facts.features:
        words, sure = item.evidence, item.confidence
        if item.immutable:
            words += f"; immutable: {item.immutable}"
            sure = sure if sure is Confidence.CONFIRMED else Confidence.LOW
        place = f"{facts.schema}: features.{item.name}"
        found.append(Guess(place, item.to_json(), words, sure))
    return tuple(found)


def complete_evidence(seen: DraftFacts) -> DraftFacts:
    """Return the facts with the evidence of settings that have none yet: their usual reason."""
    facts = seen
    for setting, words, confidence in _usual_evidence(seen):
        if setting not in facts.evidence:
            facts = facts.known_by(setting, words, confidence)
    return facts


def _usual_evidence(seen: DraftFacts) -> Iterator[tuple[str, str, Confidence]]:
    low, medium = Confidence.LOW, Confidence.MEDIUM
    yield "model.name", "the name of the file", medium
    yield "model.version", "no file states one; write the version that you release", low
    if seen.regression:
        yield "task.kind", "the labels are many numbers", medium
        words = f"half of the labels' standard deviation ({seen.spread:.3g}); {OF_ERROR}"
        yield "task.tolerance", words, low
    elif can_list_classes(seen):
        yield "task.classes", FROM_LABELS, low
        if len(seen.classes) == PAIR:
            yield "task.positive", _positive_words(seen), low
        yield "task.favourable", *guess_favourable(seen.classes, seen.labels)[1]
    if seen.reads_text:
        yield "input.text", "the column of the longest texts", medium
    elif seen.domain is not None and seen.artifact is not None:
        yield "input.domain", _domain_words(seen), medium
    yield from _evidence_of_data(seen)


def _positive_words(seen: DraftFacts) -> str:
    if seen.outputs == PAIR:
        return "the last class; claims of tpr, fpr and ppv are of it"
    return "the last class; it must be the one that the model's score is the probability of"


def _evidence_of_data(seen: DraftFacts) -> Iterator[tuple[str, str, Confidence]]:
    low, medium = Confidence.LOW, Confidence.MEDIUM
    if seen.labels is not None:
        yield "data.evaluation.labels", "the name or the place of the column", low
    if seen.id is not None:
        named = is_id_name(seen.id)
        words = "the name, and no value stands twice" if named else "no value stands twice"
        yield "data.evaluation.id", words, Confidence.HIGH if named else medium
    if seen.time is not None:
        words = "the one column of dates; remove it unless it says when a row was recorded"
        yield "data.evaluation.time", words, medium
    bands = _band_words(seen.unbanded)
    if seen.groups:
        words = f"the name says who a person is{bands and '; '}{bands}"
        yield "data.evaluation.groups", words, low if bands else Confidence.HIGH
    elif not seen.tags:
        yield "data.evaluation.groups", bands or NO_GROUPS, low


def _band_words(names: Sequence[str]) -> str:
    """Say how columns of many values become groups, if there are such columns."""
    if not names:
        return ""
    shown = ", ".join(map(repr, names[:BANDED]))
    return (
        f"{shown}: too many values to compare; add a column of bands (under-30, 30-49, 50-plus), "
        "which the model does not take, and list it here"
    )


def _domain_words(seen: DraftFacts) -> str:
    if seen.pictures or seen.value_range is None:
        return "pixels 0..255 are spread over it"
    low, high = seen.value_range
    rows = "" if seen.rows is None else f" in {seen.rows} rows"
    rounded = "" if seen.domain in USUAL_DOMAINS else ", rounded outwards"
    return f"values {low:.6g} to {high:.6g}{rows}{rounded}; attacks move them by shares of it"


def draft_audit_file(observed: DraftFacts) -> str:
    """Return a commented ``audit.yaml`` that ``read_audit_file`` accepts as it stands."""
    seen = complete_evidence(observed)
    parts = [
        HEAD,
        *(f"# {_plain(line)}" for line in seen.doubts),
        "apiVersion: auditor/v1\nkind: Audit",
        *_model(seen),
        *_task(seen),
        _input(seen),
        "# no targets: no model runs"
        if seen.artifact is None
        else "targets: [cpu]                    # where the model will run",
        _data(seen),
        TAIL,
    ]
    return "\n".join(parts)


def _model(seen: DraftFacts) -> Iterator[str]:
    yield "model:"
    yield f"  name: {_quoted(seen.name)}{_why(seen, 'model.name')}"
    yield f"  version: {_quoted(seen.version)}{_why(seen, 'model.version')}"
    if seen.artifact is None:
        yield "  # no artifact: the data hold what the model answered"
    else:
        yield f"  artifact: {_quoted(seen.artifact)}{_note(_model_words(seen))}"
        yield "  signature: null                 # model.sig, once it is signed (auditor sign)"
        yield "  key: null                       # the public key you trust; auditor sign names it"
    if seen.tags:
        tags = (*([TEXT_TAG] if seen.reads_text else []), *seen.tags)
        yield f"  tags: {_listed(tags)}{_why(seen, 'model.tags')}"
    elif seen.reads_text:
        yield f"  tags: [{TEXT_TAG}]                    # rules on changed words apply by this tag"
    else:
        yield "  tags: []                        # [not-about-people] if it decides about no person"


def _task(seen: DraftFacts) -> Iterator[str]:
    yield "task:"
    if seen.regression:
        yield f"  kind: regression{_why(seen, 'task.kind')}"
        tolerance = write_number(seen.largest_harmless_error)
        yield f"  tolerance: {tolerance}{_why(seen, 'task.tolerance')}"
        return
    yield f"  kind: classification{_why(seen, 'task.kind')}"
    if seen.outputs is not None and seen.classes and seen.outputs not in (1, len(seen.classes)):
        yield (
            f"  # The model gives {seen.outputs} scores, but the data hold {len(seen.classes)} "
            "labels: list every class."
        )
    if can_list_classes(seen):
        positive = VALUES["task.positive"](seen)
        favourable = VALUES["task.favourable"](seen)
        yield f"  classes: {_listed(seen.classes)}{_why(seen, 'task.classes')}"
        if len(seen.classes) == PAIR:
            yield f"  positive: {_quoted(str(positive))}{_why(seen, 'task.positive')}"
        yield f"  favourable: {_quoted(str(favourable))}{_why(seen, 'task.favourable')}"
    else:
        yield "  classes: null                   # list them in the order of the model's scores"
    if len(seen.classes) <= PAIR:
        yield "  threshold: 0.5                  # two classes: from this score on it is positive"


def can_list_classes(seen: DraftFacts) -> bool:
    """Return whether the labels that were seen can stand in an audit file as its classes."""
    return len(_usable(seen.classes)) == len(seen.classes) > 1


def _input(seen: DraftFacts) -> str:
    if seen.artifact is None:
        return "# no input: there is no model to send rows to"
    if seen.reads_text:
        return f"input:\n  text: {_name(seen.text)}{_why(seen, 'input.text')}"
    if seen.schema is not None:
        return f"input:\n  features: {_quoted(seen.schema)}{_why(seen, 'input.features')}"
    if seen.input_shape is None and not seen.pictures:
        return TABLE_INPUT
    if seen.domain is None:
        return "input:\n  domain: null                    # [low, high] that a value may take"
    low, high = seen.domain
    return (
        f"input:\n  domain: [{write_number(low)}, {write_number(high)}]{_why(seen, 'input.domain')}"
    )


def _slices(seen: DraftFacts) -> list[str]:
    return [name for name in seen.slices if not (seen.reads_text and name == seen.text)]


def _data(seen: DraftFacts) -> str:
    count = "" if seen.rows is None else f"{seen.rows} rows; "
    named = ", ".join(_quoted(name) for name in seen.columns)
    there = f"beside the inputs: {named}" if seen.input_shape is not None else f"columns: {named}"
    there = there if named else "one array"
    place = "data.evaluation"
    labels = _why(seen, f"{place}.labels") or _note("which column or array is the truth")
    groups = _why(seen, f"{place}.groups")
    lines = [
        "data:",
        "  evaluation:                     # rows that the model was not trained on",
        f"    # {count}{there}",
        f"    path: {_quoted(seen.data)}",
        f"    labels: {_name(None if seen.pictures else seen.labels)}"
        + (_note("the names of the sub-folders") if seen.pictures else labels),
    ]
    if seen.scores:
        lines.append(f"    scores: {_listed(seen.scores)}{_why(seen, f'{place}.scores')}")
    if seen.predictions is not None:
        why = _why(seen, f"{place}.predictions")
        lines.append(f"    predictions: {_name(seen.predictions)}{why}")
    if seen.time is not None:
        lines.append(f"    time: {_name(seen.time)}{_why(seen, f'{place}.time')}")
    return "\n".join(
        [
            *lines,
            f"    id: {_name(seen.id)}{_why(seen, f'{place}.id') if seen.id else ''}",
            f"    groups: {_listed(seen.groups)}{groups}",
            f"    slices: {_listed(_slices(seen))}{_note('other columns that are not inputs')}",
        ]
    )


def _model_words(seen: DraftFacts) -> str:
    if seen.model_shape is None:
        return ""
    axes = ", ".join("rows" if axis is None else str(axis) for axis in seen.model_shape)
    many = "1 score" if seen.outputs == 1 else f"{seen.outputs} scores"
    scores = "" if seen.outputs is None else f", gives {many}"
    return f"takes [{axes}]{scores}"


def _why(seen: DraftFacts, setting: str) -> str:
    words, confidence = seen.evidence.get(setting, ("", Confidence.HIGH))
    return _note(f"{confidence.mark}: {words}") if words else ""


def _usable(names: Sequence[str]) -> tuple[str, ...]:
    # An audit file refuses names that nobody can read in a report.
    return tuple(name for name in names if name.strip() and name.isprintable())


def _name(name: str | None) -> str:
    return _quoted(name) if name is not None and _usable([name]) else "null"


def _listed(names: Sequence[str]) -> str:
    return "[" + ", ".join(_quoted(name) for name in _usable(names)) + "]"


def _quoted(text: str) -> str:
    dumped = yaml.safe_dump(text, default_style='"', width=float("inf"), allow_unicode=True)
    return dumped.strip()


def _plain(text: str) -> str:
    return "".join(sign if sign.isprintable() else " " for sign in text)[:MOST_EVIDENCE]


def _note(words: str) -> str:
    return f"   # {_plain(words)}" if words else ""
