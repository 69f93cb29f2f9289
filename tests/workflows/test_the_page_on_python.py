"""The Python blocks of the pages that show the API run in order, and print what the page shows."""

import contextlib
import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```(python|yaml|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def run_page(page: str) -> str:
    """Run the blocks of a page here, and return it with the outputs that they gave."""
    names: dict[str, object] = {"__name__": "__main__"}
    printed = ""

    def carry_out(block: re.Match[str]) -> str:
        nonlocal printed
        language, text = block.groups()
        if language == "text":
            return f"```text\n{printed}```"
        if language == "yaml":
            name = text.partition("\n")[0].removeprefix("# ")
            Path(name).write_text(text, encoding="utf-8")
        else:
            with contextlib.redirect_stdout(io.StringIO()) as out:
                exec(compile(text, "page", "exec"), names)  # noqa: S102 -- our own page
            printed = out.getvalue()
        return block[0]

    return BLOCK.sub(carry_out, page)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["README.md", "docs/python.md"])
def test_every_block_runs_and_prints_what_the_page_shows(
    name: str, request: pytest.FixtureRequest, tmp_path: Path, home: Path
) -> None:
    page = ROOT / name
    environment = {**os.environ, "COLUMNS": "100"}
    done = subprocess.run(
        [sys.executable, __file__, page], cwd=tmp_path, env=environment, capture_output=True,
        text=True, check=False, timeout=900,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    if request.config.getoption("--update-golden"):
        page.write_text(done.stdout, encoding="utf-8")
    assert done.stdout == page.read_text(encoding="utf-8")
    assert not home.exists(), "an ephemeral key writes nothing there"


if __name__ == "__main__":
    sys.stdout.write(run_page(Path(sys.argv[1]).read_text(encoding="utf-8")))
