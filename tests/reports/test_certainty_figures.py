"""What a report draws of calibration, from what the checks themselves read."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from rendering_records import FAILING, inputs_of
from scipy.special import expit, logit, softmax

from auditor.checks.fairness.calibration import GroupCalibrationCheck
from auditor.checks.quality.calibration import NO_ADVICE, CalibrationCheck
from auditor.domain.readings import Measurement, Reading
from auditor.reports.formats.html import render_html
from auditor.reports.html.check_blocks import no_evidence


def placed(check: str, readings: Sequence[Reading]) -> list[Measurement]:
    return [
        replace(item, target="cpu", check=check)
        for item in readings
        if isinstance(item, Measurement)
    ]


def binary(coolness: float) -> list[Measurement]:
    rng = np.random.default_rng(1)
    stated = rng.uniform(0.02, 0.98, 2000)
    evidence = {
        "stated": stated,
        "happened": rng.random(2000) < expit(logit(stated) / coolness),
        "learnt": np.arange(2000) % 2 == 0,
        "seed": 1,
        "task": {"of": "probability of yes", "classes": ["no", "yes"]},
    }
    return placed("quality.calibration", CalibrationCheck().figures(evidence, 0.95))


@pytest.mark.parametrize(("coolness", "advised"), [(1.0, False), (2.0, True)])
def test_a_correction_is_advised_only_where_it_helps(coolness: float, advised: bool) -> None:  # noqa: FBT001 -- a parameter of the test
    (panel,) = CalibrationCheck.block(binary(coolness), no_evidence).parts
    assert "calibrated models that state the same show" in panel.caption
    assert (panel.notes == (NO_ADVICE,)) is not advised
    if advised:
        assert panel.notes[0].startswith("Advice: divide the model's log odds by this temperature")


def test_many_classes_have_a_diagram_each_and_a_table() -> None:
    rng = np.random.default_rng(2)
    stated = softmax(rng.normal(size=(600, 3)) * 2, axis=1)
    labels = (stated.cumsum(axis=1) > rng.random((600, 1))).argmax(axis=1)
    evidence = {
        "probabilities": stated,
        "labels": labels,
        "happened": stated.argmax(axis=1) == labels,
        "learnt": np.arange(600) % 2 == 0,
        "seed": 1,
        "task": {"of": "top label", "classes": ["a", "b", "c"]},
    }
    found = placed("quality.calibration", CalibrationCheck().figures(evidence, 0.95))
    _, classes = CalibrationCheck.block(found, no_evidence).parts
    assert [row[0] for row in classes.rows] == ["a", "b", "c"]
    assert classes.chart is not None


def test_groups_are_drawn_with_their_lines_and_the_report_holds_them() -> None:
    rng = np.random.default_rng(3)
    stated = rng.uniform(0.02, 0.98, 1200)
    evidence = {
        "stated": stated,
        "happened": rng.random(1200) < stated,
        "codes": np.stack([np.arange(1200) % 2, np.arange(1200) % 3]),
        "columns": [
            {"name": "sex", "groups": ["f", "m"]},
            {"name": "race", "groups": ["x", "y", "z"]},
        ],
        "task": {"of": "probability of yes"},
    }
    found = placed("fairness.calibration", GroupCalibrationCheck().figures(evidence, 0.95))
    panels = GroupCalibrationCheck.block(found, no_evidence).parts
    assert [panel.title.rpartition(" by ")[2] for panel in panels] == ["sex", "sex", "race", "race"]
    assert [row[0] for row in panels[2].rows] == ["x", "y", "z"]
    record = replace(FAILING, readings=(*FAILING.readings, *found))
    assert panels[2].title in render_html(inputs_of(record))


def test_malformed_details_draw_nothing() -> None:
    broken = [
        replace(item, details={**item.details, "bins": [1], "curve": "none", "if_calibrated": 3})
        for item in binary(1.0)
    ]
    assert CalibrationCheck.block(broken, no_evidence).parts == ()
