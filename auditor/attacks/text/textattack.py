"""The only place that imports TextAttack (Morris et al. 2020, arXiv 2005.05909)."""

import importlib
from collections.abc import Mapping
from importlib.metadata import version as installed
from types import MappingProxyType
from typing import Any, TypeAlias

from auditor.attacks.art.quiet import seeded, silenced
from auditor.attacks.texts.recipes import Consult, Recipe
from auditor.errors import MissingExtraError
from auditor.extras import to_install

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


def version() -> str:
    """Return TextAttack's version. Raises ``MissingExtraError``."""
    _module("textattack")
    return installed("textattack")


def open_recipe(name: str, words: int, seed: int) -> Recipe:
    """Return one of ``OFFLINE`` that changes at most ``words`` words, seeded for each text.

    Raises ``MissingExtraError``.
    """
    built: Untyped = getattr(_module("textattack.attack_recipes"), name).build
    target = _target()
    limits: Untyped = _module("textattack.constraints.overlap")
    success: Untyped = _module("textattack.attack_results").SuccessfulAttackResult

    def attack(consult: Consult, text: str, label: int) -> str | None:
        with silenced(), seeded(seed):
            # What Pruthi2019 calls swaps are words, of which it takes one if it is not told.
            more = {"max_num_word_swaps": words} if name == "Pruthi2019" else {}
            made = built(target(consult), **more)
            made.constraints.append(limits.MaxWordsPerturbed(max_num_words=words))
            result = made.attack(text, label)
        return str(result.perturbed_text()) if isinstance(result, success) else None

    return attack


def _target() -> Untyped:
    """Return a class of models that TextAttack can ask, each answering by a function."""
    wrapper = _module("textattack.models.wrappers").ModelWrapper

    def set_up(self: Untyped, consult: Consult) -> None:
        self.model, self.consult = self, consult

    def answer(self: Untyped, texts: list[str]) -> Untyped:
        return self.consult(texts)

    return type("Target", (wrapper,), {"__init__": set_up, "__call__": answer})


def _module(name: str) -> Untyped:
    try:
        with silenced():
            return importlib.import_module(name)
    except ImportError as missing:
        raise MissingExtraError(
            "attacks of TextAttack need it, and it is not installed",
            cure=f"{to_install('text')}.",
        ) from missing
    except LookupError as missing:
        raise MissingExtraError(
            "TextAttack reads NLTK's stop words as soon as it is imported, and they are not there",
            cure="Fetch them once: python -m nltk.downloader stopwords.",
        ) from missing
