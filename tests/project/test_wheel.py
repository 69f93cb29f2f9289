"""What is published: a wheel that works without the checkout it came from."""

import json
import os
import re
import shlex
import subprocess
import sys
import time
import zipfile
from collections import Counter
from pathlib import Path
from shutil import copytree, ignore_patterns

import pytest
from small_audits import write_example

ROOT = Path(__file__).parents[2]
FOLDERS = ("policies", "reports", "alembic")
WRITTEN = {
    "record.json",
    "record.sigstore.json",
    "report.html",
    "summary.md",
    "results.sarif",
    "junit.xml",
    "verdict.vsa.json",
    "prov.json",
    "bom.cdx.json",
    "verdict.svr.json",
    "test-result.json",
    "VERIFY.md",
    "verify.py",
    "signer.pub",
    "evidence",
}
VERDICTS = {0, 1, 3}
LONGEST = 300.0
SIZES = re.compile(r"black-box attacks \| (\d+) MB, or (\d+) MB with `--no-compile` \|")
"""What the README says of the core's size."""
FIRST_AUDIT = (
    "python -m pip install {wheel}",
    "auditor init model.onnx --data test.csv",
    "auditor audit audit.yaml",
)
"""All that a newcomer types, in an environment of their own."""

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("wheel")]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel of this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--quiet", "wheel", "--no-deps", "--wheel-dir", folder]
    subprocess.run([*pip, ROOT], check=True)
    (built,) = folder.glob("auditor-*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel and its core, without any extra, where nothing else is."""
    folder = tmp_path_factory.mktemp("clean") / "venv"
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = folder / "bin" / "python"
    subprocess.run([python, "-m", "pip", "--quiet", "install", wheel], check=True)
    return folder / "bin"


def outside() -> dict[str, str]:
    """Return the environment without what would lead back into the checkout."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_data_folder_reaches_the_wheel_whole(wheel: Path, folder: str) -> None:
    expected = {
        f"auditor/_data/{folder}/{path.relative_to(ROOT / folder).as_posix()}"
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    names = set(zipfile.ZipFile(wheel).namelist())
    assert expected
    assert expected <= names


def test_the_package_reaches_the_wheel_with_the_templates_and_files_of_its_pages(
    wheel: Path,
) -> None:
    expected = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "auditor").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    pages = "auditor/service/web"
    assert {f"{pages}/templates/base.html.j2", f"{pages}/static/site.css"} <= expected
    assert expected <= set(zipfile.ZipFile(wheel).namelist())


def test_the_wheel_holds_the_package_and_nothing_beside_it(wheel: Path) -> None:
    tops = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"auditor"}


def test_a_wheel_is_for_any_machine(wheel: Path) -> None:
    suffixes = {Path(name).suffix for name in zipfile.ZipFile(wheel).namelist()}
    assert wheel.stem.endswith("-py3-none-any")
    assert not suffixes & {".c", ".so"}


@pytest.mark.parametrize("folder", FOLDERS)
def test_an_installed_data_folder_is_found(installed: Path, folder: str) -> None:
    script = (
        "from auditor._resources import find_shipped_folder\n"
        f"print(find_shipped_folder({folder!r}))"
    )
    found = subprocess.run(
        [installed / "python", "-c", script],
        cwd=installed,
        env=outside(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(found.stdout.strip()).is_relative_to(installed.parent)
    assert any(Path(found.stdout.strip()).iterdir())


def test_the_core_is_small(installed: Path) -> None:
    listed = subprocess.run(
        [installed / "python", "-m", "pip", "list", "--format=freeze"],
        capture_output=True,
        text=True,
        check=True,
    )
    names = {line.split("==")[0].lower() for line in listed.stdout.splitlines()}
    assert "auditor" in names
    assert not names & {"torch", "scikit-learn", "pandas", "psycopg", "pytest"}


def test_the_core_takes_the_room_that_the_readme_says(installed: Path) -> None:
    (packages,) = (installed.parent / "lib").glob("python3.*/site-packages")
    written, bytecode = Counter[str](), Counter[str]()
    for path in (it for it in packages.rglob("*") if it.is_file()):
        kind = bytecode if path.suffix == ".pyc" else written
        kind[path.relative_to(packages).parts[0]] += path.stat().st_blocks * 512
    for name in {*written, *bytecode}:
        if name.startswith(("pip", "setuptools", "pkg_resources", "_distutils_hack")):
            del written[name], bytecode[name]
    (stated,) = SIZES.findall((ROOT / "README.md").read_text(encoding="utf-8"))
    told, lean = (int(figure) * 2**20 for figure in stated)
    assert written.total() + bytecode.total() == pytest.approx(told, rel=0.1)
    assert written.total() == pytest.approx(lean, rel=0.1)
    assert written.total() <= 600 * 2**20
    assert written["auditor"] <= 15 * 2**20


def test_an_audit_far_from_the_checkout_writes_every_file(installed: Path, tmp_path: Path) -> None:
    example = tmp_path / "digits"
    copytree(ROOT / "examples" / "digits", example, ignore=ignore_patterns("report", "make.py"))
    done = subprocess.run(
        [installed / "auditor", "audit", "audit.yaml", "--budget", "smoke", "--out", "report"],
        cwd=example,
        env={**outside(), "AUDITOR_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in VERDICTS, done.stderr
    assert {path.name for path in (example / "report").iterdir()} >= WRITTEN
    assert any((example / "report" / "evidence").iterdir())


def test_three_commands_lead_from_the_wheel_to_a_verdict_on_ones_own_model_in_five_minutes(
    wheel: Path, tmp_path: Path
) -> None:
    write_example(tmp_path)
    for name in ("audit.yaml", "policy.yaml"):
        (tmp_path / name).unlink()
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    environment = {
        **outside(),
        "PATH": f"{tmp_path / 'venv' / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "AUDITOR_HOME": str(tmp_path / "home"),
    }
    codes, start = [], time.monotonic()
    for command in FIRST_AUDIT:
        words = shlex.split(command.format(wheel=shlex.quote(str(wheel))))
        codes.append(subprocess.run(words, cwd=tmp_path, env=environment, check=False).returncode)
    taken = time.monotonic() - start
    assert codes[:2] == [0, 0]
    assert codes[2] in VERDICTS
    record = json.loads((tmp_path / "report" / "record.json").read_bytes())
    assert record["verdict"] in {"pass", "fail", "inconclusive"}
    assert record["request"]["policy"]["name"] == "baseline"
    assert taken <= LONGEST
