"""Indicators of gradient masking: their thresholds, remedies and readings."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import cast

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.evasion.evidence import read_goal
from auditor.attacks.evasion.goals import HarmfulDecisionGoal
from auditor.attacks.evasion.losses import Labels
from auditor.attacks.evasion.norms import Norm
from auditor.attacks.evasion.threat_model import is_within_budget
from auditor.attacks.gradient_masking.caveats import BELIEVABLE
from auditor.attacks.gradient_masking.gradient_survey import EXAMINED_ROWS, FEWEST_ROWS
from auditor.attacks.gradient_masking.probe import BLACK, COPY, CORNERS, FREE, STEP, WHITE, WHOLE
from auditor.domain.checks import Metric
from auditor.domain.evidence import Evidence
from auditor.domain.json import Json
from auditor.domain.readings import Gap, GapReason, Measurement, Reading, Repeatability, Unit
from auditor.domain.row_limits import ROWS_IN_TIME
from auditor.domain.tasks import Floats
from auditor.metrics.stats.proportions import clopper_pearson, exact_limits

SURE = 0.95
"""How sure an alarm is, whatever the confidence of intervals: what is doubted must not depend on
the level that a rule is judged at."""
MOST_MISSED = 0.03
"""The share of rows that a cascade may miss and be believed. Measured on 100 rows: networks,
logistic regressions and INT8 with rounding passed straight through miss 0 or 1, forests whose
gradient is smoothed up to 6 (not surely 3 %), masked gradients 7 to 90."""
FLAGGED = 0.002
"""AutoAttack raises its flag where Square breaks more than this of what its climbs left."""
MOST_UNBROKEN = 0.05
"""Without a budget every row breaks (Athalye et al. 2018, section 3.1)."""
MAJORITY = 0.5
SPREAD = 1e-4
"""A difference of probabilities between repeats beyond what float arithmetic explains."""
SAME_WAY = 0.5
"""The cosine of 60 degrees. Plain models had 0.97 and more between neighbours' gradients."""
UNSTEADY = 0.1
"""A change of the margin that no point so near should bring (Pintor et al. 2022)."""
STILL_RISING = 0.05
"""The part of its gain that a climb at rest does not make at its end (Pintor et al. 2022)."""
MANY_RISING = 0.25
LEADING = 0.5
"""A correlation of gradient and differences below which gradients are helped by luck."""


class IndicatorWeight(StrEnum):
    """What an indicator does: unmakes belief, or is only told."""

    FAILS = "fails"
    NOTED = "noted"


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskingIndicator:
    """A share of rows (or a yes, or a ``number``) that must not surely exceed ``most``.

    Surely above ``told`` it is mentioned, whatever its weight. ``means`` says what it means and
    what to do.
    """

    title: str
    most: float
    means: str
    weight: IndicatorWeight = IndicatorWeight.FAILS
    told: float | None = None
    unit: Unit = Unit.SHARE
    number: bool = False


def is_surely_above(count: int, rows: int, most: float) -> bool:
    """Whether the exact one-sided lower limit of a share lies above ``most``.

    Clopper and Pearson (1934): a lucky row in few is no alarm, and one row alone never is where
    some are allowed.
    """
    low, _ = exact_limits([count], [rows], 1 - SURE)
    lucky = count == 1 and most > 0
    return bool(rows > 0 and low[0] > most) and not lucky


