"""The table of all benchmarks: how it is written, kept, and compared with a fresh run."""

import importlib
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

ROOT = Path(__file__).parents[2]
BENCHMARKS = ROOT / "benchmarks"
NAMES = (
    "figures", "bench_book", "bench_scripts", "bench_page", "bench_front", "bench_picture", "table",
)  # fmt: skip


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    monkeypatch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])
    found = {name: importlib.import_module(name) for name in NAMES}
    yield SimpleNamespace(**found)
    for name in NAMES:
        del sys.modules[name]


def occasion(run: str, **more: object) -> dict[str, Any]:
    return {
        "run": run, "at": run, "commit": "a1", "machine": "m", "cores": 2, "memory_gb": 8,
        "load": [0.1, 0.2], "python": "3.11", "versions": {"numpy": "2.1"}, "command": "s.py",
        "seconds": 60, **more,
    }  # fmt: skip


def figure(
    bench: SimpleNamespace, name: str = "drift", value: float = 100.0, **more: object
) -> object:
    spread = {"low": 0.95 * value, "high": 1.05 * value, "n": 5, "better": "more", **more}
    return bench.figures.Figure(
        area="statistics", name=name, value=value, against="peer 1.0", **spread
    )


def result(
    bench: SimpleNamespace, *figures: object, run: str = "2026-01-01T00:00Z", **more: object
) -> object:
    at = occasion(run, **cast("dict[str, object]", more.pop("at", {})))
    return bench.bench_book.Result("s.py", at, figures, **more)


def page_of(bench: SimpleNamespace, book: object) -> str:
    scripts = (bench.bench_scripts.Script("s.py", "statistics"),)
    page: str = bench.bench_page.page(book, scripts)
    return page


def test_a_table_is_written_from_what_scripts_told(bench: SimpleNamespace) -> None:
    book = bench.bench_book.Book().with_result(result(bench, figure(bench, goal=150.0)))
    page = page_of(bench, book)
    assert "## Statistics" in page
    row = "| drift | 100\N{MULTIPLICATION SIGN} | 95 to 105 | 5 | peer 1.0 | ≥ 150: **missed** |"
    assert f"{row} 2026-01-01" in page
    assert "numpy 2.1" in page
    assert "Not measured" not in page


def test_a_goal_is_kept_on_the_side_that_is_better(bench: SimpleNamespace) -> None:
    assert figure(bench, value=2.0, better="less", goal=3.0).kept
    assert not figure(bench, value=2.0, better="more", goal=3.0).kept
    assert figure(bench).kept is None


def test_a_figure_that_could_not_be_measured_again_keeps_its_date_and_is_marked(
    bench: SimpleNamespace,
) -> None:
    first = result(bench, figure(bench), figure(bench, "slices"))
    for gone in ({"absent": [{"what": "drift", "why": "no peer"}]}, {"problem": "no pip"}):
        again = result(bench, figure(bench, "slices"), run="2026-02-02T00:00Z", **gone)
        page = page_of(bench, bench.bench_book.Book().with_result(first).with_result(again))
        rows = {line.split("|")[1].strip(): line for line in page.splitlines() if "peer 1" in line}
        assert "2026-01-01, `s.py` † |" in rows["drift"]
        assert "2026-02-02, `s.py` |" in rows["slices"]


def test_a_figure_that_a_script_tells_no_more_goes_and_those_of_others_stay(
    bench: SimpleNamespace,
) -> None:
    first = result(bench, figure(bench), figure(bench, "slices"))
    other = replace(result(bench, figure(bench, "gaps")), script="t.py")
    book = bench.bench_book.Book().with_result(first).with_result(other)
    again = book.with_result(result(bench, figure(bench, "slices"), run="2026-02-02T00:00Z"))
    assert sorted(again.figures) == [("s.py", "slices"), ("t.py", "gaps")]


def test_what_is_missing_is_named(bench: SimpleNamespace) -> None:
    book = bench.bench_book.Book()
    assert "| statistics | `s.py` | not measured yet |" in page_of(bench, book)
    gone = result(bench, absent=[{"what": "the peer p", "why": "cannot be installed"}])
    page = page_of(bench, book.with_result(gone))
    assert "| statistics | `s.py`: the peer p | cannot be installed |" in page
    failed = result(bench, problem="ValueError: no")
    page = page_of(bench, book.with_result(failed))
    assert "| statistics | `s.py`: the script fails | ValueError: no |" in page


