"""Whatever a name holds, Markdown shows it as it is written: no link, picture, formula or table."""

import re

from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from auditor.reports.formats.markdown import escape_inline, escape_markdown, format_grid
from auditor.reports.wording import escape_invisible

READER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
BETWEEN = "\N{ZERO WIDTH SPACE}"
WORDS = st.text(
    st.sampled_from("ab1 :[](){}!<>/\\#@=*_+-.|~`$&;\x1b\u202e\u3164é😀\n"), max_size=20
)


def shown(written: str) -> str:
    """Return the text that a reader sees, all of which must be plain text."""
    inline = [token for token in READER.parse(written) if token.type == "inline"]
    parts = [part for token in inline for part in token.children or ()]
    assert {part.type for part in parts} <= {"text"}, written
    return "".join(part.content for part in parts)


@given(WORDS)
@example("[safe](https://example.org) ![x](y) <img src=x> `code` **bold** ~~gone~~")
@example("$\\color{green}{\\text{PASS}}$ &amp; | a | b |")
@example(":white_check_mark: 12:30:45 :+1:")
def test_a_name_is_shown_as_it_is_written(text: str) -> None:
    written = escape_invisible(" ".join(text.split()))
    assert shown(f"x {escape_markdown(text)}").replace(BETWEEN, "") == f"x {written}".strip()
    cells = format_grid(("a", "b"), [(escape_inline(text), "end")])
    body = READER.parse("\n".join(cells))
    found = [token.content for token in body if token.type == "inline"]
    assert len(found) == 4
    assert found[3] == "end"


@given(WORDS)
@example(":white_check_mark:")
@example(":100:")
def test_no_pictogram_and_no_formula_is_made_of_a_name(text: str) -> None:
    seen = shown(f"x {escape_markdown(text)}")
    assert all(re.fullmatch(r":\d\d:", found) for found in re.findall(r":[\w+-]+:", seen))
    assert re.search(r"(?<!\\)(\\\\)*\$", escape_markdown(text)) is None


def test_a_time_stays_what_it_is() -> None:
    assert escape_markdown("at 12:30:45 UTC") == "at 12:30:45 UTC"
