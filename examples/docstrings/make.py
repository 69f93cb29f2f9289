"""Make everything in this folder again: the texts, the model, and its ONNX file.

Run `python examples/docstrings/make.py` by Python 3.11 in an environment with the extra
`examples`. Everything is seeded; README.md says where the texts come from.
"""

import ast
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import polars as pl
from skl2onnx import to_onnx
from skl2onnx.common.data_types import StringTensorType
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline

HERE = Path(__file__).parent
LIBRARY = Path(sysconfig.get_paths()["stdlib"])
SEED = 7
TRAINING_SHARE = 0.6
LEAST_WORDS, MOST_WORDS = 6, 60
SOURCES = {
    "files": (
        *("bz2.py", "codecs.py", "configparser.py", "csv.py", "dbm", "filecmp.py", "fileinput.py"),
        *("fnmatch.py", "genericpath.py", "glob.py", "gzip.py", "io.py", "linecache.py"),
        *("lzma.py", "netrc.py", "ntpath.py", "os.py", "pathlib.py", "pickle.py", "plistlib.py"),
        *("posixpath.py", "_pyio.py", "shelve.py", "shutil.py", "sqlite3", "stat.py"),
        *("tarfile.py", "tempfile.py", "zipfile.py", "zipimport.py"),
    ),
    "network": (
        *("asynchat.py", "asyncio", "asyncore.py", "cgi.py", "email", "ftplib.py", "http"),
        *("imaplib.py", "ipaddress.py", "mailbox.py", "nntplib.py", "poplib.py", "selectors.py"),
        *("smtpd.py", "smtplib.py", "socket.py", "socketserver.py", "ssl.py", "telnetlib.py"),
        *("urllib", "wsgiref", "xmlrpc"),
    ),
}


def main() -> None:
    """Collect, split, train, export, and say how good the exported model is."""
    training, test = split(collect())
    test.write_csv(HERE / "test.csv")
    model = train(training)
    export(model, HERE / "model.onnx")
    report(model, training, test)
    print("Now sign it: auditor sign model.onnx --out model.sig")
    print("and put the public half of the key, which that names, in place of model.pub")


def collect() -> pl.DataFrame:
    """Return the first paragraph of each docstring with the topic of the module that it is from.

    Paragraphs of fewer than six or more than sixty words, and those that both topics have, are
    left out; each stands once.
    """
    found = {
        topic: {
            text: f"{path.relative_to(LIBRARY).with_suffix('').as_posix()}:{name}"
            for path in modules(names)
            for name, text in paragraphs(path)
        }
        for topic, names in SOURCES.items()
    }
    shared = set.intersection(*map(set, found.values()))
    rows = [
        {"origin": origin, "text": text, "topic": topic}
        for topic, texts in found.items()
        for text, origin in sorted(texts.items())
        if text not in shared
    ]
    return pl.DataFrame(rows).with_row_index("id", offset=1)


def modules(names: tuple[str, ...]) -> Iterator[Path]:
    """Yield the files of modules and packages, without their tests."""
    for name in names:
        path = LIBRARY / name
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            if not {"test", "tests"} & set(file.relative_to(LIBRARY).parts):
                yield file


def paragraphs(path: Path) -> Iterator[tuple[str, str]]:
    """Yield names and the first paragraphs of their docstrings, in one line each."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = " ".join((ast.get_docstring(node) or "").split("\n\n")[0].split())
            if LEAST_WORDS <= len(text.split()) <= MOST_WORDS and text.isprintable():
                yield getattr(node, "name", path.stem), text


def split(texts: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return a seeded share of the texts for training, and the others, in the order of rows."""
    order = np.random.default_rng(SEED).permutation(len(texts))
    trains = np.zeros(len(texts), dtype=np.bool_)
    trains[order[: int(TRAINING_SHARE * len(texts))]] = True
    return texts.filter(pl.Series(trains)), texts.filter(pl.Series(~trains))


def train(training: pl.DataFrame) -> Pipeline:
    """Return a bag of weighted words and logistic regression on them."""
    words = TfidfVectorizer(min_df=2, dtype=np.float32)
    model = make_pipeline(words, LogisticRegression(C=10.0, max_iter=1000))
    return model.fit(training["text"].to_list(), training["topic"].to_list())


def export(model: Pipeline, path: Path) -> None:
    """Write the whole pipeline, from the text to its scores, as one ONNX file.

    Small letters are made by the rules of the locale C, which every machine has; skl2onnx asks for
    en_US.UTF-8.
    """
    program = to_onnx(
        model,
        initial_types=[("text", StringTensorType([None]))],
        options={"zipmap": False},
        name="docstrings",
        target_opset=18,
    )
    for node in program.graph.node:
        if node.op_type == "StringNormalizer":
            others = [item for item in node.attribute if item.name != "locale"]
            del node.attribute[:]
            node.attribute.extend([*others, onnx.helper.make_attribute("locale", "C")])
    # skl2onnx lists the domains of operators in the order of a set.
    domains = sorted(program.opset_import, key=lambda item: item.domain)
    del program.opset_import[:]
    program.opset_import.extend(domains)
    path.write_bytes(program.SerializeToString(deterministic=True))


def report(model: Pipeline, training: pl.DataFrame, test: pl.DataFrame) -> None:
    """Print how the exported model does on the texts that it was not trained on."""
    session = onnxruntime.InferenceSession(HERE / "model.onnx", providers=["CPUExecutionProvider"])
    texts = np.array(test["text"].to_list())
    labels, scores = session.run(None, {"text": texts})
    apart = np.abs(scores - model.predict_proba(texts.tolist())).max()
    right = (np.array(labels) == test["topic"].to_numpy()).mean()
    print(f"{len(training)} training texts, {len(test)} test texts, accuracy {right:.4f}")
    print(f"the exported model's probabilities differ by at most {apart:.1e}")
    print(test.group_by("topic").len().sort("topic"))


if __name__ == "__main__":
    main()
