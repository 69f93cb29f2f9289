"""Claims of robustness of texts, refuted by a few changed words that the check permits."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.counterexamples.norm_ball_claims import (
    BreakingMedian,
    RobustnessClaim,
    explain_no_claim,
    median_breaking_distance,
    smallest_budgets,
)
from auditor.attacks.counterexamples.refutable_claims import (
    ChallengeableClaim,
    Changes,
    Claims,
    Held,
    Params,
    Sized,
)
from auditor.attacks.counterexamples.submission import CounterexampleBatch
from auditor.attacks.evasion.evidence import RowOutcomes
from auditor.attacks.evasion.row_evidence import select_attack_evidence
from auditor.attacks.text.evidence import recount_texts
from auditor.attacks.text.threat_model import TextChanges, TextThreat
from auditor.domain.challenges import CounterexampleClaims, CounterexampleKind, ExampleResult
from auditor.domain.evidence import Evidence
from auditor.domain.json import Json
from auditor.domain.tasks import Floats

ANY = 10**9
"""More words than a text has: what is still not permitted is no matter of their number."""


@dataclass(frozen=True, slots=True, eq=False)
class TextRobustnessClaim:
    """What an attack on texts left standing, at growing numbers of words."""

    evidence: Evidence
    seen: RowOutcomes

    @property
    def claim(self) -> ChallengeableClaim:
        """The claim of single texts."""
        ids = cast("Sequence[str]", self.evidence["ids"])
        return RobustnessClaim(ids, self.seen, self.measured, self.changes, (self._median,))

    @property
    def threat(self) -> TextThreat:
        """What an attacker may make of a text, whatever the number of words."""
        settings = cast("Mapping[str, Json]", self.evidence["settings"])
        listed = cast("Mapping[str, Sequence[str]]", settings["synonyms"])
        synonyms = {word: tuple(others) for word, others in listed.items()}
        return TextThreat(ANY, cast("int", settings["edits"]), synonyms)

    def examined(self, given: CounterexampleBatch, at: int) -> TextChanges | None:
        """Return what was changed in a text; ``None`` where the check permits no such change."""
        return self.threat.examine(str(given.clean[at]), str(given.inputs[at]))

    def measured(self, given: CounterexampleBatch, at: int) -> Sized:
        """Return how many words were changed, and the smallest budget that they keep."""
        edits = self.examined(given, at)
        if edits is None:
            return ExampleResult.OUTSIDE_SPACE, ()
        if not edits.words:
            return ExampleResult.NOT_MISCLASSIFIED, ()  # nothing was changed that could mislead
        words = float(edits.words)
        least = smallest_budgets(self.seen.budgets, words)
        if least is None:
            return ExampleResult.OUTSIDE_BUDGET, (words,)
        return ExampleResult.HOLDS, (words, least)

    def changes(self, held: Held, given: CounterexampleBatch) -> Changes:
        """Return the evidence with these texts counted."""
        said = cast("Floats", self.evidence["adversarial_probabilities"]).copy()
        listed = cast("Sequence[Mapping[str, Json]]", self.evidence["crafted"])
        crafted = {cast("int", item["place"]): item for item in listed}
        for place, (trial, *_) in held.items():
            said[place] = given.said[trial.example]
            edits = self.examined(given, trial.example)
            if edits is None:
                message = "a text that holds was not permitted"
                raise AssertionError(message)
            digest = hashlib.sha256(str(given.inputs[trial.example]).encode()).hexdigest()
            told: dict[str, Json] = {"words": edits.words, "edits": edits.edits, "sha256": digest}
            crafted[place] = {"place": place, "kinds": dict(edits.kinds), **told}
        # The texts that are shown, since figures count the changes in these anew
        if "example_places" not in self.evidence:
            shown = {}
        else:
            texts = list(cast("Sequence[str]", self.evidence["example_adversarial"]))
            places = cast("NDArray[np.int64]", self.evidence["example_places"]).tolist()
            for index, shown_place in enumerate(places):
                if shown_place in held:
                    texts[index] = str(given.inputs[held[shown_place][0].example])
            shown = {"example_adversarial": list[Json](texts)}
        return {
            "adversarial_probabilities": said,
            "crafted": [dict(crafted[place]) for place in sorted(crafted)],
            **shown,
        }

    @property
    def _median(self) -> BreakingMedian:
        """How many words break the median text that was right: all, where none was found."""
        settings = cast("Mapping[str, Json]", self.evidence["settings"])
        movable = np.maximum(np.array(settings["movable"], dtype=np.float64), 1.0)
        words = np.where(np.isfinite(self.seen.breaking), self.seen.breaking, movable)
        return median_breaking_distance(words, ~self.seen.wrong)


def _claim(evidence: Evidence, params: Params) -> ChallengeableClaim | None:
    """Return what an attack claims, or ``None`` where it found no word to change."""
    settings = cast("Mapping[str, Json]", evidence["settings"])
    if not any(cast("Sequence[int]", settings["movable"])):
        return None
    return TextRobustnessClaim(
        evidence,
        recount_texts(evidence, tuple(sorted(set(cast("Sequence[int]", params["words"]))))),
    ).claim


def _misread(evidence: Evidence, params: Params) -> Claims | str:
    claim = _claim(evidence, params)
    return (
        explain_no_claim("it found no word to change in any text") if claim is None else {"": claim}
    )


def _recipes(evidence: Evidence, params: Params) -> Claims | str:
    """Return one claim a recipe that ran to its end."""
    found: dict[str, ChallengeableClaim] = {}
    for name, run in cast("Mapping[str, Mapping[str, Json]]", evidence["runs"]).items():
        if not run["failure"]:
            claim = _claim(select_attack_evidence(evidence, f"{name}."), params)
            found |= {} if claim is None else {f"{name}.": claim}
    return found or explain_no_claim("no recipe ran that found a word to change")


MISREAD = CounterexampleClaims(CounterexampleKind.INPUTS, _misread)
"""Texts within the edits, the synonyms and the numbers of words of the check."""
BY_RECIPE = CounterexampleClaims(CounterexampleKind.INPUTS, _recipes)
"""The same, against what each recipe left standing."""
