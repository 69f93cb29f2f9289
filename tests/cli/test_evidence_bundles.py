"""A stranger verifies a bundle with one file and a key, and finds out whoever touched it."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from debian import installed
from fetching import out_of_reach_skips
from forged_exports import (
    STRANGER,
    Exports,
    Files,
    by,
    flipped,
    forged_archives,
    forged_files,
    forged_folders,
    told_lies,
)

from auditor._resources import find_shipped_folder
from auditor.reports.folder import LEDGER, SIGNER
from auditor.reports.formats.bundle_zip import pack_bundle
from auditor.trust.keys.files import load_signer
from auditor.trust.signatures.keys import KeySigner

Command = Callable[..., Any]
SCRIPT = find_shipped_folder("reports") / "bundle" / "verify.py"
EVERY = 9
"""Of all forgeries, the share that the slower verifier looks at in the fast test."""


def loaded() -> ModuleType:
    spec = importlib.util.spec_from_file_location("offline_verifier", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


OFFLINE = loaded()


def files_in(folder: Path) -> Files:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def written(files: Files, folder: Path) -> Path:
    for name, raw in files.items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(raw)
    return folder


@pytest.fixture
def exports(auditor: Command, finished: Path, kept: Path) -> Exports:
    """Three records of the finished audit's signer, made once."""
    folders = [kept / name for name in ("first", "twin", "failing")]
    if not folders[0].exists():
        shutil.copytree(finished / "out", folders[0])
        policy = (finished / "policy.yaml").read_text()
        (finished / "strict.yaml").write_text(policy.replace("at_least: 0.6", "at_least: 0.999"))
        for name, folder, code in (("policy", folders[1], 0), ("strict", folders[2], 1)):
            ended = auditor("judge", "out", "--policy", f"{name}.yaml", "--out", folder)
            assert ended.code == code, ended.said
    return Exports(*(files_in(folder) for folder in folders))


@pytest.fixture
def trusted(finished: Path, home: Path) -> tuple[str, ...]:
    """The options that name the owner's keys, which lie elsewhere."""
    assert finished
    return ("--key", str(home / SIGNER), "--ledger-key", str(home / LEDGER))


Verified = tuple[int, list[dict[str, str]]]


@pytest.fixture
def offline(capsys: pytest.CaptureFixture[str]) -> Callable[..., Verified]:
    """The single file, in this process: exit code and steps."""

    def run(*words: object) -> Verified:
        code = OFFLINE.main([*map(str, words), "--json"])
        said = json.loads(capsys.readouterr().out)
        assert said["holds"] == (code == 0)
        return code, said["steps"]

    return run


def refused(ended: Verified) -> str:
    """The code of the first step that failed; every one has one, and something was looked at."""
    code, steps = ended
    failed = [step for step in steps if step["result"] == "failed"]
    assert code == 1
    assert all(step["code"].isupper() and step["detail"] for step in failed), steps
    return failed[0]["code"]


def test_a_bundle_and_its_folder_hold_step_by_step(
    offline: Callable[..., Verified], exports: Exports, trusted: tuple[str, ...], tmp_path: Path,
    inside: Path,
) -> None:  # fmt: skip
    (tmp_path / "b.zip").write_bytes(pack_bundle(exports.good))
    for place in (tmp_path / "b.zip", written(exports.good, tmp_path / "folder")):
        code, steps = offline(place, *trusted, "--artifact", inside / "model.onnx")
        assert code == 0
        results = {step["name"]: step["result"] for step in steps}
        asked = ("paths", "key", "signature", "files", "evidence", "record", "verdict",
                 "properties", "test result", "ledger", "artifact")  # fmt: skip
        left = dict.fromkeys(("figures", "report.html"), "not checked")
        assert results == {**dict.fromkeys(asked, "ok"), **left}


