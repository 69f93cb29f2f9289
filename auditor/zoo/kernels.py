"""Models that decide by how near a row lies to prototypes, which their files hold."""

from pathlib import Path

import numpy as np

from auditor.zoo.graphs import INPUT, Sheet, finish
from auditor.zoo.layers import Singles
from auditor.zoo.pictures import CLASSES, SMALL, Labels

FLOOR = 1e-4


def save_kernel(path: Path, rows: Singles, labels: Labels, reach: float) -> None:
    """Write a model whose logits are those of a vote of prototypes, by ``exp(-d^2 / reach^2)``.

    With the training rows as prototypes this is a Parzen classifier (Specht 1990): the file holds
    every row that it learnt from.
    """
    flat = rows.reshape(len(rows), -1)
    sheet = Sheet()
    asked = sheet.add("Flatten", INPUT, axis=1)
    size = sheet.add("ReduceSumSquare", asked, axes=[1], keepdims=1)
    across = sheet.add("MatMul", asked, sheet.hold(-2 * flat.T))
    own = sheet.hold((flat**2).sum(axis=1)[None])
    away = sheet.add("Add", sheet.add("Add", across, size), own)
    near = sheet.add("Exp", sheet.add("Div", away, sheet.number(-(reach**2))))
    votes = sheet.add("MatMul", near, sheet.hold(np.eye(len(CLASSES), dtype=np.float32)[labels]))
    finish(path, sheet, sheet.add("Log", sheet.add("Add", votes, sheet.number(FLOOR))), SMALL)
