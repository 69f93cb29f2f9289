"""What of the evidence of attacks on texts goes by the texts that were attacked."""

from collections.abc import Iterator, Mapping
from typing import cast

from auditor.attacks.attacked_rows import SHARED, part_of
from auditor.attacks.outlays import asked
from auditor.attacks.texts.readings import recount
from auditor.domain.canonical import Json
from auditor.domain.evidence import Evidence
from auditor.domain.readings import Scalar
from auditor.domain.rows import ByRow, RowFigures

MOST_WORDS = 32
"""Numbers of changed words at which rows are told: evidence does not say what was asked for."""


def _curve(evidence: Evidence, params: Mapping[str, Scalar]) -> Iterator[RowFigures]:
    seen = recount(evidence, range(1, MOST_WORDS + 1))
    place = asked(cast("Mapping[str, Json]", evidence["settings"]))
    yield RowFigures("clean_accuracy", ~seen.wrong, place)
    for words, right in zip(seen.budgets, seen.right, strict=True):
        yield RowFigures("robust_accuracy", right, {**params, "words": int(words), **place})


def _recipes(evidence: Evidence) -> tuple[RowFigures, ...]:
    """Return what rows add under each recipe that ran to its end."""
    runs = cast("Mapping[str, Mapping[str, Json]]", evidence["runs"])
    return tuple(
        added
        for name, run in runs.items()
        if not run["failure"]
        for added in _curve(part_of(evidence, f"{name}."), {"attack": name})
    )


READ = ByRow(
    each=SHARED | {"adversarial_probabilities", "queries"},
    adds=lambda evidence: tuple(_curve(evidence, {})),
)
"""Settings say how many words each text has that can be changed: they are withheld whole."""
REREAD = ByRow(each=SHARED, apart=frozenset({"library"}), adds=_recipes)
"""The same of several recipes; what each made of the texts bears its name, and is withheld."""
