"""Timestamps beside a model's signature under a trust policy: audited, verified, gated, kept."""

import json
import shutil
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509 import load_pem_x509_certificate
from time_authority import OTHER_POLICY, POLICY, Authority, served
from trust_papers import (
    CI,
    OWNER,
    RELEASE,
    Change,
    document,
    headed,
    named,
    revoking,
    ruled,
    save,
)

Command = Callable[..., Any]
REQUIRED = ruled(timestamp="required", max_age="30d")
ONLY = ("--only", "provenance.signature", "--only", "quality.accuracy", "--out", "out")
VERIFY = ("verify", "model.onnx", "--signature", "model.sig", "--trust", "trust.yaml",
          "--model", "line", "--version", "1.0.0")  # fmt: skip
GATE = ("gate", "--artifact", "model.onnx", "--policy", "policy.yaml", "--record", "out",
        "--trust", "trust.yaml")  # fmt: skip


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.made(tmp_path_factory.mktemp("clock") / "authority")


def clocked(**settings: object) -> Change:
    """Let the policy name the clock that lies beside it."""
    return lambda found: found.update(
        roots={"tsa": {"pem": "tsa.pem"}}, clocks={"roots": ["tsa"], **settings}
    )


def write(*changes: Change) -> None:
    found = document(headed(expires="2999-01-01"), ruled(models=["line"]), *changes)
    Path("trust.yaml").write_text(yaml.safe_dump(found))


def naming(**settings: str) -> None:
    """Let the audit file name these files of the model."""
    file = Path("audit.yaml")
    said = "".join(f", {name}: {value}" for name, value in settings.items())
    file.write_text(file.read_text().replace("artifact: model.onnx", f"artifact: model.onnx{said}"))


@pytest.fixture
def place(auditor: Command, inside: Path, home: Path, authority: Authority) -> Path:
    """A signed model whose signature is stamped; CI's key signs records."""
    save(CI, home / "signer.key")
    for name, key in (("release", RELEASE), ("owner", OWNER)):
        save(key, inside / f"{name}.key")
    shutil.copy(authority.root, inside / "tsa.pem")
    sign(auditor)
    stamp(auditor, authority, "model.sig")
    return inside


def sign(auditor: Command, *more: str) -> None:
    words = ("sign", "model.onnx", "--out", "model.sig", "--key", "release.key", *more)
    assert auditor(*words).code == 0


def stamp(auditor: Command, authority: Authority, what: str) -> None:
    with served(authority.answer) as url:
        ended = auditor("timestamp", "add", what, "--url", url, "--tsa-roots", "tsa.pem")
    assert ended.code == 0, ended.said


def reading() -> dict[str, Any]:
    record = json.loads(Path("out/record.json").read_bytes())
    (found,) = [it for it in record["readings"] if it["check"] == "provenance.signature"]
    return dict(found)


def codes() -> list[str]:
    return [item["code"] for item in reading()["details"]["findings"]]


def since(time: str) -> Change:
    return revoking("keys", {"sha256": named(RELEASE), "since": time})


def test_a_stamped_model_is_audited_verified_gated_and_reproduced_by_the_kept_timestamp(
    auditor: Command, place: Path
) -> None:
    write(clocked(policies=[POLICY]), REQUIRED)
    assert f"clocks: tsa under {POLICY}" in auditor("trust", "show", "trust.yaml").said
    naming(signature="model.sig", trust="trust.yaml")
    audited = auditor("audit", "audit.yaml", *ONLY)
    assert audited.code == 0, audited.said
    assert (reading()["value"], codes()) == (True, ["POLICY_UNACCEPTED"])
    assert reading()["details"]["trust"]["stamped"].startswith("20")
    record = json.loads((place / "out/record.json").read_bytes())
    digest = sha256((place / "model.sig.tsr").read_bytes()).hexdigest()
    listed = [it for it in record["request"]["inputs"] if digest in json.dumps(it)]
    assert len(listed) == 1
    # From here on the audit's own evidence is all that there is.
    for name in ("model.sig", "model.sig.tsr"):
        (place / name).unlink()
    assert auditor("verify", "out", "--key", "out/signer.pub").code == 0
    again = auditor("reproduce", "out")
    assert again.code == 0, again.said
    opened = auditor(*GATE)
    assert (opened.code, "holds signer" in opened.said) == (0, True), opened.said
    # Revoked since: only the kept timestamp says that it was signed before.
    write(clocked(), REQUIRED, since("2998-01-01"))
    assert auditor(*GATE).code == 0
    for changes, code in {
        (clocked(), since("2020-01-01")): "REVOKED",
        (since("2998-01-01"),): "REVOKED",
        (REQUIRED,): "NO_TIME",
        (clocked(policies=[OTHER_POLICY]), REQUIRED): "TIMESTAMP_POLICY",
    }.items():
        write(*changes)
        shut = auditor(*GATE)
        assert (shut.code, f"{code}: " in shut.said) == (1, True), shut.said


