"""The first page of the benchmarks: the rows that matter most, chosen by name."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from fnmatch import fnmatchcase

from bench_book import Book, Occasion, number
from figures import Figure

TIMES = "\N{MULTIPLICATION SIGN}"


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the first page: a script's figures whose names match, and how a reader calls them.

    ``ends`` are the words behind a ratio from 1 on and behind one below, which is then turned
    round; a single one stands behind any value. ``package`` is the peer's, whose version is shown;
    ``peers`` are those that count, as the figures name them.
    """

    script: str
    names: str
    what: str
    against: str
    ends: tuple[str, ...]
    package: str = ""
    peers: str = "*"

    def figure(self, book: Book) -> tuple[Figure, Occasion] | None:
        """Return the worst of the figures, with the range of all; nothing where none is there."""
        found = [
            entry for (script, name), entry in book.figures.items()
            if script == self.script and fnmatchcase(name, self.names)
            and fnmatchcase(entry[0].against, self.peers)
        ]  # fmt: skip
        if not found:
            return None
        if len({(figure.goal, figure.better, figure.unit) for figure, _ in found}) > 1:
            raise ValueError(f"{self.what}: its figures differ in goal, unit or side. Name fewer.")
        figures = [figure for figure, _ in found]
        worst, occasion = (min if figures[0].better == "more" else max)(
            found, key=lambda entry: entry[0].value
        )
        low, high = min(it.low for it in figures), max(it.high for it in figures)
        return replace(worst, low=low, high=high), occasion

    def words(self, value: float, unit: str) -> str:
        """Return a value for people: three times faster, or two times slower for a half."""
        if unit == "of rows":
            return f"{100 * value:+.2g} {self.ends[0]}"
        if unit != "x":
            return " ".join((number(value), *self.ends))
        if value >= 1 or len(self.ends) == 1:
            return f"{number(value)}{TIMES} {self.ends[0]}"
        return f"{number(1 / value)}{TIMES} {self.ends[1]}"

    def span(self, figure: Figure) -> str:
        """Return the range in brackets, if there is one, without a unit that both ends share."""
        if figure.low == figure.high:
            return ""
        low, high = (self.words(value, figure.unit) for value in (figure.low, figure.high))
        (first, _, unit), (last, _, other) = low.partition(" "), high.partition(" ")
        return f" ({first} to {last})" if unit == other else f" ({low} to {high})"

    def version(self, book: Book) -> str:
        """Return the version of the peer's package, nothing where it was not recorded."""
        entry = self.figure(book)
        if entry is None or not self.package:
            return ""
        figure, occasion = entry
        told = re.search(rf"{re.escape(self.package)} (\d[\w.+]*)", figure.against)
        return told[1] if told else occasion["versions"].get(self.package, "")


SPEED, CPU = ("faster", "slower"), ("the CPU time",)
ART = "adversarial-robustness-toolbox"
CASCADE = "auditor cross_entropy:20, targeted:50x3, * rows of *"
STANDARD = ("torchattacks", "AutoAttack standard")
ROWS = (
    Row("evasion_white_box.py", f"{CASCADE}: CPU of theirs, of ours",
        "Attack with gradients, five models", "AutoAttack of torchattacks", SPEED, *STANDARD),
    Row("evasion_white_box.py", f"{CASCADE}: robust accuracy of ours less theirs",
        "Rows that resist this attack, less AutoAttack's (lower is stronger)",
        "AutoAttack of torchattacks", ("% of rows",), *STANDARD),
    Row("evasion_queries.py", "*: queries of theirs, of ours", "Attack by queries alone",
        "HopSkipJump and Square of ART", ("fewer queries", "more queries"), ART),
    Row("membership_against_peers.py", "*: rmia k=4, TPR at 1 % FPR of ours, of theirs",
        "Membership attack: hits at 1 % false alarms", "best attack of ART", ("as many",), ART),
    Row("membership_against_peers.py", "*: rmia k=4, CPU of ours, of theirs",
        "Membership attack: cost", "best attack of ART", CPU, ART),
    Row("backdoor_zoo.py", "backdoor zoo, *, both: AUROC of strong ones",
        "Backdoored models told from clean ones: area under the ROC curve",
        "0.5 by chance, 1 at best", ()),
    Row("training_scan_against_peers.py", "scan of digits, *: CPU of *, of ours",
        "Poisoning scan of training data", "ART, cleanlab", SPEED, ART),
    Row("calibration_against_peers.py",
        "smooth calibration error with interval, a million rows: CPU of theirs, of ours",
        "Calibration error of a million rows", "relplot", SPEED, "relplot"),
    Row("drift_against_peers.py", "drift of 50 columns, *: CPU of theirs, of ours",
        "Drift of 50 columns", "evidently", SPEED, "evidently"),
    Row("hashing_against_peers.py", "sign: CPU seconds of model_signing, of ours, *",
        "Model of 1 GB hashed and signed", "model_signing", SPEED, "model_signing"),
    Row("ledger_speed.py", "*: a CPU second of ours, of theirs",
        "Ledger: append, prove, verify", "pymerkle", SPEED, "pymerkle"),
    Row("judging.py", "*: CPU of judging", "Policy judging, up to 10,000 results",
        "10,000 comparisons in Python", CPU),
    Row("service_load.py", "an answer to one of 200 readers while audits run: p99 wall",
        "Service, 200 readers: 99th-percentile latency", "limit of 0.2 s", ("the limit",)),
    Row("whole_audits.py", "smoke audit of *: CPU of all of it", "Whole audit, smallest budget",
        "model alone in ONNX Runtime", CPU, "onnxruntime"),
    Row("memory_bounds.py", "1024 MB of model *: peak memory of all",
        "Peak memory for a model of 1 GB", "size of the model", ("the size",)),
)  # fmt: skip