_SEARCH = "Believe the black-box figure, and raise its budget."
INDICATORS: Mapping[str, MaskingIndicator] = {
    "randomised_share": MaskingIndicator(
        title="Rows with different scores when queried again",
        most=0.0,
        means="The model answers at random, so that one gradient says little of the next answer. "
        "Audit it with its randomness fixed, or average over many answers.",
    ),
    "softmax_output": MaskingIndicator(
        title="The model gives probabilities, not logits",
        most=0.0,
        weight=IndicatorWeight.NOTED,
        unit=Unit.NONE,
        means="Searches that see scores alone see less where probabilities round to 0 and 1. "
        "Export the logits, if the product allows it.",
    ),
    "saturated_share": MaskingIndicator(
        title="Rows with probabilities that are all 0 or 1 to single precision",
        most=MAJORITY,
        weight=IndicatorWeight.NOTED,
        means="Cross-entropy has no slope there. Our climbs go by logits and do not need it, where "
        "the twin has logits; searches by scores are blind. Export the logits.",
    ),
    "zero_gradient_share": MaskingIndicator(
        title="Rows where the twin's gradient is zero or not finite",
        most=MOST_MISSED,
        means="An attack that follows the gradient stands still there. Give a twin whose rounding "
        "and saturation pass gradients (model.twin: auto does), or believe the black-box figure.",
    ),
    "unstable_gradient_share": MaskingIndicator(
        title="Rows whose gradient differs from that of close neighbours",
        most=MAJORITY,
        means="The gradient turns within a fraction of a budget (it is shattered), so that steps "
        f"along it lead nowhere. Give a twin without that layer. {_SEARCH}",
    ),
    "unstable_prediction_share": MaskingIndicator(
        title="Rows with a margin that jumps between neighbours",
        most=MAJORITY,
        weight=IndicatorWeight.NOTED,
        means="The target's scores move by a tenth and more within a step that nobody would see. "
        "Look for coarse rounding or noise before the model.",
    ),
    "rising_loss_share": MaskingIndicator(
        title="Rows with a loss that still rises in the last steps of an attack",
        most=MANY_RISING,
        weight=IndicatorWeight.NOTED,
        means="The climb had not come to rest when it ended. Give the attack more steps.",
    ),
    "phantom_share": MaskingIndicator(
        title="Rows broken on the twin but not on the target",
        most=MOST_MISSED,
        means="What breaks the twin does not transfer: the twin is not close enough to the target "
        "where attacks lead. Let the twin be made from the artifact itself (model.twin: auto).",
    ),
    "one_step_only_share": MaskingIndicator(
        title="Rows broken by one step but not by the whole attack",
        most=MOST_MISSED,
        told=FLAGGED,
        means="One step beats many: the way that the gradient shows is not the way up. Raise the "
        f"attack's steps and restarts. {_SEARCH}",
    ),
    "random_only_share": MaskingIndicator(
        title="Rows broken by random corners but not by gradients",
        most=MOST_MISSED,
        told=FLAGGED,
        means=f"Blind guesses find what the gradient misses, so that it hides the way. {_SEARCH}",
    ),
    "black_box_only_share": MaskingIndicator(
        title="Rows broken by a score-based search but not by gradients",
        most=MOST_MISSED,
        told=FLAGGED,
        means=f"A search without gradients beats the attack that has them. {_SEARCH}",
    ),
    "unbounded_missed_share": MaskingIndicator(
        title="Rows broken by a copy of another row but not by an unbounded gradient attack",
        most=MOST_UNBROKEN,
        means="With all the room that there is, following the gradient must succeed, and does not. "
        f"It leads nowhere. {_SEARCH}",
    ),
    "larger_eps_missed_share": MaskingIndicator(
        title="Rows broken within a small budget but not within the whole range",
        most=MOST_MISSED,
        means="More room does not help the attack, though it holds all that less room did. "
        f"{_SEARCH}",
    ),
    "gradient_correlation": MaskingIndicator(
        title="Correlation of the twin's gradient with differences on the target",
        most=LEADING,
        weight=IndicatorWeight.NOTED,
        unit=Unit.NONE,
        number=True,
        means="The gradient leads only roughly where the target's own scores go (a smoothed tree "
        "or coarse rounding does that). Look at the black-box figure beside it.",
    ),
}
"""By metric, in the order of readings."""


Mask = NDArray[np.bool_]
MOST_NAMED = 8


