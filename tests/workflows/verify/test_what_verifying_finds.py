"""Each step of a verification: what it says of a sound record, and of one that was tampered with.

The golden record is what is tampered with: the steps ask its evidence, whatever its signature says.
"""

import json
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from waiver_papers import new_signer

from auditor.checks.measure import CONFIDENCE, compute_readings
from auditor.domain.approvals import Approval, ApprovalAnswer
from auditor.domain.disclosure import DisclosureMode
from auditor.domain.findings import Outcome
from auditor.domain.json import compute_digest
from auditor.domain.observed_checks import ObservedCheck
from auditor.domain.policies import AssuranceLevel, Policy, RuleEffect
from auditor.domain.readings import Gap, GapReason
from auditor.domain.records import AuditRecord
from auditor.domain.report_blocks import BlockParagraph, ReportBlock
from auditor.domain.targets import EvidenceLevel
from auditor.domain.verification_steps import StepResult
from auditor.errors import RecordError
from auditor.reports.folder import (
    BUNDLE,
    ERASURE,
    EVIDENCE,
    KEY,
    RECORD,
    ROWS,
    SIGNER,
    VERDICT,
    RecordFolder,
    add_approval,
)
from auditor.reports.publish import build_rendering_inputs
from auditor.reports.report_formats import render_all
from auditor.trust.disclosure import DisclosureKey, commit_observation
from auditor.trust.ledger.events import LeafOpening, build_erasure_event
from auditor.trust.ledger.merkle import TreeHead, leaf_hash
from auditor.trust.ledger.notes import LogCheckpoint, MemoryNoteSigner, sign_checkpoint
from auditor.trust.ledger.receipts import LedgerReceipt
from auditor.trust.signatures.decisions import sign_approval
from auditor.trust.signatures.trusted_signers import VerificationTime
from auditor.workflows.evidence import load_record_policy, load_results
from auditor.workflows.verify.folder import RecordVerifier, verify_folder
from auditor.workflows.verify.verifiers import build_verifier

GOLDEN = Path(__file__).parents[2] / "golden" / "records" / "v1.zip"
HOLDS, FAILED = StepResult.HOLDS, StepResult.FAILED
NOT_CHECKED, WITHHELD = StepResult.NOT_CHECKED, StepResult.WITHHELD
LOG = MemoryNoteSigner("log.example/1", Ed25519PrivateKey.from_private_bytes(b"l" * 32))
OTHER_VERSION = "another version of auditor drew it in its own way, and signed that"
OTHER_TEXTS = "another version of auditor worded rule accuracy on cpu, and signed that"
TODAY = (
    "Required: accuracy of at least 60 %. Found: 92.5 % (95 % interval 79.6\u201398.4 %, n = 40). "
    "The requirement is met."
)
"""What the golden record's finding says where this version judges it."""
Told = dict[str, tuple[StepResult, str]]


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("golden")
    with zipfile.ZipFile(GOLDEN) as packed:
        packed.extractall(folder)
    return folder


@pytest.fixture(scope="module")
def other(unpacked: Path) -> RecordVerifier:
    """What verifies the record as a version of auditor that did not write it."""
    return build_verifier(unpacked / "signer.pub")


@pytest.fixture(scope="module")
def known(unpacked: Path, other: RecordVerifier) -> RecordVerifier:
    """What verifies the record as the version that wrote it, as far as anybody can tell."""
    return replace(other, code=str(RecordFolder(unpacked / "out").record.tool["code"]))


@pytest.fixture
def out(unpacked: Path, tmp_path: Path) -> Path:
    """A copy of the golden record's folder."""
    return Path(shutil.copytree(unpacked / "out", tmp_path / "out"))


def look(out: Path, known: RecordVerifier) -> Told:
    """Return what each step says, which has a name of its own."""
    found = verify_folder(RecordFolder(out), known)
    assert len({step.name for step in found}) == len(found)
    return {step.name: (step.result, step.detail) for step in found}


def worded_today(record: AuditRecord) -> AuditRecord:
    """Return the record with the texts that findings have today, as if this version wrote it."""
    (finding,) = record.findings
    return replace(record, findings=(replace(finding, message=TODAY),))


def change(out: Path, act: Callable[[AuditRecord], AuditRecord]) -> AuditRecord:
    """Forge a record that is consistent in itself, and return it."""
    forged = act(worded_today(RecordFolder(out).record))
    (out / RECORD).write_bytes(forged.canonical())
    return forged


