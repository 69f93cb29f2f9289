"""What is native is built where that works, and an install is whole where it does not."""

import importlib.util
import shutil
import sysconfig
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = "auditor/signing/_lanes.c"
MODULE = "auditor/signing/_lanes.abi3.so"
needs_compiler = pytest.mark.skipif(
    not shutil.which("cc") or not Path(sysconfig.get_path("include"), "Python.h").is_file(),
    reason="there is no C compiler, or no headers of Python",
)


class Told:
    """What hatchling shows to its user."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def display_warning(self, text: str) -> None:
        self.warnings.append(text)


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Lay out a checkout in which an older module lies."""
    (tmp_path / SOURCE).parent.mkdir(parents=True)
    shutil.copy(ROOT / SOURCE, tmp_path / SOURCE)
    (tmp_path / MODULE).write_bytes(b"old")
    return tmp_path


def build(script: ModuleType, checkout: Path, version: str) -> tuple[dict[str, Any], list[str]]:
    """Run the hook, and return what it asks for and what it says."""
    told = Told()
    data: dict[str, Any] = {"force_include": {}, "pure_python": True}
    arguments = (str(checkout), {}, None, None, str(checkout), "wheel", told)
    hook = script.NativeHook(*arguments)
    hook.initialize(version, data)
    assert all(Path(path).is_file() for path in data["force_include"])
    hook.finalize(version, data, "")
    return data, told.warnings


@needs_compiler
def test_a_wheel_with_the_module_says_for_which_machines_it_is(
    script: ModuleType, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AUDITOR_PURE", raising=False)
    data, warnings = build(script, checkout, "standard")
    assert warnings == []
    assert list(data["force_include"].values()) == [MODULE]
    assert (data["pure_python"], data["tag"]) == (False, "cp311-abi3-linux_x86_64")
    assert (checkout / MODULE).read_bytes() == b"old", "a wheel changes nothing in the checkout"


@needs_compiler
def test_an_editable_install_has_the_module_beside_its_source(
    script: ModuleType, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AUDITOR_PURE", raising=False)
    data, warnings = build(script, checkout, "editable")
    assert (data, warnings) == ({"force_include": {}, "pure_python": True}, [])
    assert (checkout / MODULE).read_bytes()[:4] == b"\x7fELF"


BROKEN = {
    "no compiler": {"CC": "/nowhere/cc"},
    "one that fails": {"CC": "false"},
    "a command that nobody can read": {"CC": "'"},
    "a wish for none": {"AUDITOR_PURE": "1"},
}


@pytest.mark.parametrize("what", BROKEN)
@pytest.mark.parametrize("version", ["standard", "editable"])
def test_where_it_cannot_be_built_the_install_is_pure_and_no_old_module_stays(
    what: str,
    version: str,
    script: ModuleType,
    checkout: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in BROKEN[what].items():
        monkeypatch.setenv(name, value)
    data, warnings = build(script, checkout, version)
    assert data == {"force_include": {}, "pure_python": True}
    assert "hashing is slower" in warnings[0]
    assert (checkout / MODULE).exists() is (version == "standard")
    names = sorted(path.name for path in (checkout / SOURCE).parent.iterdir())
    assert set(names) <= {"_lanes.c", "_lanes.abi3.so"}, "nothing half made is left"