def test_a_failing_record_verifies_too_and_says_that_it_fails(
    offline: Callable[..., Verified], exports: Exports, trusted: tuple[str, ...], tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    (tmp_path / "b.zip").write_bytes(pack_bundle(exports.failing))
    code, steps = offline(tmp_path / "b.zip", *trusted)
    assert code == 0
    assert next(step for step in steps if step["name"] == "record")["detail"].startswith(
        "the verdict fail "
    )
    assert OFFLINE.main([str(tmp_path / "b.zip"), *trusted]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == (
        "It holds; report.html was NOT compared with the record, whose verdict is fail"
    )


@pytest.mark.parametrize("curve", [ec.SECP256R1, ec.SECP384R1, ec.SECP521R1])
def test_signatures_of_every_curve_are_verified(
    offline: Callable[..., Verified], exports: Exports, tmp_path: Path,
    curve: type[ec.EllipticCurve],
) -> None:  # fmt: skip
    signer = KeySigner(ec.derive_private_key(99, curve()))
    key = written({"k.pub": signer.public_pem()}, tmp_path) / "k.pub"
    (tmp_path / "b.zip").write_bytes(pack_bundle(by(signer, exports.good)))
    assert offline(tmp_path / "b.zip", "--key", key)[0] == 0
    (tmp_path / "b.zip").write_bytes(pack_bundle(exports.good))
    assert refused(offline(tmp_path / "b.zip", "--key", key)) == "SIGNATURE"


def test_the_key_in_a_bundle_is_never_trusted(
    offline: Callable[..., Verified], exports: Exports, tmp_path: Path
) -> None:
    (tmp_path / "b.zip").write_bytes(pack_bundle(exports.good))
    assert refused(offline(tmp_path / "b.zip")) == "NOT_TRUSTED"
    folder = written(exports.good, tmp_path / "folder")
    assert refused(offline(folder, "--key", folder / SIGNER)) == "NOT_TRUSTED"


def test_neither_is_the_ledger_key_in_a_folder(
    exports: Exports, trusted: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = written(exports.good, tmp_path / "folder")
    words = [str(folder), *trusted[:2], "--ledger-key", str(folder / LEDGER)]
    assert OFFLINE.main(words) == 2
    assert "from its owner" in capsys.readouterr().err


def test_without_a_ledger_key_the_ledger_is_said_to_be_unchecked(
    offline: Callable[..., Verified], exports: Exports, trusted: tuple[str, ...], tmp_path: Path
) -> None:
    (tmp_path / "b.zip").write_bytes(pack_bundle(exports.good))
    code, steps = offline(tmp_path / "b.zip", *trusted[:2])
    assert code == 0
    assert {step["name"] for step in steps if step["result"] == "not checked"} == {
        "figures", "ledger", "report.html"
    }  # fmt: skip


def test_another_model_is_not_the_one_that_was_audited(
    offline: Callable[..., Verified], exports: Exports, trusted: tuple[str, ...], tmp_path: Path,
    inside: Path,
) -> None:  # fmt: skip
    (tmp_path / "b.zip").write_bytes(pack_bundle(exports.good))
    words = (tmp_path / "b.zip", *trusted, "--artifact", inside / "test.csv")
    assert refused(offline(*words)) == "ARTIFACT"


def test_no_forged_file_gets_past_the_single_verifier(
    offline: Callable[..., Verified], exports: Exports, trusted: tuple[str, ...], tmp_path: Path
) -> None:
    forged = forged_files(exports)
    assert len(forged) >= 150
    for number, (name, files) in enumerate(forged.items()):
        place = tmp_path / f"{number}.zip"
        place.write_bytes(pack_bundle(files))
        assert refused(offline(place, *trusted)), name
        place.unlink()


@pytest.mark.slow
def test_no_lie_that_the_owner_signed_gets_past_either_verifier(
    auditor: Command, offline: Callable[..., Verified], exports: Exports,
    trusted: tuple[str, ...], tmp_path: Path, home: Path,
) -> None:  # fmt: skip
    place, key = tmp_path / "told.zip", trusted[:2]
    for name, files in told_lies(exports, load_signer(home / "signer.key")).items():
        place.write_bytes(pack_bundle(files))
        assert refused(offline(place, *key)), name
        ended = auditor("verify", place, *key)
        assert ended.code in {1, 2}, (name, ended.said)


def test_no_forged_archive_gets_past_either_verifier(
    auditor: Command, offline: Callable[..., Verified], exports: Exports,
    trusted: tuple[str, ...], tmp_path: Path,
) -> None:  # fmt: skip
    place = tmp_path / "forged.zip"
    forged = forged_archives(exports)
    assert len(forged) >= 30
    for name, raw in forged.items():
        place.write_bytes(raw)
        assert refused(offline(place, *trusted)) in {"ZIP", "PATH", "DUPLICATE", "FORMAT"}, name
        ended = auditor("verify", place, *trusted)
        assert (ended.code, "bundle cannot be read" in ended.said) == (2, True), (name, ended.said)
    assert {path.name for path in tmp_path.iterdir()} == {"forged.zip", "example", "home"}


def test_no_forged_folder_gets_past_either_verifier(
    auditor: Command, offline: Callable[..., Verified], exports: Exports,
    trusted: tuple[str, ...], tmp_path: Path,
) -> None:  # fmt: skip
    for number, name in enumerate(forged_folders(tmp_path)):
        root = tmp_path / str(number)
        folder = written(exports.good, root / "folder")
        forged_folders(root)[name](folder)
        assert refused(offline(folder, *trusted)) in {"LINK", "PATH", "TOO_LARGE"}, name
        assert auditor("verify", folder, *trusted).code in {1, 2}, name
        shutil.rmtree(root)


def refused_too(
    auditor: Command, exports: Exports, trusted: tuple[str, ...], place: Path, every: int
) -> None:
    """Hold one of so many forgeries against `auditor verify`, which looks further."""
    for number, (name, files) in enumerate(forged_files(exports).items()):
        if number % every == 0:
            place.write_bytes(pack_bundle(files))
            ended = auditor("verify", place, *trusted)
            assert ended.code in {1, 2}, (name, ended.said)
            assert "Internal error" not in ended.said, name


@pytest.mark.slow
def test_some_forged_files_are_refused_by_auditor_as_well(
    auditor: Command, exports: Exports, trusted: tuple[str, ...], tmp_path: Path
) -> None:
    refused_too(auditor, exports, trusted, tmp_path / "forged.zip", EVERY)


@pytest.mark.slow
def test_every_forged_file_is_refused_by_auditor_as_well(
    auditor: Command, exports: Exports, trusted: tuple[str, ...], tmp_path: Path
) -> None:
    refused_too(auditor, exports, trusted, tmp_path / "forged.zip", 1)


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter that has `cryptography`, and nothing of this package."""
    folder = tmp_path_factory.mktemp("bare")
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    python = folder / "venv" / "bin" / "python"
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    out_of_reach_skips([*map(str, install), "cryptography"], folder)
    return python


@pytest.mark.slow
@pytest.mark.fetches
def test_the_verifier_in_a_bundle_needs_nothing_but_cryptography(
    bare: Path, exports: Exports, trusted: tuple[str, ...], tmp_path: Path
) -> None:
    script = written({"verify.py": exports.good["verify.py"]}, tmp_path / "alone") / "verify.py"
    (tmp_path / "b.zip").write_bytes(pack_bundle(exports.good))

    def run(*words: object) -> subprocess.CompletedProcess[str]:
        command = [bare, "-I", script, *map(str, words)]
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)

    absent = subprocess.run([bare, "-I", "-c", "import auditor"], check=False, capture_output=True)
    assert absent.returncode == 1
    good = run("b.zip", *trusted)
    assert (good.returncode, good.stderr) == (0, "")
    assert good.stdout.endswith(
        "\nIt holds; report.html was NOT compared with the record, whose verdict is pass\n"
    )
    forged = forged_files(exports)
    for name in (
        "report.html changed",
        "everything signed by a stranger",
        "a proof with another salt",
    ):
        (tmp_path / "f.zip").write_bytes(pack_bundle(forged[name]))
        bad = run("f.zip", *trusted)
        assert (bad.returncode, bad.stderr) == (1, ""), name
        assert bad.stdout.endswith("It does not verify.\n")
    for words in (["nowhere.zip"], ["b.zip", "--key", script], ["b.zip", "--key", "nowhere.pub"]):
        ended = run(*words)
        assert ended.returncode == 2
        assert ended.stderr.startswith("error: ")


@pytest.mark.slow
@pytest.mark.fetches
@pytest.mark.parametrize("which", ["good", "failing"])
def test_every_command_of_the_guide_works_as_it_stands(
    bare: Path, exports: Exports, home: Path, inside: Path, tmp_path: Path, which: str
) -> None:
    installed(["jq", "openssl", "cosign"], shows=["jq", "openssl", "cosign"])
    folder = written(getattr(exports, which), tmp_path / "folder")
    guide = (folder / "VERIFY.md").read_text()
    blocks = re.findall(r"^```sh\n(.*?)^```", guide, re.DOTALL | re.MULTILINE)
    assert len(blocks) == 7
    keys = {"KEY": str(home / SIGNER), "MODEL": str(inside / "model.onnx")}
    told = {**os.environ, **keys, "PATH": f"{bare.parent}:{os.environ['PATH']}"}

    def run() -> subprocess.CompletedProcess[str]:
        command = ["bash", "-euo", "pipefail", "-c", "\n".join(blocks)]
        return subprocess.run(
            command, cwd=folder, env=told, capture_output=True, text=True, check=False
        )

    done = run()
    assert done.returncode == 0, done.stderr
    said = done.stdout + done.stderr
    assert said.count("Verified OK") == 7  # by OpenSSL four times, by cosign three
    (digest,) = re.findall(r"^([0-9a-f]{64})  -$", said, re.MULTILINE)
    assert f"this prints `{digest}`" in guide
    for name in ("record.json", "report.html", exports.evidence[0]):
        raw = (folder / name).read_bytes()
        (folder / name).write_bytes(flipped(raw))
        assert run().returncode != 0, name
        (folder / name).write_bytes(raw)
    told["KEY"] = str(written({"k.pub": STRANGER.public_pem()}, tmp_path) / "k.pub")
    assert run().returncode != 0
