"""A package with a check, a driver and a format, installed as the documentation tells."""

import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi.openapi.utils import get_openapi

import auditor.extend
import auditor.service.api.routes
from auditor.checks.registry import add_checks
from auditor.domain.budgets import AuditSize
from auditor.domain.checks import Check, Metric, Need
from auditor.domain.function_checks import check
from auditor.domain.readings import Unit
from auditor.errors import BrokenCheckError, TargetError
from auditor.reports.folder import RecordFolder
from auditor.reports.report_formats import discover_formats
from auditor.service.api.app import list_api_routes
from auditor.targets.runtimes import find_driver, list_runtimes

PAGE = Path(__file__).parents[2] / "docs" / "extending.md"
FENCED = re.compile(r"^```(toml|python)\n(.*?)^```", re.DOTALL | re.MULTILINE)
NAMED = re.compile(r"`(toyextension_\w+)\.py`")
TARGETS = "apiVersion: auditor/v1\nkind: Targets\ntargets:\n  toy: {runtime: reference}\n"
Command = Callable[..., Any]


def install(folder: Path, name: str, entries: str, modules: dict[str, str]) -> None:
    """Write a distribution into a folder, as an installer does."""
    papers = folder / f"{name}-0.3.0.dist-info"
    papers.mkdir(parents=True)
    (papers / "METADATA").write_text(f"Name: {name}\nVersion: 0.3.0\n")
    (papers / "entry_points.txt").write_text(entries)
    for module, text in modules.items():
        (folder / f"{module}.py").write_text(text)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is searched for packages."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    return folder


@pytest.fixture
def installed(site: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The documented package."""
    text = PAGE.read_text(encoding="utf-8")
    blocks = FENCED.findall(text)
    groups = tomllib.loads(blocks[0][1])["project"]["entry-points"]
    entries = "".join(
        f"[{group}]\n" + "".join(f"{key} = {value}\n" for key, value in named.items())
        for group, named in groups.items()
    )
    names = NAMED.findall(text)
    install(
        site, "toyextension", entries, dict(zip(names, [b for _, b in blocks[1:]], strict=True))
    )
    # A command offers what was installed when its process began.
    for name in (*names, "auditor.cli.commands.export"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return site


@pytest.mark.usefixtures("installed")
def test_its_check_is_listed_planned_audited_and_verified(inside: Path, auditor: Command) -> None:
    assert "toy.surest" in auditor("checks", "list").out
    assert "toy.surest" in auditor("plan", "audit.yaml", "--all").out
    ended = auditor("audit", "audit.yaml", "--only", "toy.surest", "--out", "out")
    assert "Largest probability" in (inside / "out" / "report.html").read_text(), ended.said
    (found,) = [
        it for it in RecordFolder(inside / "out").record.readings if it.check == "toy.surest"
    ]
    assert 0.5 <= found.value <= 1
    assert auditor("verify", "out", "--key", "out/signer.pub").code == 0


@pytest.mark.usefixtures("installed")
def test_its_runtime_opens_the_model_of_a_target_in_the_child_alone(
    inside: Path, auditor: Command
) -> None:
    (inside / "targets.yaml").write_text(TARGETS)
    assert "toy" in auditor("targets", "list").out
    ended = auditor(
        "audit", "audit.yaml", "--target", "toy", "--only", "quality.accuracy", "--out", "out"
    )
    record = RecordFolder(inside / "out").record
    runtime = record.fingerprints["toy"].identity_facts["runtime"]
    assert runtime["name"] == "reference", ended.said
    assert {it.metric for it in record.readings if it.check == "quality.accuracy"} >= {"accuracy"}
    assert "toyextension_driver" not in sys.modules
    assert auditor("targets", "probe", "toy").code == 0


@pytest.mark.usefixtures("installed")
def test_what_ran_in_its_runtime_is_measured_and_never_verified_on_target(
    inside: Path, auditor: Command
) -> None:
    (inside / "targets.yaml").write_text(TARGETS)
    ended = auditor("targets", "probe", "toy", "--format", "json")
    assert '"evidence": "measured"' in ended.out


@pytest.mark.usefixtures("installed")
def test_its_format_is_offered_and_written_and_no_part_of_the_folder(
    finished: Path, auditor: Command
) -> None:
    for source in ("out", "--help"):
        ended = auditor("export", source, "--format", "verdict-line", "--out", "verdict.txt")
        assert ended.code == 0, ended.said
    assert (finished / "verdict.txt").read_text().endswith(": pass\n")
    assert not (finished / "out" / "verdict.txt").exists()


ROUTE = """
from fastapi import APIRouter
router = APIRouter(prefix="/v1")
@router.get("/toys")
def list_toys() -> list[str]:
    return []
"""


@pytest.fixture
def routes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is searched for routes beside the folder of routes."""
    package = auditor.service.api.routes
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path)])
    monkeypatch.delitem(sys.modules, f"{package.__name__}.toys", raising=False)
    return tmp_path


