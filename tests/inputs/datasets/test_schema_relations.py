"""What a schema says of whole rows: relations, one-hot groups, directions and costs."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.domain.auditfiles import DataSection, InputSection
from auditor.domain.feature_relations import evaluate_formula, negate_formula
from auditor.domain.tasks import FeatureDirection, FeatureKind, InputSpace
from auditor.errors import DatasetError
from auditor.inputs.datasets.feature_relations import FormulaError, parse_relation
from auditor.inputs.datasets.load import LoadedDatasets

Load: TypeAlias = Callable[..., LoadedDatasets]
Write: TypeAlias = Callable[[str, str | bytes], None]
SCHEMA = InputSection(features="s.yaml")
CSV = DataSection(path="t.csv", labels="y")
LOANS = Path(__file__).parents[3] / "examples" / "loans"
NAMES = ("a", "b", "c", "loan amount", "class")
ROWS = {
    "a": np.array([0.0, 1, 2, 3]),
    "b": np.array([3.0, 2, 1, 0]),
    "c": np.array([0.0, 2, 2, 0]),
    "loan amount": np.array([1.0, 1, 1, 1]),
    "class": np.array([0.0, 1, 0, 1]),
}

ANSWERS = {
    "a <= b": "1100",
    "a < 2": "1100",
    "a > 1": "0011",
    "b >= 2 * a - 1": "1100",
    "c == a * b": "1111",
    "a + b == 3": "1111",
    "a != c": "0101",
    "a - -b >= 3": "1111",
    "a ** 2 <= 4": "1110",
    "a / b <= 1": "1100",
    "abs(a - b) <= 1": "0110",
    "max(a, b) <= 2": "0110",
    "min(a, b, c) >= 1": "0110",
    "a in [0, 3]": "1001",
    "a not in [0, 3]": "0110",
    "1 <= a <= 2": "0110",
    "a <= 1 and c == 2": "0100",
    "a == 0 or a == 3": "1001",
    "not (a == 0 or a == 3)": "0110",
    "if c == 2 then a == 1": "1101",
    "if `class` == 1 and a > 1 then b == 0": "1111",
    "if a >= 2 then `loan amount` > 1": "1100",
    "`loan amount` + `class` == 2": "0101",
}


@pytest.mark.parametrize("text", ANSWERS)
def test_a_relation_means_what_is_written(text: str) -> None:
    found = evaluate_formula(parse_relation(text, NAMES), ROWS)
    assert "".join(str(int(one)) for one in found) == ANSWERS[text]


REFUSED = {
    "a": "something true or false",
    "a <= d": "'d', which is not a feature",
    "a.b <= 1": "is not a number that rows give",
    "a <= b[0]": "is not a number that rows give",
    "a <= 'x'": "is not a number that rows give",
    "a <= True": "is not a number that rows give",
    "a % 2 == 0": "is not a number that rows give",
    "__import__('os').getpid() == 1": "is not a number that rows give",
    "exec(a) == 1": "is not a number that rows give",
    "min(*[a, b]) <= 1": "gives min 1",
    "abs(a, b) <= 1": "one argument",
    "a is b": "compares by `is`",
    "a in b": "no list after `in`",
    "1 < 2": "speaks of no feature",
    "a <= 1e999": "too large",
    "a <= ": "cannot be read",
    "if a == 1": "cannot be read",
    "a <= b, b <= c": "something true or false",
    "(" * 300 + "a" + ")" * 300 + " <= 1": "cannot be read",
    "a" + " + a" * 200 + " <= 1": "nested more than 100 deep",
    "a" * 3000 + " <= 1": "longer than 2,000 characters",
}


@pytest.mark.parametrize("text", REFUSED, ids=lambda text: text[:30])
def test_what_is_no_formula_is_refused_and_never_run(text: str) -> None:
    with pytest.raises(FormulaError) as caught:
        parse_relation(text, NAMES)
    assert REFUSED[text] in caught.value.problem
    assert caught.value.cure


@given(
    st.sampled_from(sorted(ANSWERS)),
    st.lists(st.sampled_from([0.0, 1.0, 1 + 1e-7, 2.0, 2.5, 3.0]), min_size=5, max_size=5),
    st.sampled_from([0.0, 0.5]),
)
def test_a_formula_or_its_negation_holds_and_never_both(
    text: str, values: list[float], tolerance: float
) -> None:
    columns = {name: np.array([value]) for name, value in zip(NAMES, values, strict=True)}
    formula = parse_relation(text, NAMES, tolerance)
    if "/" in text and columns["b"][0] == 0:
        assert not evaluate_formula(formula, columns).any()
        return
    np.testing.assert_array_equal(
        evaluate_formula(formula, columns), ~evaluate_formula(negate_formula(formula), columns)
    )


def test_a_tolerance_loosens_what_is_asked_and_not_when_it_is_asked() -> None:
    formula = parse_relation("if a >= 2 then b == c", NAMES, 0.5)
    columns = {**ROWS, "a": np.array([1.8, 2, 2, 2]), "c": np.array([0, 2.4, 1.6, 0])}
    np.testing.assert_array_equal(evaluate_formula(formula, columns), [True, True, False, True])


def test_a_row_that_lacks_a_value_keeps_the_relation() -> None:
    formula = parse_relation("a <= b", NAMES)
    columns = {"a": np.array([np.nan, 5]), "b": np.array([1.0, 1])}
    np.testing.assert_array_equal(evaluate_formula(formula, columns), [True, False])


FEATURES = """features:
  - {name: a, range: [0, 10], cost: 2}
  - {name: b, kind: integer, range: [0, 10], direction: increase}
  - {name: p, kind: binary, one_hot: g}
  - {name: q, kind: binary, one_hot: g}
