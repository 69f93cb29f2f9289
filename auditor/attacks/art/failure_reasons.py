"""Why an ART attack gives no figure."""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from auditor.domain.json import write_fields
from auditor.domain.readings import Gap, GapReason, Scalar

Asked = ParamSpec("Asked")
Told = TypeVar("Told")
LONGEST = 200
ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
OWN_CHECKS = "Use the other checks of the family, which need no library."
KNOWN = {
    "LossGradientsMixin": "gradients of a loss",
    "ClassGradientsMixin": "gradients of scores",
    "NeuralNetworkMixin": "pictures",
    "ObjectDetectorMixin": "an object detector",
    "ObjectTrackerMixin": "an object tracker",
    "SpeechRecognizerMixin": "a speech recogniser",
    "PytorchSpeechRecognizerMixin": "a speech recogniser",
    "PyTorchEstimator": "the model as a PyTorch module",
    "PyTorchClassifier": "the model as a PyTorch module",
    "TensorFlowV2Generator": "a generator written in TensorFlow",
    "KerasClassifier": "the model as a Keras model",
    "ScikitlearnDecisionTreeClassifier": "one decision tree of scikit-learn",
    "ScikitlearnDecisionTreeRegressor": "one decision tree of scikit-learn",
    "ScikitlearnEstimator": "a model of scikit-learn",
    "ScikitlearnSVC": "a support vector machine of scikit-learn",
    "GPyGaussianProcessClassifier": "a Gaussian process of GPy",
}
FRAMEWORKS = {
    "PyTorch": "a PyTorch module",
    "TensorFlowV2": "a TensorFlow model",
    "TensorFlow": "a TensorFlow model",
    "Keras": "a Keras model",
}


@dataclass(frozen=True, slots=True)
class FailureReason:
    """Why there is no figure, and what to do about it."""

    reason: GapReason
    detail: str
    cure: str

    to_json = write_fields

    def gap(self, metric: str, params: Mapping[str, Scalar]) -> Gap:
        """Return it as a reading of one metric."""
        return Gap(
            reason=self.reason, detail=self.detail, cure=self.cure, metric=metric, params=params
        )


def reason_from_gap(gap: Gap) -> FailureReason:
    """Return the reason why something that an attack needs is missing."""
    return FailureReason(gap.reason, gap.detail, gap.cure)


def collect_failures(
    ask: Callable[Asked, Told | FailureReason],
) -> tuple[Callable[Asked, Told | None], list[FailureReason]]:
    """Return what asks for nothing where there is an objection, and the objections so far."""
    why: list[FailureReason] = []

    def asked(*given: Asked.args, **more: Asked.kwargs) -> Told | None:
        said = ask(*given, **more)
        if isinstance(said, FailureReason):
            why.append(said)
            return None
        return said

    return asked, why


def unknown_attack(
    attack: str, known: Sequence[str], kind: str = "evasion attack"
) -> FailureReason:
    """Say that ART has no such attack."""
    return FailureReason(
        GapReason.UNSUPPORTED,
        f"ART has no {kind} {attack!r}.",
        f"Choose from {', '.join(known)}.",
    )


def missing_capability(attack: str, absent: Collection[str]) -> FailureReason:
    """Say what an attack needs of a model that an artifact does not offer."""
    needed = sorted({KNOWN.get(name, name) for name in absent})
    return FailureReason(
        GapReason.UNSUPPORTED, f"ART's {attack} needs {' and '.join(needed)}.", OWN_CHECKS
    )


def missing_arguments(attack: str, names: Sequence[str]) -> FailureReason:
    """Say that an attack cannot be made without arguments that nobody gave."""
    return FailureReason(
        GapReason.UNSUPPORTED,
        f"ART's {attack} cannot be made without {', '.join(names)}.",
        f"Set {attack}.{names[0]} where it is a number or a text; objects cannot be set.",
    )


def limit_exceeded(attack: str, limit: Exception) -> FailureReason:
    """Say that an attack asked for more than it may."""
    return FailureReason(
        GapReason.OVER_BUDGET,
        f"ART's {attack} {limit}.",
        f"Set {attack}.max_iter or the like lower, or most_queries or seconds higher.",
    )


def invalid_output(attack: str, kind: str) -> FailureReason:
    """Say that an attack returned no rows."""
    return FailureReason(
        GapReason.UNSUPPORTED,
        f"ART's {attack} returns {kind}, and not one changed row for each row.",
        "A patch is not bounded by a norm: other checks cover it.",
    )


def attack_exception(attack: str, error: BaseException) -> FailureReason:
    """Say what an attack raised, where that is known to mean something."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = ADDRESS.sub("", lines[0] if lines else "")
    said = said if len(said) <= LONGEST else f"{said[:LONGEST]}…"
    framework = next((FRAMEWORKS[end] for end in FRAMEWORKS if attack.endswith(end)), "")
    if isinstance(error, ImportError):
        package = (getattr(error, "name", None) or said).partition(".")[0]
        return FailureReason(
            GapReason.NEEDS_EXTRA,
            f"ART's {attack} needs the package {package}, which is not installed.",
            f"Install it: pip install {package}.",
        )
    if isinstance(error, AttributeError) and "channels_first" in said:
        # Some attacks for pictures do not declare that they are.
        return missing_capability(attack, ["NeuralNetworkMixin"])
    if framework:
        return FailureReason(
            GapReason.UNSUPPORTED,
            f"ART's {attack} needs the model as {framework}, and the artifact is ONNX ({said}).",
            OWN_CHECKS,
        )
    if isinstance(error, AttributeError) and "NumPy 2" in said:
        return FailureReason(
            GapReason.UNSUPPORTED,
            f"ART's {attack} does not run under numpy 2: {said}",
            "Wait for a version of ART that does. " + OWN_CHECKS,
        )
    what = f"ART's {attack} raised {type(error).__name__}" + (f": {said}" if said else ".")
    return FailureReason(GapReason.UNSUPPORTED, what, OWN_CHECKS)
