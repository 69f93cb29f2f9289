"""Draft an audit file from what was seen of a model and its data."""

from collections.abc import Sequence
from dataclasses import dataclass

import yaml

USUAL_DOMAINS = ((0.0, 1.0), (0.0, 255.0))
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


ORDER = "guessed from the labels: put them in the order of the model's scores"
NAMED = "the model's own names, in the order of its scores"
POSITIVE = "guessed: what the score is the probability of"
MOST_PROBLEM = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassOrderTrial:
    """What scoring ``rows`` of the data said of the order of the classes, if it could be done.

    ``accuracy`` is that of the order which is drafted, ``before`` that of the labels' own order
    where it was worse; ``fits`` says that the order is the right one, ``problem`` why nobody knows.
    """

    rows: int = 0
    accuracy: float = 0.0
    before: float | None = None
    fits: bool = False
    one_score: bool = False
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftFacts:
    """What was seen of a model and a data file; every name is a guess that a person confirms.

    ``model_shape`` is the model's input as it declares it (``None`` for an open axis),
    ``outputs`` how many scores it gives. ``columns`` are all columns or arrays of the data;
    ``classes`` the distinct labels; ``value_range`` the least and greatest input of an array;
    ``spread`` the standard deviation of labels that are numbers to be predicted; ``text`` the
    column for a model that ``reads_text``. ``positive`` is the class that one score is the
    probability of (``None``: the last), and ``trial`` what scoring the data said of that and of the
    order of ``classes``, which may be the one in which the model itself ``named`` them.
    """

    name: str
    artifact: str
    data: str
    model_shape: tuple[int | None, ...] | None = None
    outputs: int | None = None
    rows: int | None = None
    columns: tuple[str, ...] = ()
    labels: str | None = None
    classes: tuple[str, ...] = ()
    id: str | None = None
    groups: tuple[str, ...] = ()
    slices: tuple[str, ...] = ()
    input_shape: tuple[int, ...] | None = None
    value_range: tuple[float, float] | None = None
    pictures: bool = False
    spread: float | None = None
    reads_text: bool = False
    text: str | None = None
    positive: str | None = None
    favourable: str | None = None
    trial: ClassOrderTrial | None = None
    named: bool = False


def draft_audit_file(observed: DraftFacts) -> str:
    """Return a commented ``audit.yaml`` that ``read_audit_file`` accepts as it stands."""
    parts = [
        _head(observed),
        _task(observed),
        _input(observed),
        "targets: [cpu]                    # where the model will run",
        _data(observed),
        TAIL,
    ]
    return "\n".join(parts)


def _head(seen: DraftFacts) -> str:
    return "\n".join(
        [
            "# Drafted from the model and the data. Check every line: guesses are marked so.",
            "apiVersion: auditor/v1",
            "kind: Audit",
            "model:",
            f"  name: {_quoted(seen.name)}",
            '  version: "0"                    # the version that you release',
            f"  artifact: {_quoted(seen.artifact)}{_note(_model_words(seen))}",
            "  signature: null                 # model.sig, once it is signed (auditor sign)",
            "  key: null                       # model.pub, the key that you trust for it",
            "  tags: []                        # [not-about-people] if it decides about nobody",
        ]
    )


def _task(seen: DraftFacts) -> str:
    if seen.spread is not None and seen.outputs in {None, 1}:
        note = "guessed: a tenth of the labels' standard deviation"
        return "\n".join(
            [
                "task:",
                "  kind: regression                # guessed: the labels are many numbers",
                f"  tolerance: {seen.spread / 10:.3g}{_note(note)}",
            ]
        )
    lines = ["task:", "  kind: classification"]
    if seen.outputs is not None and seen.classes and seen.outputs not in (1, len(seen.classes)):
        lines.append(
            f"  # The model gives {seen.outputs} scores, but the data hold {len(seen.classes)} "
            "labels: list every class."
        )
    order, positive = _order_notes(seen.trial)
    if seen.named and (seen.trial is None or seen.trial.before is None):
        order = NAMED
    lines += _trial_lines(seen.trial)
    if can_list_classes(seen):
        last = seen.classes[-1]
        lines.append(f"  classes: {_listed(seen.classes)}{_note(order)}")
        lines.append(f"  positive: {_quoted(seen.positive or last)}{_note(positive)}")
        favourable = _quoted(seen.favourable or seen.positive or last)
        lines.append(f"  favourable: {favourable}{_note('guessed: what people hope for')}")
    else:
        lines.append(f"  classes: null{_note(order)}")
    lines.append("  threshold: 0.5                  # two classes: from where on it is positive")
    return "\n".join(lines)