def front(book: Book, rows: Sequence[Row] = ROWS) -> str:
    """Return the first page in Markdown."""
    return "\n".join(
        (
            "# Benchmarks\n",
            "`auditor` beside other tools and limits. **Bold** is worse, or misses its goal.\n",
            "| what | compared with | auditor (range) | goal |",
            "|---|---|---|---|",
            *(_line(book, row) for row in rows),
            "",
            *_below(book, rows),
        )
    )


def _line(book: Book, row: Row) -> str:
    entry = row.figure(book)
    if entry is None:
        return f"| {row.what} | {row.against} | not measured | |"
    figure, _ = entry
    result, goal = row.words(figure.value, figure.unit), ""
    if is_worse(figure):
        result = f"**{result}**"
    if figure.goal is not None:
        side = "at least" if figure.better == "more" else "at most"
        mark = "kept" if figure.kept else "**missed**"
        goal = f"{side} {row.words(figure.goal, figure.unit)}: {mark}"
    peer = f"{row.against} {row.version(book)}".strip()
    return f"| {row.what} | {peer} | {result}{row.span(figure)} | {goal} |"


def is_worse(figure: Figure) -> bool:
    """Whether a goal is missed, or a ratio to another tool or a difference from it is bad."""
    if figure.kept is False:
        return True
    even = {"x": 1.0, "of rows": 0.0}.get(figure.unit)
    if even is None or (figure.unit == "x" and figure.better == "less"):
        return False  # a floor, which nothing undercuts, or a figure that stands alone
    return figure.value < even if figure.better == "more" else figure.value > even


def _below(book: Book, rows: Sequence[Row]) -> Iterator[str]:
    kept = [figure.kept for figure, _ in book.figures.values() if figure.kept is not None]
    missed = kept.count(False)
    tail = f", and [{missed} are missed](benchmarks-full.md#missed-goals)" if missed else ""
    unknown = any(row.package and not row.version(book) for row in rows)
    yield (
        "A row that covers several cases states the worst of them, and its range covers all. "
        '"Faster", "slower" and costs are CPU time. ART is the Adversarial Robustness Toolbox.'
        f"{' Where a tool has no version here, none was recorded.' * unknown} "
        f"Of all {len(kept)} goals, {kept.count(True)} are kept{tail}.\n"
    )
    found = [entry[1] for row in rows if (entry := row.figure(book))]
    if found:
        yield f"{_occasion(sorted(found, key=lambda it: str(it['at'])))}\n"
    yield "![The ratios of the table on a logarithmic axis](images/benchmarks.svg)\n"
    yield (
        "[All benchmarks](benchmarks-full.md) has every figure, also those that could not be "
        "measured, and where and when each was measured.\n"
    )


def _occasion(found: Sequence[Occasion]) -> str:
    """Return on what, when and with which commits something was measured, and how to repeat it."""
    machines = dict.fromkeys(
        f"{it['machine']} ({it['cores']} cores, {it['memory_gb']} GB of memory)" for it in found
    )
    days, commits = ((str(it["at"])[:10] for it in found), (f"`{it['commit']}`" for it in found))
    when = " to ".join(f"{day.day} {day:%B %Y}" for day in map(date.fromisoformat, _ends(days)))
    return (
        f"Measured on {' and '.join(machines)}, {when}, at commits {' to '.join(_ends(commits))}. "
        "Repeat it on your machine with `make bench`, which writes this page."
    )


def _ends(values: Iterator[str]) -> list[str]:
    listed = list(dict.fromkeys(values))
    return listed if len(listed) == 1 else [listed[0], listed[-1]]
