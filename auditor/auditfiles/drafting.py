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


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """What was seen of a model and a data file; every name is a guess that a person confirms.

    ``model_shape`` is the model's input as it declares it (``None`` for an open axis),
    ``outputs`` how many scores it gives. ``columns`` are all columns or arrays of the data;
    ``classes`` the distinct labels; ``value_range`` the least and greatest input of an array;
    ``spread`` the standard deviation of labels that are numbers to be predicted.
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


def draft_audit_file(observed: Observed) -> str:
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


def _head(seen: Observed) -> str:
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


def _task(seen: Observed) -> str:
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
    enough = len(_usable(seen.classes)) == len(seen.classes) > 1
    classes = _listed(seen.classes) if enough else "null"
    order = _note("guessed from the labels: put them in the order of the model's scores")
    lines.append(f"  classes: {classes}{order}")
    if enough:
        last = _quoted(seen.classes[-1])
        lines.append(f"  positive: {last}{_note('guessed: what the score is the probability of')}")
        lines.append(f"  favourable: {last}{_note('guessed: what people hope for')}")
    lines.append("  threshold: 0.5                  # two classes: from where on it is positive")
    return "\n".join(lines)


def _input(seen: Observed) -> str:
    if seen.pictures:
        note = "guessed; pixels 0..255 are spread over it"
        return f"input:\n  domain: [0.0, 1.0]{_note(note)}"
    if seen.input_shape is None:
        return TABLE_INPUT
    domain = _domain(seen.value_range)
    if domain is None:
        return "input:\n  domain: null                    # [low, high] that a value may take"
    return f"input:\n  domain: [{domain[0]}, {domain[1]}]{_note('guessed from the data')}"


def _data(seen: Observed) -> str:
    count = "" if seen.rows is None else f"{seen.rows} rows; "
    there = ", ".join(_quoted(name) for name in seen.columns) or "one array"
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
            f"    slices: {_listed(seen.slices)}{_note('other columns that are no inputs')}",
        ]
    )


def _model_words(seen: Observed) -> str:
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
