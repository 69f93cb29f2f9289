from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from auditor.domain.auditfiles import (
    AuditFile,
    DataSection,
    InputSection,
    ModelSection,
    TaskSection,
)
from auditor.domain.budgets import Budget
from auditor.domain.datasets import DatasetRole
from auditor.inputs.datasets.load import LoadedDatasets, load_datasets

Load = Callable[..., LoadedDatasets]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Load one evaluation dataset (or several) from files in ``tmp_path``."""

    def run(
        evaluation: DataSection,
        *,
        task: TaskSection | None = None,
        space: InputSection | None = None,
        artifact: str | None = "model.onnx",
        more: dict[DatasetRole, DataSection] | None = None,
    ) -> LoadedDatasets:
        audit = AuditFile(
            source="audit.yaml",
            raw=b"",
            model=ModelSection(name="m", version="0", artifact=artifact),
            task=task or TaskSection(),
            input=space or InputSection(),
            targets=(),
            data={DatasetRole.EVALUATION: evaluation, **(more or {})},
            policy="baseline",
            budget=Budget.SMOKE,
            seed=7,
        )
        return load_datasets(audit, lambda path: tmp_path / path)

    return run


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str | bytes], None]:
    def run(name: str, content: str | bytes) -> None:
        raw = content.encode() if isinstance(content, str) else content
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(raw)

    return run


@pytest.fixture
def paint(tmp_path: Path) -> Callable[..., None]:
    def run(name: str, shape: Sequence[int], value: int = 0, mode: str | None = None) -> None:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        picture = Image.fromarray(np.full(shape, value, dtype=np.uint8))
        (picture if mode is None else picture.convert(mode)).save(tmp_path / name)

    return run