@dataclass(frozen=True, slots=True, eq=False)
class IndicatorResult:
    """One indicator: ``count`` of ``rows`` show it, at a budget where it is asked at each.

    ``figure`` stands for a number that is no share. ``named`` are some of the rows.
    """

    metric: str
    count: int
    rows: int
    eps: float | None = None
    figure: float | None = None
    named: tuple[str, ...] = field(default=())

    @property
    def shows(self) -> bool:
        """Whether it surely goes beyond what it may."""
        most = INDICATORS[self.metric].most
        if self.figure is not None:
            return self.figure < most
        return is_surely_above(self.count, self.rows, most)

    @property
    def failed(self) -> bool:
        """Whether it unmakes belief."""
        return self.shows and INDICATORS[self.metric].weight is IndicatorWeight.FAILS

    @property
    def noted(self) -> bool:
        """Whether it is worth a word, and no more."""
        told = INDICATORS[self.metric].told
        word = told is not None and is_surely_above(self.count, self.rows, told)
        return (self.shows or word) and not self.failed

    @property
    def share(self) -> float:
        """The share of rows that show it."""
        return self.count / max(1, self.rows)

    @property
    def said(self) -> str:
        """The figure in words."""
        if self.figure is not None:
            return f"{INDICATORS[self.metric].title}: {self.figure:.2f}"
        item = INDICATORS[self.metric]
        if item.unit is Unit.NONE:
            return item.title
        place = "" if self.eps is None else f" at eps {self.eps:g}"
        return f"{item.title}: {self.count} of {self.rows}{place}"


@dataclass(frozen=True, slots=True, eq=False)
class _MaskingEvidence:
    """Evidence, with successes counted again from the target's decisions."""

    evidence: Evidence
    settings: Mapping[str, Json]
    budgets: tuple[float, ...]

    @property
    def ids(self) -> Sequence[str]:
        return cast("Sequence[str]", self.evidence["ids"])

    def size(self, probe: str) -> Floats:
        """Return the size of each row's nearest success, where the decision is harmful."""
        goal = read_goal(cast("Mapping[str, Json]", self.settings["goal"]))
        if not isinstance(goal, HarmfulDecisionGoal):
            raise TypeError(goal)
        labels = cast("Labels", self.evidence["labels"])
        decided = cast("Labels", self.evidence[f"{probe}_decided"])
        found: Floats = np.where(
            goal.harmful[labels, decided], cast("Floats", self.evidence[f"{probe}_size"]), np.inf
        )
        return found

    def array(self, name: str) -> Floats:
        return np.asarray(self.evidence[name])

    def sign(self, metric: str, shows: Mask, among: Mask | None = None) -> IndicatorResult:
        """Count the rows that show something."""
        return self._counted(metric, shows if among is None else shows & among, among, None)

    def at(
        self, metric: str, eps: float, shows: Mask, among: Mask | None = None
    ) -> IndicatorResult:
        """Count them at one budget."""
        return self._counted(metric, shows if among is None else shows & among, among, eps)

    def _counted(
        self, metric: str, shows: Mask, among: Mask | None, eps: float | None
    ) -> IndicatorResult:
        rows = len(shows) if among is None else int(among.sum())
        named = tuple(self.ids[row] for row in np.flatnonzero(shows)[:MOST_NAMED])
        return IndicatorResult(metric, int(shows.sum()), rows, eps, named=named)


def has_attackable_rows(evidence: Evidence) -> bool:
    """Whether there was any row to look at that can be attacked."""
    return "gradient_zero" in evidence


def compute_indicators(evidence: Evidence) -> tuple[IndicatorResult, ...]:
    """Return every indicator, those of each budget one after the other."""
    settings = cast("Mapping[str, Json]", evidence["settings"])
    budgets = tuple(float(eps) for eps in cast("Sequence[float]", settings["eps"]))
    seen = _MaskingEvidence(evidence, settings, budgets)
    found = [*_of_outputs(seen), *_of_gradients(seen), *_of_searches(seen), *_of_room(seen)]
    distance = cast("Mapping[str, float]", settings.get("twin_distance", {}))
    if "gradient_correlation" in distance:
        rows = int(distance.get("gradient_rows", 0))
        found.append(
            IndicatorResult(
                "gradient_correlation", 0, rows, figure=distance["gradient_correlation"]
            )
        )
    order = list(INDICATORS)
    return tuple(sorted(found, key=lambda sign: (order.index(sign.metric), sign.eps or 0.0)))


