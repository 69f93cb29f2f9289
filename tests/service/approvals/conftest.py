"""A small service for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from small_services import SmallService


@pytest.fixture
def service(tmp_path: Path) -> Iterator[SmallService]:
    made = SmallService.open(tmp_path)
    yield made
    made.store.close()
