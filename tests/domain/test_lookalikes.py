"""Names that look alike count as one, wherever it matters whether two are the same."""

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from auditor.domain.confusable_names import fold_name, quote_name
from auditor.domain.waivers import is_same_person

ALIKE = {
    "case": ("Model", "mODEL"),
    "composition": ("caf\u00e9", "cafe\u0301"),
    "folding undoes composition": ("\u0130", "i\u0307"),
    "composition after folding": ("\u1fb3\u0301", "\u03b1\u0301\u03b9"),
    "composition before folding": ("\u0390", "\u03aa\u0301"),
    "wide letters": ("\uff2d\uff4f\uff44\uff45\uff4c", "model"),
    "ligatures": ("\ufb01le", "file"),
    "what is not drawn": ("mo\u200bdel", "model"),
    "a filler that is a letter": ("model\u3164", "model"),
    "a filler by its narrow form": ("model\uffa0", "model"),
    "tags": ("model\U000e0041", "model"),
    "variants": ("model\ufe0f", "model"),
    "marks in another order": ("a\u0323\u0301", "a\u0301\u0323"),
    "superscripts": ("x\u00b2", "x2"),
}


@pytest.mark.parametrize("pair", ALIKE)
def test_names_that_look_alike_count_as_one(pair: str) -> None:
    one, other = ALIKE[pair]
    assert fold_name(one) == fold_name(other)
    assert is_same_person(f"Ana {one}", f"ana\u00a0 {other}")


def test_case_counts_where_it_is_asked_for() -> None:
    assert fold_name("Model", cased=True) != fold_name("model", cased=True)
    assert fold_name("M\u00f6del", cased=True) == fold_name("Mo\u0308del", cased=True)
    assert fold_name("M\u00f6del", cased=True) != fold_name("m\u00f6del", cased=True)


def test_other_names_stay_apart() -> None:
    names = ["model", "modell", "m\u00f6del", "mode l", "modal", "\u043codel", "", " "]
    assert len({fold_name(name) for name in names}) == len(names)


@given(st.text())
@example("\u1e9e\u0130\ufb03")
def test_forms_of_one_name_are_one(name: str) -> None:
    folded = fold_name(name)
    assert fold_name(folded) == folded
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        assert fold_name(unicodedata.normalize(form, name)) == folded
    assert fold_name("\u200b".join(name)) == folded


def test_a_name_cannot_break_out_of_its_quotation() -> None:
    assert quote_name("churn 3") == "“churn 3”"
    assert quote_name("churn” passed. It is “safe") == '“churn" passed. It is "safe”'
