"""Forgeries of audit records for the selftest, such as edited evidence or swapped models.

The signing keys are derived from a seed: anyone who knows the seed can sign with them.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from cryptography.hazmat.primitives.asymmetric import ec
from onnx import numpy_helper

from auditor._resources import find_shipped_folder
from auditor._time import format_time
from auditor.checks.measure import CONFIDENCE, compute_readings
from auditor.checks.registry import discover_checks
from auditor.domain.artifacts import FileDigest
from auditor.domain.baselines import MeasurementConditions
from auditor.domain.digests import Digest
from auditor.domain.evidence import Blob, Evidence, encode_observed
from auditor.domain.json import Json, encode_canonical
from auditor.domain.observed_checks import ObservedCheck, Result
from auditor.domain.policies import AssuranceLevel
from auditor.domain.provenance import build_lineage
from auditor.domain.record_json import read_record
from auditor.domain.records import AuditRecord
from auditor.domain.requests import AuditAttempt
from auditor.domain.targets import EvidenceLevel
from auditor.policy.control_catalogues import load_catalogues
from auditor.policy.evaluate.context import build_judging_context
from auditor.policy.evaluate.engine import judge_readings
from auditor.policy.load import load_policy
from auditor.reports.attestations import WRITERS
from auditor.reports.folder import EVIDENCE, RECORD, SIGNER, RecordFolder, write_folder
from auditor.reports.publish import build_report_files
from auditor.selftest.specimens import MODEL, Deed
from auditor.trust.keys.files import PRIVATE, load_signer
from auditor.trust.signatures.keys import KeySigner, Signer, read_public_key
from auditor.trust.signatures.model_signing import sign_files
from auditor.workflows.evidence import load_record_policy, load_results


def keep_evidence(seen: ObservedCheck) -> Evidence:
    """Leave the evidence as it is."""
    return seen.evidence


@dataclass(frozen=True, slots=True)
class RecordForgery:
    """Another record of the same audit: of evidence that ``see`` returns, and with other ``facts``.

    All that follows from the evidence is worked out again, so that figures, findings and renderings
    fit together: who forges like this has the program and knows it.
    """

    see: Callable[[ObservedCheck], Evidence] = keep_evidence
    facts: Mapping[str, Any] = field(default_factory=dict)

    def put(self, path: Path, signer: Signer) -> None:
        """Write the forged record in place of the one in a folder, signed by ``signer``."""
        old, checks = RecordFolder(path), discover_checks()
        known = load_catalogues(find_shipped_folder("policies"))
        record = old.record
        policy = load_record_policy(
            old, record, lambda raw, source: load_policy(raw, source, checks, known)
        )
        results, blobs = _forged(load_results(old, record, checks), self.see)
        told = replace(record, **self.facts)
        # The record that follows from results: its readings and its findings
        context = build_judging_context(told.request, told.assurance, CONFIDENCE, (), told.finished)
        readings_at = cache(partial(compute_readings, results))
        seen = tuple(item.observation for item in results if isinstance(item, ObservedCheck))
        under = MeasurementConditions.of(told.request, seen, told.fingerprints)
        judged, who = (
            replace(
                told,
                observations=seen,
                readings=readings_at(CONFIDENCE),
                findings=judge_readings(policy, readings_at, context.against(None, under)),
            ),
            read_public_key(signer.public_pem()),
        )
        edges = build_lineage(judged, policy.catalogues, who.identity)
        forged = read_record(replace(judged, lineage=edges).canonical())
        files = build_report_files(
            forged, policy, checks, lambda name: blobs.get(name) or old.evidence(name), signer
        )
        write_folder(path, files)


def _forged(
    results: Sequence[Result], see: Callable[[ObservedCheck], Evidence]
) -> tuple[tuple[Result, ...], dict[str, bytes]]:
    """Return what was seen with other evidence, and the bytes of that by their digests."""
    found: list[Result] = []
    blobs: dict[str, bytes] = {}
    for item in results:
        if not isinstance(item, ObservedCheck):
            found.append(item)
            continue
        kept: list[Blob] = []
        digests, evidence = encode_observed(see(item), kept.append)
        blobs |= {blob.digest: blob.raw for blob in kept}
        found.append(
            ObservedCheck(replace(item.observation, evidence=digests), item.check, evidence)
        )
    return tuple(found), blobs


ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""The order of P-256 (FIPS 186-4, D.1.2.3)."""


