"""A gate opens for kept evidence of these bytes, data, task and target alone, whatever is changed.

Records, signatures, evidence and questions are changed at random. Where a stranger changed a
folder, or another question is asked, the gate must be shut. Where the owner of the trusted key
changed the record and signed it again, it may open for what a signer's word alone stands for
(``BELIEVED``), and for nothing that evidence, policy or question decide.
"""

import copy
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from test_forged_records import Place, others, places

from auditor.domain.artifacts import digest_files
from auditor.domain.json import encode_canonical
from auditor.domain.policies import AssuranceLevel
from auditor.domain.record_json import read_record
from auditor.domain.verification_steps import StepResult
from auditor.errors import AuditorError, RecordError
from auditor.reports.folder import BUNDLE, LEDGER, RECORD, SIGNER, RecordFolder
from auditor.trust.artifacts.files import digest_artifact
from auditor.trust.keys.files import load_signer
from auditor.trust.signatures.keys import KeySigner
from auditor.trust.signatures.records import sign_record
from auditor.workflows.gate import GateQuestion, check_gate
from auditor.workflows.verify.folder import SHOWN
from auditor.workflows.verify.trusted_record import RecordTrustOptions
from auditor.workflows.wiring import build_resolvers

Command = Callable[..., Any]
FEW, MANY = 25, 3500
"""How many changes of each kind the fast test tries, and how many the long one."""
PRESENTED = {"renderings", "files", "verdict", "properties", "test result"}
"""Steps on files that only show a record: an owner who changes it writes those anew as well."""
SPARE = {LEDGER}
"""A copy for comparing, which may be missing: the ledger's key that counts is the caller's own."""
BELIEVED = (
    "/fingerprints/cpu/evidence",  # less than the facts show
    "/fingerprints/cpu/interface",
    "/places",
    "/request/artifact/name",
    "/request/artifact/version",
    "/request/claims",
    "/request/datasets/0/rows",
    "/request/inputs",
    "/request/labels",
    "/request/only",
    "/request/show_examples",
    "/request/tags",
    "/request/target_specs/0",
    "/tool/",
)
"""What a signer's word alone stands for, by where it stands in a record: names, lines of files that
are not there, what ran it, and settings of the target that no reading tells."""


@dataclass(frozen=True, slots=True)
class Gate:
    """A folder whose record opens, the question that it answers, and the owner's key."""

    folder: Path
    question: GateQuestion
    key: Path
    ledger: Path | None
    owner: KeySigner

    def failed(self, question: GateQuestion | None = None, key: Path | None = None) -> set[str]:
        """Return the names of the steps that keep the gate shut for what lies in the folder."""
        folder = RecordFolder(self.folder)
        try:
            steps = RecordTrustOptions(
                key or self.key, None, AssuranceLevel.A0, self.ledger
            ).verify(folder)
            steps += check_gate(folder.record, question or self.question, steps)
        except AuditorError as error:
            return {error.problem}
        return {step.name for step in steps if step.result is StepResult.FAILED}

    def sign(self, record: bytes) -> None:
        """Write a record, and the owner's signature of it beside the files that are there."""
        found = read_record(record)
        artifact = found.request.artifact
        files = {name: (self.folder / name).read_bytes() for name in SHOWN if self.has(name)}
        bundle = sign_record(
            record,
            None if artifact is None else artifact.digest,
            found.request.name,
            self.owner,
            files=files,
        )
        (self.folder / RECORD).write_bytes(record)
        (self.folder / BUNDLE).write_bytes(bundle)

    def has(self, name: str) -> bool:
        """Whether a file lies in the folder."""
        return (self.folder / name).is_file()


@pytest.fixture
def gate(auditor: Command, finished: Path, home: Path, tmp_path: Path) -> Gate:
    """A record that passes, and a gate that is open for it."""
    folder = tmp_path / "tried"
    shutil.copytree(finished / "out", folder)
    trusted, ledger = tmp_path / "trusted.pub", tmp_path / "ledger.pub"
    trusted.write_bytes((folder / SIGNER).read_bytes())
    ledger.write_bytes((folder / LEDGER).read_bytes())
    question = GateQuestion(
        artifact=digest_files(digest_artifact(finished / "model.onnx")),
        policy=build_resolvers(finished).load_policy("policy.yaml"),
        target=None,
        identity=None,
        max_age=timedelta(days=1),
        now=datetime.now(UTC),
    )
    found = Gate(folder, question, trusted, ledger, load_signer(home / "signer.key"))
    assert found.failed() == set()
    return found