def forged(out: Path, known: RecordVerifier, act: Callable[[AuditRecord], AuditRecord]) -> Told:
    """Return the steps of a forged record that do not hold, but for those that any change fails."""
    change(out, act)
    any_change = {"signature", "files", "inclusion proof", "timestamp", "key's life"}
    any_change |= {"verdict", "properties", "test result", "renderings"}
    return {
        name: told
        for name, told in look(out, known).items()
        if told[0] is not HOLDS and name not in any_change
    }


def test_each_step_of_a_sound_record_says_what_it_saw(out: Path, other: RecordVerifier) -> None:
    found = look(out, other)
    assert {name: result for name, (result, _) in found.items() if result is not HOLDS} == {
        "renderings": NOT_CHECKED,
        "texts": NOT_CHECKED,
        "inclusion proof": NOT_CHECKED,
        "timestamp": NOT_CHECKED,
        "key's life": NOT_CHECKED,
    }
    said = {name: detail for name, (_, detail) in found.items()}
    assert said["record"] == "record.json is canonical and follows its schema"
    assert said["signature"] == f"{BUNDLE} signs record.json with the key given"
    assert said["files"] == (
        "VERIFY.md, bom.cdx.json, junit.xml, openlineage.json, prov.json, report.html, "
        "results.sarif, summary.md, verify.py are the ones that were signed"
    )
    assert said["evidence"] == "7 blobs have the digests that the record names"
    assert said["figures"] == "6 readings recomputed"
    assert said["parameters"] == "the checks ran as policy and budget ask"
    assert said["judgement"] == "the policy gives these findings"
    assert said["texts"] == OTHER_TEXTS
    assert said["lineage"] == "14 edges name what the record rests on"


def test_files_that_were_not_signed_are_named(out: Path, other: RecordVerifier) -> None:
    (out / "stranger").write_text("x")
    (out / "report.html").write_text("all is well")
    (out / "annex-iv.md").write_text("all is well")
    (out / SIGNER).write_bytes((out / SIGNER).read_bytes() + b"\n")
    result, said = look(out, other)["files"]
    assert result is FAILED
    assert said.split("; ") == [
        "stranger is not a file of a record",
        "report.html is not the file that was signed",
        "annex-iv.md is not signed",
        "signer.pub is not the key given",
    ]


def test_without_a_signature_that_holds_no_file_is_signed(out: Path, other: RecordVerifier) -> None:
    key = new_signer().public_pem()
    found = look(out, replace(other, key=key))
    assert found["signature"][0] is FAILED
    assert found["signature"][1].startswith(f"{BUNDLE} and {RECORD}: ")
    result, said = found["files"]
    assert result is FAILED
    assert said == "no file is signed with the key given; signer.pub is not the key given"


def test_a_bundle_is_spelled_in_one_way(out: Path, other: RecordVerifier) -> None:
    (out / BUNDLE).write_text(json.dumps(json.loads((out / BUNDLE).read_bytes()), indent=1))
    said = "FORMAT: the bundle is signed, and not spelled as auditor writes it"
    assert look(out, other)["signature"] == (FAILED, f"{BUNDLE} and {RECORD}: {said}")


def test_a_record_that_cannot_be_read_has_two_steps(out: Path, other: RecordVerifier) -> None:
    (out / RECORD).write_bytes(b"{}")
    found = look(out, other)
    assert {name: result for name, (result, _) in found.items()} == {
        "record": FAILED, "signature": FAILED,
    }  # fmt: skip
    (out / RECORD).unlink()
    with pytest.raises(RecordError, match=r"record\.json cannot be read"):
        verify_folder(RecordFolder(out), other)


def test_evidence_that_is_damaged_or_not_named_is_told(out: Path, other: RecordVerifier) -> None:
    name = min(RecordFolder(out).record.blobs).removeprefix("sha256:")
    (out / EVIDENCE / name).write_bytes(b"x")
    (out / EVIDENCE / ("ab" * 32)).write_bytes(b"y")
    found = look(out, other)
    result, said = found["evidence"]
    assert result is FAILED
    damaged, unnamed = said.split("; ")
    assert damaged.startswith(f"{EVIDENCE}/{name} is damaged: ")
    assert unnamed == f"{EVIDENCE}/{'ab' * 32} is not named in the record"
    assert "judgement" not in found  # nothing is judged that cannot be computed again
    assert found["figures"][0] is FAILED