def derive_signer(seed: int, who: str) -> KeySigner:
    """Return somebody's signer: the same seed and name give the same key."""
    raw = hashlib.sha512(f"auditor selftest {who} {seed}".encode()).digest()
    secret = int.from_bytes(raw) % (ORDER - 1) + 1
    return KeySigner(ec.derive_private_key(secret, ec.SECP256R1()))


def write_model_signature(
    artifact: bytes, folder: Path, signer: KeySigner, *, name: str = MODEL
) -> None:
    """Write ``model.sig`` of a model's bytes into a folder."""
    bundle = sign_files([FileDigest.of(MODEL, artifact)], signer, name=name)
    (folder / "model.sig").write_bytes(bundle)


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
    (out / EVIDENCE / Digest(old).hex).unlink()
    seen["evidence"]["decided"] = right
    (out / RECORD).write_bytes(encode_canonical(record))


def retouch_report(folder: Path, _home: Path) -> None:
    """Let the pages say more than was measured."""
    for name in ("report.html", "summary.md"):
        page = folder / OUT / name
        page.write_text(page.read_text("utf-8").replace("9", "99"), "utf-8")


def install_successor(folder: Path, _home: Path) -> None:
    """Put the model's successor in its place."""
    shutil.copy(folder / LATER, folder / MODEL)


def replay_statements(folder: Path, _home: Path) -> None:
    """Let what was signed of an earlier audit speak for a later one."""
    for name in WRITERS:
        shutil.copy(folder / EARLIER / name, folder / OUT / name)


def sign_as_worker(folder: Path, _home: Path) -> None:
    """Claim to be a worker whose hardware was verified, and sign with a key of one's own."""
    forgery = RecordForgery(facts={"assurance": AssuranceLevel.A2})
    signer = derive_signer(0, "somebody else")
    forgery.put(folder / OUT, signer)


def claim_assurance(folder: Path, home: Path) -> None:
    """Claim that a worker with verified hardware had run what one ran oneself."""
    RecordForgery(facts={"assurance": AssuranceLevel.A2}).put(folder / OUT, _own(home))


def invent_answers(folder: Path, home: Path) -> None:
    """Let the model have been sure of the right class on every row, and sign that."""
    RecordForgery(see=_perfect).put(folder / OUT, _own(home))


def _perfect(seen: ObservedCheck) -> Evidence:
    stated = np.asarray(seen.evidence["probabilities"])
    labels = np.asarray(seen.evidence["labels"])
    sure = np.full_like(stated, 0.01 / (stated.shape[1] - 1))
    sure[np.arange(len(labels)), labels] = 0.99
    return {**seen.evidence, "decided": labels, "probabilities": sure}


def swap_model(folder: Path, _home: Path) -> None:
    """Deploy other weights than those that were audited."""
    path = folder / MODEL
    path.write_bytes(tamper_weight(path.read_bytes()))


def tamper_weight(raw: bytes) -> bytes:
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
    RecordForgery(facts={"fingerprints": other}).put(folder / OUT, _own(home))


def age_record(folder: Path, home: Path) -> None:
    """Let so much time pass that a record is old; the measurements say when they were made."""
    then = format_time(datetime.now(UTC) - timedelta(days=DAYS))
    RecordForgery(facts={"registered": then, "finished": then}).put(folder / OUT, _own(home))


def count_attempt(number: int) -> Deed:
    """Return what a service does that counts: this is the audit of that number."""

    def count(folder: Path, home: Path) -> None:
        request = replace(_record(folder).request, attempt=AuditAttempt(number=number))
        RecordForgery(facts={"request": request}).put(folder / OUT, _own(home))

    return count


def claim_simulated_chip(folder: Path, home: Path) -> None:
    """Run in a vendor's simulator on this processor, and say that its chip was verified."""
    played = {
        name: replace(
            found,
            identity_facts={**found.identity_facts, **SIMULATOR},
            evidence=EvidenceLevel.VERIFIED,
        )
        for name, found in _record(folder).fingerprints.items()
    }
    RecordForgery(facts={"fingerprints": played}).put(folder / OUT, _own(home))


def _record(folder: Path) -> AuditRecord:
    return read_record(RecordFolder(folder / OUT).read(RECORD))


def _own(home: Path) -> Signer:
    return load_signer(home / PRIVATE)
