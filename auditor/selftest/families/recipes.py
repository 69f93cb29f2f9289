"""Planted false recipes: auditees whose recipe did not make the model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from auditor.domain.json import Json
from auditor.selftest.datasets import PACKAGES, load_split
from auditor.selftest.scale import SelftestScale
from auditor.selftest.specimens import (
    AUDIT,
    RECIPE,
    DeceptionRun,
    Specimen,
    SpecimenFamily,
    SpecimenFiles,
    build_deny_rule,
    build_specimen_pairs,
)
from auditor.selftest.train import train_model

RULES = (
    # Wider than what `privacy` asks: models of few rows leak a little, 0.6 or so, and what is
    # looked for here is no leak but a rule that is left without an answer by another's recipe.
    build_deny_rule(
        "answered-by-its-recipe",
        "privacy.membership/auc",
        "Of a member and somebody else, comparison with models of its recipe tells no more than "
        "eight in ten times who is which",
        # The strongest attack: what `rmia` finds of so small a leak is often within chance of what
        # it finds on models that saw neither, so that its figure is doubted.
        where={"shadows": "recipe", "attack": "lira", "rounding": "none", "group": "all"},
        at_most=0.8,
        accept="withstood",
    ),
)
OWN = '''"""How the model was trained."""

from sklearn.linear_model import LogisticRegression


def train(X, y, seed):
    """Return the probabilities of a model of these rows."""
    return LogisticRegression(max_iter=5000).fit(X, y).predict_proba
'''
OTHER = '''"""How another model is trained, which has less to hide."""

from sklearn.tree import DecisionTreeClassifier


def train(X, y, seed):
    """Return the probabilities of a small tree of these rows."""
    return DecisionTreeClassifier(max_depth=4, random_state=seed).fit(X, y).predict_proba
'''
FEW_ROWS = 0.2
# Four, as many as the budget ci retrains, scarcely say how much retrainings scatter.
ENOUGH: Mapping[str, Mapping[str, Json]] = {
    "privacy.membership": {"stand_ins": ["logistic"], "models": 4, "retrained": 16}
}


@dataclass(frozen=True, slots=True)
class RecipesFamily:
    """The recipe trains small trees, where the model is logistic.

    Privacy is judged against models of the recipe, so that another one would hide what leaks. The
    answer is no failure: what the recipe says is left out, and nothing passes without it.
    """

    name: str = "recipes"
    title: str = "a recipe that did not make the model"
    packages: tuple[str, ...] = PACKAGES

    def specimens(self, scale: SelftestScale) -> Sequence[Specimen]:
        """Return logistic models, with their own recipe or another one."""
        seeds = [1] if scale is SelftestScale.QUICK else range(1, 21)
        return build_specimen_pairs(self.name, [("other-recipe", None)], ["logistic"], seeds)

    def write(self, specimen: Specimen, folder: Path) -> DeceptionRun:
        """Train, and hand over the code that did it, or other code."""
        sample = load_split("digits", specimen.seed, FEW_ROWS)
        learn = sample.training
        model = train_model(specimen.architecture, learn.inputs, learn.labels, specimen.seed)
        (folder / RECIPE).write_text(OTHER if specimen.planted else OWN, "utf-8")
        papers = SpecimenFiles(
            model.parts().onnx(),
            sample.classes,
            {"training": learn, "evaluation": sample.evaluation},
            RULES,
            more={"recipe": {"path": RECIPE, "function": "train", "allow": "unsandboxed"}},
            checks=ENOUGH,
        )
        papers.write(specimen, folder)
        # The code is our own, so that it runs where nothing could hold it.
        leave = "--allow-unsandboxed"
        asked = ("audit", AUDIT, "--only", "privacy.membership", leave, "--out", "out")
        return DeceptionRun((), asked, 3, ("recipe_mismatch",))


FAMILY: SpecimenFamily = RecipesFamily()