def _of_outputs(seen: _MaskingEvidence) -> Iterator[IndicatorResult]:
    spread = seen.array("repeat_difference") > SPREAD
    if not seen.settings["deterministic"]:
        spread = np.ones_like(spread)  # it was caught when it was opened
    yield seen.sign("randomised_share", spread)
    scores = seen.settings["scores"]
    if scores is not None:
        given = int("logit" not in str(scores))
        yield IndicatorResult("softmax_output", given, 1)
    yield seen.sign("saturated_share", seen.array("saturated").astype(np.bool_))


def _of_gradients(seen: _MaskingEvidence) -> Iterator[IndicatorResult]:
    zero, finite = (seen.array(f"gradient_{name}").astype(np.bool_) for name in ("zero", "finite"))
    yield seen.sign("zero_gradient_share", zero | ~finite)
    yield seen.sign("unstable_gradient_share", seen.array("gradient_cosine") < SAME_WAY)
    yield seen.sign("unstable_prediction_share", seen.array("jitter") > UNSTEADY)
    yield seen.sign("rising_loss_share", seen.array("rise") > STILL_RISING)


def _of_searches(seen: _MaskingEvidence) -> Iterator[IndicatorResult]:
    white = seen.size(WHITE)
    others = {
        "one_step_only_share": STEP,
        "random_only_share": CORNERS,
        "black_box_only_share": BLACK,
    }
    for eps in seen.budgets:
        stands = ~is_within_budget(white, eps)
        for metric, probe in others.items():
            yield seen.at(metric, eps, stands & is_within_budget(seen.size(probe), eps))
        # Count the rows that the twin called broken to the end of a budget, and the target never
        broken = int((~stands).sum())
        log = cast("Sequence[Mapping[str, Json]]", seen.evidence["log"])
        told = [bill for bill in log if bill["probe"] == WHITE and bill["eps"] == eps]
        phantoms = cast("int", told[-1]["phantoms"]) if told else 0
        yield IndicatorResult("phantom_share", phantoms, phantoms + broken, eps)


def _of_room(seen: _MaskingEvidence) -> Iterator[IndicatorResult]:
    missed = ~is_within_budget(seen.size(FREE), WHOLE)
    yield seen.sign("unbounded_missed_share", missed, is_within_budget(seen.size(COPY), WHOLE))
    reached = is_within_budget(seen.size(WHITE), seen.budgets[-1])
    yield seen.sign("larger_eps_missed_share", missed & reached)


SILENT_SUCCESS = (
    "A success on the way that the returned point is not cannot happen: the target judges every "
    "point that the twin calls broken, and the nearest success is kept."
)


def masking_metrics() -> Mapping[str, Metric]:
    """Return what the indicators are called and measured in."""
    told = {
        name: Metric(
            item.title,
            item.unit,
            higher_is_better=False,
            exact=item.unit is Unit.NONE,
            number=item.number,
        )
        for name, item in INDICATORS.items()
    }
    believable = Metric("Gradients point to successful attacks", Unit.NONE, exact=True)
    return {BELIEVABLE: believable, **told}