def test_what_a_record_lists_twice_is_named(out: Path, known: RecordVerifier) -> None:
    def twice(record: AuditRecord) -> AuditRecord:
        request = replace(record.request, datasets=record.request.datasets * 2)
        return replace(
            record,
            observations=(*record.observations, record.observations[1]),
            findings=record.findings * 2,
            request=request,
        )

    data = RecordFolder(out).record.request.datasets[0].digest
    result, said = forged(out, known, twice)["record"]
    assert result is FAILED
    assert said.split("; ") == [
        "its observations name quality.accuracy cpu twice",
        "its findings name accuracy cpu twice",
        f"its datasets name evaluation {data} twice",
    ]


def test_a_record_that_does_not_follow_its_schema_fails(out: Path, known: RecordVerifier) -> None:
    found = forged(out, known, lambda record: replace(record, finished="late"))
    assert found["record"][1].startswith('$.finished: "late" does not match')


def test_what_was_signed_with_another_record_shows_none_of_its_files(
    out: Path, known: RecordVerifier
) -> None:
    change(out, lambda record: replace(record, finished="2026-11-27T06:48:28Z"))
    result, said = look(out, known)["files"]
    assert result is FAILED
    assert said == "no file is signed with the key given"


@pytest.mark.parametrize(
    ("act", "said"),
    [
        (
            lambda record: replace(record, readings=record.readings[:-1]),
            "the evidence gives 6 readings, the record has 5",
        ),
        (
            lambda record: replace(
                record,
                readings=(
                    record.readings[0],
                    replace(record.readings[1], value=0.96),
                    *record.readings[2:],
                ),
            ),
            "reading 1 (quality.accuracy) is not what its evidence gives",
        ),
        (
            lambda record: replace(
                record,
                observations=(
                    record.observations[0], replace(record.observations[1], version=99),
                ),
            ),
            "quality.accuracy version 99 saw this, and here is version 2",
        ),
    ],
)  # fmt: skip
def test_figures_are_those_of_the_evidence(
    out: Path, known: RecordVerifier, act: Callable[[AuditRecord], AuditRecord], said: str
) -> None:
    assert forged(out, known, act)["figures"] == (FAILED, said)


def test_a_gap_rests_on_no_evidence_and_on_no_parameters(out: Path, known: RecordVerifier) -> None:
    gap = Gap(
        reason=GapReason.UNSUPPORTED, detail="d", cure="c", target="cpu", check="evasion.linf"
    )
    assert forged(out, known, lambda it: replace(it, readings=(*it.readings, gap))) == {}


def test_a_check_that_ran_with_another_seed_falls_short(out: Path, known: RecordVerifier) -> None:
    def reseeded(record: AuditRecord) -> AuditRecord:
        first, second = record.observations
        return replace(record, observations=(first, replace(second, seed=9)))

    assert forged(out, known, reseeded) == {
        "parameters": (
            FAILED,
            "quality.accuracy was observed with a seed that is not the audit's",
        )
    }


def of_policy(**changes: str) -> Callable[[AuditRecord], AuditRecord]:
    return lambda record: replace(
        record,
        request=replace(record.request, policy=replace(record.request.policy, **changes)),
    )


@pytest.mark.parametrize(
    ("act", "said"),
    [
        (
            lambda record: replace(record, confidence=0.9),
            "it was judged at confidence 0.9, not 0.95",
        ),
        (of_policy(name="other"), "the policy of that digest is golden 1.0.0"),
        (of_policy(version="2"), "the policy of that digest is golden 1.0.0"),
        (
            lambda record: replace(
                record, findings=(replace(record.findings[0], outcome=Outcome.WAIVED),)
            ),
            "rule accuracy on cpu comes out otherwise",
        ),
        (
            lambda record: replace(record, findings=()),
            "rule accuracy on cpu comes out otherwise",
        ),
        (
            lambda record: replace(
                record, findings=(*record.findings, replace(record.findings[0], rule="kind"))
            ),
            "rule kind on cpu comes out otherwise",
        ),
    ],
)
def test_findings_are_those_of_the_policy(
    out: Path, known: RecordVerifier, act: Callable[[AuditRecord], AuditRecord], said: str
) -> None:
    assert forged(out, known, act) == {"judgement": (FAILED, said)}


