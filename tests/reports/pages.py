"""A strict reader of the report: what stands where, and whether every element is closed."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = frozenset({"meta", "br", "img", "hr", "link", "input"})
BLOCKS = frozenset({"h1", "h2", "h3", "h4", "p", "dt", "dd", "li", "summary", "th", "td"})
QUIET = frozenset({"style", "svg", "title"})

Attributes = dict[str, str]


@dataclass
class Page(HTMLParser):
    """Reads one document, and raises ``AssertionError`` where elements do not nest."""

    markup: str
    open: list[str] = field(default_factory=list)
    elements: list[tuple[str, Attributes]] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    style: str = ""
    _words: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.feed(self.markup)
        self.close()
        assert not self.open, f"never closed: {self.open}"
        self._end_line()

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(set(names)) == len(names), f"{tag} repeats an attribute: {names}"
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag in BLOCKS:
            self._end_line()
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open[-1] == tag, f"</{tag}> closes {self.open[-1]}"
        self.open.pop()
        if tag in BLOCKS:
            self._end_line()

    def handle_data(self, data: str) -> None:
        if "style" in self.open:
            self.style += data
        elif not QUIET & set(self.open):
            self._words.append(data)

    def ids(self) -> list[str]:
        return [attributes["id"] for _, attributes in self.elements if "id" in attributes]

    def text(self) -> str:
        return "\n".join(self.lines)

    def _end_line(self) -> None:
        line = " ".join("".join(self._words).split())
        self._words.clear()
        if line:
            self.lines.append(line)
