"""A record in which everything is attacked: norms, proofs, faults, views, tables, doubts."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from rendering_records import CLEAN, FAILING, READINGS, RNG, measured

from auditor.domain.evidence import Evidence, encode_evidence
from auditor.domain.json import Json
from auditor.domain.readings import Measurement, Reading
from auditor.domain.records import CheckObservation

MASKED = "the gradients that it rests on are masked (20 of 43 rows break by scores alone)"
CLASSES = tuple(f"class {number}" for number in range(17))


def bill(attack: str, eps: float, broken: int) -> dict[str, Json]:
    counts = {"live": 195, "broken": broken, "phantoms": 3, "refused": 0}
    return {"attack": attack, "eps": eps, "queries": 195, "passes": 3900, **counts}


def parts(names: Sequence[str]) -> list[Json]:
    return [
        {"name": name, "rows": 20, "value": place / 20, "low": 0.0, "high": 0.9}
        for place, name in enumerate(names)
    ]


def robust(
    check: str, value: float, params: Mapping[str, float | str], **more: Json
) -> Measurement:
    eps = params.get("eps", 0.0)
    log: Json = [bill("climb, 20 steps", float(eps), 40)] if "eps" in params else []
    details = {"queries": 390, "passes": 3900, "phantoms": 3, "refused": 0, "log": log, **more}
    low, high = max(0.0, value - 0.05), min(1.0, value + 0.05)
    return measured(check, "robust_accuracy", value, low, high, 200, params=params, details=details)


def curve(check: str, norm: str, found: Mapping[float, float], **more: Json) -> list[Reading]:
    clean = measured(check, "clean_accuracy", 0.975, 0.94, 0.99, 200, params={"norm": norm})
    return [clean, *(robust(check, v, {"eps": e, "norm": norm}, **more) for e, v in found.items())]


def breaking(check: str, norm: str, value: float, **details: Json) -> Reading:
    told: dict[str, Json] = {
        "largest_eps": 2.0,
        "unbroken_share": 0.0,
        "stages": ["climb, 20 steps", "walk, 50 steps"],
        "needed": ["climb, 20 steps"],
        "cheapest": {
            "attack": "climb, 20 steps",
            "eps": 0.5,
            "broken": 108,
            "queries_and_passes_a_row": 2.435,
        },
        **details,
    }
    ends = (value * 0.9, value * 1.1)
    params = {"norm": norm} if norm else {}
    return measured(check, "min_breaking_eps", value, *ends, 200, params=params, details=told)


def proved(params: Mapping[str, float | str], value: float) -> Reading:
    low = max(0.0, value - 0.2)
    return measured(
        "evasion.certified", "certified_accuracy", value, low, min(1.0, value + 0.1), 20,
        params=params,
    )  # fmt: skip


def corrupted(kind: str, severity: int, value: float) -> Reading:
    params: dict[str, int | str] = {"kind": kind, "severity": severity}
    low = value - 0.1
    return measured("evasion.corruption", "accuracy", value, low, value + 0.05, 100, params=params)


ATTACKS: tuple[Reading, ...] = (
    *curve(
        "evasion.l2",
        "l2",
        {0.25: 0.86, 0.5: 0.56, 1.0: 0.03},
        by_class=parts(CLASSES),
        by_group={"sex": parts(["female", "male"])},
    ),
    *curve("evasion.l0", "l0", {1: 0.8, 3: 0.14, 10: 0.0, 30: 0.0}),
    breaking("evasion.l2", "l2", 0.55),
    breaking("evasion.l0", "l0", 2.0, needed=[], stages=["walk, 50 steps"]),
    breaking("evasion.linf", "linf", 0.1125),
    robust("evasion.art", 0.7, {"attack": "FastGradientMethod", "eps": 0.1, "norm": "linf"}),
    robust("evasion.art", 0.6, {"attack": "HopSkipJump", "eps": 0.1, "norm": "linf"}),
    breaking("evasion.art", "linf", 1.0, unbroken_share=0.6, cheapest=None, needed=[]),
    robust("evasion.tabular", 0.2, {"eps": 0.02}),
    breaking(
        "evasion.tabular",
        "",
        0.05,
        moved=[
            {"feature": "income", "share": 0.5, "mean_change": {"income": -0.25}},
            {"feature": "purpose", "share": 0.25, "mean_change": {"car": 1.0, "house": -1.0}},
            {"feature": "debt", "share": 0.25, "mean_change": 0.05},
        ],
    ),
    measured("evasion.certified", "clean_accuracy", 1.0, 0.83, 1.0, 20),
    *(proved({"eps": e, "norm": "linf", "method": "crown"}, v) for e, v in ((0.05, 0.6), (0.1, 0))),
    *(
        proved({"radius": r, "norm": "l2", "method": "smoothing", "sigma": 0.25}, v)
        for r, v in ((0.0, 0.95), (0.25, 0.7))
    ),
    measured("evasion.corruption", "clean_accuracy", 0.99, 0.94, 1.0, 100),
    corrupted("fog", 1, 0.95),
    corrupted("fog", 5, 0.49),
    corrupted("jpeg_noise", 1, 0.95),
    measured(
        "evasion.corruption",
        "mean_accuracy",
        0.9,
        0.85,
        0.93,
        100,
        details={"not_defined": {"unit_error": "it is for tables", "missing": "it is for tables"}},
    ),
    measured(
        "evasion.corruption", "worst_kind_accuracy", 0.72, 0.6, 0.8, 100, details={"kind": "fog"}
    ),
    measured("evasion.spatial", "clean_accuracy", 0.99, 0.94, 1.0, 100),
    robust("evasion.spatial", 0.66, {"budget": "medium"}, reach={"angle": 20, "shift": 0.06}),
    measured(
        "evasion.spatial", "mean_accuracy", 0.92, 0.87, 0.95, 100, params={"budget": "medium"}
    ),
    measured("evasion.masking", "believable", value=True, n=43),
)
ATTACKED = replace(FAILING, readings=(*READINGS, *ATTACKS))
DOUBTED = replace(
    ATTACKED,
    readings=tuple(
        replace(item, doubted=True, details={**item.details, "doubt": MASKED})
        if isinstance(item, Measurement) and item.check == "evasion.l2"
        else replace(item, value=False)
        if isinstance(item, Measurement) and item.metric == "believable"
        else item
        for item in ATTACKED.readings
    ),
)

MOVED: Evidence = {
    "example_clean": CLEAN[:2],
    "example_adversarial": np.roll(CLEAN[:2], 1, axis=2),
    "example_rows": ["9", "5"],
    "example_clean_class": ["4", "6"],
    "example_adversarial_class": ["6", "4"],
    "example_budget": ["fog, severity 5", "jpeg_noise, severity 1"],
    "mean_change": RNG.uniform(size=(8, 8)) / 8,
}
ROWS: Evidence = {
    "example_clean": np.array([[534.6, 0.0717718, 78.9934]]),
    "example_adversarial": np.array([[525.485, 0.0659123, 85.1596]]),
    "features": ["mean_area", "mean_fractal_dimension", "mean_concave_points"],
}
"""Examples of a table, whose features have long names."""
MOVED_BLOBS = {
    blob.digest: blob.raw for blob in map(encode_evidence, (*MOVED.values(), *ROWS.values()))
}


def shown_by(check: str, examples: Evidence = MOVED) -> CheckObservation:
    return CheckObservation(
        target="cpu",
        check=check,
        version=1,
        params={},
        seed=1,
        evidence={name: encode_evidence(item).digest for name, item in examples.items()},
    )