def reworded(record: AuditRecord) -> AuditRecord:
    (finding,) = record.findings
    return replace(record, findings=(replace(finding, message="It went well."),))


def test_texts_are_compared_by_the_version_that_wrote_them(
    out: Path, known: RecordVerifier, other: RecordVerifier
) -> None:
    wrong = {"judgement": (FAILED, "rule accuracy on cpu comes out otherwise")}
    assert forged(out, known, reworded) == wrong
    assert look(out, other)["judgement"] == (HOLDS, "the policy gives these findings")
    assert look(out, other)["texts"] == (NOT_CHECKED, OTHER_TEXTS)
    assert "texts" not in look(out, known)


@pytest.mark.parametrize(
    "changes",
    [
        {"outcome": Outcome.FAILED},
        {"title": "Other"},
        {"limits": "at least 0"},
        {"readings": (0,)},
        {"effect": RuleEffect.WARN},
        {"would_decide": {"rows": 7}},
        {"remediation": "None is needed."},
    ],
    ids=lambda it: next(iter(it)),
)
def test_another_version_may_word_a_finding_otherwise_and_change_nothing_else_of_it(
    out: Path, other: RecordVerifier, changes: dict[str, Any]
) -> None:
    def act(record: AuditRecord) -> AuditRecord:
        (finding,) = record.findings
        return replace(record, findings=(replace(finding, message="Words.", **changes),))

    assert forged(out, other, act)["judgement"] == (
        FAILED,
        "rule accuracy on cpu comes out otherwise",
    )


def test_a_policy_is_named_by_the_digest_of_what_it_says(out: Path, known: RecordVerifier) -> None:
    own = RecordFolder(out).record.request.policy.digest
    raw = json.dumps(json.loads(RecordFolder(out).evidence(own)), indent=1).encode()
    (out / EVIDENCE / compute_digest(raw).removeprefix("sha256:")).write_bytes(raw)
    found = forged(out, known, of_policy(digest=compute_digest(raw)))
    assert found["judgement"] == (FAILED, f"the policy's digest is {own}")


def without_edge(record: AuditRecord) -> AuditRecord:
    return replace(record, lineage=record.lineage[1:])


def test_lineage_is_worked_out_again_by_the_version_that_drew_it(
    out: Path, known: RecordVerifier, other: RecordVerifier
) -> None:
    edge = RecordFolder(out).record.lineage[0]
    assert forged(out, known, without_edge)["lineage"] == (
        FAILED,
        f"the edge to {edge.role} {edge.destination} is missing or wrong",
    )
    assert look(out, other)["lineage"] == (NOT_CHECKED, OTHER_VERSION)


def test_a_record_claims_no_more_than_its_key_is_believed(out: Path, other: RecordVerifier) -> None:
    change(out, lambda record: replace(record, assurance=AssuranceLevel.A1))
    result, said = look(out, other)["assurance"]
    assert result is FAILED
    assert said == (
        "ASSURANCE: nothing shows more than A0, and it claims A1: say --assurance A1 of a key "
        "that you believe so much, or name it in a trust policy"
    )
    for highest in (AssuranceLevel.A1, AssuranceLevel.A2):
        assert "assurance" not in look(out, replace(other, highest=highest))


def level(
    said: EvidenceLevel,
    name: str = "cpu",
    **facts: Any,  # noqa: ANN401 -- any JSON
) -> Callable[[AuditRecord], AuditRecord]:
    def act(record: AuditRecord) -> AuditRecord:
        found = record.fingerprints["cpu"]
        mine = replace(found, evidence=said, identity_facts={**found.identity_facts, **facts})
        return replace(record, fingerprints={**record.fingerprints, name: mine})

    return act


def test_a_record_says_no_more_of_where_it_ran_than_its_facts_show(
    out: Path, known: RecordVerifier, other: RecordVerifier
) -> None:
    name, said = "evidence level", "it calls cpu verified, and its facts show measured"
    found = forged(out, known, level(EvidenceLevel.VERIFIED, placement=None))
    assert found[name] == (FAILED, said)
    # Another version may have known more of the provider.
    assert look(out, other)[name] == (NOT_CHECKED, said)