"""
HEADER = "a,b,p,q,y\n"
GOOD = HEADER + "1,2,1,0,0\n3,4,0,1,1\n5,5,0,1,1\n6,7,1,0,0\n"


def test_the_space_carries_what_the_schema_says(load: Load, write: Write) -> None:
    write("s.yaml", FEATURES + "relations:\n  - a <= b\n  - {formula: b == a, tolerance: 1}\n")
    write("t.csv", GOOD)
    space = load(CSV, space=SCHEMA).space
    assert isinstance(space, InputSpace)
    a, b, p, _ = space.features
    assert (a.cost, a.direction, a.one_hot) == (2.0, None, None)
    assert (b.kind, b.direction) == (FeatureKind.INTEGER, FeatureDirection.INCREASE)
    assert p.one_hot == "g"
    assert [relation.text for relation in space.relations] == ["a <= b", "b == a"]


BROKEN = {
    "a relation of an unknown feature": (
        FEATURES + "relations:\n  - a <= b\n  - a <= z\n",
        GOOD,
        ("s.yaml:8: relation `a <= z`", "'z', which is not a feature", "There are a, b, p, q"),
    ),
    "a relation that is no formula": (
        FEATURES + "relations:\n  - a <= open('x')\n",
        GOOD,
        ("s.yaml:7", "`open('x')`", "abs, min and max"),
    ),
    "a relation with an unknown setting": (
        FEATURES + "relations:\n  - {formula: a <= b, hold: 1}\n",
        GOOD,
        ("s.yaml:7: relations.0.hold", "formula, tolerance, holds"),
    ),
    "a relation that is a number": (
        FEATURES + "relations:\n  - 7\n",
        GOOD,
        ("s.yaml:7: relations.0",),
    ),
    "a relation that no row need keep": (
        FEATURES + "relations:\n  - {formula: a <= b, holds: 0}\n",
        GOOD,
        ("s.yaml:7: relations.0.holds",),
    ),
    "rows that break a relation": (
        FEATURES + "relations:\n  - a <= b\n",
        HEADER + "1,2,1,0,0\n5,4,0,1,1\n5,1,0,1,1\n",
        ("t.csv: row 2", "(a 5, b 4)", "`a <= b`", "1 other row", "holds: 0.333"),
    ),
    "more broken rows than said": (
        FEATURES + "relations:\n  - {formula: a <= b, holds: 0.75}\n",
        HEADER + "1,2,1,0,0\n5,4,0,1,1\n5,1,0,1,1\n1,1,1,0,0\n",
        ("t.csv: row 2", "holds: 0.5"),
    ),
    "two ones in a group": (
        FEATURES,
        HEADER + "1,2,1,0,0\n3,4,1,1,1\n",
        ("t.csv: row 2", "2 ones in the one-hot group 'g'", "exactly one"),
    ),
    "a group of one": (
        "features:\n  - {name: a, kind: binary, one_hot: g}\n",
        "a,y\n1,0\n1,1\n",
        ("s.yaml:2: feature 'a' is alone in the one-hot group 'g'",),
    ),
    "a group that moves in part": (
        FEATURES.replace("{name: q,", "{name: q, immutable: true,"),
        GOOD,
        ("s.yaml:4: feature 'p' differs in immutable or cost", "move together"),
    ),
    "a direction of an immutable feature": (
        "features:\n  - {name: a, immutable: true, direction: increase}\n",
        "a,y\n1,0\n1,1\n",
        ("s.yaml:2: feature 'a' is immutable and has a direction",),
    ),
    "a direction of codes": (
        "features:\n  - {name: a, kind: categorical, categories: [0, 1], direction: increase}\n",
        "a,y\n1,0\n1,1\n",
        ("s.yaml:2: feature 'a' has codes",),
    ),
    "an unknown direction": (
        "features:\n  - {name: a, direction: up}\n",
        "a,y\n1,0\n1,1\n",
        ("s.yaml:2: features.0.direction", "there are 'increase', 'decrease'"),
    ),
    "a move that costs nothing": (
        "features:\n  - {name: a, cost: 0}\n",
        "a,y\n1,0\n1,1\n",
        ("s.yaml:2: feature 'a' has a cost that is not above 0",),
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_contradiction_is_named_with_its_place_and_its_cure(
    name: str, load: Load, write: Write
) -> None:
    schema, rows, words = BROKEN[name]
    write("s.yaml", schema)
    write("t.csv", rows)
    with pytest.raises(DatasetError) as caught:
        load(CSV, space=SCHEMA)
    for word in words:
        assert word in str(caught.value)


def test_dirty_rows_pass_where_the_schema_allows_for_them(load: Load, write: Write) -> None:
    write("s.yaml", FEATURES + "relations:\n  - {formula: a <= b, holds: 0.75}\n")
    write("t.csv", HEADER + "1,2,1,0,0\n5,4,0,1,1\n5,5,0,1,1\n1,1,1,0,0\n")
    space = load(CSV, space=SCHEMA).space
    assert isinstance(space, InputSpace)
    assert space.relations[0].holds == 0.75


# The lenders' data say what share of income goes to housing (hrat) and to all debts (obrat).
DEBTS = "relations:\n  - {}\n"


def loans(load: Load, write: Write, relation: str) -> LoadedDatasets:
    schema = (LOANS / "schema.yaml").read_text(encoding="utf-8").split("relations:")[0]
    write("s.yaml", schema + DEBTS.format(relation))
    write("t.csv", (LOANS / "test.csv").read_bytes())
    section = DataSection(path="t.csv", labels="approve", id="id", groups=("race", "sex"))
    return load(section, space=SCHEMA)


def test_five_real_applicants_pay_more_for_housing_than_for_all_debts(
    load: Load, write: Write
) -> None:
    with pytest.raises(DatasetError) as caught:
        loans(load, write, "hrat <= obrat")
    assert "4 other rows" in str(caught.value)
    assert "holds: 0.995" in str(caught.value)


def test_the_other_real_applicants_do_not(load: Load, write: Write) -> None:
    space = loans(load, write, "{formula: hrat <= obrat, holds: 0.995}").space
    assert isinstance(space, InputSpace)
    assert [relation.text for relation in space.relations] == ["hrat <= obrat"]
