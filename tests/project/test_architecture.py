"""The page on the architecture shows the rooms, floors and files that are there."""

import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "architecture.md"
NAMED = re.compile(r"`((?:[\w.-]+/)+[\w.-]*|[\w.-]+\.py)`")
"""Modules, and all that has a folder in its name: from the repository's top, or from `auditor/`."""


@pytest.fixture
def drawing(monkeypatch: pytest.MonkeyPatch) -> Any:  # noqa: ANN401 -- a script
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    for name in ("house", "draw_architecture"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return importlib.import_module("draw_architecture")


def absent(page: str, root: Path) -> Iterator[str]:
    """Yield the files and folders that a page names in vain."""
    prose = re.sub(r"^```.*?^```", "", page, flags=re.DOTALL | re.MULTILINE)
    for name in NAMED.findall(prose):
        if not (root / name).exists() and not (root / "auditor" / name).exists():
            yield name


def test_every_file_that_the_page_names_is_there() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert NAMED.findall(page)
    assert list(absent(page, ROOT)) == []


def test_a_file_that_is_named_in_vain_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "auditor" / "store").mkdir(parents=True)
    (tmp_path / "auditor" / "store" / "tables.py").touch()
    page = (
        "`store/tables.py`, `auditor/store/`, `store/keeping.py`, `zoo/`, `auditor audit`, `a.json`"
    )
    assert list(absent(page, tmp_path)) == ["store/keeping.py", "zoo/"]


def test_the_picture_is_what_the_imports_draw_now(drawing: Any) -> None:  # noqa: ANN401
    page = PAGE.read_text(encoding="utf-8")
    drawn = drawing.with_picture(page, drawing.draw(drawing.read_house(ROOT)))
    assert page == drawn, "run make docs"


def test_an_arrow_that_follows_from_others_is_left_out(drawing: Any) -> None:  # noqa: ANN401
    arrows = {"cli": {"store", "errors"}, "store": {"errors"}, "errors": set()}
    needed = drawing.needed({room: frozenset(others) for room, others in arrows.items()})
    assert needed == {"cli": {"store"}, "store": {"errors"}, "errors": frozenset()}


def test_the_arrows_of_a_circle_are_all_drawn(drawing: Any) -> None:  # noqa: ANN401
    circle = {"a": frozenset({"b", "c"}), "b": frozenset({"a"}), "c": frozenset({"b"})}
    assert drawing.needed(circle)["b"] == {"a"}
    assert drawing.needed(circle)["c"] == {"b"}
    assert drawing.needed(circle)["a"] == {"b", "c"}


def test_rooms_stand_on_the_floors_of_the_import_contract(drawing: Any, tmp_path: Path) -> None:  # noqa: ANN401
    package = tmp_path / "auditor"
    (package / "cli").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "cli" / "main.py").write_text("from auditor.errors import X")
    (package / "errors.py").touch()
    contract = '[[tool.importlinter.contracts]]\ntype = "layers"\nlayers = ["cli", "errors"]\n'
    (tmp_path / "pyproject.toml").write_text(contract)
    picture = drawing.draw(drawing.read_house(tmp_path))
    assert picture.index('"floor 2"') < picture.index('"cli"') < picture.index('"floor 1"')
    assert "  room_cli --> room_errors\n" in picture
    (package / "closet.py").touch()
    with pytest.raises(ValueError, match="no layer of the import contract names closet"):
        drawing.draw(drawing.read_house(tmp_path))


def test_a_page_without_a_place_for_the_picture_is_refused(drawing: Any) -> None:  # noqa: ANN401
    with pytest.raises(ValueError, match="no place for the picture"):
        drawing.with_picture("# Architecture\n", "a picture")
    with pytest.raises(ValueError, match="no place for the picture"):
        drawing.with_picture(drawing.BEGIN, "a picture")
