"""A gate opens for bytes that ran: what a server answered speaks for the server."""

import base64
import hashlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import yaml
from small_audits import linear_model
from targets.endpoint_servers import Host, hosting

from auditor._resources import find_shipped_folder
from auditor.domain.json import encode_canonical
from auditor.domain.tasks import Array
from auditor.reports.folder import RESULTS, SVR, VERDICT
from auditor.trust.keys.files import load_signer
from auditor.trust.signatures.sigstore_bundle import sign_bundle

Command = Callable[..., Any]
Ask = Callable[..., tuple[int, str]]
GATE = ("gate", "--artifact", "model.onnx", "--policy", "policy.yaml", "--record", "out",
        "--key", "out/signer.pub")  # fmt: skip


@pytest.fixture
def host(inside: Path) -> Iterator[Host]:
    """A server of the good model; the file beside the audit is one that always says the same."""
    (inside / "model.onnx").rename(inside / "served.onnx")
    linear_model(inside / "model.onnx", [0.0, 0.0, 0.0], 4.0)
    with hosting(inside / "served.onnx") as found:
        yield found


@pytest.fixture
def audited(auditor: Command, inside: Path, host: Host) -> Callable[..., Any]:
    """Audit the file on the targets named, of which `prod` and `both` ask the server."""

    def run(*targets: str, artifact: bool = True, leave: str | None = None, **more: object) -> Any:  # noqa: ANN401 -- how it ended
        endpoint = {"url": host.url, "model": "tiny", "retries": 0, "authorisation": leave}
        declared = {
            "prod": {"time_limit": 20.0, "endpoint": endpoint},
            "both": {"cascade": {"edge": "cpu", "cloud": "prod", "below": 1.0}},
        }
        told = {"apiVersion": "auditor/v1", "kind": "Targets", "targets": declared}
        (inside / "targets.yaml").write_text(yaml.safe_dump(told))
        asked = yaml.safe_load((inside / "audit.yaml").read_text()) | {
            "targets": [*targets],
            **more,
        }
        if not artifact:
            del asked["model"]["artifact"]
        (inside / "audit.yaml").write_text(yaml.safe_dump(asked))
        only = ("--only", "quality.accuracy", "--only", "hardware.parity")
        ended = auditor("audit", "audit.yaml", *only, "--out", "out")
        assert auditor("verify", "out", "--key", "out/signer.pub").code == 0
        return ended

    return run


@pytest.mark.parametrize("target", ["prod", "both"])
def test_a_file_that_never_ran_opens_no_gate(
    auditor: Command, audited: Callable[..., Any], target: str
) -> None:
    assert audited(target).code == 0  # the endpoint passes
    for asked in (GATE, (*GATE, "--target", target)):
        ended = auditor(*asked)
        assert ended.code == 1, ended.said
        assert "Gate: closed (artifact)" in ended.said
    assert auditor(*GATE, "--fail-on", "failed").code == 1


def test_a_target_that_ran_the_file_opens_its_gate_beside_an_endpoint(
    auditor: Command, audited: Callable[..., Any], inside: Path
) -> None:
    (inside / "served.onnx").replace(inside / "model.onnx")  # the file is the one that is served
    assert audited("cpu", "prod").code == 0
    assert auditor(*GATE, "--target", "cpu").code == 0
    for asked in (GATE, (*GATE, "--target", "prod")):
        ended = auditor(*asked)
        assert (ended.code, "Gate: closed (artifact)" in ended.said) == (1, True), ended.said


def subjects(folder: Path) -> dict[str, list[str]]:
    """What each signed statement of a folder speaks of, by the file that holds it."""
    found = {}
    for path in folder.glob("*.json"):
        said = json.loads(path.read_bytes())
        if "dsseEnvelope" in said:
            statement = json.loads(base64.b64decode(said["dsseEnvelope"]["payload"]))
            found[path.name] = [item["digest"]["sha256"] for item in statement["subject"]]
    return found


