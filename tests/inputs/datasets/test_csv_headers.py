"""Names in a header are read as the rules of CSV have them, or refused with the reason."""

import csv
import io

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from auditor.errors import DatasetError
from auditor.inputs.datasets.formats import read_csv

NAMES = st.text(st.sampled_from('ab," \n\t;é#'), min_size=1, max_size=6)


@given(
    st.lists(NAMES, min_size=1, max_size=4),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from(["utf-8", "utf-8-sig"]),
)
@example(['a"b', "a,b", "a\nb"], "\n", "utf-8")
@example(['"'], "\r\n", "utf-8-sig")
def test_every_name_that_a_header_quotes_is_read_as_it_is(
    names: list[str], end: str, written: str
) -> None:
    out = io.StringIO(newline="")
    # A lone name that holds another separator is a header of that separator, unless it is quoted
    quoting = csv.QUOTE_ALL if len(names) == 1 else csv.QUOTE_MINIMAL
    writer = csv.writer(out, lineterminator=end, quoting=quoting)
    writer.writerows([names, [f"{it}!" for it in names]])
    raw = out.getvalue().encode(written)
    blank = any(not name.strip() for name in names)
    if blank or len({" ".join(name.split()) for name in names}) < len(names):
        with pytest.raises(DatasetError, match=r"no name|stands"):
            read_csv(raw, "t.csv")
        return
    table = read_csv(raw, "t.csv")
    assert table.columns == names
    assert table.rows() == [tuple(f"{it}!" for it in names)]


MISTAKES = {
    "a quote that is not closed": ('"a,b\n1,2\n', "cannot be read"),
    "a quote that ends within a name": ('"a"x,b\n1,2\n', "cannot be read"),
    "lines that end in a carriage return": ("a,b\r1,2\r", "carriage return"),
    "a name twice, quoted once": ('"a",a\n1,2\n', "'a' stands twice"),
    "names that differ in a space": ("a ,a\n1,2\n", "'a' stands beside 'a '"),
    "names that differ in what is not drawn": ("a\u200b,a\n1,2\n", "stands beside"),
    "names that differ in composition": ("\u00e9,e\u0301\n1,2\n", "stands beside"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_header_that_readers_would_read_apart_is_refused(mistake: str) -> None:
    text, words = MISTAKES[mistake]
    with pytest.raises(DatasetError, match=words):
        read_csv(text.encode(), "t.csv")


def test_names_of_another_case_are_two_columns() -> None:
    assert read_csv(b"x,X\n1,2\n", "t.csv").columns == ["x", "X"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("id;sex;score\n1;f;0.5\n", "';'.*sep=';'\\)"),
        ('"id";"sex";"score"\n1;"f";0,5\n', "';'.*sep=';', decimal=','\\)"),
        ('"price, gross";score\n1;2\n', "';'"),
        ("id\tsex\tscore\r\n1\tf\t0.5\r\n", r"tabs.*sep='\\t'\)"),
        ("id|sex\n1|f\n", r"'\|'"),
        ("id;sex\n", "';'"),
    ],
)
def test_a_file_of_another_separator_is_refused_with_the_cure(text: str, told: str) -> None:
    with pytest.raises(DatasetError, match=rf"t\.csv is separated by {told}"):
        read_csv(text.encode(), "t.csv")


@pytest.mark.parametrize("text", ["a;b\nplain\n", '"a;b"\n"1;2"\n', "a;b,c\n1;2,3\n"])
def test_a_name_that_holds_a_separator_is_a_name_where_the_file_says_so(text: str) -> None:
    assert ";" in read_csv(text.encode(), "t.csv").columns[0]
