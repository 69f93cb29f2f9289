"""A corpus of classifiers as the field exports them, on which twins are measured.

Each entry makes one ONNX file, the same each time. Networks have random weights, for it is the
operators that count, but their scores are spread so that decisions and gradients say something.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

TEN = 10


@dataclass(frozen=True, slots=True)
class Entry:
    """One file: how it is made, and the rows and classes that it is for.

    ``step`` is that of finite differences, in the rows' unit: coarse where scores have steps of
    their own. ``frozen`` lists columns of codes, along which there is no slope. ``rows`` is how
    many are compared. ``logits`` says what an audit file would: that scores in 0..1 are logits.
    """

    name: str
    family: str
    make: Callable[[Path], None]
    kind: str
    classes: int = TEN
    step: float = 0.02
    frozen: tuple[int, ...] = ()
    rows: int = 48
    quantised: bool = False
    fetched: bool = False
    logits: bool = False
