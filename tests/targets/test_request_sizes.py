"""How many rows a request carries: by their bytes alone, so that a busy machine changes no sum."""

import numpy as np
from tiny_models import Classes, Workshop

from auditor.domain.targets import TargetSpec
from auditor.targets.session import LONE_ROWS, open_model


def test_the_record_says_how_many_rows_a_request_carried(
    workshop: Workshop, classes: Classes
) -> None:
    artifact, rows = workshop.linear(np.eye(3)), np.full((10, 3), 5.0)
    with open_model(TargetSpec("cpu"), workshop.folder, artifact, classes(3), rows) as model:
        told = model.fingerprint.conditions_facts["rows_a_request"]
    assert told == 1024


def test_a_slow_model_is_sent_no_rows_to_time_requests_by(
    workshop: Workshop, classes: Classes
) -> None:
    columns, count = 4000, 500
    artifact, rows = workshop.linear(np.full((columns, count), 0.01)), np.full((64, columns), 0.5)
    with open_model(TargetSpec("cpu"), workshop.folder, artifact, classes(count), rows) as model:
        told = model.fingerprint.conditions_facts["rows_a_request"]
        assert model.queries == 3 * len(rows) + LONE_ROWS, "asked thrice, and some of them alone"
    assert told == 2**20 // (4 * columns)
