"""The page of all benchmarks, made of the book of figures alone."""

from collections.abc import Iterator, Mapping, Sequence

from bench_book import Book, Occasion, number
from bench_scripts import SCRIPTS, Script
from figures import Figure

HEAD = """# Benchmarks

`make bench` runs the scripts under `benchmarks/` and writes this page and `benchmarks.json`
beside it, of which the page is made; nobody edits either by hand. A figure is a ratio of two
things of one run wherever it can be, so that it means the same on another machine: ours against a
peer's, or against what physics asks (the model's own time for the queries made, one read of the
data). Ranges are the least and the most of n rounds, or an interval where the script says so;
with n = 1 there is none. CPU seconds are those of a whole process over all its threads unless a
figure says wall. Figures marked † were not measured in the latest run and keep the date of an
earlier one. What could not be measured is listed below, not left out.

`python benchmarks/table.py --check` measures again and tells what has left its range, to which
side, and what differs that may explain it. `--only AREA` takes one area, `--quick` the scripts of
a few minutes.
"""
TIMES = "\N{MULTIPLICATION SIGN}"
MARKS = {True: "kept", False: "**missed**", None: ""}


def page(book: Book, scripts: Sequence[Script] = SCRIPTS) -> str:
    """Return the page in Markdown."""
    parts = [HEAD, *_areas(book, scripts), *_missing(book, scripts), *_occasions(book)]
    return "\n".join(parts)


def _areas(book: Book, scripts: Sequence[Script]) -> Iterator[str]:
    there = {figure.area for figure, _ in book.figures.values()}
    known = dict.fromkeys(script.area for script in scripts)
    for area in [*(area for area in known if area in there), *sorted(there - known.keys())]:
        yield f"## {area.capitalize()}\n"
        yield "| what | figure | range | n | against | goal | measured |"
        yield "|---|---:|---|---:|---|---|---|"
        for (script, _), (figure, occasion) in sorted(book.figures.items()):
            if figure.area == area:
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
        yield "| area | what | why |"
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