def can_list_classes(seen: DraftFacts) -> bool:
    """Return whether the labels that were seen can stand in an audit file as its classes."""
    return len(_usable(seen.classes)) == len(seen.classes) > 1


def _order_notes(trial: ClassOrderTrial | None) -> tuple[str, str]:
    """Say of the order of the classes, and of the positive one, how they are known."""
    if trial is None or not trial.fits:
        return ORDER, POSITIVE
    found = f"{trial.accuracy:.0%} of {trial.rows} rows are right"
    if trial.before is not None:
        found += f", in the labels' own order {trial.before:.0%}"
    if trial.one_score:
        return "in any order: the model gives one score", f"found by scoring the data: {found}"
    return f"the order of the model's scores, found by scoring the data: {found}", POSITIVE


def _trial_lines(trial: ClassOrderTrial | None) -> list[str]:
    if trial is None or trial.fits:
        return []
    if not trial.problem:
        right = f"{trial.accuracy:.0%} of {trial.rows} rows are right in this order"
        return [f"  # Only {right}, and in no other order far more are."]
    shown = "".join(sign if sign.isprintable() else " " for sign in trial.problem)
    return [f"  # Scoring the data could not show the order of the classes: {shown[:MOST_PROBLEM]}"]


def _input(seen: DraftFacts) -> str:
    if seen.reads_text:
        return f"input:\n  text: {_name(seen.text)}{_note('guessed: the column of texts')}"
    if seen.pictures:
        note = "guessed; pixels 0..255 are spread over it"
        return f"input:\n  domain: [0.0, 1.0]{_note(note)}"
    if seen.input_shape is None:
        return TABLE_INPUT
    domain = _domain(seen.value_range)
    if domain is None:
        return "input:\n  domain: null                    # [low, high] that a value may take"
    return f"input:\n  domain: [{domain[0]}, {domain[1]}]{_note('guessed from the data')}"


def _data(seen: DraftFacts) -> str:
    count = "" if seen.rows is None else f"{seen.rows} rows; "
    there = ", ".join(_quoted(name) for name in seen.columns) or "one array"
    slices = [name for name in seen.slices if not (seen.reads_text and name == seen.text)]
    note = "guessed" if seen.labels is not None else "which column or array is the truth"
    if seen.pictures:
        note = "the names of the sub-folders"
    return "\n".join(
        [
            "data:",
            "  evaluation:                     # rows that the model was not trained on",
            f"    # {count}there are {there}",
            f"    path: {_quoted(seen.data)}",
            f"    labels: {_name(seen.labels)}{_note(note)}",
            f"    id: {_name(seen.id)}",
            f"    groups: {_listed(seen.groups)}{_note('who must be treated alike')}",
            f"    slices: {_listed(slices)}{_note('other columns that are no inputs')}",
        ]
    )


def _model_words(seen: DraftFacts) -> str:
    if seen.model_shape is None:
        return ""
    axes = ", ".join("rows" if axis is None else str(axis) for axis in seen.model_shape)
    scores = "" if seen.outputs is None else f", gives {seen.outputs} scores"
    return f"takes [{axes}]{scores}"


def _domain(value_range: tuple[float, float] | None) -> tuple[float, float] | None:
    if value_range is None:
        return None
    fits = (
        usual for usual in USUAL_DOMAINS if usual[0] <= value_range[0] <= value_range[1] <= usual[1]
    )
    return next(fits, None)


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


def _note(words: str) -> str:
    return f"   # {words}" if words else ""
