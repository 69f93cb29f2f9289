"""Writes the first half of docs/art-attacks.md: what ART's evasion attacks give, or why nothing."""  # noqa: INP001 -- a script

import argparse
import inspect
import json
import select
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from auditor.attacks.art.adapter import (
    Untyped,
    art_version,
    estimator_requirements,
    list_attack_classes,
)
from auditor.attacks.art.failure_reasons import KNOWN
from auditor.checks.evasion.art import ArtEvasionCheck
from auditor.checks.registry import discover_checks
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.readings import Gap, Measurement
from auditor.workflows.engine.audit_subject import open_subject
from auditor.workflows.prepare import prepare_audit, read_overridden_audit_file
from auditor.workflows.wiring import OPENERS, build_path_resolver, build_resolvers, read_audit_bytes

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "art-attacks.md"
MODELS = ("digits", "loans")
ROWS, PATIENCE = 20, 60.0
THREATS: Mapping[str, tuple[str, float]] = {
    "evasion.l2": ("l2", 0.5),
    "evasion.l1": ("l1", 3.0),
    "evasion.l0": ("l0", 8.0),
}
"""The norm and budget at which attacks of a kind are judged; for all others, these:"""
USUAL = ("linf", 0.1)
MOST_QUERIES, SLOWEST = 20_000, 45.0
FEW = 100
SETTINGS: Mapping[str, Mapping[str, object]] = {
    "BoundaryAttack": {"max_iter": 50},
    "CarliniL0Method": {"max_iter": 20, "binary_search_steps": 3},
    "CarliniL2Method": {"max_iter": 20, "binary_search_steps": 5},
    "CarliniLInfMethod": {
        "max_iter": 10, "initial_const": 0.01, "largest_const": 1.0, "const_factor": 10.0,
        "decrease_factor": 0.5,
    },
    "ElasticNet": {"max_iter": 50, "binary_search_steps": 5},
    "GeoDA": {"max_iter": 4000},
    "HopSkipJump": {"max_iter": 5, "max_eval": 500, "init_eval": 50},
    "NewtonFool": {"eta": 0.5},
    "PixelAttack": {"th": 3, "max_iter": 5},
    "ShadowAttack": {"nb_steps": 50},
    "SignOPTAttack": {"max_iter": 20, "num_trial": 10, "query_limit": 1000},
    "SimBA": {"max_iter": 300},
    "SpatialTransformation": {
        "max_translation": 10.0, "num_translations": 3, "max_rotation": 30.0, "num_rotations": 5,
    },
    "SquareAttack": {"max_iter": 300},
    "TargetedUniversalPerturbation": {"max_iter": 2},
    "ThresholdAttack": {"th": 26, "max_iter": 5},
    "UniversalPerturbation": {"max_iter": 2},
    "VirtualAdversarialMethod": {"max_iter": 2},
    "Wasserstein": {"max_iter": 20},
    "ZooAttack": {
        "max_iter": 50, "learning_rate": 0.1, "nb_parallel": 4, "use_resize": False,
        "use_importance": False,
    },
}  # fmt: skip
"""Settings under which a class answers in less than a minute; the check's user sets others."""
NATIVE: Mapping[str, tuple[str, ...]] = {
    "evasion.linf": (
        "AutoAttack", "AutoConjugateGradient", "AutoProjectedGradientDescent",
        "BasicIterativeMethod", "BrendelBethgeAttack", "CarliniLInfMethod", "FastGradientMethod",
        "MomentumIterativeMethod", "ProjectedGradientDescent", "ProjectedGradientDescentNumpy",
        "ProjectedGradientDescentPyTorch", "ProjectedGradientDescentTensorFlowV2",
        "RescalingAutoConjugateGradient", "ThresholdAttack",
    ),
    "evasion.l2": ("CarliniL2Method", "DeepFool", "NewtonFool", "VirtualAdversarialMethod"),
    "evasion.l1": ("ElasticNet",),
    "evasion.l0": ("CarliniL0Method", "PixelAttack", "SaliencyMapMethod"),
    "evasion.linf_query": ("SimBA", "SquareAttack", "ZooAttack"),
    "evasion.decision": ("BoundaryAttack", "GeoDA", "HopSkipJump", "SignOPTAttack"),
    "evasion.spatial": ("CompositeAdversarialAttackPyTorch", "SpatialTransformation"),
    "evasion.corruption": ("LaserAttack", "ShadowAttack"),
    "evasion.tabular": ("DecisionTreeAttack", "LowProFool"),
    "evasion.patch": (
        "AdversarialPatch", "AdversarialPatchNumpy", "AdversarialPatchPyTorch",
        "AdversarialPatchTensorFlowV2", "GRAPHITEBlackbox", "GRAPHITEWhiteboxPyTorch",
    ),
    "evasion.universal": ("TargetedUniversalPerturbation", "UniversalPerturbation"),
    "poisoning.susceptibility": (
        "HiddenTriggerBackdoor", "HiddenTriggerBackdoorKeras", "HiddenTriggerBackdoorPyTorch",
        "PoisoningAttackAdversarialEmbedding", "PoisoningAttackBackdoor",
        "PoisoningAttackCleanLabelBackdoor", "PoisoningAttackSVM", "SleeperAgentAttack",
    ),
    "poisoning.backdoor": ("NeuralCleanse",),
    "poisoning.input_screen": ("STRIP",),
    "poisoning.training_scan": (
        "ActivationDefence", "ProvenanceDefense", "RONIDefense", "SpectralSignatureDefense",
    ),
    "privacy.membership": (
        "LabelOnlyDecisionBoundary", "LabelOnlyGapAttack", "MembershipInferenceBlackBox",
        "MembershipInferenceBlackBoxRuleBased", "ShadowModels",
    ),
    "privacy.attribute": (
        "AttributeInferenceBaseline", "AttributeInferenceBaselineTrueLabel",
        "AttributeInferenceBlackBox", "AttributeInferenceMembership",
        "AttributeInferenceWhiteBoxDecisionTree", "AttributeInferenceWhiteBoxLifestyleDecisionTree",
    ),
    "privacy.inversion": ("DatabaseReconstruction", "MIFace"),
    "privacy.extraction": ("CopycatCNN", "FunctionallyEquivalentExtraction", "KnockoffNets"),
}  # fmt: skip
"""Which of our families attacks in the same way, where there is one."""
GENERATED = (
    "<!-- Written by scripts/write_art_table.py (evasion) and scripts/write_art_claims.py (all "
    "else), which run every class; do not edit. -->"
)
OTHERS = "## Poisoning, extraction and inference"
"""The heading of what scripts/write_art_claims.py writes."""
INTRODUCTION = f"""\
With `evasion.art` you run any evasion attack of the Adversarial Robustness Toolbox (ART) by the
name of its class. An attack's result is only a claim: each row is moved back into the budget and
judged again on the target. This table shows the result of every class on the two models under
`examples/`, or the reason for a Gap.

Figures are accuracy under attack on {ROWS} rows at the given norm and budget, with few
iterations: they show that a class runs, not its full strength. `confirmed 15/17` means that the
attack claimed 17 rows, and that the target confirmed 15 within the budget. Attacks without a
budget move rows far, so few of their results stay within one. Rows that the attack did not claim
also count if the target gets them wrong. For stronger attacks, set more iterations in your policy.
"""


