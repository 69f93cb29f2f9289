"""The page with every figure, made of the book of figures alone."""

from collections.abc import Iterator, Mapping, Sequence

from bench_book import Book, Key, Occasion, number
from bench_scripts import SCRIPTS, Script
from figures import Figure

HEAD = """# All benchmarks

[The first page](benchmarks.md) has the rows that matter most. Run `make bench` to measure on your
machine: it runs the scripts under `benchmarks/` and writes `benchmarks.json`, and both pages from
it. Do not edit them by hand.

How to read your table:

- Where possible, a figure is a ratio of two quantities of one run, so that it means the same on
  your machine: auditor against a peer, or against a physical limit (the model's own time for the
  queries made, one read of the data).
- Ranges are the smallest and the largest of n rounds, or an interval where the script states it;
  with n = 1 there is no range.
- CPU seconds are those of a whole process over all its threads, unless you read "wall".
- Figures marked † were not measured in the latest run and keep an earlier date.
- A separate list near the end has the cases that could not be measured.

To see which figures left their range on your machine, in which direction, and which differences may
explain it, run `python benchmarks/table.py --check`. Use `--only AREA` for one area, `--quick` for
the scripts of a few minutes.
"""
TIMES = "\N{MULTIPLICATION SIGN}"
MARKS = {True: "kept", False: "**missed**", None: ""}


def page(book: Book, scripts: Sequence[Script] = SCRIPTS) -> str:
    """Return the page in Markdown."""
    parts = [HEAD, *_missed(book), *_areas(book, scripts), *_missing(book, scripts)]
    return "\n".join([*parts, *_occasions(book)])


def _missed(book: Book) -> Iterator[str]:
    rows = [row for row in sorted(book.figures.items()) if row[1][0].kept is False]
    if rows:
        yield "## Missed goals\n"
        yield from _table(book, rows)


def _areas(book: Book, scripts: Sequence[Script]) -> Iterator[str]:
    there = {figure.area for figure, _ in book.figures.values()}
    known = dict.fromkeys(script.area for script in scripts)
    for area in [*(area for area in known if area in there), *sorted(there - known.keys())]:
        yield f"## {area.capitalize()}\n"
        yield from _table(
            book, [it for it in sorted(book.figures.items()) if it[1][0].area == area]
        )


def _table(book: Book, rows: Sequence[tuple[Key, tuple[Figure, Occasion]]]) -> Iterator[str]:
    yield "| benchmark | figure | range | n | against | goal | measured |"
    yield "|---|---:|---|---:|---|---|---|"
    for (script, _), (figure, occasion) in rows:
        old = " †" * (occasion["run"] != book.run)
        yield _row(figure, f"{occasion['at'][:10]}, `{script}`{old}")
    yield ""


def _row(figure: Figure, measured: str) -> str:
    unit = TIMES if figure.unit == "x" else f" {figure.unit}".rstrip()
    span = "" if figure.low == figure.high else f"{number(figure.low)} to {number(figure.high)}"
    goal = ""
    if figure.goal is not None:
        sign = "≥" if figure.better == "more" else "≤"
        goal = f"{sign} {number(figure.goal)}: {MARKS[figure.kept]}"
    against = "" if figure.against == "nothing" else figure.against
    cells = (
        figure.name, f"{number(figure.value)}{unit}", span, str(figure.n), against, goal, measured,
    )  # fmt: skip
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def missing(book: Book, scripts: Sequence[Script]) -> Iterator[tuple[str, str, str]]:
    """Yield what is not in the table: its area, what it is, and why."""
    measured = {script for script, _ in book.figures}
    for script in scripts:
        for item in book.absent.get(script.name, ()):
            yield script.area, f"`{script.name}`: {item['what']}", item["why"]
        if script.name not in measured and not book.absent.get(script.name):
            yield script.area, f"`{script.name}`", "not measured yet"


def _missing(book: Book, scripts: Sequence[Script]) -> Iterator[str]:
    gone = list(missing(book, scripts))
    if gone:
        yield "## Not measured\n"
        yield "| area | benchmark | reason |"
        yield "|---|---|---|"
        for row in gone:
            yield f"| {' | '.join(cell.replace('|', '/') for cell in row)} |"
        yield ""


def _occasions(book: Book) -> Iterator[str]:
    seen: Mapping[tuple[str, str], Occasion] = {
        (script, occasion["at"]): occasion for (script, _), (_, occasion) in book.figures.items()
    }
    if not seen:
        return
    yield "## Where and when\n"
    yield "| script | at (UTC) | commit | machine | load before, after | minutes |"
    yield "|---|---|---|---|---|---:|"
    for (script, at), item in sorted(seen.items()):
        machine = f"{item['machine']}, {item['cores']} cores, {item['memory_gb']} GB"
        load = ", ".join(f"{part:.1f}" for part in item["load"])
        minutes = number(item["seconds"] / 60)
        yield f"| `{script}` | {at} | {item['commit']} | {machine} | {load} | {minutes} |"
    yield ""
    for versions in dict.fromkeys(_versions(item) for item in seen.values()):
        yield f"{versions}\n"


def _versions(item: Occasion) -> str:
    listed = ", ".join(f"{name} {said}" for name, said in sorted(item["versions"].items()))
    return f"Python {item['python']}, {listed}."
