"""How far a record's figures speak of its targets: carried, judged, attested, and held to facts."""

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from auditor.domain.record_json import read_record
from auditor.domain.targets import EvidenceLevel, Fingerprint
from auditor.reports.folder import RECORD
from auditor.selftest.record_forgery import RecordForgery
from auditor.service.web.record_facts import read_record_facts
from auditor.trust.keys.files import load_signer

Command = Callable[..., Any]
GATE = ("gate", "--artifact", "model.onnx", "--record", "out", "--key", "out/signer.pub")


def record_in(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / RECORD).read_bytes())
    return found


def rewritten(folder: Path, home: Path, change: Callable[[Fingerprint], Fingerprint]) -> None:
    """Sign the record of a folder anew, with another fingerprint; all else follows from it."""
    record = read_record((folder / RECORD).read_bytes())
    prints = {name: change(found) for name, found in record.fingerprints.items()}
    RecordForgery(facts={"fingerprints": prints}).put(folder, load_signer(home / "signer.key"))


def asking(folder: Path, least: str, of: str = "evidence") -> str:
    written = (folder / "policy.yaml").read_text()
    name = f"{least}.yaml"
    (folder / name).write_text(
        written.replace("least_budget: smoke", f"least_budget: smoke, least_{of}: {least}")
    )
    return name


def test_a_record_carries_and_attests_the_level_of_its_target(
    finished: Path, verify: Command
) -> None:
    assert record_in(finished / "out")["fingerprints"]["cpu"]["evidence"] == "verified"
    bundle = json.loads((finished / "out" / "verdict.vsa.json").read_bytes())
    vsa = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))["predicate"]
    assert vsa["verifiedLevels"] == ["AUDITOR_ASSURANCE_A0", "AUDITOR_EVIDENCE_VERIFIED"]
    assert vsa["urn:auditor:ext:evidence"] == {"cpu": "verified"}
    bom = json.loads((finished / "out" / "bom.cdx.json").read_bytes())
    properties = bom["metadata"]["component"]["properties"]
    assert {"name": "auditor:evidence:cpu", "value": "verified"} in properties
    entities = json.loads((finished / "out" / "prov.json").read_bytes())["entity"].values()
    assert "cpu: verified" in [item.get("auditor:evidence") for item in entities]
    assert verify("out").code == 0


def test_a_policy_that_asks_for_verified_passes_what_is(auditor: Command, finished: Path) -> None:
    assert auditor("judge", "out", "--policy", asking(finished, "verified")).code == 0


def silent(found: Fingerprint) -> Fingerprint:
    """A runtime that does not say where operators ran."""
    facts = {**found.identity_facts, "placement": None}
    return replace(found, identity_facts=facts, evidence=EvidenceLevel.MEASURED)


def test_a_policy_that_asks_for_verified_does_not_pass_what_is_measured(
    auditor: Command, finished: Path, home: Path, verify: Command
) -> None:
    rewritten(finished / "out", home, silent)
    assert verify("out").code == 0
    strict = asking(finished, "verified")
    assert auditor("judge", "out", "--policy", strict, "--out", "strict").code == 3
    (asked,) = (
        item
        for item in record_in(finished / "strict")["findings"]
        if item["rule"] == "policy.least_evidence"
    )
    assert (asked["outcome"], asked["effect"]) == ("unknown", "deny")
    assert verify("strict").code == 0
    assert auditor("judge", "out", "--policy", asking(finished, "native"), "--out", "n").code == 0


def test_a_record_that_says_more_than_its_facts_show_does_not_verify(
    auditor: Command, finished: Path, home: Path, verify: Command
) -> None:
    def boasting(found: Fingerprint) -> Fingerprint:
        return replace(silent(found), evidence=EvidenceLevel.VERIFIED)

    rewritten(finished / "out", home, boasting)
    ended = verify("out")
    assert ended.code == 1
    assert "it calls cpu verified, and its facts show measured" in ended.said
    shut = auditor(*GATE, "--policy", asking(finished, "verified"))
    assert shut.code == 1


def test_an_older_record_verifies_and_has_a_level_once_it_is_judged_again(
    auditor: Command, finished: Path, home: Path, verify: Command
) -> None:
    def old(found: Fingerprint) -> Fingerprint:
        return replace(found, emulated=True, evidence=None)

    rewritten(finished / "out", home, old)
    before = record_in(finished / "out")
    assert (before["verdict"], "evidence" in before["fingerprints"]["cpu"]) == ("pass", False)
    assert verify("out").code == 0
    assert auditor(*GATE, "--policy", "policy.yaml").code == 1  # a gate asks whatever it says
    assert auditor("judge", "out", "--policy", "policy.yaml", "--out", "again").code == 3
    assert record_in(finished / "again")["fingerprints"]["cpu"]["evidence"] == "emulated"
    assert auditor("judge", "out", "--policy", asking(finished, "any"), "--out", "any").code == 0


def test_the_pages_of_a_service_name_the_level_beside_the_machine(finished: Path) -> None:
    shown = read_record_facts((finished / "out" / RECORD).read_bytes()).devices
    assert shown.keys() == {"cpu"}
    assert shown["cpu"].endswith("Verified on target")


def test_a_policy_asks_how_the_model_was_isolated(
    auditor: Command, finished: Path, home: Path, verify: Command
) -> None:
    had = record_in(finished / "out")["fingerprints"]["cpu"]["conditions_facts"]["isolation"]
    kept = asking(finished, had, "isolation")
    assert auditor("judge", "out", "--policy", kept, "--out", "kept").code == 0
    assert auditor(*GATE[:-4], "--record", "kept", *GATE[-2:], "--policy", kept).code == 0

    def weaker(found: Fingerprint) -> Fingerprint:
        return replace(found, conditions_facts={**found.conditions_facts, "isolation": "limits"})

    rewritten(finished / "out", home, weaker)
    asked = asking(finished, "namespaces", "isolation")
    assert auditor("judge", "out", "--policy", asked, "--out", "less").code == 3
    (finding,) = (
        item
        for item in record_in(finished / "less")["findings"]
        if item["rule"] == "policy.least_isolation"
    )
    assert (finding["outcome"], finding["effect"]) == ("unknown", "deny")
    assert "Required: isolation namespaces or more. Found: isolation limits." in finding["message"]
    assert "not recorded as isolated" in (finished / "less" / "report.html").read_text()
    assert verify("less").code == 0
    assert auditor(*GATE[:-4], "--record", "less", *GATE[-2:], "--policy", asked).code == 1


def test_a_record_that_does_not_tell_the_isolation_meets_no_level(
    auditor: Command, finished: Path, home: Path, verify: Command
) -> None:
    def silent_of(found: Fingerprint) -> Fingerprint:
        told = {key: it for key, it in found.conditions_facts.items() if key != "isolation"}
        return replace(found, conditions_facts=told)

    rewritten(finished / "out", home, silent_of)
    assert verify("out").code == 0
    assert auditor("judge", "out", "--policy", "policy.yaml", "--out", "same").code == 0
    asked = asking(finished, "limits", "isolation")
    assert auditor("judge", "out", "--policy", asked, "--out", "less").code == 3
