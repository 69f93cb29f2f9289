from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rendering_records import FAILING, HOSTILE, inputs_of

from auditor.checks.data.duplicates import DuplicateCheck
from auditor.checks.data.representativeness import RepresentativenessCheck
from auditor.domain.evidence import Evidence
from auditor.domain.readings import BoundKind, Measurement, Reading, Unit
from auditor.reports.figures.panel import FigurePanel
from auditor.reports.html.measurements import build_figure_sections, build_measurement_rows

COUNTS: Evidence = {
    "seed": 1,
    "samples": {
        "evaluation": {
            "clustered": False,
            "columns": [
                {
                    "column": "sex",
                    "levels": ["female", "male"],
                    "shares": [0.5, 0.5],
                    "counts": [30, 70],
                    "strangers": {},
                    "unknown": 0,
                }
            ],
        }
    },
}
COPIES: Evidence = {
    "samples": ["evaluation"],
    "evaluation": {"rows": 10, "kind": "table", "by_chance": {"exact": 0.1, "near": 0.0}},
    "evaluation_rows": np.array([2, 5]),
    "evaluation_ids": np.array(["two", "five"]),
    "evaluation_exact": np.array([[2, 0], [5, 0]]),
    "evaluation_near": np.empty((0, 2), dtype=np.int64),
}


def seen(check: str, *readings: Reading) -> list[Measurement]:
    return [
        replace(item, check=check, target="cpu")
        for item in readings
        if isinstance(item, Measurement)
    ]


def share(check: str, metric: str, details: dict[str, object], **params: str) -> Measurement:
    bound = BoundKind.AT_LEAST if metric.startswith("near") else BoundKind.ESTIMATE
    return Measurement(
        metric=metric, value=0.2, low=0.1, high=0.4, method="m", n=40, unit=Unit.SHARE, bound=bound,
        params=params, details=details, check=check, target="cpu",
    )  # fmt: skip


def panels(*readings: Measurement) -> tuple[FigurePanel, ...]:
    inputs = inputs_of(replace(FAILING, readings=readings))
    return next(
        (item.panels for item in build_figure_sections(inputs) if item.title == "The data"), ()
    )


def test_the_population_stands_beside_the_data() -> None:
    readings = RepresentativenessCheck().figures(COUNTS, 0.95)
    (found,) = panels(*seen("data.representativeness", *readings))
    assert found.title == "Composition of the evaluation data, by sex"
    assert found.drawing is not None
    assert "female: 30 %; population: 50 %; male: 70 %" in found.drawing.description
    assert [(row[0], row[3], row[4]) for row in found.rows] == [
        ("female", "50 %", "30"),
        ("male", "50 %", "70"),
    ]


def test_rows_that_stand_twice_are_named_with_what_chance_would_do() -> None:
    (found,) = panels(*seen("data.duplicates", *DuplicateCheck().figures(COPIES, 0.95)))
    assert found.rows == (("1", "two, five"),)
    assert found.caption == "10 % of 10 rows."
    assert found.notes == ("By chance alone, columns shuffled, it were 10 %.",)


def test_doubtful_labels_are_listed_and_how_many_more_there_are() -> None:
    suspects = [
        {"id": f"r{row}", "label": "7", "suggested": "1", "margin": -0.9} for row in range(20)
    ]
    (found,) = panels(
        share("data.labels", "noise_share", {"suspects": suspects}, data="evaluation")
    )
    assert found.rows[0] == ("r0", "7", "1", "\N{MINUS SIGN}0.90")
    assert (len(found.rows), found.notes) == (12, ("8 more are in the record.",))
    doubt = "which may be too high where outcomes are uncertain: 20 % (10\N{EN DASH}"
    assert doubt in found.caption


def test_columns_that_are_counted_are_named_where_their_number_stands() -> None:
    counted = Measurement(
        metric="identifier_columns",
        value=1,
        method="every column looked at",
        n=9,
        unit=Unit.COUNT,
        check="data.balance",
        target="cpu",
        details={"columns": ["customer"]},
    )
    many = replace(counted, value=10, details={"columns": [f"c{at}" for at in range(10)]})
    record = replace(FAILING, readings=(counted, many))
    one, ten = build_measurement_rows(inputs_of(record))
    assert one.remark == "customer"
    assert ten.remark == "c0, c1, c2, c3, c4, c5, c6, c7 and 2 more"


def test_leaked_rows_stand_beside_their_twins_with_what_they_are_worth() -> None:
    pairs = [{"id": "e1", "training": "t9"}]
    (found,) = panels(
        share("data.leakage", "near_share", {"leaked": pairs}),
        share("data.leakage", "accuracy_gain", {"leaked": {"k": 1, "n": 1}}, leak="near"),
    )
    assert found.rows == (("e1", "t9"),)
    assert found.caption.startswith("at least 20 %")
    assert found.notes[0].startswith(
        "Accuracy on these rows minus that on rows that do not leak: 20 %"
    )


def test_columns_that_tell_the_label_are_ordered_by_how_much() -> None:
    weak = share("data.balance", "column_auc", {}, data="training", column="weak")
    strong = replace(weak, value=0.9, high=0.95, params={"data": "training", "column": "strong"})
    (found,) = panels(weak, strong)
    assert [row[0] for row in found.rows] == ["strong", "weak"]
    assert found.title.endswith("training data")


def test_data_that_are_the_same_on_two_targets_are_shown_once() -> None:
    readings = seen("data.representativeness", *RepresentativenessCheck().figures(COUNTS, 0.95))
    other = [replace(item, target="gpu") for item in readings]
    assert len(panels(*readings, *other)) == 1


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)


@pytest.mark.parametrize(
    ("check", "metric", "key"),
    [
        ("data.labels", "noise_share", "suspects"),
        ("data.leakage", "exact_share", "leaked"),
        ("data.duplicates", "near_share", "groups"),
        ("data.representativeness", "representation_ratio", "population"),
    ],
)
@given(ANYTHING)
def test_details_of_any_shape_are_drawn_or_left_out(
    check: str, metric: str, key: str, told: object
) -> None:
    drawn = panels(share(check, metric, {key: told, "k": 1, "by_chance": told}, data=HOSTILE))
    assert all(len(row) == len(panel.header) for panel in drawn for row in panel.rows)
