"""A model file of another framework is refused by its ending or first bytes, and never loaded."""

import os
import pickle
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from zipfile import ZipFile

import joblib
import lightgbm
import numpy as np
import onnxruntime as ort
import pytest
import xgboost

from auditor.errors import ArtifactError
from auditor.inputs.model_exports import refuse_foreign_model

LINES = {
    "m.pkl": "skl2onnx.to_onnx(",
    "m.joblib": "skl2onnx.to_onnx(",
    "m.pt": 'torch.load("m.pt", weights_only=True)',
    "m.pth": "torch.onnx.export(",
    "m.h5": 'keras.models.load_model("m.h5")',
    "m.keras": 'model.export("m.onnx", format="onnx")',
    "m.safetensors": 'load_file("m.safetensors")',
}


class Bomb:
    """An object that leaves a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (os.mkdir, (str(self.path),))


@pytest.mark.parametrize(("name", "line"), LINES.items())
def test_it_is_refused_with_the_three_lines_that_export_it(
    tmp_path: Path, name: str, line: str
) -> None:
    (tmp_path / name).write_bytes(pickle.dumps(Bomb(tmp_path / "ran")))
    with pytest.raises(ArtifactError) as error:
        refuse_foreign_model(tmp_path / name)
    shown = [it for it in error.value.cure.splitlines() if it.startswith("    ")]
    assert len(shown) == 3
    assert line in error.value.cure
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(("name", "told"), [("m.joblib", True), ("m.pt", False)])
def test_what_a_pipeline_of_texts_needs_is_told_beside_the_export(
    tmp_path: Path, name: str, *, told: bool
) -> None:
    (tmp_path / name).write_bytes(b"\x80\x04")
    with pytest.raises(ArtifactError) as error:
        refuse_foreign_model(tmp_path / name)
    assert ("encode the texts before the pipeline" in error.value.cure) == told


@pytest.mark.parametrize("name", ["model.onnx", "model", "model.bin"])
def test_a_pickle_of_any_name_is_known_by_its_first_bytes(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(pickle.dumps(Bomb(tmp_path / "ran")))
    with pytest.raises(ArtifactError, match="is a pickle"):
        refuse_foreign_model(tmp_path / name)
    assert not (tmp_path / "ran").exists()


def test_a_lightgbm_model_is_told_and_its_three_lines_export_it(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(300, 4))
    asked = {"objective": "binary", "verbose": -1}
    booster = lightgbm.train(asked, lightgbm.Dataset(rows, rows[:, 0] > 0), 5)
    booster.save_model(tmp_path / "model.txt")
    with pytest.raises(ArtifactError, match=r"model\.txt is a LightGBM model") as error:
        refuse_foreign_model(tmp_path / "model.txt")
    lines = [it.strip() for it in error.value.cure.splitlines() if it.startswith("    ")]
    subprocess.run([sys.executable, "-c", "\n".join(lines)], cwd=tmp_path, check=True)
    session = ort.InferenceSession(tmp_path / "model.onnx")
    shares = np.asarray(session.run(None, {"x": rows.astype(np.float32)})[1])
    assert np.allclose(shares[:, 1], booster.predict(rows), atol=1e-5)


@pytest.mark.parametrize("library", [lightgbm, xgboost])
def test_a_pickle_of_boosted_trees_gets_the_lines_that_export_it(
    tmp_path: Path, library: ModuleType
) -> None:
    rows = np.random.default_rng(0).normal(size=(300, 4)).astype(np.float32)
    made = {lightgbm: "LGBMClassifier", xgboost: "XGBClassifier"}[library]
    model = getattr(library, made)(n_estimators=5, verbosity=0 if library is xgboost else -1)
    model.fit(rows, (rows[:, 0] > 0).astype(int))
    joblib.dump(model, tmp_path / "model.pkl")
    with pytest.raises(ArtifactError, match=r"model\.pkl is a pickle of a model of ") as error:
        refuse_foreign_model(tmp_path / "model.pkl")
    lines = [it.strip() for it in error.value.cure.splitlines() if it.startswith("    ")]
    assert len(lines) == 3
    subprocess.run([sys.executable, "-c", "\n".join(lines)], cwd=tmp_path, check=True)
    session = ort.InferenceSession(tmp_path / "model.onnx")
    labels = np.asarray(session.run(None, {"x": rows})[0])
    assert (labels == model.predict(rows)).all()


def test_a_folder_is_refused_with_the_file_in_it(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(b"\x08\x08")
    with pytest.raises(ArtifactError) as error:
        refuse_foreign_model(tmp_path)
    assert error.value.cure == f"Name the file: {tmp_path / 'net.onnx'}."
    refuse_foreign_model(tmp_path / "net.onnx")


@pytest.mark.parametrize(
    ("begins", "line"),
    [
        (b"\x80\x02ccollections\nOrderedDict\n", "weights_only=True"),
        (b"\x80\x02}q\x00X\x05\x00\x00\x00model", "weights_only=True"),
        (b"\x80\x02c__main__\nNet\n", 'model = torch.load("m.pt", weights_only=False).eval()'),
        (b"\x80\x02ctorch.nn.modules.container\nSequential\n", "weights_only=False"),
    ],
)
def test_a_torch_file_of_a_whole_module_gets_other_lines_than_one_of_weights(
    tmp_path: Path, begins: bytes, line: str
) -> None:
    with ZipFile(tmp_path / "m.pt", "w") as archive:
        archive.writestr("m/data.pkl", begins)
    with pytest.raises(ArtifactError) as error:
        refuse_foreign_model(tmp_path / "m.pt")
    assert line in error.value.cure
    assert len([it for it in error.value.cure.splitlines() if it.startswith("    ")]) == 3