@pytest.mark.parametrize(("better", "worse"), [("more", "worse"), ("less", "better")])
def test_a_check_tells_to_which_side_a_ratio_moved(
    bench: SimpleNamespace, better: str, worse: str
) -> None:
    book = bench.bench_book.Book().with_result(result(bench, figure(bench, better=better)))
    other = {"worse": "better", "better": "worse"}[worse]
    for value, side in ((50.0, worse), (200.0, other)):
        fresh = result(bench, figure(bench, value=value, better=better), at={"cores": 4})
        (move,) = bench.bench_book.moves(book, [fresh])
        assert str(move).startswith(side)
        assert "cores 2 → 4" in str(move)
        assert bench.table.check(book, [fresh]) == (side == "worse")


def test_ratios_whose_ranges_meet_have_not_moved(bench: SimpleNamespace) -> None:
    book = bench.bench_book.Book().with_result(result(bench, figure(bench)))
    for value in (92.0, 109.0):
        assert not list(bench.bench_book.moves(book, [result(bench, figure(bench, value=value))]))


def test_a_single_round_has_more_room_than_a_range(bench: SimpleNamespace) -> None:
    alone = {"low": 100.0, "high": 100.0, "n": 1}
    book = bench.bench_book.Book().with_result(result(bench, figure(bench, **alone)))
    near = replace(figure(bench), value=140.0, low=140.0, high=140.0, n=1)
    assert bench.bench_book.overlap(figure(bench, **alone), near)
    assert list(bench.bench_book.moves(book, [result(bench, figure(bench, value=140.0))]))


def test_a_figure_that_is_missing_now_is_worse_and_says_why(bench: SimpleNamespace) -> None:
    book = bench.bench_book.Book().with_result(result(bench, figure(bench)))
    fresh = result(bench, problem="pip does not come to an end")
    (move,) = bench.bench_book.moves(book, [fresh])
    assert move.worse
    assert "missing now" in str(move)
    assert "pip does not come to an end" in str(move)


