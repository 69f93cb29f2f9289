"""Writes docs/selftest-results.md: what a full selftest found, from the rows that it kept."""  # noqa: INP001 -- a script

import argparse
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from auditor.domain.readings import ConfidenceInterval
from auditor.metrics.stats.proportions import clopper_pearson
from auditor.selftest.family_registry import discover_families
from auditor.selftest.results import (
    CONFIDENCE,
    GOOD,
    DefectTally,
    SpecimenOutcome,
    SpecimenResult,
    read_result_rows,
    tally_defects,
)
from auditor.selftest.scale import SelftestScale
from auditor.selftest.specimens import select_specimens

PAGE = Path(__file__).resolve().parents[1] / "docs" / "selftest-results.md"
HEAD = """# Selftest results

<!-- Written by `scripts/write_selftest_page.py` from a run's rows. Do not edit: run the script. -->

    auditor selftest --full --rows full.jsonl       # goes on where it was stopped
    auditor selftest --curve --rows curve.jsonl
    python scripts/write_selftest_page.py full.jsonl curve.jsonl

For the planted defects, and how to read your own results, see [the selftest](selftest.md).
Intervals are exact, at 95 % (Clopper and Pearson). Seconds depend on the machine of this run, which
may have been busy, so expect others on yours.
"""
GOAL = 0.8
LONGEST = 160


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("full", type=Path, help="the rows of `auditor selftest --full`")
    parser.add_argument("curve", type=Path, help="the rows of `auditor selftest --curve`")
    parser.add_argument("--page", type=Path, default=PAGE, help="where to write it")
    asked = parser.parse_args()
    full, lacking = _sorted(asked.full, SelftestScale.FULL)
    graded, ungraded = _sorted(asked.curve, SelftestScale.CURVE)
    text = "\n".join([HEAD, *_sums(full, lacking), *_families(full), *_defects(full),
                      *_curves(graded, ungraded), *_wrong(full)])  # fmt: skip
    asked.page.write_text(text + "\n", "utf-8")


def _sorted(path: Path, scale: SelftestScale) -> tuple[list[SpecimenResult], int]:
    """Return the rows of a scale's specimens in their order, and how many were not tried."""
    known = read_result_rows(path)
    named = [one.name for of in discover_families().values() for one in select_specimens(of, scale)]
    return [known[name] for name in named if name in known], sum(n not in known for n in named)


def _sums(rows: Sequence[SpecimenResult], lacking: int) -> Iterator[str]:
    planted, clean = _halves(rows)
    yield (
        f"Of all planted defects **{_said(planted, SpecimenOutcome.FOUND)}** were found, and of "
        f"the clean twins **{_said(clean, SpecimenOutcome.FALSE_ALARM)}** falsely alarmed; "
        f"{_count(clean, SpecimenOutcome.UNDECIDED)} clean twins were undecided, and "
        f"{_count(rows, SpecimenOutcome.BROKEN)} specimens broken. "
        f"It took {sum(row.seconds for row in rows) / 60:.0f} minutes."
    )
    if lacking:
        yield f"\n**{lacking} specimens have not been tried in this run.**"


def _families(rows: Sequence[SpecimenResult]) -> Iterator[str]:
    yield "\n## By family\n\n| family | found | falsely alarmed | at least 80 % by the lower end |"
    yield "|---|---|---|---|"
    for name in dict.fromkeys(row.specimen.family for row in rows):
        planted, clean = _halves(row for row in rows if row.specimen.family == name)
        found = _share(planted, SpecimenOutcome.FOUND)
        kept = "yes" if found is not None and found.low >= GOAL else "**no**"
        alarmed = _said(clean, SpecimenOutcome.FALSE_ALARM)
        yield f"| `{name}` | {_said(planted, SpecimenOutcome.FOUND)} | {alarmed} | {kept} |"


def _defects(rows: Sequence[SpecimenResult]) -> Iterator[str]:
    yield "\n## By defect\n\n| family | defect | found | falsely alarmed | undecided | broken | s |"
    yield "|---|---|---|---|---|---|---|"
    for item in tally_defects(rows):
        planted, clean = _halves(item.rows)
        yield (
            f"| `{item.family}` | {_named(item)} | {_said(planted, SpecimenOutcome.FOUND)} "
            f"| {_said(clean, SpecimenOutcome.FALSE_ALARM)} "
            f"| {item.count(SpecimenOutcome.UNDECIDED) or ''} "
            f"| {item.count(SpecimenOutcome.BROKEN) or ''} | {item.seconds:.0f} |"
        )


def _curves(rows: Sequence[SpecimenResult], lacking: int) -> Iterator[str]:
    yield "\n## Where it fades\n"
    yield "Each defect with a strength, at several strengths. The families define their units.\n"
    if lacking:
        yield f"**{lacking} specimens have not been tried.**\n"
    yield "| family | defect and strength | found |\n|---|---|---|"
    for item in tally_defects(rows):
        yield f"| `{item.family}` | {_named(item)} | {_said(item.rows, SpecimenOutcome.FOUND)} |"


def _wrong(rows: Sequence[SpecimenResult]) -> Iterator[str]:
    wrong = [row for row in rows if row.seen not in GOOD]
    yield "\n## Exceptions\n"
    yield from (f"- `{row.specimen.name}`: {row.seen.value}. {_brief(row.why)}" for row in wrong)
    if not wrong:
        yield "There are no exceptions."


def _halves(rows: Iterable[SpecimenResult]) -> tuple[list[SpecimenResult], list[SpecimenResult]]:
    planted, clean = list[SpecimenResult](), list[SpecimenResult]()
    for row in rows:
        (planted if row.specimen.planted else clean).append(row)
    return planted, clean


def _count(rows: Iterable[SpecimenResult], seen: SpecimenOutcome) -> int:
    return sum(row.seen is seen for row in rows)


def _share(rows: Sequence[SpecimenResult], seen: SpecimenOutcome) -> ConfidenceInterval | None:
    return clopper_pearson(_count(rows, seen), len(rows), CONFIDENCE) if rows else None


def _said(rows: Sequence[SpecimenResult], seen: SpecimenOutcome) -> str:
    found = _share(rows, seen)
    if found is None:
        return "-"
    ends = f"{100 * found.low:.1f} to {100 * found.high:.1f} %"
    return f"{_count(rows, seen)} of {len(rows)} ({ends})"


def _named(item: DefectTally) -> str:
    return f"`{item.defect}`" + ("" if item.strength is None else f" {item.strength:g}")


def _brief(why: str) -> str:
    text = " ".join(why.split()).replace("|", "/").replace("`", "'")
    return text if len(text) <= LONGEST else text[:LONGEST] + " …"


if __name__ == "__main__":
    main()
