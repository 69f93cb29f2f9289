"""Measures the English of pages and policies, and finds idioms that are banned from all texts.

    python scripts/language.py [ROOT] [--pages]

Per 1,000 words of README.md, the pages of docs/ (decisions, which are a record of their day, and
code apart) and the READMEs and notebooks of examples/: archaic pronouns, *what* as a noun, *nobody*
and *nothing*, *say* and *told*, and how often the reader is addressed. The same, but for the last,
of the texts of policies/. `--pages` lists the rates of each. Then it looks for banned idioms in the
texts of the package, its templates and the policies. The exit code is 1 where a rate or a text is
over.
"""  # noqa: INP001 -- a script

import argparse
import ast
import json
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeGuard, cast

import yaml

HERE: Final = Path(__file__).resolve().parent
FENCE: Final = re.compile(r"^( *)(```|~~~).*?^\1\2[^\n]*$", re.DOTALL | re.MULTILINE)
INLINE: Final = re.compile(r"``?[^`\n]+``?|<[^>\n]+>|\]\([^)\s]*\)|https?://\S+")
WORD: Final = re.compile(r"[A-Za-z][A-Za-z'\u2019-]*")
SENTENCE: Final = re.compile(r"[^.!?:;|\n]*(?:\n(?!\n)[^.!?:;|\n]*)*[.!?:;|\n]?")


@dataclass(frozen=True, slots=True)
class Rate:
    """How often some words stand in 1,000 words, and the bound that holds."""

    name: str
    pattern: re.Pattern[str]
    limit: float
    least: bool = False

    def holds(self, figure: float) -> bool:
        """Whether a figure keeps the bound."""
        return figure >= self.limit if self.least else figure <= self.limit


RATES: Final = (
    Rate(
        "whoever, whose, whom", re.compile(r"\b(whoever|whomever|whose|whom)\b", re.IGNORECASE), 0.3
    ),
    Rate("what as a noun", re.compile(r"\b(what|whatever)\b", re.IGNORECASE), 3),
    Rate(
        "nobody, nothing, none", re.compile(r"\b(nobody|nothing|none|no one)\b", re.IGNORECASE), 1
    ),
    Rate(
        "say, said, told",
        re.compile(r"\b(say|says|said|saying|tell|tells|told)\b", re.IGNORECASE),
        2,
    ),
    Rate("you, your", re.compile(r"\b(you|your|yours|yourself)\b", re.IGNORECASE), 8, least=True),
)
BANNED: Final = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"\b(whoever|whomever|whom)\b",
        r"\bthat there is not\b",
        r"\bhas no word\b",
        r"\b(is|are|was|were) borne\b",
        r"\bworkers? lives?\b",
        r"\blets? it rest\b",
        r"\bsays key\b",
        r"\bbecame of\b",
        r"\b(nobody|no one) works for\b",
        r"\bbroke off\b",
        r"\bhand(ed|s)? in\b",
        r"\bend somebody's leave\b",
        r"\bdoes not reach so far\b",
        r"\b99 times in 100\b",
        r"\bis no page\b",
        r"\bis no (cursor|address of|plain file|key of this)\b",
        r"\bgate:? (is )?shut\b",
        r"\bweb hooks?\b",
        r"\bwho runs the service\b",
        r"\bof a time to come\b",
        r"\bthe (oldest|newest) first\b",
        r"; repeats\b",
        r"\b(PUT|GET) it (first|here)\b",
        r"\bsays? yes or no\b",
        r"\blets? itself\b",
        r"\bas it stands\b",
        r"\bon the way can read\b",
        r"\btime that 9+ (of|in) 10+\b",
        r"\bless (that|the) (of|on)\b",
    )
)


def count_words(text: str) -> int:
    """Count the words of a text from which code was taken."""
    return len(WORD.findall(text))


def strip_code(text: str) -> str:
    """Return a page's prose: without fenced and inline code, addresses and markup."""
    return INLINE.sub(" ", FENCE.sub("", text))


def count_uses(rate: Rate, text: str) -> int:
    """Count the uses of a rate's words; *what* that begins a question is no noun."""
    if not rate.name.startswith("what"):
        return len(rate.pattern.findall(text))
    return sum(
        len(rate.pattern.findall(sentence))
        for sentence in SENTENCE.findall(text)
        if not sentence.rstrip().endswith("?")
    )


DOORS: Final = re.compile(r"\.command\(|\.group\(|^router\.")
"""Decorators of commands and routes: their docstrings are help, and descriptions in the API."""


