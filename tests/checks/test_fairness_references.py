"""Group fairness against published figures, on the data that they were published of.

ProPublica's analysis of COMPAS (2016), Dressel and Farid (2018), Fairlearn, and the test suite of
AIF360; what they say was computed from the same files apart from this project.
"""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from people_data import PERSONAL, People, Row, fetch_people
from scored_subjects import ends, measured, read, scored

from auditor.checks.fairness.groups import GroupFairnessCheck
from auditor.domain.readings import Reading
from auditor.metrics.stats.roc_auc import auc

pytestmark = [pytest.mark.slow, pytest.mark.fetches, pytest.mark.xdist_group("people")]

BLACK, WHITE = "African-American", "Caucasian"
HIGH = 5


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> People:
    return fetch_people(tmp_path_factory.mktemp("people"))


def compas(rows: Sequence[Row], *, all_races: bool = False) -> tuple[Reading, ...]:
    chosen = [row for row in rows if all_races or row["race"] in (BLACK, WHITE)]
    stated = [0.9 if int(row["decile_score"]) >= HIGH else 0.1 for row in chosen]
    labels = [int(row["two_year_recid"]) for row in chosen]
    groups = {"race": [row["race"] for row in chosen]}
    return read(GroupFairnessCheck(), scored(stated, labels, groups=groups))


def filtered(rows: Sequence[Row]) -> list[Row]:
    """ProPublica's own filter."""
    return [
        row
        for row in rows
        if row["days_b_screening_arrest"]
        and abs(int(row["days_b_screening_arrest"])) <= 30
        and row["is_recid"] != "-1"
        and row["c_charge_degree"] != "O"
        and row["score_text"] != "N/A"
    ]


def given(
    rows: Sequence[Row], group: Callable[[Row], str], got: Callable[[Row], bool]
) -> tuple[Reading, ...]:
    """What people got is taken as decided, so that selection rates are base rates."""
    happened = [int(got(row)) for row in rows]
    stated = [0.1 + 0.8 * one for one in happened]
    subject = scored(stated, happened, groups={"g": [group(row) for row in rows]})
    return read(GroupFairnessCheck(), subject)


def test_no_name_and_no_date_of_birth_is_kept(people: People) -> None:
    assert not PERSONAL & set(people.compas[0])


def test_compas_two_years_has_every_published_cell_and_rate(people: People) -> None:
    readings = compas(people.compas)
    assert len(people.compas) == 7214
    cells = {
        BLACK: {"tpr": (1369, 1901), "fpr": (805, 1795), "ppv": (1369, 2174), "npv": (990, 1522)},
        WHITE: {"tpr": (505, 966), "fpr": (349, 1488), "ppv": (505, 854), "npv": (1139, 1600)},
    }
    for group, counted in cells.items():
        for rate, (hits, rows) in counted.items():
            found = measured(readings, rate, group=group)
            assert (found.details["k"], found.n) == (hits, rows)
    rates = {
        BLACK: {"fpr": 0.4485, "tpr": 1 - 0.2799, "ppv": 0.6297, "accuracy": 0.6383},
        WHITE: {"fpr": 0.2345, "tpr": 1 - 0.4772, "ppv": 0.5913, "accuracy": 0.6699},
    }
    for group, published in rates.items():
        for rate, value in published.items():
            assert measured(readings, rate, group=group).value == pytest.approx(value, abs=5e-5)


def test_compas_has_the_intervals_of_the_right_denominators(people: People) -> None:
    # Exact, in per cent. Dressel and Farid's own Table 2 matches those of predicted classes.
    readings = compas(people.compas)
    exact = {
        ("fpr", BLACK): (42.5, 47.2), ("fpr", WHITE): (21.3, 25.7),
        ("tpr", BLACK): (69.9, 74.0), ("tpr", WHITE): (49.1, 55.5),
        ("accuracy", BLACK): (62.3, 65.4), ("accuracy", WHITE): (65.1, 68.9),
    }  # fmt: skip
    for (rate, group), limits in exact.items():
        found = ends(measured(readings, rate, group=group))
        assert [100 * end for end in found] == pytest.approx(limits, abs=0.06)


def test_compas_filtered_has_the_published_rates(people: People) -> None:
    rows = filtered(people.compas)
    assert len(rows) == 6172
    readings = compas(rows)
    for group, fpr, fnr in ((BLACK, 0.4234, 0.2848), (WHITE, 0.2201, 0.4964)):
        assert measured(readings, "fpr", group=group).value == pytest.approx(fpr, abs=5e-5)
        assert measured(readings, "tpr", group=group).value == pytest.approx(1 - fnr, abs=5e-5)


