from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.domain.datasets import DatasetRole
from auditor.domain.targets import TargetSpec
from auditor.domain.tasks import InputSpace
from auditor.inputs.auditfile.draft import DraftFacts, draft_audit_file
from auditor.inputs.auditfile.read import read_audit_file
from auditor.inputs.datasets.load import LoadedDatasets, load_datasets
from auditor.inputs.datasets.schema_draft import (
    draft_domain,
    draft_features,
    list_array_columns,
    round_outwards,
    write_schema,
)

COLUMNS = {
    "age": [20, 31, 44, 67] * 10,
    "income": [1200.5, 3100.25, 870.0, 999.9] * 10,
    "grade": [1, 2, 3, 3] * 10,
    "children": [0, 1, 2, 3] * 10,
    "late_payments": [0, 0, 1, 4] * 10,
    "marital_status": [1, 2, 3, 3] * 10,
    "house_own": [1, 0, 0, 0] * 10,
    "house_rent": [0, 1, 1, 1] * 10,
    "smoker": [0, 1, 1, 0] * 10,
    "debt": [5, 9, None, 700] * 10,
}


def written(columns: dict[str, list[float | None]]) -> str:
    series = {name: pl.Series(values) for name, values in columns.items()}
    return write_schema(draft_features(series), "t.csv")


def test_every_guess_stands_beside_its_evidence() -> None:
    lines = written(COLUMNS).splitlines()
    said = {line.partition('name: "')[2].partition('"')[0]: at for at, line in enumerate(lines)}
    grade = lines[said["grade"] - 1 : said["grade"] + 1]
    assert grade == [
        "  # guess: 3 values, all whole numbers → categorical",
        '  - {name: "grade", kind: categorical, categories: [1, 2, 3]}',
    ]
    assert lines[said["age"]] == (
        '  - {name: "age", kind: integer, range: [20, 70], immutable: true}'
    )
    assert lines[said["age"] - 1] == "  # guess: the name says who a person is → immutable"
    assert lines[said["income"]] == '  - {name: "income", kind: numeric, range: [800, 3200]}'
    assert "kind: integer, range: [0, 3]" in lines[said["children"]]
    assert "kind: integer, range: [0, 4]" in lines[said["late_payments"]]
    assert "kind: categorical" in lines[said["marital_status"]]
    assert lines[said["house_own"]].endswith('kind: binary, one_hot: "house"}')
    assert lines[said["smoker"]].endswith("kind: binary}")
    assert lines[said["smoker"] - 1] == "  # found: only 0 and 1 → binary"
    assert "nullable: true" in lines[said["debt"]]
    assert "missing in 10 of 40 rows" in lines[said["debt"] - 1]


def test_levels_with_underscores_in_their_names_are_one_group() -> None:
    levels = ["monthly", "two_year", "three_year", "yearly"]
    columns: dict[str, list[float | None]] = {
        f"contract_{level}": [float(at % 4 == place) for at in range(40)]
        for place, level in enumerate(levels)
    }
    columns |= {
        "pay_by_card": [1, 0] * 20,
        "pay_by_cash": [0, 1] * 20,
        "pay_late": [1, 1, 0, 0] * 10,
    }
    lines = written(columns).splitlines()
    groups = [line.partition("one_hot: ")[2] for line in lines if line.startswith("  - ")]
    assert groups == ['"contract"}'] * 4 + ['"pay_by"}'] * 2 + [""]


def loaded(folder: Path, columns: dict[str, list[float | None]]) -> LoadedDatasets:
    table = pl.DataFrame({**columns, "y": ["no", "yes"] * (len(columns["a"]) // 2)})
    table.write_parquet(folder / "t.parquet")
    (folder / "schema.yaml").write_text(written(columns), encoding="utf-8")
    facts = DraftFacts(
        name="m", artifact="m.onnx", data="t.parquet", labels="y", schema="schema.yaml"
    )
    text = draft_audit_file(facts)
    audit = read_audit_file(text.encode(), "audit.yaml", lambda it: TargetSpec(str(it)))
    return load_datasets(audit, lambda name: folder / name)


NUMBERS = st.one_of(
    st.integers(-(10**6), 10**6),
    st.floats(-1e12, 1e12, allow_subnormal=False),
)


@settings(max_examples=25)
@given(st.lists(NUMBERS, min_size=2, max_size=40).filter(lambda it: len(it) % 2 == 0))
def test_a_drafted_schema_takes_the_rows_that_it_was_drafted_from(
    tmp_path_factory: object, values: list[float]
) -> None:
    folder = tmp_path_factory.mktemp("drafted")  # type: ignore[attr-defined]  # pytest's own
    found = loaded(folder, {"a": [float(it) for it in values]})
    assert found.datasets[DatasetRole.EVALUATION].rows == len(values)
    assert isinstance(found.space, InputSpace)
    assert (found.space.high > found.space.low).all()


def test_a_domain_of_pixels_is_drafted_only_where_they_fill_it() -> None:
    assert [draft_domain(0, most) for most in (0.6, 1, 200, 255)] == [
        (0, 1), (0, 1), (0, 255), (0, 255)
    ]  # fmt: skip
    assert draft_domain(0, 16) == (0, 16)
    assert draft_domain(0, 0.3) == (0, 0.3)
    assert draft_domain(-4.9, 4.4) == (-5, 5)
    assert draft_domain(3, 3) is None


@given(st.lists(NUMBERS, min_size=2, max_size=6, unique=True))
def test_a_drafted_domain_holds_the_data(values: list[float]) -> None:
    low, high = float(min(values)), float(max(values))
    drafted = draft_domain(low, high)
    if low < high:
        assert drafted is not None
        assert drafted[0] <= low <= high <= drafted[1]


@pytest.mark.parametrize(
    ("low", "high"),
    [
        (6, 72),
        (0.406, 10.69),
        (158.2, 7714),
        (-4.9, 4.4),
        (0.3, 0.35),
        (14.3, 514.3),
        (17.8, 517.8),
    ],
)
def test_a_drafted_range_is_little_wider_than_the_data(low: float, high: float) -> None:
    drafted = round_outwards(low, high)
    assert high - low <= drafted[1] - drafted[0] < 1.4 * (high - low)


def test_a_range_that_no_number_spans_is_left_as_it_is() -> None:
    assert draft_domain(-1e308, 1e308) == (-1e308, 1e308)


def test_columns_of_an_array_are_drafted_apart_only_where_their_scales_differ() -> None:
    rows = np.random.default_rng(1).normal(size=(50, 4))
    assert list_array_columns(rows) == {}
    scaled = list_array_columns(rows * [1, 1, 1000, 1])
    assert list(scaled) == ["x0", "x1", "x2", "x3"]
    assert scaled["x2"].to_list() == (rows[:, 2] * 1000).tolist()
    assert list_array_columns((rows * [1, 1, 1000, 1]).reshape(50, 2, 2)) == {}
    missing = rows * [1, 1, 1000, 1]
    missing[3, 1] = np.nan
    assert list_array_columns(missing) == {}
