"""Corruptions of tables: known answers, and the laws of a schema."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from auditor.attacks.corruptions.catalogue import corruption_generator
from auditor.attacks.corruptions.mean_accuracy import mean_over_rows
from auditor.attacks.corruptions.tables import KINDS, TableMedium, build_table_medium
from auditor.domain.tasks import FeatureKind, InputFeature, InputSpace

Rows = NDArray[np.float64]

FEATURES = (
    InputFeature("height", low=0.0, high=3.0),
    InputFeature("weight", low=0.0, high=500.0, nullable=True),
    InputFeature("children", FeatureKind.INTEGER, 0.0, 12.0),
    InputFeature("smoker", FeatureKind.BINARY, 0.0, 1.0, (0.0, 1.0)),
    InputFeature("region", FeatureKind.CATEGORICAL, 0.0, 5.0, (0.0, 0.5, 2.0, 5.0), immutable=True),
)


def space(features: tuple[InputFeature, ...] = FEATURES) -> InputSpace:
    return InputSpace(
        np.array([feature.low for feature in features], dtype=np.float64),
        np.array([feature.high for feature in features], dtype=np.float64),
        np.array([float(item.kind is not FeatureKind.NUMERIC) for item in features]),
        np.ones(len(features), dtype=np.bool_),
        features,
    )


def people(count: int = 400, seed: int = 0) -> Rows:
    rng = np.random.default_rng(seed)
    return np.column_stack(
        [
            rng.normal(1.7, 0.1, count).clip(0, 3),
            rng.normal(75, 12, count).clip(0, 500),
            rng.integers(0, 5, count),
            rng.random(count) < 0.2,
            rng.choice([0.0, 0.5, 2.0, 5.0], count, p=[0.1, 0.2, 0.3, 0.4]),
        ]
    )


def corrupt(rows: Rows, kind: str, severity: int, made: TableMedium | None = None) -> Rows:
    found = build_table_medium(rows, space()) if made is None else made
    return found.corrupt(rows, kind, severity, corruption_generator(5, kind)).astype(np.float64)


@given(
    st.sampled_from(sorted(KINDS)),
    st.integers(0, 5),
    st.integers(0, 1000),
    st.sampled_from(["float32", "float64"]),
    st.integers(1, 30),
)
@settings(max_examples=100)
def test_the_schema_holds_whatever_goes_wrong(
    kind: str, severity: int, seed: int, dtype: str, count: int
) -> None:
    rows = people(count, seed).astype(dtype)
    asked = build_table_medium(rows, space())
    assert asked.objection(kind) == ""
    out = asked.corrupt(rows, kind, severity, corruption_generator(seed, kind))
    assert out.dtype == rows.dtype
    assert out.shape == rows.shape
    blank = np.isnan(out)
    assert not blank[:, [0, 2, 3, 4]].any()
    assert kind == "missing_values" or not blank.any()
    where = space()
    wide = np.where(blank, rows, out).astype(np.float64)
    assert ((wide >= where.low) & (wide <= where.high)).all()
    np.testing.assert_array_equal(wide[:, 2], np.rint(wide[:, 2]))
    assert set(wide[:, 3]) <= {0.0, 1.0}
    assert set(wide[:, 4]) <= {0.0, 0.5, 2.0, 5.0}
    again = asked.corrupt(rows, kind, severity, corruption_generator(seed, kind))
    assert again.tobytes() == out.tobytes()
    if severity == 0:
        np.testing.assert_array_equal(out, rows)


@pytest.mark.parametrize(
    ("severity", "share"), [(1, 0.1), (2, 0.25), (3, 0.5), (4, 0.75), (5, 1.0)]
)
def test_measurement_noise_is_a_share_of_the_columns_standard_deviation(
    severity: int, share: float
) -> None:
    rows = people(4000)
    noise = corrupt(rows, "measurement_noise", severity) - rows
    for column in (0, 1):
        assert float(noise[:, column].std()) == pytest.approx(
            share * float(rows[:, column].std()), rel=0.05
        )
    assert not noise[:, 3:].any()


def test_missing_values_are_blank_where_that_may_be_and_usual_elsewhere() -> None:
    rows = people(4000)
    out = corrupt(rows, "missing_values", 5)
    assert float(np.isnan(out[:, 1]).mean()) == pytest.approx(0.5, abs=0.03)
    changed = out[:, 0] != rows[:, 0]
    assert float(changed.mean()) == pytest.approx(0.5, abs=0.03)
    np.testing.assert_array_equal(out[changed, 0], np.median(rows[:, 0]))
    assert set(out[out[:, 4] != rows[:, 4], 4]) == {5.0}  # the commonest code


def test_a_model_of_whole_numbers_is_given_no_blanks() -> None:
    rows = people()
    out = corrupt(rows, "missing_values", 5, build_table_medium(rows, space(), whole=True))
    assert not np.isnan(out).any()


def test_a_unit_error_is_a_factor_of_a_thousand_in_one_column_clipped_to_its_range() -> None:
    rows = people()
    out = corrupt(rows, "unit_error", 1)
    moved = out != rows
    assert moved.sum(axis=1).max() == 1
    wrong = out[moved[:, 1], 1]
    small = rows[moved[:, 1], 1] / 1000
    assert ((wrong == 500.0) | np.isclose(wrong, small)).all()
    assert {500.0} < set(wrong)


def test_rounding_is_to_steps_of_the_columns_spread() -> None:
    rows = people()
    out = corrupt(rows, "rounding", 4)
    steps = out[:, 1] / rows[:, 1].std()
    np.testing.assert_allclose(steps, np.rint(steps), atol=1e-9)


def test_a_stuck_sensor_reads_one_value_that_it_read_before() -> None:
    rows = people()
    out = corrupt(rows, "stuck_sensor", 1)
    for column in range(3):
        stuck = set(out[out[:, column] != rows[:, column], column])
        assert len(stuck) == 1
        assert stuck < set(rows[:, column])


def test_swapped_columns_trade_their_values() -> None:
    rows = np.random.default_rng(0).random((50, 4))
    open_box = InputSpace(np.zeros(4), np.ones(4), np.zeros(4), np.ones(4, dtype=np.bool_))
    out = build_table_medium(rows, open_box).corrupt(
        rows, "swapped_columns", 1, np.random.default_rng(0)
    )
    assert ((out != rows).sum(axis=1) == 2).all()
    np.testing.assert_array_equal(np.sort(out, axis=1), np.sort(rows, axis=1))


def test_outliers_lie_at_the_ends_of_the_range() -> None:
    rows = people(4000)
    out = corrupt(rows, "outliers", 5)
    far = out[:, 1] != rows[:, 1]
    assert float(far.mean()) == pytest.approx(0.2, abs=0.02)
    assert set(out[far, 1]) == {0.0, 500.0}


def test_category_flips_change_the_documented_share_to_other_codes() -> None:
    rows = people(4000)
    flipped = corrupt(rows, "category_flips", 5) != rows
    assert not flipped[:, :3].any()
    np.testing.assert_allclose(flipped[:, 3:].mean(axis=0), 0.5, atol=0.03)


def test_a_permuted_feature_takes_its_values_from_other_rows() -> None:
    rows = people(4000)
    out = corrupt(rows, "permuted_feature", 1)
    assert (out != rows).sum(axis=1).max() == 1
    for column in range(5):
        assert set(out[:, column]) <= set(rows[:, column])


def test_a_kind_without_a_column_to_act_on_says_so() -> None:
    codes = build_table_medium(people()[:, 3:], space(FEATURES[3:]))
    for kind in ("measurement_noise", "unit_error", "swapped_columns", "stuck_sensor"):
        assert "numeric" in codes.objection(kind)
    assert codes.objection("category_flips") == ""
    numbers = build_table_medium(people()[:, :1], space(FEATURES[:1]))
    assert "binary" in numbers.objection("category_flips")
    assert "two" in numbers.objection("swapped_columns")
    assert "pictures" in numbers.objection("fog")


def test_a_row_counts_once_however_often_it_was_asked() -> None:
    alike = (np.random.default_rng(0).random(100) < 0.8).astype(np.float64)
    found = mean_over_rows(alike, 0.95)
    assert found is not None
    # Copies of a row say nothing new: the interval is that of 100 rows, about 2 x 1.96 x 0.04.
    assert found.n == 100
    assert 0.14 < found.high - found.low < 0.22
    assert mean_over_rows(np.ones(1), 0.95) is None


def test_a_mean_at_either_end_is_not_taken_for_certain() -> None:
    for share in (0.0, 1.0):
        found = mean_over_rows(np.full(50, share), 0.95)
        assert found is not None
        assert found.value == share
        # As for one outcome a row: Clopper and Pearson's limit for 50 of 50.
        assert found.high - found.low == pytest.approx(1 - 0.025 ** (1 / 50))


@pytest.mark.parametrize("rate", [0.1, 0.6, 0.97])
def test_the_interval_of_a_mean_over_rows_covers(rate: float) -> None:
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(400):
        ability = rng.beta(4 * rate, 4 * (1 - rate), 100)
        found = mean_over_rows(rng.binomial(9, ability) / 9, 0.95)
        assert found is not None
        covered += found.low <= rate <= found.high
    assert covered / 400 > 0.95 - 3 * math.sqrt(0.05 * 0.95 / 400)