def test_a_run_that_was_cut_off_goes_on(
    bench: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "benchmarks"
    here.mkdir()
    count = tmp_path / "count"
    (here / "one.py").write_text(
        f"import sys; sys.path.insert(0, {str(BENCHMARKS)!r})\n"
        "from figures import over, tell\n"
        f"open({str(count)!r}, 'a').write('x')\n"
        "tell(over('policy', 'speed', [1.0, 2.0, 3.0], 'a floor'))\n"
    )
    (here / "two.py").write_text("raise SystemExit('no peer')\n")
    monkeypatch.setattr(bench.table, "HERE", here)
    scripts = [bench.bench_scripts.Script(name, "policy") for name in ("one.py", "two.py")]
    cut_off = bench.table.results(scripts, tmp_path / "run")
    assert next(cut_off).figures[0].value == 2.0
    cut_off.close()
    one, two = bench.table.results(scripts, tmp_path / "run")
    assert count.read_text() == "x"
    assert [item.name for item in one.figures] == ["speed"]
    assert two.problem == "no peer"
    assert not (tmp_path / "run").exists()


def test_a_script_that_nobody_runs_for_the_table_puts_nothing_down(
    bench: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(bench.figures.PLACE, raising=False)
    bench.figures.tell(figure(bench))
    assert not list(tmp_path.iterdir())
    monkeypatch.setenv(bench.figures.PLACE, str(tmp_path / "put"))
    bench.figures.tell(figure(bench))
    bench.figures.absent("the peer p", "gone")
    assert bench.figures.read(tmp_path / "put") == (
        [figure(bench)], [{"what": "the peer p", "why": "gone"}],
    )  # fmt: skip


def test_every_benchmark_is_in_the_table(bench: SimpleNamespace) -> None:
    runnable = {
        path.name for path in BENCHMARKS.glob("*.py")
        if "__main__" in path.read_text(encoding="utf-8")
    }  # fmt: skip
    parts = {"table.py", *bench.bench_scripts.PARTS}
    assert runnable - parts == {script.name for script in bench.bench_scripts.SCRIPTS}


def test_every_script_of_the_table_tells_figures(bench: SimpleNamespace) -> None:
    for script in bench.bench_scripts.SCRIPTS:
        assert "from figures import" in (BENCHMARKS / script.name).read_text(encoding="utf-8")


def front_row(bench: SimpleNamespace, **more: object) -> Any:  # noqa: ANN401 -- loaded by path
    said = {"ends": ("faster", "slower"), "against": "peer", "package": "peer", **more}
    return bench.bench_front.Row("s.py", "drift*", "Drift", **said)


def front_line(bench: SimpleNamespace, row: object, *figures: object) -> str:
    book = bench.bench_book.Book().with_result(result(bench, *figures))
    page: str = bench.bench_front.front(book, [row])
    return page.splitlines()[6].replace("\N{MULTIPLICATION SIGN}", "x")


def test_the_first_page_states_the_worst_case_and_the_range_of_all(bench: SimpleNamespace) -> None:
    cases = [figure(bench, f"drift {value}", value) for value in (3.0, 40.0)]
    assert front_line(bench, front_row(bench), *cases, figure(bench, "other", 0.1)) == (
        "| Drift | peer 1.0 | 3x faster (2.85x to 42x) |  |"
    )


@pytest.mark.parametrize(
    ("value", "more", "shown"),
    [
        (0.5, {}, "| Drift | peer 1.0 | **2x slower** (2.11x to 1.9x) |  |"),
        (0.98, {}, "| **1.02x slower** (1.07x slower to 1.03x faster) |  |"),
        (2.0, {"goal": 4.0}, "| at least 4x faster: **missed** |"),
        (2.0, {"goal": 4.0}, "| **2x faster** ("),
        (2.0, {"goal": 1.5}, "| at least 1.5x faster: kept |"),
    ],
)
def test_the_first_page_shows_what_is_slower_or_missed(
    bench: SimpleNamespace, value: float, more: dict[str, object], shown: str
) -> None:
    assert shown in front_line(bench, front_row(bench), figure(bench, value=value, **more))


def test_a_row_of_the_first_page_without_a_figure_is_shown_as_not_measured(
    bench: SimpleNamespace,
) -> None:
    page = bench.bench_front.front(bench.bench_book.Book(), [front_row(bench)])
    assert "| Drift | peer | not measured | |" in page


def test_a_row_of_the_first_page_has_one_goal(bench: SimpleNamespace) -> None:
    cases = figure(bench, "drift 1"), figure(bench, "drift 2", goal=3.0)
    with pytest.raises(ValueError, match="Drift: its figures differ in goal"):
        front_line(bench, front_row(bench), *cases)


def test_missed_goals_come_first_on_the_page_with_all(bench: SimpleNamespace) -> None:
    book = bench.bench_book.Book().with_result(result(bench, figure(bench, goal=150.0)))
    page = page_of(bench, book)
    assert page.index("## Missed goals") < page.index("| drift |") < page.index("## Statistics")


def test_every_row_of_the_first_page_is_measured_and_there_are_few(bench: SimpleNamespace) -> None:
    book = bench.bench_book.Book.load(ROOT / "docs" / "benchmarks.json")
    rows = bench.bench_front.ROWS
    assert [row.names for row in rows if row.figure(book) is None] == []
    table = [line for line in bench.bench_front.front(book).splitlines() if line[:1] == "|"]
    assert len(table) - 2 == len(rows) <= 15


def test_the_picture_has_a_name_and_each_ratio_of_the_first_page(bench: SimpleNamespace) -> None:
    book = bench.bench_book.Book.load(ROOT / "docs" / "benchmarks.json")
    drawn = bench.bench_picture.picture(book)
    described = drawn.partition("<desc")[2].partition("</desc>")[0]
    ratios = [row for row in bench.bench_front.ROWS if row.figure(book)[0].unit == "x"]
    assert len(ratios) > 10
    assert "<title" in drawn
    for row in ratios:
        assert f">{row.what}</text>" in drawn
        assert row.what in described


def test_what_is_committed_is_made_of_the_committed_figures(
    bench: SimpleNamespace, tmp_path: Path
) -> None:
    data = ROOT / "docs" / "benchmarks.json"
    book = bench.bench_book.Book.load(data)
    for path, text in bench.table.rendered(book).items():
        assert path.read_text(encoding="utf-8") == text, "run benchmarks/table.py --render"
    book.save(tmp_path / "again.json")
    assert json.loads((tmp_path / "again.json").read_text()) == json.loads(data.read_text())