def cheap(name: str, kind: Untyped) -> tuple[str, ...]:
    """Return settings under which an attack is quick."""
    chosen = dict(SETTINGS.get(name, {}))
    takes = inspect.signature(kind.__init__).parameters
    if "max_iter" in takes and "max_iter" not in chosen:
        usual = takes["max_iter"].default
        if isinstance(usual, int) and usual > FEW:
            chosen["max_iter"] = FEW
    return tuple(f"{name}.{key}={json.dumps(value)}" for key, value in chosen.items())


@contextmanager
def opened(model: str) -> Iterator[Subject]:
    """Open one of the examples as an audit does."""
    path = ROOT / "examples" / model / "audit.yaml"
    parts, only = build_resolvers(path.parent), ("evasion.art",)
    asked = read_overridden_audit_file(read_audit_bytes(path), path.name, parts, only=only)
    with (
        prepare_audit(asked, build_path_resolver(path), parts) as prepared,
        open_subject(
            prepared.request.targets[0], prepared.materials, OPENERS, twin=lambda _: True
        ) as subject,
    ):
        yield subject


def measure(name: str, subject: Subject) -> str:
    """Return the figure of one evasion attack as the table shows it, or its Gap."""
    norm, eps = THREATS.get(family(name), USUAL)
    check = ArtEvasionCheck(
        attacks=(name,),
        settings=cheap(name, list_attack_classes("evasion")[name]),
        eps=(eps,),
        norm=norm,
        rows=ROWS,
        most_queries=MOST_QUERIES,
        seconds=SLOWEST,
    )
    began = time.monotonic()
    found = check.figures(check.observe(subject, CheckShard()), 0.95)
    taken = time.monotonic() - began
    for reading in found:
        if isinstance(reading, Measurement) and reading.metric == "robust_accuracy":
            claims = reading.details["claims"]
            held = f"confirmed {claims['confirmed']}/{claims['claimed']}"  # type: ignore[call-overload, index] # JSON
            return f"{reading.value:.2f} at {norm} {eps:g} ({held}, {taken:.0f} s)"
    return next(f"Gap: {reading.detail}" for reading in found if isinstance(reading, Gap))