@pytest.mark.parametrize("said", [EvidenceLevel.VERIFIED, EvidenceLevel.MEASURED])
def test_a_record_may_say_what_its_facts_show_and_less(
    out: Path, known: RecordVerifier, said: EvidenceLevel
) -> None:
    assert forged(out, known, level(said)) == {}


def test_a_target_that_nobody_asked_for_shows_nothing(out: Path, known: RecordVerifier) -> None:
    found = forged(out, known, level(EvidenceLevel.MEASURED, "ghost"))
    said = "it calls ghost measured, and its facts show unopened"
    assert found["evidence level"] == (FAILED, said)


def test_devices_of_another_form_stop_no_verification(out: Path, known: RecordVerifier) -> None:
    found = forged(out, known, level(EvidenceLevel.VERIFIED, devices=[{"vendor": ["a list"]}]))
    assert found.keys() == {"lineage"}  # whose edge names the digest of other facts


def test_renderings_are_made_again(out: Path, known: RecordVerifier, other: RecordVerifier) -> None:
    said = "report.html does not show this record"
    result, detail = look(out, known)["renderings"]
    assert (result, said in detail) == (FAILED, True)
    assert look(out, other)["renderings"][0] is NOT_CHECKED

    def with_system(record: AuditRecord) -> AuditRecord:
        blob = b"no system file"
        (out / EVIDENCE / compute_digest(blob).removeprefix("sha256:")).write_bytes(blob)
        return replace(record, request=replace(record.request, system=compute_digest(blob)))

    change(out, with_system)
    result, detail = look(out, known)["renderings"]
    assert result is FAILED
    assert "the system file" in detail


def test_a_folder_without_its_verdict_is_refused(out: Path, other: RecordVerifier) -> None:
    (out / VERDICT).unlink()
    with pytest.raises(RecordError, match=r"verdict\.vsa\.json cannot be read"):
        verify_folder(RecordFolder(out), other)


def test_what_nobody_can_show_fails_and_stops_nothing(out: Path, other: RecordVerifier) -> None:
    def unheard_of(raw: bytes, source: str) -> Policy:
        return replace(other.load_policy(raw, source), catalogues=None)  # type: ignore[arg-type]

    found = look(out, replace(other, load_policy=unheard_of))
    said = "the record says what cannot be shown (AttributeError)"
    assert found["renderings"] == (FAILED, said)
    assert found["inclusion proof"][0] is NOT_CHECKED


def saying(known: RecordVerifier, words: str, **more: str) -> RecordVerifier:
    """Return what verifies where another package's check of accuracy shows these words."""
    own = known.checks["quality.accuracy"]
    block = staticmethod(
        lambda _found, _reads: ReportBlock("Accuracy", words, (BlockParagraph(words),))
    )
    theirs = type("Accuracy", (own,), {"block": block})
    return replace(known, checks={**known.checks, own.id: theirs}, **more)  # type: ignore[arg-type]


def test_packages_may_show_their_own_otherwise_where_others_were_installed(
    out: Path, known: RecordVerifier
) -> None:
    folder, then = RecordFolder(out), saying(known, "So it was then.")
    record = folder.record
    policy = load_record_policy(folder, record, then.load_policy)
    for name, raw in render_all(
        build_rendering_inputs(record, policy, then.checks, folder.evidence)
    ).items():
        (out / name).write_bytes(raw)
    here = str(record.tool["environment"])
    told = {
        environment: look(out, saying(known, "So it is now.", environment=environment))
        for environment in (here, "others")
    }
    assert told["others"]["renderings"][0] is NOT_CHECKED
    assert told[here]["renderings"][0] is FAILED
    assert look(out, then)["renderings"][0] is HOLDS


def test_an_approval_that_is_over_is_told_as_of_now(out: Path, other: RecordVerifier) -> None:
    record, signer = RecordFolder(out).record, new_signer()
    approval = Approval(
        record=record.digest, record_id=record.id, by="Ada", role="owner",
        answer=ApprovalAnswer.YES, reason="All limits are kept.", created=record.finished,
        expires="2026-12-01T00:00:00Z",
    )  # fmt: skip
    add_approval(out, sign_approval(approval, signer), signer.public_pem())
    for now, over in ((None, False), ("2026-11-30", False), ("2026-12-01", True)):
        asked = None if now is None else VerificationTime.parse(f"{now}T00:00:00Z")
        result, said = look(out, replace(other, now=asked))["approval"]
        assert result is HOLDS
        assert ("; expired on 2026-12-01T00:00:00Z" in said) is over


