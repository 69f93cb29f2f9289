"""A folder to make tiny models in, and tasks for them."""

from pathlib import Path

import numpy as np
import pytest
from tiny_models import Classes, Workshop

from auditor.domain.tasks import ClassificationTask


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    folder = tmp_path / "staged"
    folder.mkdir()
    return Workshop(folder)


@pytest.fixture
def classes() -> Classes:
    def make(count: int, **more: str) -> ClassificationTask:
        names = tuple(str(index) for index in range(count))
        return ClassificationTask(names, **{"positive": names[-1], "favourable": names[-1], **more})

    return make


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)
