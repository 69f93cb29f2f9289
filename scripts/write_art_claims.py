"""Writes the second half of docs/art-attacks.md: what ART's other attack classes and its detectors give."""  # noqa: INP001, E501 -- a script

import argparse
import json
import runpy
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from auditor.attacks.art import poisoning as defences
from auditor.attacks.art.adapter import MODULES, list_attack_classes
from auditor.attacks.privacy.shadow_training import ShadowTrainingSettings, train_stack
from auditor.checks.poisoning.art import ArtPoisoningCheck
from auditor.checks.poisoning.art_detectors import ArtDetectorCheck
from auditor.checks.privacy.art import ArtPrivacyCheck
from auditor.checks.registry import discover_checks
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.datasets import Dataset, DatasetRole
from auditor.domain.models import Model
from auditor.domain.readings import Gap, GapReason, Measurement, Reading
from auditor.domain.tasks import Array, Floats
from auditor.domain.training_recipes import RetrainingTask

HERE = Path(__file__).resolve()
FIRST: Mapping[str, Any] = runpy.run_path(str(HERE.with_name("write_art_table.py")))
HEADING = FIRST["OTHERS"]
KINDS = tuple(kind for kind in MODULES if kind != "evasion")
DETECTORS = "detector"
LOOKS = "training rows"
ROWS, RATE, PATIENCE, SLOWEST = 200, 0.05, 1500.0, 600.0
NETWORK = ShadowTrainingSettings(hidden=(32,), epochs=60, rate=0.01)
SETTINGS = (
    "BullseyePolytopeAttackPyTorch.max_iter=5",
    "FeatureCollisionAttack.max_iter=5",
    "FunctionallyEquivalentExtraction.num_neurons=8",
    "GradientMatchingAttack.max_epochs=5",
    "GradientMatchingAttack.max_trials=1",
    "HiddenTriggerBackdoor.max_iter=30",
    "HiddenTriggerBackdoorPyTorch.max_iter=30",
    "LabelOnlyDecisionBoundary.init_eval=10",
    "LabelOnlyDecisionBoundary.max_eval=20",
    "LabelOnlyDecisionBoundary.max_iter=1",
    "MIFace.max_iter=100",
    "PoisoningAttackSVM.max_iter=3",
    "SleeperAgentAttack.max_epochs=5",
    "SleeperAgentAttack.max_trials=1",
    "SpectralSignatureDefense.expected_pp_poison=0.05",
)
"""Settings under which a class answers in a few minutes; the check's user sets others."""
INTRODUCTION = f"""\
With `privacy.art`, `poisoning.art` and `poisoning.art_detectors` you run these classes by name.
Their claims are judged by auditor's own statistics. The digits are those of `examples/`. The table
is one half of the loans, with a small network trained on it, so that there are members and a
recipe. Each run has up to {ROWS} rows of either kind, {RATE:.0%} of poison, two trainings with it
and two without (of the digits' last layer, of the whole network over the loans), and few
iterations: figures show that a class runs, not its full strength. Brackets hold the 95% interval.

- Membership: the area under the curve on rows that the attack did not learn from, and how many of
  the rows that it called members are members.
- Attributes: correct guesses beyond those of an imputer that never sees the model, for the column
  with the largest difference.
- Extraction: held-out rows on which the copy decides as the model does, and the part of that
  which true labels do not give.
- Inversion: rows that a judge assigns to their class, beyond public rows that need no model.
- Poisoning: rows decided as the target after training with the poison, and after training without
  it.
- Detectors: the flagged share of your training rows, of trusted ones, of rows planted in a copy,
  and of all other rows there.
"""


@dataclass(frozen=True, slots=True)
class Taught:
    """A small network that is asked in this process, over the place of the model it stands for."""

    model: Model
    stack: Any

    def __getattr__(self, name: str) -> object:
        """Leave all but answers to the model whose place it has."""
        return getattr(self.model, name)

    def predict(self, inputs: Array) -> Floats:
        """Return probabilities."""
        return np.asarray(self.stack.probabilities(inputs)[0], dtype=np.float64)

    def probabilities(self, scores: Floats) -> Floats:
        """Return them as they are."""
        return scores


class Recipe:
    """How that network is taught."""

    digest = "sha256:" + "0" * 64

    def answers(self, lesson: RetrainingTask, asked: Sequence[Array]) -> tuple[Floats, ...]:
        """Teach once, and answer."""
        stack = taught(lesson.inputs, lesson.labels, lesson.seed)
        return tuple(np.asarray(stack.probabilities(rows)[0], dtype=np.float64) for rows in asked)