def test_a_route_is_one_file_in_the_folder_of_routes(routes: Path) -> None:
    (routes / "toys.py").write_text(ROUTE)
    told = get_openapi(title="toy", version="1", routes=list_api_routes())
    assert {"/v1/toys", "/v1/audits"} <= told["paths"].keys()


def test_a_file_without_routes_in_the_folder_of_routes_stops_the_start(routes: Path) -> None:
    (routes / "toys.py").write_text("")
    with pytest.raises(BrokenCheckError, match=r"routes\.toys has no router"):
        list_api_routes()


@pytest.mark.parametrize("name", ["onnxruntime", "endpoint"])
def test_a_runtime_that_is_served_already_is_refused(site: Path, name: str) -> None:
    install(site, "other", f"[auditor.drivers]\n{name} = somewhere\n", {})
    with pytest.raises(BrokenCheckError, match=f"serves the runtime '{name}', which another"):
        list_runtimes()


def test_a_driver_that_is_no_file_and_a_runtime_without_a_driver_are_refused(site: Path) -> None:
    install(site, "other", "[auditor.drivers]\nlost = no_such_module\n", {})
    with pytest.raises(TargetError, match=r"the driver of the runtime 'lost' is not a file"):
        find_driver("lost")
    with pytest.raises(TargetError, match=r"no driver serves the runtime 'none'"):
        find_driver("none")


@pytest.mark.parametrize("value", ["toy_format:MISSING", "toy_format:NAMED", "toy_format:FILED"])
def test_a_format_that_does_not_load_or_is_another_is_refused(
    site: Path, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "toy_format", raising=False)
    text = (
        "from auditor.extend import ReportFormat\n"
        "NAMED = ReportFormat('junit', 'toy.txt', lambda _: b'')\n"
        "FILED = ReportFormat('toy', 'junit.xml', lambda _: b'')\n"
    )
    install(site, "other", f"[auditor.formats]\ntoy = {value}\n", {"toy_format": text})
    with pytest.raises(BrokenCheckError):
        discover_formats()


def test_every_name_can_be_imported_and_none_is_loaded_before_it_is_asked_for() -> None:
    assert len(dir(auditor.extend)) > 50
    for name in dir(auditor.extend):
        assert getattr(auditor.extend, name) is not None
    with pytest.raises(ImportError):
        from auditor.extend import nothing  # type: ignore[attr-defined]  # noqa: F401, PLC0415
    code = "import sys, auditor.extend; print(*(n for n in sys.modules if n.startswith('auditor')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["auditor", "auditor.extend"]


DECLARED: dict[str, Any] = {
    "title": "Toy",
    "needs": [Need.MODEL],
    "emits": {"share": Metric("Share", Unit.SHARE)},
    "figures": lambda _evidence, _confidence: [],
}


def test_a_function_is_a_check_whose_parameters_are_its_arguments() -> None:
    @check("toy.function", **DECLARED, uses=("quality.accuracy",))
    def toy(_subject: object, *, rows: int = 3) -> dict[str, Any]:
        return {"rows": rows}

    assert add_checks({}, []) == {}
    assert Check in toy.__mro__
    made: Any = toy
    assert made(rows=5).observe(None, None) == {"rows": 5}
    assert made() == made(rows=3)
    assert made().cost(AuditSize(rows=7, classes=2)).queries == 7
    assert made.uses == ("quality.accuracy",)


def test_a_function_without_a_default_or_with_an_unknown_declaration_is_no_check() -> None:
    with pytest.raises(TypeError, match="rows must be keyword-only and have a default"):

        @check("toy.function", **DECLARED)
        def toy(_subject: object, rows: int) -> dict[str, Any]:
            return {"rows": rows}

    with pytest.raises(TypeError, match="declares no 'wnats'"):
        check("toy.function", **DECLARED, wnats=())
