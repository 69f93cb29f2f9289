"""What cheats do with a record: deeds on a specimen's folder, told the home with the keys."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from auditor.attesting import WRITERS
from auditor.clock import written
from auditor.domain.canonical import Json, canonical
from auditor.domain.evidence import Evidence
from auditor.domain.observed import Seen
from auditor.domain.policies import Assurance
from auditor.domain.record_json import read_record
from auditor.domain.records import AuditRecord
from auditor.domain.requests import Attempt
from auditor.domain.targets import EvidenceLevel
from auditor.folders import EVIDENCE, RECORD, SIGNER, RecordFolder
from auditor.signatures.keys import Signer
from auditor.signing.keys import PRIVATE, load_signer
from auditor.zoo.forging import Forgery
from auditor.zoo.keys import signer_of
from auditor.zoo.papers import MODEL
from auditor.zoo.specimens import Deed

OUT, TRUSTED = "out", "trusted.pub"
EARLIER, LATER = "earlier", "later.onnx"
DAYS = 60
NPU = "QNNExecutionProvider"
SIMULATOR: Mapping[str, Json] = {
    "provider": NPU,
    "provider_options": {"backend_path": "libQnnHtp.so"},
    "devices": [{"kind": "CPU", "vendor": "Qualcomm", "provider": NPU}],
    "placement": {NPU: {"Gemm": 1}},
    "session_providers": [NPU],
}
"""What a runtime reports where Qualcomm's simulator plays its NPU on another processor."""


def keep_key(folder: Path, _home: Path) -> None:
    """Let whoever asks later have the key of the honest audit."""
    shutil.copy(folder / OUT / SIGNER, folder / TRUSTED)


def edit_evidence(folder: Path, _home: Path) -> None:
    """Let every decision be right, without a key: in the evidence, and in the record's names."""
    out = folder / OUT
    record = json.loads((out / RECORD).read_bytes())
    (seen,) = record["observations"]
    old, right = seen["evidence"]["decided"], seen["evidence"]["labels"]
    (out / EVIDENCE / old.removeprefix("sha256:")).unlink()
    seen["evidence"]["decided"] = right
    (out / RECORD).write_bytes(canonical(record))


def retouch_report(folder: Path, _home: Path) -> None:
    """Let the pages say more than was measured."""
    for name in ("report.html", "summary.md"):
        page = folder / OUT / name
        page.write_text(page.read_text("utf-8").replace("9", "99"), "utf-8")


def succeed(folder: Path, _home: Path) -> None:
    """Put the model's successor in its place."""
    shutil.copy(folder / LATER, folder / MODEL)


def replay_statements(folder: Path, _home: Path) -> None:
    """Let what was signed of an earlier audit speak for a later one."""
    for name in WRITERS:
        shutil.copy(folder / EARLIER / name, folder / OUT / name)


def sign_as_another(folder: Path, _home: Path) -> None:
    """Claim to be a worker whose hardware was verified, and sign with a key of one's own."""
    forgery = Forgery(facts={"assurance": Assurance.A2})
    signer = signer_of(0, "somebody else")
    forgery.put(folder / OUT, signer)


def claim_more(folder: Path, home: Path) -> None:
    """Claim that a worker with verified hardware had run what one ran oneself."""
    Forgery(facts={"assurance": Assurance.A2}).put(folder / OUT, _own(home))


def invent_answers(folder: Path, home: Path) -> None:
    """Let the model have been sure of the right class on every row, and sign that."""
    Forgery(see=_perfect).put(folder / OUT, _own(home))


def _perfect(seen: Seen) -> Evidence:
    stated = np.asarray(seen.evidence["probabilities"])
    labels = np.asarray(seen.evidence["labels"])
    sure = np.full_like(stated, 0.01 / (stated.shape[1] - 1))
    sure[np.arange(len(labels)), labels] = 0.99
    return {**seen.evidence, "decided": labels, "probabilities": sure}


def swap_model(folder: Path, _home: Path) -> None:
    """Deploy other weights than those that were audited."""
    path = folder / MODEL
    path.write_bytes(tampered(path.read_bytes()))


def tampered(raw: bytes) -> bytes:
    """Return a model of which one number was changed."""
    model = onnx.load_from_string(raw)
    if model.graph.initializer:
        first = model.graph.initializer[0]
        values = numpy_helper.to_array(first).copy()
        values.flat[-1] += 1
        first.CopyFrom(numpy_helper.from_array(values, first.name))
    else:
        leaves = next(a for a in model.graph.node[0].attribute if a.name == "target_weights")
        leaves.floats[0] += 1
    changed: bytes = model.SerializeToString(deterministic=True)
    return changed


def audit_elsewhere(folder: Path, home: Path) -> None:
    """Audit on a machine with another processor than the one that it is to run on."""
    other = {
        name: replace(found, identity_facts={**found.identity_facts, "device": "another processor"})
        for name, found in _record(folder).fingerprints.items()
    }
    Forgery(facts={"fingerprints": other}).put(folder / OUT, _own(home))


def age(folder: Path, home: Path) -> None:
    """Let so much time pass that a record is old; the measurements say when they were made."""
    then = written(datetime.now(UTC) - timedelta(days=DAYS))
    Forgery(facts={"registered": then, "finished": then}).put(folder / OUT, _own(home))


def count_again(number: int) -> Deed:
    """Return what a service does that counts: this is the audit of that number."""

    def count(folder: Path, home: Path) -> None:
        request = replace(_record(folder).request, attempt=Attempt(number=number))
        Forgery(facts={"request": request}).put(folder / OUT, _own(home))

    return count


def call_simulation_a_chip(folder: Path, home: Path) -> None:
    """Run in a vendor's simulator on this processor, and say that its chip was verified."""
    played = {
        name: replace(
            found,
            identity_facts={**found.identity_facts, **SIMULATOR},
            evidence=EvidenceLevel.VERIFIED,
        )
        for name, found in _record(folder).fingerprints.items()
    }
    Forgery(facts={"fingerprints": played}).put(folder / OUT, _own(home))


def _record(folder: Path) -> AuditRecord:
    return read_record(RecordFolder(folder / OUT).read(RECORD))


def _own(home: Path) -> Signer:
    return load_signer(home / PRIVATE)
