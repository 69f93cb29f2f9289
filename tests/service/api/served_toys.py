"""What has to be uploaded and posted for a small audit, and an engine that runs nothing."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from auditor.domain.json import encode_canonical
from auditor.domain.policies import Policy


def sha(raw: bytes) -> str:
    return "sha256:" + hashlib.sha256(raw).hexdigest()


def body_of(example: Path, given: Policy, /, **changes: Any) -> dict[str, Any]:  # noqa: ANN401 -- JSON
    """Return what a client posts for the example, with ``changes``."""
    inputs = []
    for name in ("model.onnx", "test.csv"):
        raw = (example / name).read_bytes()
        digest = hashlib.sha256(raw).hexdigest()
        inputs.append({"path": name, "name": name, "size": len(raw), "sha256": digest})
    return {
        "audit_file": sha((example / "audit.yaml").read_bytes()),
        "source": "audit.yaml",
        "inputs": inputs,
        "policy": sha(encode_canonical(given.document)),
        "only": ["quality.accuracy"],
        **changes,
    }


def files_of(example: Path, policy: Policy) -> Mapping[str, tuple[str, bytes]]:
    """Return what has to be uploaded before the example is posted: names, kinds, and bytes."""
    return {
        "model.onnx": ("artifacts", (example / "model.onnx").read_bytes()),
        "test.csv": ("datasets", (example / "test.csv").read_bytes()),
        "audit.yaml": ("datasets", (example / "audit.yaml").read_bytes()),
        "policy.json": ("datasets", encode_canonical(policy.document)),
    }


@dataclass
class StillEngine:
    """An engine at the seam that queues and runs nothing."""

    alive: frozenset[str] = frozenset({"cpu"})
    queued: list[str] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)

    def submit(self, submission: str) -> None:
        if submission not in self.queued:
            self.queued.append(submission)

    def cancel(self, submission: str) -> None:
        self.stopped.append(submission)

    def live(self, targets: Sequence[str]) -> frozenset[str]:
        return self.alive & frozenset(targets)
