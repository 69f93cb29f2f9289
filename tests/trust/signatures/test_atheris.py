"""A short run of the harness for atheris; longer ones are started by hand."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from fetching import out_of_reach_skips

HERE = Path(__file__).parent
RUNS = 20_000


@pytest.mark.slow
@pytest.mark.fetches
def test_bytes_that_are_led_by_coverage_neither_crash_nor_verify(tmp_path: Path) -> None:
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    out_of_reach_skips([*pip, "--no-deps", "--target", str(tmp_path / "lib"), "atheris"], tmp_path)
    (tmp_path / "corpus").mkdir()
    paths = (HERE.parents[2], HERE, tmp_path / "lib", sysconfig.get_path("purelib"))
    done = subprocess.run(
        [sys.executable, HERE / "fuzz_with_atheris.py", tmp_path / "corpus", f"-runs={RUNS}",
         "-max_len=4096", "-seed=7", "-max_total_time=60", "-rss_limit_mb=0",
         f"-artifact_prefix={tmp_path}/"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths))},
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert "Done" in done.stderr
