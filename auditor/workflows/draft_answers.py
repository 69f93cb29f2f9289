"""A person's answers to the uncertain guesses of a draft."""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeAlias

from auditor.domain.guesses import Confidence, Guess
from auditor.domain.tasks import FeatureKind
from auditor.errors import UsageError
from auditor.inputs.auditfile.draft import DraftFacts, list_guesses
from auditor.inputs.datasets.schema_draft import DraftedFeature

Ask: TypeAlias = Callable[[Guess, str], str]
"""Asks a person about a guess and returns the answer, blank to keep it; the text says what was
wrong with the answer before."""
PAIR = 2
ANSWERED = "your answer"
NO_PEOPLE = "not-about-people"


def confirm(seen: DraftFacts, setting: str, ask: Ask, change: "Change") -> DraftFacts:
    """Ask about one guess until the answer can be used, and return the facts with it."""
    guess = next((it for it in list_guesses(seen) if it.setting == setting), None)
    if guess is None or not guess.confidence.uncertain:
        return seen
    problem = ""
    while True:
        text = ask(guess, problem).strip()
        try:
            changed = change(seen, text) if text else seen
        except UsageError as error:
            problem = f"{error.problem}. {error.cure}"
            continue
        return changed.known_by(setting, ANSWERED if text else guess.evidence, Confidence.CONFIRMED)


def confirm_guesses(seen: DraftFacts, ask: Ask) -> DraftFacts:
    """Ask about every uncertain guess of a draft but the column of labels."""
    for setting, change in CHANGES.items():
        seen = confirm(seen, setting, ask, change)
    for place, feature in enumerate(seen.features):
        if not (feature.confidence.uncertain or feature.immutable):
            continue
        guess = next(it for it in list_guesses(seen) if it.setting.endswith(f".{feature.name}"))
        problem = ""
        while True:
            text = ask(guess, problem).strip()
            try:
                answered = _change_feature(feature, text) if text else feature
            except UsageError as error:
                problem = f"{error.problem}. {error.cure}"
                continue
            break
        settled = replace(answered, confidence=Confidence.CONFIRMED)
        seen = replace(
            seen, features=(*seen.features[:place], settled, *seen.features[place + 1 :])
        )
    return seen


def _change_feature(feature: DraftedFeature, text: str) -> DraftedFeature:
    """Return a feature with another kind or range, or with its mark as immutable set or removed."""
    if text in {"immutable", "mutable"}:
        return replace(feature, immutable=ANSWERED if text == "immutable" else "")
    known = feature.categories or feature.range or (0.0, 1.0)
    low, high = min(known), max(known)
    if text in {FeatureKind.NUMERIC.value, FeatureKind.INTEGER.value}:
        return replace(
            feature, kind=FeatureKind(text), range=(low, high), categories=(), evidence=ANSWERED
        )
    numeric = feature.kind in {FeatureKind.NUMERIC, FeatureKind.INTEGER}
    bounds = _read_pair(text) if numeric and "," in text else None
    if bounds is None:
        raise UsageError(
            f"{text[:40]!r} is no answer for a column",
            cure="Write numeric, integer, a range as `0, 100`, immutable or mutable.",
        )
    return replace(feature, range=bounds, evidence=ANSWERED)


def _read_pair(text: str) -> tuple[float, float]:
    parts = text.strip("[]").split(",")
    try:
        numbers = [float(part) for part in parts]
    except ValueError:
        numbers = []
    if len(numbers) != PAIR or not all(map(math.isfinite, numbers)) or numbers[0] >= numbers[1]:
        raise UsageError(f"{text[:40]!r} is no range", cure="Write two numbers, low and high.")
    return numbers[0], numbers[1]


def _read_name(text: str) -> str:
    if not text.isprintable():
        raise UsageError("the answer cannot be printed", cure="Write letters, digits and signs.")
    return text


def _read_one_of(text: str, known: tuple[str, ...]) -> str:
    if text not in known:
        raise UsageError(f"{text[:40]!r} is not there", cure=f"Choose from {', '.join(known)}.")
    return text


def _read_columns(seen: DraftFacts, text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(part.strip() for part in text.strip("[]").split(",")))
    for name in names:
        _read_one_of(name, tuple(it for it in seen.columns if it != seen.labels))
    return names


def _change_groups(seen: DraftFacts, text: str) -> DraftFacts:
    """Take columns as groups, or declare that the model decides about no people."""
    if text == NO_PEOPLE:
        declared = replace(seen, groups=(), tags=(NO_PEOPLE,))
        return declared.known_by("model.tags", ANSWERED, Confidence.CONFIRMED)
    try:
        named = _read_columns(seen, text)
    except UsageError as error:
        raise UsageError(error.problem, cure=f"{error.cure} Or write {NO_PEOPLE}.") from None
    rest = tuple(name for name in seen.slices if name not in named)
    return replace(seen, groups=named, slices=rest)


def _change_classes(seen: DraftFacts, text: str) -> DraftFacts:
    names = tuple(part.strip() for part in text.strip("[]").split(","))
    if len({*names}) < len(names) or not {*seen.classes} <= {*names}:
        raise UsageError(
            f"{text[:80]!r} does not list each class once",
            cure=f"Separate by commas: {', '.join(seen.classes)}.",
        )
    return replace(seen, classes=names)


def _change_tolerance(seen: DraftFacts, text: str) -> DraftFacts:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not (math.isfinite(number) and number > 0):
        raise UsageError(f"{text[:40]!r} is no tolerance", cure="Write a number above 0.")
    return replace(seen, tolerance=number)


Change: TypeAlias = Callable[[DraftFacts, str], DraftFacts]
CHANGES: Mapping[str, Change] = {
    "data.evaluation.scores": lambda seen, text: replace(seen, scores=_read_columns(seen, text)),
    "data.evaluation.predictions": lambda seen, text: replace(
        seen, predictions=_read_one_of(text, seen.columns)
    ),
    "model.name": lambda seen, text: replace(seen, name=_read_name(text)),
    "model.version": lambda seen, text: replace(seen, version=_read_name(text)),
    "task.tolerance": _change_tolerance,
    "task.classes": _change_classes,
    "task.positive": lambda seen, text: replace(seen, positive=_read_one_of(text, seen.classes)),
    "task.favourable": lambda seen, text: replace(
        seen, favourable=_read_one_of(text, seen.classes)
    ),
    "input.domain": lambda seen, text: replace(seen, value_domain=_read_pair(text)),
    "input.text": lambda seen, text: replace(seen, text=_read_one_of(text, seen.columns)),
    "data.evaluation.groups": _change_groups,
}
"""What an answer to each guess changes."""
