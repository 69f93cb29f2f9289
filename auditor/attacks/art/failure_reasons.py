"""Why an ART attack gives no figure."""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from auditor.domain.canonical import Json
from auditor.domain.readings import Gap, Reason, Scalar

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
class Objection:
    """Why there is no figure, and what to do about it."""

    reason: Reason
    detail: str
    cure: str

    def to_json(self) -> dict[str, Json]:
        """Return it as evidence keeps it."""
        return {"reason": self.reason.value, "detail": self.detail, "cure": self.cure}

    def gap(self, metric: str, params: Mapping[str, Scalar]) -> Gap:
        """Return it as a reading of one metric."""
        return Gap(
            reason=self.reason, detail=self.detail, cure=self.cure, metric=metric, params=params
        )


def read_objection(told: Mapping[str, Json]) -> Objection:
    """Return what ``to_json`` wrote down."""
    return Objection(Reason(str(told["reason"])), str(told["detail"]), str(told["cure"]))


def objection_of(gap: Gap) -> Objection:
    """Return the reason why something that an attack needs is missing."""
    return Objection(gap.reason, gap.detail, gap.cure)


def noting(
    ask: Callable[Asked, Told | Objection],
) -> tuple[Callable[Asked, Told | None], list[Objection]]:
    """Return what asks for nothing where there is an objection, and the objections so far."""
    why: list[Objection] = []

    def asked(*given: Asked.args, **more: Asked.kwargs) -> Told | None:
        said = ask(*given, **more)
        if isinstance(said, Objection):
            why.append(said)
            return None
        return said

    return asked, why


def unknown(attack: str, known: Sequence[str], kind: str = "evasion attack") -> Objection:
    """Say that ART has no such attack."""
    return Objection(
        Reason.UNSUPPORTED,
        f"ART has no {kind} {attack!r}.",
        f"Choose from {', '.join(known)}.",
    )


def lacking(attack: str, absent: Collection[str]) -> Objection:
    """Say what an attack needs of a model that an artifact does not offer."""
    needed = sorted({KNOWN.get(name, name) for name in absent})
    return Objection(
        Reason.UNSUPPORTED, f"ART's {attack} needs {' and '.join(needed)}.", OWN_CHECKS
    )


def unsettable(attack: str, names: Sequence[str]) -> Objection:
    """Say that an attack cannot be made without arguments that nobody gave."""
    return Objection(
        Reason.UNSUPPORTED,
        f"ART's {attack} cannot be made without {', '.join(names)}.",
        f"Set {attack}.{names[0]} where it is a number or a text; objects cannot be set.",
    )


def limited(attack: str, limit: Exception) -> Objection:
    """Say that an attack asked for more than it may."""
    return Objection(
        Reason.OVER_BUDGET,
        f"ART's {attack} {limit}.",
        f"Set {attack}.max_iter or the like lower, or most_queries or seconds higher.",
    )


def misshapen(attack: str, kind: str) -> Objection:
    """Say that an attack returned no rows."""
    return Objection(
        Reason.UNSUPPORTED,
        f"ART's {attack} returns {kind}, and not one changed row for each row.",
        "A patch is not bounded by a norm: other checks cover it.",
    )


def raised(attack: str, error: BaseException) -> Objection:
    """Say what an attack raised, where that is known to mean something."""
    said = _first_line(error)
    framework = next((FRAMEWORKS[end] for end in FRAMEWORKS if attack.endswith(end)), "")
    if isinstance(error, ImportError):
        package = (getattr(error, "name", None) or said).partition(".")[0]
        return Objection(
            Reason.NEEDS_EXTRA,
            f"ART's {attack} needs the package {package}, which is not installed.",
            f"Install it: pip install {package}.",
        )
    if isinstance(error, AttributeError) and "channels_first" in said:
        # Some attacks for pictures do not declare that they are.
        return lacking(attack, ["NeuralNetworkMixin"])
    if framework:
        return Objection(
            Reason.UNSUPPORTED,
            f"ART's {attack} needs the model as {framework}, and the artifact is ONNX ({said}).",
            OWN_CHECKS,
        )
    if isinstance(error, AttributeError) and "NumPy 2" in said:
        return Objection(
            Reason.UNSUPPORTED,
            f"ART's {attack} does not run under numpy 2: {said}",
            "Wait for a version of ART that does. " + OWN_CHECKS,
        )
    what = f"ART's {attack} raised {type(error).__name__}" + (f": {said}" if said else ".")
    return Objection(Reason.UNSUPPORTED, what, OWN_CHECKS)


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = ADDRESS.sub("", lines[0] if lines else "")
    return said if len(said) <= LONGEST else f"{said[:LONGEST]}…"