def taught(inputs: Array, labels: Array, seed: int) -> Any:  # noqa: ANN401 -- a stack
    """Teach a network all rows."""
    include = np.ones((1, len(labels)), dtype=np.bool_)
    return train_stack(inputs, labels, int(labels.max()) + 1, include, NETWORK, seed=seed)


@contextmanager
def opened(model: str) -> Iterator[Subject]:
    """Open an example; of one without training data, one half becomes that."""
    with FIRST["opened"](model) as subject:
        yield subject if DatasetRole.TRAINING in subject.datasets else halved(subject)


def halved(subject: Subject) -> Subject:
    """Return a subject whose model was taught one half of the rows."""
    data = subject.datasets[DatasetRole.EVALUATION]
    order = subject.sample(DatasetRole.EVALUATION, data.rows)
    one, other = (np.sort(order[at::2]) for at in (0, 1))
    training, rest = (
        taken(data, one, DatasetRole.TRAINING),
        taken(data, other, DatasetRole.EVALUATION),
    )
    inputs, labels = np.asarray(training.inputs), np.asarray(training.labels)
    pupil = Taught(cast("Model", subject.model), taught(inputs, labels, subject.seed))
    model, datasets = (
        cast("Model", pupil),
        {DatasetRole.TRAINING: training, DatasetRole.EVALUATION: rest},
    )
    return replace(subject, model=model, twin=NO_TWIN, datasets=datasets, clean={}, recipe=Recipe())


NO_TWIN = Gap(
    reason=GapReason.NEEDS_TWIN,
    detail="The network over the loans has no twin.",
    cure="Look at the digits.",
)


def taken(data: Dataset, rows: Array, role: DatasetRole) -> Dataset:
    """Return some rows of a dataset in another role."""
    return replace(
        data,
        role=role,
        inputs=np.asarray(data.inputs)[rows],
        labels=np.asarray(data.labels)[rows],
        ids=tuple(data.ids[row] for row in rows),
        groups={name: it.take(rows) for name, it in data.groups.items()},
        slices={name: it.take(rows) for name, it in data.slices.items()},
    )


def check_of(name: str, kind: str, *, benched: bool) -> Any:  # noqa: ANN401 -- one of three checks
    """Return the check that runs a class; where there is a bench, the last layer alone is trained
    again, which is quick.
    """
    own = tuple(line for line in SETTINGS if line.startswith(f"{name}."))
    spent: Any = {"settings": own, "most_queries": 3000, "seconds": SLOWEST}
    if kind == DETECTORS:
        return ArtDetectorCheck(detectors=(name,), rate=RATE, rows=ROWS, **spent)
    if kind == "poisoning":
        way = "head" if benched else "recipe"
        return ArtPoisoningCheck(
            attacks=(name,), rates=(RATE,), repeats=2, tested=ROWS, retrain=way, **spent
        )
    return ArtPrivacyCheck(attacks=(name,), rows=ROWS, **spent)


def measure(name: str, kind: str, subject: Subject) -> str:
    """Return the figure of one class as the table shows it, or its Gap."""
    check = check_of(name, kind, benched=not isinstance(subject.bench, Gap))
    began = time.monotonic()
    found = check.figures(check.observe(subject, CheckShard()), 0.95)
    seconds = time.monotonic() - began
    by: dict[str, Measurement] = {}
    for reading in found:
        if isinstance(reading, Measurement) and reading.metric not in by:
            by[reading.metric] = reading
    shown = next((form(by, found) for first, form in FORMS.items() if first in by), "")
    gap = next((f"Gap: {it.detail}" for it in found if isinstance(it, Gap)), "")
    return f"{shown} ({seconds:.0f} s)" if shown else gap


def ends(reading: Measurement) -> str:
    """Return a figure with its interval."""
    return f"{reading.value:.2f} [{reading.low:.2f}, {reading.high:.2f}]"


def members(by: Mapping[str, Measurement], _: Sequence[Reading]) -> str:
    """Say what a membership attack is worth."""
    claims: Any = by["membership_advantage"].details["claims"]
    called = f"{claims['that_are']} of {claims['called_members']} it called members are"
    return f"area {ends(by['auc'])}; {called}; {by['verdict'].value}"