def work(model: str, names: Sequence[str]) -> None:
    """Measure some attacks and say each figure on a line of its own."""
    with opened(model) as subject:
        print("ready", flush=True)  # noqa: T201 -- to the process that waits for it
        for name in names:
            print(json.dumps([name, measure(name, subject)]), flush=True)  # noqa: T201 -- as above


def survey(
    model: str,
    names: Sequence[str],
    script: str = __file__,
    patience: float = PATIENCE,
    known: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Measure attacks in a child process, which a hang ends: the next one goes on from there.

    What is ``known`` of an earlier run is not measured again.
    """
    found = dict(known or {})
    while left := [name for name in names if name not in found]:
        command = [sys.executable, script, "--work", model, *left]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:  # noqa: S603 -- ourselves
            for line in _lines(child, patience):
                if line.startswith("["):
                    name, figure = json.loads(line)
                    found[name] = figure
                    sys.stderr.write(f"{model} {name}: {figure}\n")
            child.kill()
        silent = [name for name in left if name not in found]
        if silent:
            found[silent[0]] = f"Gap: no answer within {patience:.0f} s, or the process died"
    return found


def _lines(child: subprocess.Popen[str], patience: float) -> Iterator[str]:
    stream = child.stdout
    while stream is not None and select.select([stream], [], [], patience)[0]:
        line = stream.readline()
        if not line:
            return
        yield line


def needs(kind: Untyped) -> str:
    """Say what a class declares that it needs of a model."""
    asked = [KNOWN[one[0]] for one in estimator_requirements(kind) if one[0] in KNOWN]
    usual = "predictions" if estimator_requirements(kind) else "not declared"
    return "; ".join(dict.fromkeys(asked)) or usual


def family(name: str) -> str:
    """Return the id of our check that attacks in the same way, built or not; empty for none."""
    return next((check for check, names in NATIVE.items() if name in names), "")


def native(name: str, known: Sequence[str]) -> str:
    """Name our check that attacks in the same way."""
    check = family(name)
    return f"`{check}`" if check in known else f"none yet (`{check}`)" if check else "-"


def page(measured: Mapping[str, Mapping[str, str]]) -> str:
    """Return the first half of the page: a table of evasion attacks with figures."""
    known = list(discover_checks())
    evasion = [
        (
            f"`{name}`",
            needs(kind),
            native(name, known),
            *(measured[model][name] for model in MODELS),
        )
        for name, kind in list_attack_classes("evasion").items()
    ]
    figures = sum(any(not cell.startswith("Gap") for cell in row[3:]) for row in evasion)
    counted = (
        f"ART {art_version()} exports {len(evasion)} evasion classes, of which {figures} give a "
        "figure on at least one of the models."
    )
    head = ("Class", "Needs", "auditor's check")
    parts = [
        "# Attacks of the Adversarial Robustness Toolbox",
        GENERATED,
        INTRODUCTION.strip(),
        counted,
        "## Evasion",
        _table((*head, "Digits (pictures)", "Loans (a table)"), evasion),
    ]
    return "\n\n".join(parts) + "\n\n"


def kept() -> dict[str, dict[str, str]]:
    """Return the figures that the page has of evasion attacks."""
    before, _, _ = PAGE.read_text(encoding="utf-8").partition(OTHERS)
    rows = [line[2:-2].split(" | ") for line in before.splitlines() if line.startswith("| `")]
    found = [(cells[0].strip("`"), cells[-len(MODELS) :]) for cells in rows]
    return {model: {name: cells[at] for name, cells in found} for at, model in enumerate(MODELS)}


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in row) + " |"
        for row in lines
    )


def main() -> None:
    """Measure every class and write the page."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--work", nargs="+", metavar="MODEL", help="used by the script itself")
    asked.add_argument("--keep", action="store_true", help="keep the figures that the page has")
    given = asked.parse_args()
    if given.work:
        work(given.work[0], given.work[1:])
        return
    names = list(list_attack_classes("evasion"))
    measured = kept() if given.keep else {model: survey(model, names) for model in MODELS}
    text = page(measured)
    _, heading, rest = PAGE.read_text(encoding="utf-8").partition(OTHERS)
    PAGE.write_text(text + heading + rest, encoding="utf-8")


if __name__ == "__main__":
    main()
