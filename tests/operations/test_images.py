"""The image and the composition: linted, and their commands carried out outside of a container."""

import json
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from fleets import Fleet

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "docker" / "Dockerfile"
COMPOSE = ROOT / "docker" / "compose.yaml"
TOOLS = Path(sys.executable).parent
COMPOSED: Mapping[str, Any] = yaml.safe_load(COMPOSE.read_text())
INSTRUCTIONS = re.sub(r"\\\n", " ", DOCKERFILE.read_text()).splitlines()


def told(name: str) -> list[str]:
    """Return what follows each instruction of a name."""
    return [line.partition(" ")[2].strip() for line in INSTRUCTIONS if line.startswith(f"{name} ")]


def ours() -> dict[str, Any]:
    return {name: it for name, it in COMPOSED["services"].items() if "build" in it}


def test_nothing_of_ours_runs_as_root_or_writes_where_it_need_not() -> None:
    assert told("USER") == ["10001:10001"]
    assert set(ours()) == {"migrate", "service", "worker"}
    for service in ours().values():
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]
        assert "no-new-privileges:true" in service["security_opt"]
        assert not any("password" in it.lower() for it in service["environment"])
    published = [it for service in COMPOSED["services"].values() for it in service.get("ports", ())]
    assert published == ["127.0.0.1:8400:8400"]


def test_what_the_composition_mounts_is_made_in_the_image_for_its_user() -> None:
    made = " ".join(told("RUN"))
    for service in ours().values():
        for volume in service.get("volumes", ()):
            name, _, place = volume.partition(":")
            if name == "/tmp":  # noqa: S108 -- the container's own, which every image has
                continue
            assert name in COMPOSED["volumes"]
            assert place in made
        for secret in service["secrets"]:
            assert secret in COMPOSED["secrets"]
    assert "AUDITOR_HOME=/var/lib/auditor" in told("ENV")[0].split()


def test_the_image_serves_unless_told_otherwise() -> None:
    usual = json.loads(told("CMD")[-1])
    assert ours()["service"]["command"][: len(usual)] == usual


@pytest.mark.slow
def test_linters_find_nothing() -> None:
    subprocess.run([TOOLS / "hadolint", DOCKERFILE], check=True)
    schema = ("--builtin-schema", "vendor.compose-spec")
    subprocess.run([TOOLS / "check-jsonschema", *schema, COMPOSE], check=True)


@pytest.mark.slow
def test_what_is_copied_into_the_image_is_enough_for_a_whole_wheel(tmp_path: Path) -> None:
    let_in = {
        line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] == "!"
    }
    copied = [it.split() for it in told("COPY") if not it.startswith("--from")]
    for *names, _place in copied:
        for name in names:
            assert name in let_in
            path = ROOT / name
            copy = shutil.copytree if path.is_dir() else shutil.copy
            copy(path, tmp_path / name)
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", tmp_path]
    subprocess.run([*build, tmp_path], check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {
        "auditor/_data/alembic/env.py",
        "auditor/_data/policies/baseline.yaml",
        "auditor/service/web/templates/base.html.j2",
    } <= names
    extras = next(it.partition("=")[2] for it in told("ARG") if it.startswith("EXTRAS="))
    metadata = next(it for it in names if it.endswith("METADATA"))
    offered = zipfile.ZipFile(wheel).read(metadata).decode()
    assert all(f"Provides-Extra: {extra}\n" in offered for extra in extras.split(","))


@pytest.mark.slow
def test_the_composition_migrates_serves_works_and_is_healthy(
    fleet: Fleet, own_database: str
) -> None:
    (fleet.folder / "database_url").write_text(f"{own_database}\n")
    assert json.loads(told("ENTRYPOINT")[0]) == ["auditor"]

    def world(name: str) -> dict[str, str]:
        here = {"/run/secrets": str(fleet.folder), "/var/lib": str(fleet.folder)}
        given = dict(ours()[name]["environment"])
        for there, place in here.items():
            given = {key: value.replace(there, place) for key, value in given.items()}
        return fleet.world(f"home-of-{name}", **given)

    def command(name: str) -> list[str]:
        return [str(part) for part in ours()[name]["command"]]

    fleet.run(*command("migrate"), world=world("migrate"))
    service = fleet.start(*command("service"), "--port", "0", world=world("service"))
    worker = fleet.start(*command("worker"), world=world("worker"))
    serving = service.told("serving")
    assert serving["open"]
    worker.told("working")
    (health,) = [it for it in told("HEALTHCHECK") if "CMD" in it]
    asked = json.loads(health.partition("CMD ")[2])
    assert "8400" in asked[-1]
    asks = [sys.executable, *asked[1:-1], asked[-1].replace("8400", str(serving["port"]))]
    assert subprocess.run(asks, check=False).returncode == 0
    worker.stop()
    service.stop()
    assert subprocess.run(asks, check=False, capture_output=True).returncode == 1
