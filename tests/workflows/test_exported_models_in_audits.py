"""Models of other libraries, audited from Python: their own classes, and their own accuracy."""

from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import Ridge

import auditor

X = np.random.default_rng(0).random((480, 4))
TWELFTHS = (X[:, 0] * 12).astype(int)
pytestmark = pytest.mark.usefixtures("home")


def readings(model: object, rows: Any, truth: Any, **settings: Any) -> dict[str, Any]:  # noqa: ANN401 -- arrays
    report = auditor.audit(
        model,
        auditor.Dataset(rows, truth),
        budget="smoke",
        only=["quality.accuracy", "quality.errors"],
        progress=False,
        **settings,
    )
    assert report.record.request.exported is not None
    return {item.metric: getattr(item, "value", None) for item in report.record.readings}


@pytest.mark.parametrize("kind", [int, str])
def test_scores_are_read_in_the_order_of_the_models_own_classes(kind: type) -> None:
    labels = TWELFTHS.astype(kind)
    model = RandomForestClassifier(10, random_state=0).fit(X, labels)
    assert readings(model, X, labels)["accuracy"] == pytest.approx(model.score(X, labels))


def test_data_may_lack_a_class_that_the_model_knows() -> None:
    model = RandomForestClassifier(10, random_state=0).fit(X, TWELFTHS)
    few = TWELFTHS < 3
    found = readings(model, X[few], TWELFTHS[few])
    assert found["accuracy"] == pytest.approx(model.score(X[few], TWELFTHS[few]))


def test_a_regression_is_measured_by_its_values() -> None:
    numbers = X @ [1.0, 2.0, 3.0, 4.0]
    model = Ridge().fit(X, numbers)
    found = readings(model, X, numbers, task={"kind": "regression", "tolerance": 0.1})
    assert found["mae"] == pytest.approx(np.abs(model.predict(X) - numbers).mean(), rel=1e-3)
