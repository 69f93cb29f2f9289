"""From evidence to readings: whether gradients can be believed, and each indicator."""

from collections.abc import Iterator, Mapping, Sequence
from typing import cast

from auditor.attacks.masking.doubts import BELIEVABLE
from auditor.attacks.masking.indicators import INDICATORS, SURE, Weight
from auditor.attacks.masking.signs import Sign, looked, signs
from auditor.attacks.masking.survey import FEWEST_ROWS
from auditor.attacks.norms import Norm
from auditor.domain.canonical import Json
from auditor.domain.checks import Metric
from auditor.domain.evidence import Evidence
from auditor.domain.readings import Gap, Measurement, Reading, Reason, Repeat, Unit
from auditor.stats.proportions import clopper_pearson

SILENT_SUCCESS = (
    "A success on the way that the returned point is not cannot happen: the target judges every "
    "point that the twin calls broken, and the nearest success is kept."
)


def metrics() -> Mapping[str, Metric]:
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
    believable = Metric("Gradients lead where attacks succeed", Unit.NONE, exact=True)
    return {BELIEVABLE: believable, **told}


def readings(evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
    """Return whether white-box figures can be believed, and each indicator with its rows.

    The answer is given at its own level (``indicators.SURE``); ``confidence`` is that of intervals.
    """
    settings = cast("Mapping[str, Json]", evidence["settings"])
    rows = len(cast("Sequence[str]", evidence["ids"]))
    if not looked(evidence):
        return (_nothing_seen(settings, rows),)
    found = signs(evidence)
    repeat = Repeat.EXACT if settings["deterministic"] else Repeat.INTERVAL
    return (
        _summary(found, settings, rows, repeat),
        *(_reading(sign, confidence, settings, repeat) for sign in found),
        *_missing({sign.metric for sign in found}),
    )


def _summary(
    found: Sequence[Sign], settings: Mapping[str, Json], rows: int, repeat: Repeat
) -> Measurement:
    failed = [sign for sign in found if sign.failed]
    return Measurement(
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
            **{name: settings[name] for name in ("twin_distance",) if name in settings},
        },
    )


def _worst(found: Sequence[Sign]) -> list[Sign]:
    """Return each indicator once, where it shows most."""
    worst = {sign.metric: sign for sign in sorted(found, key=lambda sign: sign.share)}
    return [worst[metric] for metric in INDICATORS if metric in worst]


def _told(sign: Sign) -> dict[str, Json]:
    place: dict[str, Json] = {} if sign.eps is None else {"eps": sign.eps}
    means = INDICATORS[sign.metric].means
    return {"indicator": sign.metric, **place, "found": sign.said, "means": means}


def _reading(
    sign: Sign, confidence: float, settings: Mapping[str, Json], repeat: Repeat
) -> Reading:
    item = INDICATORS[sign.metric]
    place: dict[str, float | str] = {"norm": Norm(str(settings["norm"])).value}
    params = {} if sign.eps is None else {"eps": sign.eps, **place}
    details: dict[str, Json] = {
        "failed": sign.failed,
        "noted": sign.noted,
        "most": item.most,
        "decides": item.weight is Weight.FAILS,
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


def _missing(found: set[str]) -> Iterator[Gap]:
    for metric in INDICATORS:
        if metric not in found:
            yield _undefined(metric, {})


def _undefined(metric: str, params: Mapping[str, float | str]) -> Gap:
    return Gap(
        reason=Reason.NOT_DEFINED,
        detail=f"{INDICATORS[metric].title}: there is nothing here to ask that of.",
        cure="Look at the other indicators.",
        metric=metric,
        params=params,
    )


def _nothing_seen(settings: Mapping[str, Json], rows: int) -> Gap:
    if rows < FEWEST_ROWS:
        return Gap(
            reason=Reason.TOO_FEW_ROWS,
            detail=f"The model gets {rows} of the rows right, and {FEWEST_ROWS} are needed to see "
            "whether gradients are masked.",
            cure="Give more rows, or a model that is right more often.",
        )
    return Gap(
        reason=Reason.NOT_DEFINED,
        detail=f"An attacker may move none of the {settings['coordinates']} input coordinates.",
        cure="Declare numeric features that an attacker can change, or a larger eps.",
    )
