"""A column of texts becomes the inputs of a dataset, letter for letter."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from auditor.domain.auditfiles import DataSection, InputSection
from auditor.domain.datasets import DatasetRole
from auditor.domain.readings import Gap, GapReason
from auditor.errors import DatasetError
from auditor.inputs.datasets.column_conversion import MOST_CHARACTERS
from auditor.inputs.datasets.load import LoadedDatasets

Load = Callable[..., LoadedDatasets]
TEXTS = ["  two  gaps ", "gr\u00fc\u00dfe", 'said "no", twice', "1", ""]
SECTION = DataSection(path="t.csv", labels="y", id="id", groups=("who",))
TEXT = InputSection(text="said")


def table(texts: list[str | None]) -> pl.DataFrame:
    count = len(texts)
    return pl.DataFrame(
        {
            "id": range(count),
            "said": texts,
            "who": ["a", "b"] * (count // 2) + ["a"] * (count % 2),
            "where": ["x"] * count,
            "y": [index % 2 for index in range(count)],
        }
    )


@pytest.mark.parametrize("name", ["t.csv", "t.parquet", "t.npz"])
def test_texts_are_read_from_every_kind_of_table(load: Load, tmp_path: Path, name: str) -> None:
    made = table(list(TEXTS))
    if name == "t.csv":
        made.write_csv(tmp_path / name, quote_style="always")
    elif name == "t.parquet":
        made.write_parquet(tmp_path / name)
    else:
        np.savez(tmp_path / name, **{column: made[column].to_numpy() for column in ("id", "y")},
                 said=np.array(TEXTS), who=np.array(made["who"].to_list()))  # fmt: skip
    loaded = load(DataSection(path=name, labels="y", id="id", groups=("who",)), space=TEXT)
    found = loaded.datasets[DatasetRole.EVALUATION]
    assert found.inputs is not None
    assert found.inputs.tolist() == TEXTS
    assert found.texts
    assert found.features == ("said",)
    assert list(found.slices) == ([] if name == "t.npz" else ["where"])
    assert isinstance(loaded.space, Gap)
    assert loaded.space.reason is GapReason.NEEDS_NUMERIC_INPUT
    assert "texts" in loaded.space.detail


@pytest.mark.parametrize(
    ("texts", "said", "match"),
    [
        (["a", None, None], "said", "row 2.*has no text, and in 1 other row"),
        (["a", "b", "c\0"], "said", "row 3.*NUL"),
        (["a", "b" * (MOST_CHARACTERS + 1)], "said", "row 2.*more than 20,000 characters"),
        (["a", "b"], "told", "no column 'told'"),
        (["a", "b"], "id", "'id' holds Int64, not text"),
    ],
)
def test_what_is_no_text_is_refused_with_its_row(
    load: Load, tmp_path: Path, texts: list[str | None], said: str, match: str
) -> None:
    table(texts).write_parquet(tmp_path / "t.parquet")
    section = DataSection(path="t.parquet", labels="y")
    with pytest.raises(DatasetError, match=match):
        load(section, space=InputSection(text=said))


def test_a_folder_of_pictures_has_no_texts(load: Load, paint: Callable[..., None]) -> None:
    for name in ("cat/1.png", "dog/1.png"):
        paint(name, (4, 4))
    with pytest.raises(DatasetError, match="no column 'said'"):
        load(DataSection(path="."), space=TEXT)