def _is_text(node: ast.stmt) -> TypeGuard[ast.Expr]:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _is_read(node: ast.AST) -> TypeGuard[ast.FunctionDef | ast.AsyncFunctionDef]:
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and any(
        DOORS.search(ast.unparse(it)) for it in node.decorator_list
    )


def list_pages(root: Path) -> list[Path]:
    """Return the pages that are measured."""
    docs = root / "docs"
    examples = root / "examples"
    return [
        root / "README.md",
        *(it for it in sorted(docs.rglob("*.md")) if docs / "decisions" not in it.parents),
        *sorted([*examples.rglob("README.md"), *examples.rglob("*.ipynb")]),
    ]


def read_prose(path: Path) -> str:
    """Return the prose of a page, a notebook or a policy."""
    raw = path.read_text(encoding="utf-8")
    if path.suffix == ".yaml":
        return "\n\n".join(list_values(yaml.safe_load(raw)))
    if path.suffix == ".ipynb":
        cells = [it for it in json.loads(raw)["cells"] if it["cell_type"] == "markdown"]
        raw = "\n\n".join("".join(it["source"]) for it in cells)
    return strip_code(raw)


def list_values(document: object) -> Iterator[str]:
    """Yield the texts of a document that have several words."""
    if isinstance(document, str) and " " in document:
        yield document
    below = document.values() if isinstance(document, dict) else document
    if isinstance(document, dict | list):
        for item in cast("Iterable[object]", below):
            yield from list_values(item)


def list_texts(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the texts of a source file or template that people may read, with their lines."""
    raw = path.read_text(encoding="utf-8")
    if path.suffix == ".yaml":
        yield from ((1, text) for text in list_values(yaml.safe_load(raw)))
        return
    if path.suffix != ".py":
        yield from enumerate(raw.splitlines(), 1)
        return
    tree = ast.parse(raw)
    # Docstrings of commands are help and those of routes are the API's description; all other texts
    # that are statements are for readers of the code.
    stated = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    doors = any(door in path.as_posix() for door in ("cli/commands", "service/api"))
    read = {
        id(it.body[0].value)
        for it in (ast.walk(tree) if doors else ())
        if _is_read(it) and _is_text(it.body[0])
    }
    unread = stated - read
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in unread
        ):
            yield node.lineno, node.value


def find_banned(root: Path) -> Iterator[str]:
    """Yield each text with a banned idiom, by its place."""
    package = root / "auditor"
    paths = [*package.rglob("*.py"), *package.rglob("*.j2"), *package.rglob("*.html")]
    paths += (root / "policies").glob("*.yaml")
    for path in sorted(paths):
        for line, text in list_texts(path):
            for pattern in BANNED:
                found = pattern.search(" ".join(text.split()))
                if found is not None:
                    yield f"{path.relative_to(root)}:{line} {found.group()!r}"


def measure(texts: list[str]) -> list[float]:
    """Return the rates over some texts."""
    words = sum(map(count_words, texts)) or 1
    return [1000 * sum(count_uses(rate, text) for text in texts) / words for rate in RATES]


def show(line: str) -> None:
    """Write one line."""
    sys.stdout.write(f"{line}\n")


def main() -> int:
    """Print the table, and return 0 where all holds."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("root", nargs="?", type=Path, default=HERE.parent)
    parser.add_argument("--pages", action="store_true")
    asked = parser.parse_args()
    pages = {path: read_prose(path) for path in list_pages(asked.root)}
    policies = {path: read_prose(path) for path in sorted((asked.root / "policies").glob("*.yaml"))}
    if asked.pages:
        show(f"{'words':>6}  " + "  ".join(rate.name for rate in RATES))
        for path, text in {**pages, **policies}.items():
            figures = zip(RATES, measure([text]), strict=True)
            shown = "  ".join(
                f"{figure:>{len(rate.name)}.1f}" + (" " if rate.holds(figure) else "!")
                for rate, figure in figures
            )
            show(f"{count_words(text):>6}  {shown}  {path.relative_to(asked.root)}")
    broken = 0
    measured = [
        *zip(RATES, measure(list(pages.values())), strict=True),
        *zip(RATES[:-1], measure(list(policies.values())), strict=False),
    ]
    for rate, figure in measured:
        bound = f"{'≥' if rate.least else '≤'} {rate.limit:g}"
        holds = rate.holds(figure)
        broken += not holds
        show(f"{rate.name:<24} {figure:>5.1f}  {bound:<6} {'yes' if holds else 'NO'}")
    banned = list(find_banned(asked.root))
    show("\n".join([*banned, f"banned idioms in texts   {len(banned):>5}"]))
    return 1 if broken or banned else 0


if __name__ == "__main__":
    sys.exit(main())