def changed_bytes(raw: bytes, random: Random) -> bytes:
    """Flip, drop, double or exchange some bytes of a file."""
    at = random.randrange(len(raw) + 1)
    match random.randrange(5):
        case 0 if at < len(raw):
            return raw[:at] + bytes([raw[at] ^ (1 << random.randrange(8))]) + raw[at + 1 :]
        case 1:
            return raw[:at] + raw[at + random.randrange(1, 9) :]
        case 2:
            return raw[:at] + random.randbytes(random.randrange(1, 9)) + raw[at:]
        case 3:
            return raw[:at]
        case _:
            return raw[:at] + random.choice([b" ", b"\n", b"0", b'"', b","]) + raw[at:]


def changed_values(document: Any, random: Random) -> Any:  # noqa: ANN401 -- any JSON
    """Exchange one to three values of a document for other ones, often for another of its own."""
    found = copy.deepcopy(document)
    for _ in range(random.choice([1, 1, 1, 2, 3])):
        where = list(places(found))
        *above, last = random.choice(where)
        holder = found
        for key in above:
            holder = holder[key]
        true = holder[last]
        values = others(true)
        if random.random() < 0.5:
            met = (look(found, at) for at in random.choices(where, k=20))
            values = [value for value in met if type(value) is type(true) and value != true]
        if isinstance(true, int | float) and not isinstance(true, bool):
            values += [true + 1, true - 1, true / 2, -true]
        if isinstance(holder, dict) and random.random() < 0.1:
            del holder[last]
        elif values:
            holder[last] = copy.deepcopy(random.choice(values))
    return found


def look(document: Any, place: Place) -> Any:  # noqa: ANN401 -- any JSON
    """Return what stands at a place."""
    for key in place:
        document = document[key]
    return document


def differences(one: Any, other: Any, at: str = "") -> list[str]:  # noqa: ANN401 -- any JSON
    """Return where two documents differ."""
    if isinstance(one, dict) and isinstance(other, dict):
        pairs = {key: (one.get(key), other.get(key)) for key in sorted({*one, *other})}
        return [it for key, pair in pairs.items() for it in differences(*pair, f"{at}/{key}")]
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        pairs = enumerate(zip(one, other, strict=True))
        return [it for number, pair in pairs for it in differences(*pair, f"{at}/{number}")]
    return [] if encode_canonical(one) == encode_canonical(other) else [at]


def by_strangers(gate: Gate, random: Random) -> bool:
    """Change a file of the folder, or take it away, without the owner's key."""
    files = sorted(path for path in gate.folder.rglob("*") if path.is_file())
    files += [gate.folder / RECORD, gate.folder / BUNDLE] * 5
    path, other = random.choice(files), random.choice(files)
    raw = path.read_bytes()
    changed = changed_bytes(raw, random)
    if path.name in {RECORD, BUNDLE} and random.random() < 0.7:
        changed = encode_canonical(changed_values(json.loads(raw), random))
    elif random.random() < 0.1:
        changed = other.read_bytes()
    if changed == raw:
        return False
    if random.random() < 0.05 and path.name not in SPARE:
        path.unlink()
    else:
        path.write_bytes(changed)
    try:
        assert gate.failed(), (path.name, changed[:2000])
    finally:
        path.write_bytes(raw)
    return True


