"""Runs TextAttack recipes (Morris et al. 2020, arXiv 2005.05909) and verifies their claims.

This is the only module that imports TextAttack. A recipe's result is a claim, and only the judge
decides whether it counts.
"""

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version as installed
from types import MappingProxyType
from typing import Any, Protocol, TypeAlias

import numpy as np

from auditor.attacks.art.adapter import fixed_global_seed, silenced_output
from auditor.attacks.evasion.judge import query_target
from auditor.attacks.text.judge import TextJudge
from auditor.domain.tasks import Floats
from auditor.errors import MissingExtraError, suggest_install

Consult = Callable[[Sequence[str]], Floats]
"""Gives the target's probabilities of texts, ``[n, classes]``; raises ``QueriesSpentError``."""
MOST_WORDS_OF_A_FAILURE = 200


class QueriesSpentError(Exception):
    """A row has no query left."""


class TextAttackRecipe(Protocol):
    """An attack of a library on one text at a time."""

    def __call__(self, consult: Consult, text: str, label: int) -> str | None:
        """Return a text that the attack calls broken, or ``None`` where it gives up."""
        ...


@dataclass(frozen=True, slots=True)
class TextAttackClaims:
    """What an attack claimed: ``confirmed`` of it stood in the judge's eyes, ``spent`` rows ran out
    of queries first. ``failure`` is what it raised, if it did not come to its end.
    """

    claimed: int
    confirmed: int
    spent: int
    failure: str = ""


def run_recipe(
    recipe: TextAttackRecipe, judge: TextJudge, tick: Callable[[], None]
) -> TextAttackClaims:
    """Let an attack loose on every row that is right, and have its claims judged.

    One query a row is kept for the judge. An attack that raises anything is ended there.
    """
    claimed = confirmed = spent = 0
    failure = ""
    for row in judge.live.tolist():
        tick()
        try:
            claim = recipe(_consult(judge, row), judge.texts[row], int(judge.labels[row]))
        except QueriesSpentError:
            spent += 1
            continue
        except Exception as error:  # noqa: BLE001 -- code of others may raise anything
            failure = f"{type(error).__name__}: {error}"[:MOST_WORDS_OF_A_FAILURE]
            break
        if claim is not None:
            claimed += 1
            _, reached = judge.submit(np.array([row], dtype=np.int64), [claim])
            confirmed += int(reached[0])
    return TextAttackClaims(claimed, confirmed, spent, failure)


def _consult(judge: TextJudge, row: int) -> Consult:
    def consult(texts: Sequence[str]) -> Floats:
        asked = judge.repeats * len(texts)
        if judge.asked[row] + asked + judge.repeats > judge.most_queries:
            raise QueriesSpentError
        judge.asked[row] += asked
        _, probabilities = query_target(
            judge.model, np.array(list(texts), dtype=np.str_), judge.repeats
        )
        return probabilities

    return consult


Untyped: TypeAlias = Any
"""Of TextAttack, which ships no types: a module, a class, an attack."""
OFFLINE = ("DeepWordBugGao2018", "Pruthi2019")
"""Recipes that change letters alone and fetch nothing."""
EMBEDDINGS = "it downloads word embeddings"
MASKED = "it downloads a masked language model"
WORDNET = "it downloads WordNet, and a sentence encoder or a tagger"
NOT_HERE: Mapping[str, str] = MappingProxyType(
    {
        "A2TYoo2021": EMBEDDINGS,
        "BAEGarg2019": MASKED,
        "BERTAttackLi2020": MASKED,
        "BadCharacters2021": "its file of look-alikes is not in the package",
        "CLARE2020": MASKED,
        "CheckList2020": "it downloads a tagger of names",
        "ChineseRecipe": MASKED,
        "FasterGeneticAlgorithmJia2019": EMBEDDINGS,
        "FrenchRecipe": WORDNET,
        "GeneticAlgorithmAlzantot2018": EMBEDDINGS,
        "HotFlipEbrahimi2017": "it needs the gradient in a model's own embeddings",
        "IGAWang2019": EMBEDDINGS,
        "InputReductionFeng2018": "it drops words, which the threat does not permit",
        "Kuleshov2017": EMBEDDINGS,
        "LEAP2023": WORDNET,
        "MorpheusTan2020": "it attacks translations",
        "PSOZang2020": "it downloads a lexicon of sememes",
        "PWWSRen2019": WORDNET,
        "Seq2SickCheng2018BlackBox": "it attacks translations",
        "SpanishRecipe": WORDNET,
        "TextBuggerLi2018": "it downloads a sentence encoder and word embeddings",
        "TextFoolerJin2019": EMBEDDINGS,
    }
)
"""Why other recipes do not run: an audit fetches nothing."""
RECIPES = tuple(sorted((*OFFLINE, *NOT_HERE)))


def textattack_version() -> str:
    """Return TextAttack's version. Raises ``MissingExtraError``."""
    _module("textattack")
    return installed("textattack")


def open_recipe(name: str, words: int, seed: int) -> TextAttackRecipe:
    """Return one of ``OFFLINE`` that changes at most ``words`` words, seeded for each text.

    Raises ``MissingExtraError``.
    """
    built: Untyped = getattr(_module("textattack.attack_recipes"), name).build
    # A class of models that TextAttack can ask, each answering by a function
    wrapper = _module("textattack.models.wrappers").ModelWrapper

    def set_up(self: Untyped, consult: Consult) -> None:
        self.model, self.consult = self, consult

    def answer(self: Untyped, texts: list[str]) -> Untyped:
        return self.consult(texts)

    target = type("Target", (wrapper,), {"__init__": set_up, "__call__": answer})
    limits: Untyped = _module("textattack.constraints.overlap")
    success: Untyped = _module("textattack.attack_results").SuccessfulAttackResult

    def attack(consult: Consult, text: str, label: int) -> str | None:
        with silenced_output(), fixed_global_seed(seed):
            # What Pruthi2019 calls swaps are words, of which it takes one if it is not told.
            more = {"max_num_word_swaps": words} if name == "Pruthi2019" else {}
            made = built(target(consult), **more)
            made.constraints.append(limits.MaxWordsPerturbed(max_num_words=words))
            result = made.attack(text, label)
        return str(result.perturbed_text()) if isinstance(result, success) else None

    return attack


def _module(name: str) -> Untyped:
    try:
        with silenced_output():
            return importlib.import_module(name)
    except ImportError as missing:
        raise MissingExtraError(
            "attacks of TextAttack need it, and it is not installed",
            cure=f"{suggest_install('text')}.",
        ) from missing
    except LookupError as missing:
        raise MissingExtraError(
            "TextAttack reads NLTK's stop words as soon as it is imported, and they are not there",
            cure="Fetch them once: python -m nltk.downloader stopwords.",
        ) from missing
