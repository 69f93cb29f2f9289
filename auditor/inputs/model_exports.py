"""Recognises model files of other frameworks without loading them, and shows how to export them."""

import re
import zlib
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile, ZipFile

from auditor.errors import ArtifactError

TORCH = (
    "import torch",
    'model.load_state_dict(torch.load("{file}", weights_only=True)); model.eval()',
    'torch.onnx.export(model, (rows[:2],), "{stem}.onnx", dynamic_shapes=({{0: "batch"}},))',
)
WHOLE_TORCH = (
    "import torch",
    'model = torch.load("{file}", weights_only=False).eval()',
    TORCH[2],
)
KERAS = (
    "import keras",
    'model = keras.models.load_model("{file}")',
    'model.export("{stem}.onnx", format="onnx")',
)
SCIKIT_LEARN = (
    "import joblib, numpy, skl2onnx",
    'onnx = skl2onnx.to_onnx(joblib.load("{file}"), numpy.asarray(X[:1], numpy.float32))',
    'open("{stem}.onnx", "wb").write(onnx.SerializeToString())',
)
OF_TEXTS = (
    "X are rows that it was trained on, all of numbers. For a pipeline that reads one column of "
    "texts, give initial_types=[('text', skl2onnx.common.data_types.StringTensorType([None]))] in "
    "place of X. Where numbers and texts are mixed, encode the texts before the pipeline, export "
    "the steps after that, and give data that are encoded. onnxmltools exports models of LightGBM "
    "(convert_lightgbm) and XGBoost (convert_xgboost)."
)
SAFETENSORS = (
    "import torch; from safetensors.torch import load_file",
    'model.load_state_dict(load_file("{file}")); model.eval()',
    TORCH[2],
)
TENSORFLOW = (
    "pip install tf2onnx",
    "python -m tf2onnx.convert --{kind} {file} --output {stem}.onnx --opset 18",
    "auditor init {stem}.onnx --data DATA",
)
CATBOOST = (
    "from catboost import CatBoost",
    'model = CatBoost().load_model("{file}")',
    'model.save_model("{stem}.onnx", format="onnx")',
)
LIGHTGBM = (
    "import lightgbm, onnxmltools; from onnxmltools.convert.common import data_types",
    'model = lightgbm.Booster(model_file="{file}"); n = model.num_feature()',
    (
        'onnxmltools.utils.save_model(onnxmltools.convert_lightgbm(model, initial_types=[("x", '
        'data_types.FloatTensorType([None, n]))], zipmap=False), "{stem}.onnx")'
    ),
)


@dataclass(frozen=True, slots=True)
class ForeignFormat:
    """A kind of model file that is not ONNX: its framework, and the three lines that export it."""

    title: str
    lines: tuple[str, ...]


PICKLE = ForeignFormat("a pickle, as scikit-learn models are saved", SCIKIT_LEARN)
TORCH_FILE = ForeignFormat("a PyTorch file", TORCH)
WHOLE_TORCH_FILE = ForeignFormat("a PyTorch file that holds a whole module", WHOLE_TORCH)
WHOLE_PICKLE = re.compile(rb"\x80.c(?!collections\n)", re.DOTALL)
"""How the pickle of a torch file begins that makes an object other than a dictionary of weights."""
KERAS_FILE = ForeignFormat("a Keras model", KERAS)
BY_ENDING = {
    **dict.fromkeys((".pkl", ".pickle", ".joblib"), PICKLE),
    **dict.fromkeys((".pt", ".pth", ".ckpt"), TORCH_FILE),
    **dict.fromkeys((".h5", ".hdf5", ".keras"), KERAS_FILE),
    ".safetensors": ForeignFormat("a safetensors file, which holds weights alone", SAFETENSORS),
    ".tflite": ForeignFormat("a TensorFlow Lite model", TENSORFLOW),
    ".pb": ForeignFormat("a TensorFlow graph", TENSORFLOW),
    ".cbm": ForeignFormat("a CatBoost model", CATBOOST),
}
BY_FIRST_BYTES = (
    (b"\x80\x02", PICKLE),
    (b"\x80\x03", PICKLE),
    (b"\x80\x04", PICKLE),
    (b"\x80\x05", PICKLE),
    (b"PK\x03\x04", TORCH_FILE),
    (b"\x89HDF\r\n", KERAS_FILE),
    (b"tree\nversion=", ForeignFormat("a LightGBM model", LIGHTGBM)),
)
PICKLED = {
    library.encode(): ForeignFormat(
        f"a pickle of a model of {title}",
        (
            "import joblib, onnxmltools; from onnxmltools.convert.common import data_types",
            'model = joblib.load("{file}"); n = model.n_features_in_',
            (
                f"onnxmltools.utils.save_model(onnxmltools.convert_{library}(model, "
                'initial_types=[("x", data_types.FloatTensorType([None, n]))]), "{stem}.onnx")'
            ),
        ),
    )
    for library, title in (("lightgbm", "LightGBM"), ("xgboost", "XGBoost"))
}
"""What a pickle holds by the module that its first bytes name, before that of scikit-learn."""
FIRST_OF_PICKLE = 64
LONGEST_START = 16
LONGEST_MARK = max(len(mark) for mark, _ in BY_FIRST_BYTES)