@pytest.mark.parametrize("asked", [True, False], ids=["asked for", "not asked for"])
def test_a_timestamp_over_another_signature_is_a_finding(
    asked: bool,  # noqa: FBT001
    auditor: Command,
    place: Path,
) -> None:
    write(clocked(), *([REQUIRED] if asked else []))
    naming(signature="model.sig", trust="trust.yaml")
    sign(auditor, "--name", "line", "--version", "1.0.0")
    assert auditor("audit", "audit.yaml", *ONLY).code == 0
    missing = ["NO_TIME"] if asked else []
    assert (reading()["value"], codes()) == (
        not asked, ["POLICY_UNACCEPTED", "TIMESTAMP_IMPRINT", *missing],
    )  # fmt: skip
    ended = auditor(*VERIFY)
    assert (ended.code, "TIMESTAMP_IMPRINT: " in ended.said) == (int(asked), True), ended.said
    assert ("not checked timestamp" in ended.said) is not asked
    (place / "model.sig.tsr").unlink()
    ended = auditor(*VERIFY)
    assert (ended.code, "NO_TIME: " in ended.said) == (int(asked), asked)
    assert "timestamp " not in ended.said


@pytest.mark.slow
def test_a_gate_judges_what_an_audit_under_a_key_kept_beside_the_signature(
    auditor: Command, place: Path
) -> None:
    naming(signature="model.sig", key="release.pub")
    assert auditor("audit", "audit.yaml", *ONLY).code == 0
    write(clocked(), REQUIRED)
    opened = auditor(*GATE)
    assert opened.code == 0, opened.said
    (place / "model.sig.tsr").unlink()
    assert auditor("audit", "audit.yaml", *ONLY).code == 0
    assert "NO_TIME: " in auditor(*GATE).said


def test_an_artifact_is_verified_by_the_timestamp_beside_its_signature(
    auditor: Command, place: Path, authority: Authority
) -> None:
    write(clocked(), REQUIRED, since("2998-01-01"))
    ended = auditor(*VERIFY)
    assert ended.code == 0, ended.said
    assert "holds timestamp the signature was there at 20" in ended.said
    clock = load_pem_x509_certificate((authority.folder / "clock.pem").read_bytes())
    write(clocked(), REQUIRED, revoking("certs", clock.fingerprint(SHA256()).hex()))
    ended = auditor(*VERIFY)
    assert (ended.code, "failed timestamp REVOKED" in ended.said) == (1, True), ended.said
    write(clocked(), REQUIRED)
    (place / "model.sig.tsr").rename("elsewhere")
    assert "NO_TIME: " in auditor(*VERIFY).said
    assert auditor(*VERIFY, "--timestamp", "elsewhere").code == 0
    assert auditor(*VERIFY, "--at", "2020-01-01T00:00:00Z").code == 1
    ended = auditor(*VERIFY, "--at", "2020-01-01T00:00:00Z", "--timestamp", "elsewhere")
    assert (ended.code, "--at conflicts with the timestamps" in ended.said) == (2, True)
    assert auditor(*VERIFY, "--timestamp", "none").code == 2
    write()
    ended = auditor(*VERIFY, "--timestamp", "elsewhere")
    assert (ended.code, "names no clocks" in ended.said) == (2, True)


def test_a_model_folder_with_its_signature_and_timestamp_in_it_is_verified(
    auditor: Command, place: Path, authority: Authority
) -> None:
    (place / "model").mkdir()
    shutil.copy("model.onnx", "model/model.onnx")
    words = ("sign", "model", "--out", "model/model.sig", "--key", "release.key")
    assert auditor(*words).code == 0
    stamp(auditor, authority, "model/model.sig")
    write(clocked(), REQUIRED)
    asked = ("verify", "model", "--signature", "model/model.sig", *VERIFY[4:])
    ended = auditor(*asked)
    assert ended.code == 0, ended.said


@pytest.mark.slow
def test_a_records_own_timestamp_is_judged_by_the_clocks_of_the_policy(
    auditor: Command, place: Path, authority: Authority, tmp_path: Path
) -> None:
    naming(signature="model.sig", trust="trust.yaml")
    write(clocked())
    assert auditor("audit", "audit.yaml", *ONLY).code == 0
    asked = ("verify", "out", "--trust", "trust.yaml")
    ended = auditor(*asked)
    assert (ended.code, "not present timestamp" in ended.said) == (0, True), ended.said
    stamp(auditor, authority, "out")
    ended = auditor(*asked)
    assert (ended.code, "holds timestamp record.sig" in ended.said) == (0, True), ended.said
    gone = revoking("keys", {"sha256": named(CI), "since": "2998-01-01"})
    write(clocked(), gone)
    assert auditor(*asked).code == 0
    write(gone)
    assert "REVOKED: " in auditor(*asked).said
    shutil.copy(Authority.made(tmp_path / "other").root, place / "tsa.pem")
    write(clocked())
    ended = auditor(*asked)
    assert (ended.code, "CERT_ROOT: " in ended.said) == (1, True)
    assert auditor(*asked, "--tsa-roots", authority.root).code == 0


def test_what_is_far_too_large_for_timestamps_stops_the_audit(
    auditor: Command, place: Path
) -> None:
    write(clocked())
    naming(signature="model.sig", trust="trust.yaml")
    (place / "model.sig.tsr").write_bytes(bytes(2**20 + 1))
    ended = auditor("audit", "audit.yaml", *ONLY)
    assert (ended.code, "is not a file of timestamps" in ended.said) == (2, True), ended.said