@pytest.fixture
def committed(out: Path, known: RecordVerifier) -> AuditRecord:
    """The golden record as it would be had it bound its rows, beside its key."""
    folder = RecordFolder(out)
    record, key, blobs = folder.record, b"k" * 32, dict[str, str]()
    seen = [
        it for it in load_results(folder, record, known.checks) if isinstance(it, ObservedCheck)
    ]
    (out / ROWS).mkdir()
    results = []
    for plain in seen:
        sealed, bound = commit_observation(plain, key)
        results.append(sealed)
        for item in bound:
            name, own = (it.removeprefix("sha256:") for it in (item.commitment.digest, item.plain))
            (out / EVIDENCE / name).write_bytes(item.commitment.emit())
            (out / EVIDENCE / own).rename(out / ROWS / name)
            blobs[item.commitment.digest] = item.plain
    (out / KEY).write_bytes(DisclosureKey(key, blobs).emit())
    observations = tuple(item.observation for item in results)
    told = compute_readings(results, CONFIDENCE)

    def bound_by_row(it: AuditRecord) -> AuditRecord:
        request = replace(it.request, disclosure=DisclosureMode.ROWS)
        return replace(it, request=request, observations=observations, readings=told)

    return change(out, bound_by_row)


def withhold(out: Path) -> None:
    """Take away what opens the evidence, the key first."""
    (out / KEY).unlink()
    shutil.rmtree(out / ROWS)


OPEN = "not checked: findings rest on withheld figures"


@pytest.mark.usefixtures("committed")
def test_bound_rows_beside_their_key_are_looked_at_as_plain_ones(
    out: Path, known: RecordVerifier
) -> None:
    found = look(out, known)
    assert found["rows"] == (HOLDS, "nothing is withheld: the folder has the record's key")
    assert found["figures"] == (HOLDS, "6 readings recomputed")
    assert found["judgement"] == (HOLDS, "the policy gives these findings")
    assert "erasure" not in found


@pytest.mark.usefixtures("committed")
def test_without_the_key_what_is_withheld_is_told_and_does_not_hold(
    out: Path, known: RecordVerifier
) -> None:
    withhold(out)
    found = look(out, known)
    assert found["rows"][0] is found["figures"][0] is WITHHELD
    assert found["judgement"] == (WITHHELD, OPEN)
    assert found["parameters"] == (HOLDS, "the checks ran as policy and budget ask")
    assert {"lineage", "verdict", "renderings"} <= found.keys()
    assert "erasure" not in found


@pytest.mark.usefixtures("committed")
def test_parameters_are_asked_of_withheld_rows_too(out: Path, known: RecordVerifier) -> None:
    withhold(out)
    first, second = RecordFolder(out).record.observations
    change(out, lambda it: replace(it, observations=(first, replace(second, seed=9))))
    said = "quality.accuracy was observed with a seed that is not the audit's"
    assert look(out, known)["parameters"] == (FAILED, said)


def test_an_erasure_is_told_and_proven(
    out: Path, known: RecordVerifier, committed: AuditRecord
) -> None:
    event, document = build_erasure_event(committed, "2026-11-28T09:00:00Z")
    leaf = event.leaf(b"s" * 32, 0)
    note = sign_checkpoint(LogCheckpoint(LOG.name, TreeHead(1, leaf_hash(leaf.entry()))), LOG)
    opening = LeafOpening(leaf, b"s" * 32, event.digest, event.subjects, document)
    (out / ERASURE).write_bytes(LedgerReceipt(0, (), note, opening.emit()).emit())
    found = look(out, known)
    assert found["rows"] == (FAILED, f"{ERASURE} lies beside {KEY}, which was to be gone")
    assert not {"figures", "judgement", "erasure"} & found.keys()
    withhold(out)
    found = look(out, replace(known, ledger=LOG.key))
    assert found["rows"] == (
        WITHHELD, "erased: nothing is left that could open the evidence of 2 checks",
    )  # fmt: skip
    assert found["erasure"] == (
        HOLDS, "2026-11-28T09:00:00Z: leaf 0 of 1 of log.example/1",
    )  # fmt: skip
