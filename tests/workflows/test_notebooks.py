"""The notebooks under examples/ run as they are, and each cell gives what the file shows."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

EXAMPLES = Path(__file__).parents[2] / "examples"
NOTEBOOKS = sorted((EXAMPLES / "notebooks").glob("*.ipynb"))


def list_outputs(notebook: nbformat.NotebookNode) -> Iterator[tuple[int, str]]:
    """Yield the texts that cells show, as a reader without a browser sees them."""
    for number, cell in enumerate(notebook.cells):
        shown = "".join(
            output.get("text") or output.get("data", {}).get("text/plain", output["output_type"])
            for output in cell.get("outputs", ())
        )
        yield number, shown


def test_there_are_notebooks_that_show_what_they_print() -> None:
    assert len(NOTEBOOKS) == 3
    for path in NOTEBOOKS:
        shown = [text for _, text in list_outputs(nbformat.read(path, as_version=4)) if text]
        assert len(shown) >= 3, path.name


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_cell_gives_what_the_notebook_shows(
    path: Path, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(os.environ, "COLUMNS", "100")
    here = tmp_path / "notebooks"
    here.mkdir()
    shutil.copytree(EXAMPLES / "loans", tmp_path / "loans")
    notebook = nbformat.read(path, as_version=4)
    expected = dict(list_outputs(notebook))
    resources = {"metadata": {"path": str(here)}}
    NotebookClient(notebook, timeout=900, resources=resources).execute()
    assert dict(list_outputs(notebook)) == expected
    assert not home.exists(), "an ephemeral key writes nothing there"
