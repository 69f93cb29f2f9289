"""Decision margins: linear functions of scores that are above 0 where the decision is right."""

import math
from dataclasses import dataclass

import numpy as np

from auditor.domain.tasks import Floats
from auditor.errors import TwinError
from auditor.onnx.output_heads import LogitTransform

TIE = 1e-5
"""Leads below this may vanish where a target turns scores into probabilities in float32."""
RESOLUTION = 1e-7
"""About one step of float32 numbers near 1, in which a threshold is compared."""
CURE = "Judge by evasion.linf or evasion.linf_query what attacks find."


@dataclass(frozen=True, slots=True)
class ScoreRule:
    """How scores decide: by the largest, or of two classes by a threshold of the positive one.

    ``positive`` is its column, -1 where there are more than two classes.
    """

    positive: int = -1
    threshold: float = 0.5

    @property
    def tie(self) -> float:
        """The lead that must be left for a decision to survive float32 probabilities."""
        share = self.threshold if self.positive >= 0 else 0.5
        return TIE + RESOLUTION / (share * (1 - share))


def check_score_rule(finish: LogitTransform, rule: ScoreRule) -> None:
    """Raise ``TwinError`` where decisions are no linear functions of scores."""
    if finish is LogitTransform.LOG_SIGMOID and rule.positive < 0:
        # Where several sigmoids round to 1, the first class wins whatever the logits say.
        raise TwinError("the scores are sigmoids of their own, one a class", cure=CURE)
    if rule.positive >= 0 and not 0 < rule.threshold < 1:
        raise TwinError(f"a threshold of {rule.threshold:g} decides nothing", cure=CURE)


def margin_forms(
    finish: LogitTransform, rule: ScoreRule, label: int, width: int
) -> tuple[Floats, Floats]:
    """Return the leads ``[k, width]`` of a class over the others, and their shifts ``[k]``.

    ``width`` scores are those from which ``finish`` makes logits; a single one speaks of the
    second of two columns. Each lead is ``function @ scores + shift``.
    """
    if rule.positive < 0:
        others = [column for column in range(width) if column != label]
        functions = -np.eye(width)[others]
        functions[:, label] = 1.0
        return functions, np.zeros(len(others))
    function = np.zeros((1, width))
    logits = finish in {
        LogitTransform.AS_IS,
        LogitTransform.LOG_SIGMOID,
        LogitTransform.BINARY_AS_IS,
    }
    odds = math.log(rule.threshold) - math.log1p(-rule.threshold)
    limit = odds if logits else rule.threshold
    if width > 1:
        function[0, rule.positive] = 1.0
        if finish is LogitTransform.AS_IS:
            function[0, 1 - rule.positive] = -1.0
    elif rule.positive == 1:
        function[0, 0] = 1.0
    else:
        function[0, 0] = -1.0  # the positive class has what the one score leaves
        limit -= 0.0 if logits else 1.0
    side = 1.0 if label == rule.positive else -1.0
    return side * function, np.array([-side * limit])


def probabilities_of(scores: Floats, finish: LogitTransform) -> Floats:
    """Return the probabilities ``[n, classes]`` that scores stand for, in float64."""
    match finish:
        case LogitTransform.LOG:
            return scores
        case LogitTransform.BINARY_LOG_ODDS:
            return np.hstack([1 - scores, scores])
        case LogitTransform.BINARY_AS_IS:
            return _softmax(np.hstack([np.zeros_like(scores), scores]))
        case LogitTransform.LOG_SIGMOID:
            return np.exp(-np.logaddexp(0.0, -scores))
        case LogitTransform.AS_IS:
            return _softmax(scores)


def _softmax(logits: Floats) -> Floats:
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    found: Floats = raised / raised.sum(axis=1, keepdims=True)
    return found