def refuse_foreign_model(path: Path, named: str = "") -> None:
    """Raise ``ArtifactError`` with the lines that export it for a model file that is not ONNX.

    The file is told by its ending or its first bytes and never loaded: a pickle runs code.
    ``named`` says where its path is written.
    """
    named = named or str(path)
    if path.is_dir():
        if (path / "saved_model.pb").is_file():
            names = {"file": path.name, "stem": path.name, "kind": "saved-model"}
            lines = "\n".join(f"    {line.format(**names)}" for line in TENSORFLOW)
            raise ArtifactError(
                f"{named} is a TensorFlow SavedModel, not an ONNX file",
                cure=f"Export it where it was trained:\n\n{lines}",
            )
        inside = sorted(item.name for item in path.glob("*.onnx"))
        raise ArtifactError(
            f"{named} is a folder, not an ONNX file",
            cure=f"Name the file: {path / inside[0]}." if inside else "Name an ONNX file.",
        )
    if not path.is_file():
        return  # staging it says what is there instead
    found = BY_ENDING.get(path.suffix.lower()) or _by_first_bytes(path)
    if found is None:
        return
    if found is TORCH_FILE and _holds_module(path):
        found = WHOLE_TORCH_FILE
    if found is PICKLE:
        found = _find_booster(path) or found
    kind = "tflite" if path.suffix.lower() == ".tflite" else "graphdef"
    names = {"file": path.name, "stem": path.stem, "kind": kind}
    lines = "\n".join(f"    {line.format(**names)}" for line in found.lines)
    texts = f"\n\n{OF_TEXTS}" if found is PICKLE else ""
    raise ArtifactError(
        f"{named} is {found.title}, not an ONNX file. It was not loaded, because loading can run "
        "code",
        cure=f"Export it where it was trained:\n\n{lines}{texts}\n\nOr pass the fitted model to "
        "`auditor.audit` in Python, or audit its predictions: auditor init --data predictions.csv",
    )


def _holds_module(path: Path) -> bool:
    """Whether a file of torch makes a module, by the first bytes of the pickle in it."""
    try:
        with ZipFile(path) as archive:
            inside = next(it for it in archive.namelist() if it.endswith("/data.pkl"))
            with archive.open(inside) as file:
                return WHOLE_PICKLE.match(file.read(LONGEST_START)) is not None
    except (OSError, BadZipFile, StopIteration, NotImplementedError, RuntimeError, zlib.error):
        return False


def _find_booster(path: Path) -> ForeignFormat | None:
    """Return the kind of a pickle whose first class is one of the libraries of boosted trees."""
    begins = _read_start(path, FIRST_OF_PICKLE)
    return next((it for name, it in PICKLED.items() if name + b".sklearn" in begins), None)


def _by_first_bytes(path: Path) -> ForeignFormat | None:
    begins = _read_start(path, LONGEST_MARK)
    return next((form for mark, form in BY_FIRST_BYTES if begins.startswith(mark)), None)


def _read_start(path: Path, most: int) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(most)
    except OSError:
        return b""
