"""Makes a golden record: one small audit by the version at hand, signed, proven and stamped.

    python tests/workflows/verify/make_golden_record.py tests/golden/records/v1.zip

Once for each schema of records, when it is new; after that the file is never made again, for what
was signed has to verify for ever. OpenSSL is the time-stamping authority, until the year 9999.
"""

import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

sys.path.insert(0, str(Path(__file__).parents[2]))
from time_authority import Authority

from auditor.trust.ledger.key_events import key_event_id

AUDITOR = Path(sys.executable).with_name("auditor")
DAYS_TO_9999 = 2_910_000
OUT = "out"
EPOCH = (2026, 1, 1, 0, 0, 0)
POLICY = """\
apiVersion: auditor/v1
kind: Policy
metadata: {name: golden, version: 1.0.0, owner: tests@example.org, least_budget: smoke}
params: {}
checks: {}
rules:
  - id: accuracy
    title: It is right often enough
    severity: high
    effect: deny
    measure: quality.accuracy/accuracy
    at_least: 0.6
    rationale: A coin is right half the time.
    remediation: Train it.
"""
AUDIT = """\
apiVersion: auditor/v1
kind: Audit
model: {name: golden, version: 1.0.0, artifact: model.onnx, signature: model.sig, key: model.pub}
task: {kind: classification, classes: ["no", "yes"]}
input: {domain: [0.0, 1.0]}
targets: [cpu]
data:
  evaluation: {path: test.csv, labels: y, id: id}
policy: policy.yaml
budget: smoke
seed: 3
"""


def main() -> None:
    """Make the file that the command line names."""
    (target,) = map(Path, sys.argv[1:])
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        home = folder / "home"
        run = Runner(folder, {**os.environ, "AUDITOR_HOME": str(home)})
        inputs(folder)
        run("keys", "new", "--role", "model", "--home", folder)
        run("sign", "model.onnx", "--out", "model.sig", "--key", "model.key")
        run("audit", "audit.yaml", "--only", "quality.accuracy", "--only", "provenance.signature",
            "--out", OUT)  # fmt: skip
        authority = Authority.made(folder / "clock", days=DAYS_TO_9999)
        run("timestamp", "request", OUT, "--out", "query.tsq")
        (folder / "answer.tsr").write_bytes(authority.answer((folder / "query.tsq").read_bytes()))
        run("timestamp", "add", OUT, "--answer", "answer.tsr", "--request", "query.tsq",
            "--tsa-roots", authority.root)  # fmt: skip
        name = key_event_id("report", (home / "signer.pub").read_text())
        run("ledger", "prove", name, "--out", f"{OUT}/signer.tlog-proof")
        kept = {f"{OUT}/{path.relative_to(folder / OUT)}": path
                for path in sorted((folder / OUT).rglob("*")) if path.is_file()}  # fmt: skip
        kept |= {"signer.pub": home / "signer.pub", "ledger.pub": home / "ledger.pub",
                 "clock.pem": authority.root}  # fmt: skip
        write(target, kept)


class Runner:
    """Runs the command as a user does, in a folder."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder, self.environment = folder, environment

    def __call__(self, *words: object) -> None:
        """Run it; whatever it says is shown, and a failure ends the script."""
        command = [str(AUDITOR), *map(str, words)]
        subprocess.run(command, cwd=self.folder, env=self.environment, check=True)


def inputs(folder: Path) -> None:
    """Write a logistic model of a line, forty rows, a policy and an audit file."""
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 2])
    out = helper.make_tensor_value_info("p", TensorProto.FLOAT, [None, 1])
    nodes = [helper.make_node("Gemm", ["x", "w", "b"], ["z"]),
             helper.make_node("Sigmoid", ["z"], ["p"])]  # fmt: skip
    stored = [numpy_helper.from_array(np.array([[6.0], [4.0]], np.float32), "w"),
              numpy_helper.from_array(np.array([-5.0], np.float32), "b")]  # fmt: skip
    graph = helper.make_graph(nodes, "line", [given], [out], stored)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, folder / "model.onnx")
    random = np.random.default_rng(5)
    rows = random.uniform(size=(40, 2)).round(3)
    truth = 6 * rows[:, 0] + 4 * rows[:, 1] - 5 + random.normal(0, 0.5, 40) > 0
    lines = [f"r{at},{a},{b},{'yes' if is_yes else 'no'}"
             for at, ((a, b), is_yes) in enumerate(zip(rows.tolist(), truth.tolist(), strict=True))
             ]  # fmt: skip
    (folder / "test.csv").write_text("\n".join(["id,a,b,y", *lines]) + "\n")
    (folder / "policy.yaml").write_text(POLICY)
    (folder / "audit.yaml").write_text(AUDIT)


def write(target: Path, kept: dict[str, Path]) -> None:
    """Write the files into one archive, which no tool changes a line's end of."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(target, "x", zipfile.ZIP_LZMA) as packed:
        for name, path in kept.items():
            packed.writestr(zipfile.ZipInfo(name, EPOCH), path.read_bytes(),
                            compress_type=zipfile.ZIP_LZMA)  # fmt: skip
    sys.stdout.write(f"{target}: {target.stat().st_size} bytes\n")


if __name__ == "__main__":
    main()