def test_compas_has_fairlearns_ratio_and_equalised_odds_difference(people: People) -> None:
    readings = compas(people.compas)
    assert measured(readings, "impact_ratio").value == pytest.approx(0.59164, abs=5e-6)
    assert measured(readings, "equalised_odds_gap").value == pytest.approx(0.213925, abs=5e-7)
    assert "Kleinberg" in measured(readings, "ppv_gap").details["base_rates"]["note"]


def test_compas_over_all_races_names_the_groups_too_small_to_tell(people: People) -> None:
    readings = compas(people.compas, all_races=True)
    assert set(measured(readings, "tpr_gap").details["undecided_by"]) >= {
        "Asian",
        "Native American",
    }
    assert ends(measured(readings, "equalised_odds_gap"))[1] > 0.5
    few = measured(readings, "tpr", group="Native American")
    assert few.details["small"] is True
    assert few.details["shrunk"]["value"] < few.value  # drawn towards the larger groups


def test_compas_ranks_and_decides_as_well_as_published(people: People) -> None:
    stated = np.array([int(row["decile_score"]) for row in people.compas], dtype=np.float64)
    again = np.array([row["two_year_recid"] == "1" for row in people.compas])
    assert auc(stated, again, 0.95).value == pytest.approx(0.7022, abs=5e-5)
    assert float(np.mean((stated >= HIGH) == again)) == pytest.approx(0.6537, abs=5e-5)


@pytest.mark.parametrize(
    ("group", "rows", "difference", "ratio"),
    [
        (lambda row: "older" if int(row["age"]) > 25 else "young", 810, 0.149448, 0.794826),
        (lambda row: "older" if int(row["age"]) >= 25 else "young", 851, 0.128550, 0.821248),
        (lambda row: row["sex"], None, 0.074801, 0.896567),
    ],
)
def test_german_credit_has_the_published_differences(
    people: People, group: Callable[[Row], str], rows: int | None, difference: float, ratio: float
) -> None:
    readings = given(people.german, group, lambda row: row["credit"] == "1")
    assert measured(readings, "selection_rate_gap").value == pytest.approx(difference, abs=5e-7)
    assert measured(readings, "impact_ratio").value == pytest.approx(ratio, abs=5e-7)
    if rows is not None:
        assert measured(readings, "selection_rate", group="older").n == rows


def rich(row: Row) -> bool:
    return row["income"].startswith(">50K")


def test_adult_has_the_published_difference_of_incomes(people: People) -> None:
    rows = [*people.adult, *people.adult_test]
    assert len(rows) == 48_842
    readings = given(rows, lambda row: row["sex"], rich)
    shares = {"Male": 0.303767, "Female": 0.109251}
    for group, share in shares.items():
        found = measured(readings, "selection_rate", group=group)
        assert found.value == pytest.approx(share, abs=5e-7)
    assert measured(readings, "selection_rate_gap").value == pytest.approx(0.194516, abs=5e-7)
    assert measured(readings, "impact_ratio").value == pytest.approx(0.359655, abs=5e-7)


def test_adult_without_missing_values_has_the_published_shares(people: People) -> None:
    rows = [row for row in (*people.adult, *people.adult_test) if row["complete"] == "True"]
    assert len(rows) == 45_222
    readings = given(rows, lambda row: row["sex"], rich)
    for group, share in (("Male", 0.312477), ("Female", 0.113576)):
        found = measured(readings, "selection_rate", group=group)
        assert found.value == pytest.approx(share, abs=5e-7)


def test_adult_has_aif360s_smoothed_differential_fairness(people: People) -> None:
    # Its test suite, on the test split: sex, country (United States or other), and race as white
    # or not in 8 cells, or all five races in the 19 cells that have rows.
    def home(row: Row) -> str:
        return "US" if row["country"] == "United-States" else "other"

    def two(row: Row) -> str:
        return f"{row['sex']}, {home(row)}, {row['race'] == 'White'}"

    def five(row: Row) -> str:
        return f"{row['sex']}, {home(row)}, {row['race']}"

    for cells, published in ((two, 1.53679014653623), (five, 2.063813731996515)):
        gap = measured(given(people.adult_test, cells, rich), "selection_rate_gap")
        assert gap.details["differential_fairness"] == pytest.approx(published, rel=1e-14)
