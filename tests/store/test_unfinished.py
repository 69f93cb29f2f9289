from pathlib import Path

import numpy as np
import pytest

from auditor.domain.evidence import Evidence
from auditor.store.resume_cache import ResumeCache, open_resume_cache

SEEN: Evidence = {"scores": np.arange(6.0).reshape(2, 3), "about": {"eps": [0.1], "norm": "l2"}}


def test_what_was_remembered_is_there_after_an_interruption(tmp_path: Path) -> None:

    def interrupted() -> None:
        with open_resume_cache(tmp_path, "work") as memory:
            memory.remember("part", SEEN)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    with open_resume_cache(tmp_path, "work") as memory:
        found = memory.recall("part")
        assert found is not None
        np.testing.assert_array_equal(found["scores"], SEEN["scores"])
        assert found["about"] == SEEN["about"]
        assert memory.recall("another part") is None


def test_finished_work_is_forgotten_and_other_work_is_not(tmp_path: Path) -> None:
    other = ResumeCache(tmp_path / "elsewhere")
    other.remember("part", SEEN)
    with open_resume_cache(tmp_path, "work") as memory:
        memory.remember("part", SEEN)
    with open_resume_cache(tmp_path, "work") as memory:
        assert memory.recall("part") is None
    assert other.recall("part") is not None


@pytest.mark.parametrize("damage", ["index", "blob"])
def test_a_damaged_part_counts_as_not_seen(tmp_path: Path, damage: str) -> None:
    memory = ResumeCache(tmp_path / "work")
    memory.remember("part", SEEN)
    for path in (tmp_path / "work").rglob("*"):
        if path.is_file() and (path.suffix == ".json") == (damage == "index"):
            path.chmod(0o644)
            path.write_bytes(b"x" + path.read_bytes()[1:])
    assert memory.recall("part") is None
