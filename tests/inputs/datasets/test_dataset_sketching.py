from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pytest

from auditor.domain.targets import TargetSpec
from auditor.domain.tasks import InputSpace
from auditor.errors import DatasetError
from auditor.inputs.auditfile.draft import DraftFacts, draft_audit_file
from auditor.inputs.auditfile.read import read_audit_file
from auditor.inputs.datasets.inspect import DataFileSummary, inspect_data_file
from auditor.inputs.datasets.load import load_datasets

EXAMPLES = Path(__file__).parents[3] / "examples"
Write: TypeAlias = Callable[[str, str | bytes], None]
Paint: TypeAlias = Callable[..., None]


def draft(found: DataFileSummary, path: str) -> str:
    return draft_audit_file(
        DraftFacts(
            name="m",
            artifact="model.onnx",
            data=path,
            rows=found.rows,
            columns=found.columns,
            labels=found.labels,
            classes=found.classes,
            id=found.id,
            groups=found.groups,
            slices=found.texts,
            input_shape=found.input_shape,
            value_range=found.value_range,
            pictures=found.pictures,
        )
    )


def test_a_table_is_guessed_by_the_names_of_its_columns(write: Write, tmp_path: Path) -> None:
    write("t.csv", "id,income,sex,city,approve\na,1,f,x,1\nb,2,m,y,0\nc,3,m,z,0\n")
    found = inspect_data_file(tmp_path / "t.csv")
    assert (found.rows, found.id, found.labels) == (3, "id", "approve")
    assert (found.groups, found.texts, found.classes) == (("sex",), ("city",), ("0", "1"))
    assert found.input_shape is None


def test_arrays_are_guessed_by_name_and_shape(tmp_path: Path) -> None:
    np.savez(tmp_path / "t.npz", X=np.full((4, 8, 8), 0.5), label=[0, 1, 10, 2])
    found = inspect_data_file(tmp_path / "t.npz")
    assert (found.input_shape, found.value_range) == ((8, 8), (0.5, 0.5))
    assert (found.labels, found.classes) == ("label", ("0", "1", "2", "10"))


def test_many_different_values_are_not_taken_for_labels(write: Write, tmp_path: Path) -> None:
    write("t.csv", "a,b\n" + "".join(f"1,{row}.5\n" for row in range(50)))
    assert inspect_data_file(tmp_path / "t.csv").labels is None


@pytest.mark.parametrize("path", ["digits/test.npz", "loans/test.csv"])
def test_the_draft_for_an_example_audits_its_data_unchanged(path: str) -> None:
    text = draft(inspect_data_file(EXAMPLES / path), path)
    audit = read_audit_file(text.encode(), "audit.yaml", lambda entry: TargetSpec(str(entry)))
    loaded = load_datasets(audit, lambda written: EXAMPLES / written)
    assert loaded.task.classes[:2] == ("0", "1")


def test_the_draft_for_a_folder_of_pictures_audits_it_unchanged(
    paint: Paint, tmp_path: Path
) -> None:
    paint("shots/a/1.png", (4, 6), 255)
    paint("shots/b/1.png", (4, 6), 0)
    text = draft(inspect_data_file(tmp_path / "shots"), "shots")
    audit = read_audit_file(text.encode(), "audit.yaml", lambda entry: TargetSpec(str(entry)))
    loaded = load_datasets(audit, lambda written: tmp_path / written)
    assert loaded.task.classes == ("a", "b")
    assert isinstance(loaded.space, InputSpace)


def test_what_cannot_be_read_is_refused_by_name(write: Write, tmp_path: Path) -> None:
    write("t.xlsx", "x")
    with pytest.raises(DatasetError, match=r"t\.xlsx has the ending '\.xlsx'"):
        inspect_data_file(tmp_path / "t.xlsx")
    with pytest.raises(DatasetError, match=r"t\.csv does not exist"):
        inspect_data_file(tmp_path / "t.csv")


@pytest.mark.parametrize("name", ["is_female", "isMale", "female", "is_married", "veteran_flag"])
def test_a_flag_that_says_who_a_person_is_becomes_a_group(tmp_path: Path, name: str) -> None:
    rows = [f"{row % 2},{row},{row % 3}" for row in range(30)]
    (tmp_path / "d.csv").write_text("\n".join([f"{name},amount,label", *rows]) + "\n")
    found = inspect_data_file(tmp_path / "d.csv")
    assert (found.groups, found.labels) == ((name,), "label")