def test_everything_that_shows_the_record_speaks_of_the_endpoint(
    auditor: Command, audited: Callable[..., Any], inside: Path
) -> None:
    ended = audited("prod")
    said = "On prod this record speaks for the endpoint, not for the file"
    assert said in ended.said
    for name in ("report.html", "summary.md"):
        head = (inside / "out" / name).read_text().partition("How it was run")[0]
        assert said in head, name
        assert "Approved for deployment" not in head, name
    shown = auditor("comment", "out", "--key", "out/signer.pub")
    assert said in shown.said
    assert "\N{WHITE HEAVY CHECK MARK}" not in shown.out
    file, record = (
        hashlib.sha256((inside / name).read_bytes()).hexdigest()
        for name in ("model.onnx", "out/record.json")
    )
    artifact = json.loads((inside / "out" / "record.json").read_bytes())["request"]["artifact"]
    spoken = subjects(inside / "out")
    assert len(spoken) == 4
    for name, digests in spoken.items():
        assert digests[0] == record, name
        assert not {file, artifact["digest"].removeprefix("sha256:")} & {*digests}, name
    bom = json.loads((inside / "out" / "bom.cdx.json").read_bytes())["metadata"]["component"]
    assert "hashes" not in bom
    assert {"name": "auditor:scope", "value": "endpoint"} in bom["properties"]
    for name in ("verdict.vsa.json", "bom.cdx.json", "VERIFY.md"):
        assert file not in (inside / "out" / name).read_text(), name