def by_the_owner(gate: Gate, random: Random) -> bool:
    """Change the record, and let the owner of the trusted key sign it again, in no ledger."""
    raw = (gate.folder / RECORD).read_bytes()
    bundle = (gate.folder / BUNDLE).read_bytes()
    document = json.loads(raw)
    forged = changed_values(document, random)
    moved = differences(document, forged)
    # What another version of auditor drew is taken as it is; its code is a signer's word as well.
    more = ("/lineage",) if any(it.startswith("/tool") for it in moved) else ()
    moved = [it for it in moved if not it.startswith(BELIEVED + more)]
    if not moved:
        return False
    try:
        gate.sign(encode_canonical(forged))
        shut = replace(gate, ledger=None).failed() - PRESENTED
    except RecordError:
        return False  # nothing that could be signed as a record
    finally:
        (gate.folder / RECORD).write_bytes(raw)
        (gate.folder / BUNDLE).write_bytes(bundle)
    assert shut, {it: (look_up(document, it), look_up(forged, it)) for it in moved}
    return True


def by_who_asks(gate: Gate, random: Random) -> bool:
    """Ask of other bytes, another policy, target, place or key, or too late."""
    asked = gate.question
    digest = f"sha256:{random.randbytes(32).hex()}"
    late = timedelta(days=1, seconds=random.randrange(2, 10**6))
    match random.randrange(6):
        case 0:
            expected, other = "artifact", replace(asked, artifact=digest)
        case 1:
            changed = replace(asked.policy, digest=digest)
            expected, other = "policy", replace(asked, policy=changed)
        case 2:
            target = random.choice(["cpu ", "CPU", "gpu", "", "cpu\n", "npu"])
            expected, other = "target", replace(asked, target=target)
        case 3:
            expected, other = "target", replace(asked, target="cpu", identity=digest)
        case 4:
            expected, other = "freshness", replace(asked, now=asked.now + late)
        case _:
            stranger = gate.folder.parent / f"{random.randbytes(8).hex()}.pub"
            stranger.write_bytes(KeySigner(generate_private_key(SECP256R1())).public_pem())
            assert "signature" in gate.failed(key=stranger)
            return True
    assert expected in gate.failed(other), (expected, other)
    return True


def look_up(document: Any, at: str) -> Any:  # noqa: ANN401 -- any JSON
    """Return what stands at a place that ``differences`` names."""
    for key in at.split("/")[1:]:
        if isinstance(document, list):
            document = document[int(key)]
        else:
            document = document.get(key) if isinstance(document, dict) else None
    return document


LIES: Mapping[str, tuple[str, Callable[[Any], object]]] = {
    "another policy's name": (
        "judgement", lambda it: it["request"]["policy"].update(name="strict")
    ),
    "another policy's version": (
        "judgement", lambda it: it["request"]["policy"].update(version="2.0.0")
    ),
    "a finding twice": ("record", lambda it: it["findings"].extend(it["findings"])),
    "an observation twice": ("record", lambda it: it["observations"].extend(it["observations"])),
    "an edge less": ("lineage", lambda it: it["lineage"].pop()),
    "another signer": ("lineage", lambda it: it["lineage"][7].update(destination="key:release")),
}  # fmt: skip


@pytest.mark.parametrize("lie", LIES)
def test_what_its_owner_signs_is_held_against_the_rest_of_the_record(gate: Gate, lie: str) -> None:
    expected, tell = LIES[lie]
    document = json.loads((gate.folder / RECORD).read_bytes())
    tell(document)
    gate.sign(encode_canonical(document))
    assert replace(gate, ledger=None).failed() - PRESENTED == {expected}


def try_changes(gate: Gate, change: Callable[[Gate, Random], bool], count: int) -> None:
    """Try so many changes, each from the same good folder, and find the gate open after them."""
    random, tried, drawn = Random(change.__name__), 0, 0  # noqa: S311 -- no secret
    while tried < count:
        drawn += 1
        assert drawn < 40 * count, f"{tried} of {drawn} changes could be tried"
        tried += change(gate, random)
    assert gate.failed() == set()


CHANGES = (by_strangers, by_the_owner, by_who_asks)


@pytest.mark.parametrize("change", CHANGES)
def test_what_was_changed_opens_no_gate(gate: Gate, change: Callable[[Gate, Random], bool]) -> None:
    try_changes(gate, change, FEW)


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("change", CHANGES)
def test_ten_thousand_changes_open_no_gate(
    gate: Gate, change: Callable[[Gate, Random], bool]
) -> None:
    try_changes(gate, change, MANY)