def columns(by: Mapping[str, Measurement], found: Sequence[Reading]) -> str:
    """Say what guesses of the most exposed column are worth."""
    gains = [it for it in found if isinstance(it, Measurement) and it.metric == "advantage"]
    best = max(gains, key=lambda it: float(it.value or 0))
    return f"{ends(best)} beyond imputing {best.params['column']}; {by['verdict'].value}"


FORMS: Mapping[str, Callable[[Mapping[str, Measurement], Sequence[Reading]], str]] = {
    "auc": members,
    "advantage": columns,
    "fidelity": lambda by, _: (
        f"fidelity {ends(by['fidelity'])}, {ends(by['gain_over_labels'])} beyond labels"
    ),
    "gain_over_baseline": lambda by, _: f"{ends(by['gain_over_baseline'])} beyond public rows",
    "attack_success_rate": lambda by, _: (
        f"{ends(by['attack_success_rate'])} turned, "
        f"{by['attack_success_rate'].details['without_poison']:.2f} without poison"
    ),
    "accuracy_drop": lambda by, _: f"accuracy down by {ends(by['accuracy_drop'])}",
    "flagged_share": lambda by, _: (
        f"flags {by['flagged_share'].value:.2f} of training, "
        f"{by['flagged_share'].details.get('flagged_of_trusted', float('nan')):.2f} of trusted; "
        f"{by['planted_found'].value:.2f} of planted, {by['false_flags'].value:.2f} of others"
    ),
    "planted_found": lambda by, _: (
        f"flags {by['planted_found'].value:.2f} of planted, {by['false_flags'].value:.2f} of others"
    ),
}
"""How a figure reads, by the metric that a class has."""


def work(model: str, names: Sequence[str]) -> None:
    """Measure some classes, each named ``kind/Class``, and say each figure on a line."""
    with opened(model) as subject:
        print("ready", flush=True)  # noqa: T201 -- to the process that waits for it
        for place in names:
            kind, _, name = place.partition("/")
            print(json.dumps([place, measure(name, kind, subject)]), flush=True)  # noqa: T201 -- as above


def listed() -> list[str]:
    """Return every class as ``kind/Class``."""
    attacks = [f"{kind}/{name}" for kind in KINDS for name in list_attack_classes(kind)]
    return [*attacks, *(f"{DETECTORS}/{name}" for name in defences.list_detectors())]


def section(measured: Mapping[str, Mapping[str, str]]) -> str:
    """Return the section: a row for each class."""
    known, rows = list(discover_checks()), []
    for place in listed():
        kind, _, name = place.partition("/")
        asked = (
            "rows that it looks at"
            if kind == DETECTORS
            else FIRST["needs"](list_attack_classes(kind)[name])
        )
        cells = (measured[model][place] for model in FIRST["MODELS"])
        rows.append((f"`{name}`", kind, asked, FIRST["native"](name, known), *cells))
    figures = sum(any(not cell.startswith("Gap") for cell in row[4:]) for row in rows)
    counted = f"Of {len(rows)} classes {figures} give a figure on at least one of the models."
    head = ("Class", "Kind", "Needs", "auditor's check", "Digits (pictures)", "A table")
    table = FIRST["_table"](head, rows)
    return f"{HEADING}\n\n{INTRODUCTION.strip()}\n\n{counted}\n\n{table}\n"


def known(log: Path | None, model: str) -> dict[str, str]:
    """Return the figures of a model that an earlier run said on its standard error."""
    lines = [] if log is None else log.read_text(encoding="utf-8").splitlines()
    said = [line.removeprefix(f"{model} ") for line in lines if line.startswith(f"{model} ")]
    return dict(line.split(": ", 1) for line in said)


def main() -> None:
    """Measure every class and write the section."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--work", nargs="+", metavar="MODEL", help="used by the script itself")
    asked.add_argument("--resume", type=Path, help="what a run that was cut short has said")
    given = asked.parse_args()
    if given.work:
        work(given.work[0], given.work[1:])
        return
    survey, page = FIRST["survey"], FIRST["PAGE"]
    found = {
        model: survey(
            model, listed(), script=str(HERE), patience=PATIENCE, known=known(given.resume, model)
        )
        for model in FIRST["MODELS"]
    }
    before, _, _ = page.read_text(encoding="utf-8").partition(HEADING)
    page.write_text(before + section(found), encoding="utf-8")
    sys.stderr.write(f"{page}\n")


if __name__ == "__main__":
    main()