def test_an_earlier_record_whose_statements_name_the_file_verifies_and_opens_no_gate(
    auditor: Command, audited: Callable[..., Any], inside: Path, home: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    audited("prod")
    request = json.loads((inside / "out" / "record.json").read_bytes())["request"]["artifact"]
    (held,) = request["files"]
    whole = hashlib.sha256(bytes.fromhex(held["sha256"])).hexdigest()
    files = [about(held["name"], held["sha256"]), about("line@1.0.0", whole)]
    for name in (VERDICT, SVR, RESULTS):
        name_again(inside / "out" / name, home, [], files)
    model = about(request["name"], request["digest"].removeprefix("sha256:"))
    record = inside / "out" / "record.sigstore.json"
    name_again(record, home, json.loads(payload(record))["subject"][:1], [model])
    assert auditor("verify", "out", "--key", "out/signer.pub").code == 1  # not by this version
    monkeypatch.setattr(
        "auditor.workflows.verify.verifiers.code_digest", lambda: "sha256:" + "0" * 64
    )
    ended = auditor("verify", "out", "--key", "out/signer.pub")
    assert (ended.code, ended.out.count("another version of auditor worded")) == (0, 3), ended.said
    ended = auditor(*GATE)
    assert (ended.code, "Gate: closed (artifact)" in ended.said) == (1, True), ended.said
    assert "ENDPOINT" in standalone(inside, "--artifact", inside / "model.onnx")[1]


def about(name: str, digest: str) -> dict[str, Any]:
    return {"name": name, "digest": {"sha256": digest}}


def payload(path: Path) -> bytes:
    return base64.b64decode(json.loads(path.read_bytes())["dsseEnvelope"]["payload"])


def name_again(path: Path, home: Path, kept: list[Any], named: list[Any]) -> None:
    """Let the owner sign a statement that names other things after those that it keeps."""
    statement = json.loads(payload(path))
    rest = statement["subject"][1:] if kept else []
    statement["subject"] = [*kept, *named, *rest]
    path.write_bytes(sign_bundle(encode_canonical(statement), load_signer(home / "signer.key")))


def standalone(inside: Path, *more: object) -> tuple[int, str]:
    key = inside / "out" / "signer.pub"
    (inside / "trusted.pub").write_bytes(key.read_bytes())
    command = [
        sys.executable,
        "-I",
        find_shipped_folder("reports") / "bundle" / "verify.py",
        inside / "out",
    ]
    done = subprocess.run(
        [*map(str, command), "--key", str(inside / "trusted.pub"), *map(str, more)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def test_the_verifier_of_one_file_finds_no_file_of_the_model_either(
    audited: Callable[..., Any], inside: Path
) -> None:
    audited("prod")
    code, said = standalone(inside)
    assert code == 0, said
    code, said = standalone(inside, "--artifact", inside / "model.onnx")
    assert (code, "ENDPOINT" in said) == (1, True), said


def test_a_deployment_without_a_file_passes_as_before_and_opens_no_gate_on_bytes(
    auditor: Command, audited: Callable[..., Any], inside: Path
) -> None:
    ended = audited("prod", artifact=False)
    assert ended.code == 0
    assert "speaks for the endpoint, not for the file" not in ended.said
    assert "Approved for deployment" in (inside / "out" / "summary.md").read_text()
    shut = auditor(*GATE)
    assert (shut.code, "Gate: closed (artifact)" in shut.said) == (1, True)


SAME = """\
  - id: same
    title: It answers as the file does
    severity: high
    effect: deny
    measure: hardware.parity/flip_rate
    at_most: 0.05
    rationale: It must.
    remediation: Look.
"""
MOVED = """\
  - id: same-moved
    title: It answers as the file does on perturbed rows too
    severity: high
    effect: EFFECT
    when: served
    measure: hardware.parity/perturbed_flip_rate
    at_most: 0.02
    rationale: It must.
    remediation: Look.
"""
LEAVE = "The owner of the test, for this audit."


@pytest.fixture
def asking(inside: Path, host: Host) -> Callable[..., None]:
    """Let the file be the one that is served, and the policy ask for parity with it."""

    def ask(effect: str = "deny", *, noise_alone: bool = False) -> None:
        (inside / "served.onnx").replace(inside / "model.onnx")
        moved = MOVED.replace("EFFECT", effect)
        if noise_alone:
            moved = moved.replace("at_most", "where: {perturbation: noise}\n    at_most")
        with (inside / "policy.yaml").open("a") as file:
            file.write(SAME + moved)

    return ask


@pytest.mark.parametrize("target", ["prod", "both"])
def test_parity_that_was_required_and_kept_opens_the_gate_for_the_file(
    auditor: Command, audited: Callable[..., Any], asking: Callable[..., None], inside: Path,
    target: str,
) -> None:  # fmt: skip
    asking()
    ended = audited(target, leave=LEAVE)
    assert ended.code == 0, ended.said
    assert "speaks for the endpoint" not in ended.said
    opened = auditor(*GATE, "--target", target)
    assert opened.code == 0, opened.said
    file = hashlib.sha256((inside / "model.onnx").read_bytes()).hexdigest()
    assert file in subjects(inside / "out")["verdict.vsa.json"]
    assert standalone(inside)[0] == 0
    assert "ENDPOINT" in standalone(inside, "--artifact", inside / "model.onnx")[1]
    assert auditor("reproduce", "out").code == 0


def knowing(inside: Path) -> Callable[[Array, Array], Array]:
    """Give every row the file's answer to the nearest row of the data."""
    lines = (inside / "test.csv").read_text().splitlines()[1:]
    known = np.array([[float(it) for it in line.split(",")[1:4]] for line in lines], np.float32)
    session = onnxruntime.InferenceSession(str(inside / "model.onnx"))

    def answer(rows: Array, scores: Array) -> Array:
        apart = np.abs(rows[:, None, :].astype(np.float64) - known[None]).max(axis=2)
        return np.asarray(session.run(None, {"x": known[apart.argmin(axis=1)]})[0], scores.dtype)

    return answer


@pytest.mark.slow
def test_a_server_that_knows_the_rows_opens_nothing(
    auditor: Command, audited: Callable[..., Any], asking: Callable[..., None], host: Host,
    inside: Path,
) -> None:  # fmt: skip
    asking()
    host.behaviour.instead = knowing(inside)
    ended = audited("prod", leave=LEAVE)
    assert ended.code == 1, ended.said
    record = json.loads((inside / "out" / "record.json").read_bytes())
    outcomes = {item["rule"]: item["outcome"] for item in record["findings"]}
    assert outcomes == {"accuracy": "passed", "same": "passed", "same-moved": "failed"}
    shut = auditor(*GATE)
    assert (shut.code, "Gate: closed (artifact, verdict)" in shut.said) == (1, True), shut.said


@pytest.mark.slow
@pytest.mark.parametrize("asked", ["a warning", "noise alone", "no leave", "a named reference"])
def test_parity_that_shows_less_opens_nothing(
    auditor: Command, audited: Callable[..., Any], asking: Callable[..., None], asked: str
) -> None:
    asking(
        "warn" if asked in {"a warning", "no leave"} else "deny", noise_alone=asked == "noise alone"
    )
    more = {"reference": "cpu"} if asked == "a named reference" else {}
    ended = audited("prod", leave=None if asked == "no leave" else LEAVE, **more)
    assert ended.code == 0, ended.said
    shut = auditor(*GATE)
    assert (shut.code, "Gate: closed (artifact)" in shut.said) == (1, True), shut.said