def build_masking_readings(evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
    """Return whether white-box figures can be believed, and each indicator with its rows.

    The answer is given at its own level (``indicators.SURE``); ``confidence`` is that of intervals.
    """
    settings = cast("Mapping[str, Json]", evidence["settings"])
    rows = len(cast("Sequence[str]", evidence["ids"]))
    if not has_attackable_rows(evidence):
        return (_nothing_seen(settings, rows),)
    cut = cast("Mapping[str, int]", evidence.get(ROWS_IN_TIME, {}))
    if cut and rows < min(EXAMINED_ROWS, cut["of"]):
        return (_too_little_time(rows, cut["of"]),)
    found = compute_indicators(evidence)
    repeat = Repeatability.EXACT if settings["deterministic"] else Repeatability.INTERVAL
    missing_found = {sign.metric for sign in found}
    failed = [sign for sign in found if sign.failed]
    summary = Measurement(
        metric=BELIEVABLE,
        value=not failed,
        method=f"one-sided exact limits at {SURE:g}",
        n=rows,
        repeat=repeat,
        details={
            "failed": [_told(sign) for sign in _worst(failed)],
            "noted": [_told(sign) for sign in _worst([sign for sign in found if sign.noted])],
            "attack": settings["cascade"],
            "silent_success": SILENT_SUCCESS,
            **({"rows": rows, "rows_asked": cut["of"]} if cut else {}),
            **{name: settings[name] for name in ("twin_distance",) if name in settings},
        },
    )
    return (
        summary,
        *(_reading(sign, confidence, settings, repeat) for sign in found),
        *(_undefined(metric, {}) for metric in INDICATORS if metric not in missing_found),
    )


def _worst(found: Sequence[IndicatorResult]) -> list[IndicatorResult]:
    """Return each indicator once, where it shows most."""
    worst = {sign.metric: sign for sign in sorted(found, key=lambda sign: sign.share)}
    return [worst[metric] for metric in INDICATORS if metric in worst]


def _told(sign: IndicatorResult) -> dict[str, Json]:
    place: dict[str, Json] = {} if sign.eps is None else {"eps": sign.eps}
    means = INDICATORS[sign.metric].means
    return {"indicator": sign.metric, **place, "found": sign.said, "means": means}


def _reading(
    sign: IndicatorResult, confidence: float, settings: Mapping[str, Json], repeat: Repeatability
) -> Reading:
    item = INDICATORS[sign.metric]
    place: dict[str, float | str] = {"norm": Norm(str(settings["norm"])).value}
    params = {} if sign.eps is None else {"eps": sign.eps, **place}
    details: dict[str, Json] = {
        "failed": sign.failed,
        "noted": sign.noted,
        "most": item.most,
        "decides": item.weight is IndicatorWeight.FAILS,
        "means": item.means,
        "worst_rows": list(sign.named),
    }
    if item.unit is Unit.NONE:
        value = bool(sign.count) if sign.figure is None else float(sign.figure)
        return Measurement(
            metric=sign.metric, value=value, method="as found", n=sign.rows, repeat=repeat,
            params=params, details=details,
        )  # fmt: skip
    if not sign.rows:
        return _undefined(sign.metric, params)
    interval = clopper_pearson(sign.count, sign.rows, confidence)
    return Measurement.of(
        interval, sign.metric, item.unit, params=params, repeat=repeat, details=details
    )


def _undefined(metric: str, params: Mapping[str, float | str]) -> Gap:
    return Gap(
        reason=GapReason.NOT_DEFINED,
        detail=f"{INDICATORS[metric].title}: there is nothing here to ask that of.",
        cure="Look at the other indicators.",
        metric=metric,
        params=params,
    )


def _too_little_time(rows: int, of: int) -> Gap:
    return Gap(
        reason=GapReason.OVER_BUDGET,
        detail=f"There was time to examine the gradients at {rows} of {of} rows; "
        f"{min(EXAMINED_ROWS, of)} are needed to see whether they are masked.",
        cure="Allow more time (`--max-minutes`), or use a larger budget.",
    )


def _nothing_seen(settings: Mapping[str, Json], rows: int) -> Gap:
    if rows < FEWEST_ROWS:
        return Gap(
            reason=GapReason.TOO_FEW_ROWS,
            detail=f"The model gets {rows} of the rows right, and {FEWEST_ROWS} are needed to see "
            "whether gradients are masked.",
            cure="Give more rows, or a model that is right more often.",
        )
    return Gap(
        reason=GapReason.NOT_DEFINED,
        detail=f"An attacker may move none of the {settings['coordinates']} input coordinates.",
        cure="Declare numeric features that an attacker can change, or a larger eps.",
    )
