"""`auditor approve`: a signed yes or no to one record, which a gate may ask for."""

import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from auditor.cli.key_options import open_own_ledger
from auditor.domain.approvals import Approval, ApprovalAnswer
from auditor.domain.record_json import read_record
from auditor.reports.folder import APPROVALS, RECORD, RecordFolder, add_approval
from auditor.store.ledger_events import log_approval
from auditor.trust.keys.files import create_key_pair, load_signer
from auditor.trust.signatures.decisions import sign_approval
from auditor.workflows.approvals import collect_approvals
from auditor.workflows.settings import AuditorSettings

Command = Callable[..., Any]
Once = Callable[[str, Callable[[], None]], None]
AUDITED = ("audit", "audit.yaml", "--only", "quality.accuracy")
GATE = (
    "gate", "--artifact", "model.onnx", "--policy", "policy.yaml",
    "--record", "out", "--key", "out/signer.pub",
)  # fmt: skip
ASKED = (*GATE, "--require-approval", "--approvals-key", "bob/decision.pub")


def by(who: str, *words: str, folder: str = "out") -> tuple[str, ...]:
    reason = ("--reason", "All findings are known.")
    return ("approve", folder, "--by", who, "--role", "model risk", *reason, *words)


BOB = by("Bob", "--key", "bob/decision.key")


@pytest.fixture
def place(auditor: Command, inside: Path, once: Once) -> Path:
    """The folder of an audit that passes, and keys of people beside it."""

    def make() -> None:
        assert auditor(*AUDITED, "--out", "out").code == 0
        for name in ("bob", "eve"):
            create_key_pair(inside / name, stem="decision")

    once("place", make)
    return inside


def put(folder: Path, key: str, **changes: Any) -> None:  # noqa: ANN401 -- any field of an approval
    """Put an approval under a signature that holds into a folder, and nowhere else."""
    record = read_record((folder / RECORD).read_bytes())
    said: dict[str, Any] = {
        "record": record.digest,
        "record_id": record.id,
        "by": "Bob",
        "role": "model risk",
        "answer": ApprovalAnswer.YES,
        "reason": "All findings are known.",
        "created": at(-1),
    }
    signer = load_signer(Path(key))
    add_approval(
        folder, sign_approval(Approval(**{**said, **changes}), signer), signer.public_pem()
    )


def at(days: int) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")


def test_a_gate_opens_only_with_the_approval_that_it_asks_for(
    auditor: Command, place: Path
) -> None:
    shut = auditor(*ASKED)
    assert (shut.code, "0 of 1 approvals of this record are there" in shut.said) == (1, True)
    kept = auditor(*BOB, "--yes")
    assert kept.code == 0
    assert "(pass) is approved by Bob (model risk)" in kept.said
    opened = auditor(*ASKED)
    assert (opened.code, "Bob approved this record" in opened.said) == (0, True)
    told = auditor("verify", "out", "--key", "out/signer.pub")
    assert (told.code, "holds approval approved by Bob" in told.said) == (0, True)
    assert auditor("ledger", "verify").code == 0


def test_a_no_shuts_every_gate_until_the_same_key_says_yes(auditor: Command, place: Path) -> None:
    assert auditor(*GATE).code == 0
    second = at(-1)
    put(place / "out", "bob/decision.key", answer=ApprovalAnswer.NO, created=second)
    shut = auditor(*GATE)
    assert (shut.code, "rejected by Bob" in shut.said) == (1, True)
    put(place / "out", "eve/decision.key", by="Eve")
    assert auditor(*GATE).code == 1
    # Of two in one second the no is the last.
    put(place / "out", "bob/decision.key", created=second)
    assert auditor(*GATE).code == 1
    assert auditor(*BOB, "--yes").code == 0
    assert auditor(*GATE).code == 0


@pytest.mark.parametrize("ends", [{"created": at(-2), "expires": at(-1)}, {"created": at(2)}])
def test_only_a_yes_that_is_in_force_takes_a_no_back(
    auditor: Command, place: Path, ends: dict[str, str]
) -> None:
    put(place / "out", "bob/decision.key", answer=ApprovalAnswer.NO, created=at(-3))
    put(place / "out", "bob/decision.key", **ends)
    shut = auditor(*GATE)
    assert (shut.code, "rejected by Bob" in shut.said) == (1, True)
    put(place / "out", "bob/decision.key", created=at(-1))
    assert auditor(*GATE).code == 0


def test_a_yes_of_a_key_that_is_revoked_takes_no_no_back(auditor: Command, place: Path) -> None:
    put(place / "out", "bob/decision.key", answer=ApprovalAnswer.NO, created=at(-3))
    assert auditor(*BOB, "--yes").code == 0
    assert auditor(*GATE).code == 0
    revoked = ("keys", "revoke", "bob/decision.pub", "--since", at(-4), "--reason", "stolen")
    assert auditor(*revoked).code == 0
    assert auditor(*GATE).code == 1


def test_a_no_that_was_deleted_from_the_folder_still_counts_here(
    auditor: Command, place: Path
) -> None:
    assert auditor(*BOB, "--no").code == 0
    shutil.rmtree(place / "out" / APPROVALS)
    shut = auditor(*GATE)
    assert (shut.code, "(the ledger here (1))" in shut.said) == (1, True)


def test_the_ledger_names_an_approval_that_was_deleted_or_changed(
    auditor: Command, place: Path, home: Path
) -> None:
    assert auditor(*BOB, "--no").code == 0
    with sqlite3.connect(home / "auditor.db") as database:
        for (name,) in list(
            database.execute("select name from sqlite_master where type = 'trigger'")
        ):
            database.execute(f'drop trigger "{name}"')
        database.execute(
            "update ledger_openings set document = replace(document, 'decision', 'derision')"
            " where event_id like 'approval-%'"
        )
        changed = database.execute(
            "update ledger_openings set document = document || ' ' where event_id like 'approval-%'"
        )
        assert changed.rowcount == 1
    database.close()
    assert auditor("ledger", "verify").code == 1


@pytest.mark.parametrize(
    ("key", "changes", "said"),
    [
        ("eve/decision.key", {"by": "Eve"}, "not trusted for decisions here"),
        ("bob/decision.key", {"created": at(-9), "expires": at(-1)}, "it expired on"),
        ("bob/decision.key", {"created": at(2)}, "which is still to come"),
        ("../home/signer.key", {}, "signed by the record's own signer"),
        ("bob/decision.key", {"record": "sha256:" + "e" * 64}, "is of another record"),
        ("bob/decision.key", {"reason": "fine"}, "which is no reason"),
    ],
)
def test_an_approval_that_does_not_count_says_why(
    auditor: Command, place: Path, key: str, changes: dict[str, str], said: str
) -> None:
    put(place / "out", key, **changes)
    signer = ("--approvals-key", "out/signer.pub") if "signer" in key else ()
    shut = auditor(*ASKED, *signer)
    assert (shut.code, said in shut.said) == (1, True), shut.said


def test_a_changed_approval_fails_and_shuts_the_gate(auditor: Command, place: Path) -> None:
    assert auditor(*BOB, "--yes").code == 0
    (path,) = (place / "out" / APPROVALS).glob("*.sigstore.json")
    path.write_bytes(path.read_bytes().replace(b'"sig":"ME', b'"sig":"MF'))
    told = auditor("verify", "out", "--key", "out/signer.pub")
    assert (told.code, "failed approval" in told.said) == (1, True)
    assert auditor(*ASKED).code == 1


def test_two_approvals_are_two_people_with_two_keys(auditor: Command, place: Path) -> None:
    policy = (place / "policy.yaml").read_text()
    (place / "two.yaml").write_text(policy.replace("least_budget", "approvals: 2, least_budget"))
    assert auditor("judge", "out", "--policy", "two.yaml", "--out", "two").code == 0
    keys = [word for name in ("bob", "eve") for word in ("--approvals-key", f"{name}/decision.pub")]
    gate = [
        {"out": "two", "policy.yaml": "two.yaml", "out/signer.pub": "two/signer.pub"}.get(it, it)
        for it in GATE
    ]
    unasked = auditor(*gate)
    assert (unasked.code, "no accepted signer of approvals" in unasked.said) == (2, True)
    assert auditor(*by("Bob", "--key", "bob/decision.key", "--yes", folder="two")).code == 0
    assert auditor(*by("bob ", "--key", "eve/decision.key", "--yes", folder="two")).code == 0
    shut = auditor(*gate, *keys)
    assert (shut.code, "1 of 2 approvals" in shut.said) == (1, True)
    assert auditor(*by("Eve", "--key", "eve/decision.key", "--yes", folder="two")).code == 0
    assert auditor(*gate, *keys).code == 0


def test_an_approval_is_of_one_record_and_of_no_other(auditor: Command, place: Path) -> None:
    assert auditor(*BOB, "--yes").code == 0
    assert auditor("judge", "out", "--policy", "policy.yaml", "--out", "again").code == 0
    gate = [{"out": "again"}.get(word, word) for word in ASKED]
    assert auditor(*gate).code == 1
    shutil.copytree(place / "out" / APPROVALS, place / "again" / APPROVALS)
    shut = auditor(*gate)
    assert (shut.code, "is of another record" in shut.said) == (1, True)


def test_who_audits_may_not_approve_and_a_broken_record_is_not_approved(
    auditor: Command, place: Path, home: Path
) -> None:
    ended = auditor(*by("Bob", "--key", str(home / "signer.key"), "--yes"))
    assert (ended.code, "may not be the decision key too" in ended.said) == (2, True)
    ended = auditor(*by("Bob", "--yes"))
    assert (ended.code, "there is no decision key" in ended.said) == (2, True)
    ended = auditor(*by("Bob", "--reason", "fine", "--key", "bob/decision.key", "--yes"))
    assert (ended.code, "no reason" in ended.said) == (2, True)
    (place / "out" / "report.html").write_text("Pass")
    ended = auditor(*BOB, "--yes")
    assert (ended.code, "does not verify: files" in ended.said) == (2, True)


def test_an_approval_of_a_revoked_key_counts_no_more(auditor: Command, place: Path) -> None:
    assert auditor(*BOB, "--yes").code == 0
    assert "Bob said yes, and nobody is asked to" in auditor(*GATE).said
    assert auditor(*ASKED).code == 0
    assert (
        auditor("keys", "revoke", "bob/decision.pub", "--since", at(-1), "--reason", "gone").code
        == 0
    )
    shut = auditor(*ASKED)
    assert (shut.code, "which the ledger here says is revoked since" in shut.said) == (1, True)


def test_approvals_travel_in_a_bundle_that_both_verifiers_read(
    auditor: Command, place: Path
) -> None:
    assert auditor(*BOB, "--yes").code == 0
    shutil.rmtree(place / "out" / APPROVALS)  # the store here has it still
    assert auditor("export", "out", "--out", "out.zip").code == 0
    ended = auditor("verify", "out.zip", "--key", "out/signer.pub")
    assert (ended.code, "holds approval approved by Bob" in ended.said) == (0, True)
    run = subprocess.run(
        [sys.executable, "out/verify.py", "out.zip", "--key", "out/signer.pub"],
        cwd=place, capture_output=True, text=True, check=False,
    )  # fmt: skip
    # A key that lies in the record is not trusted, but nothing else may be wrong.
    failed = [line.split()[1] for line in run.stdout.splitlines() if line.startswith("failed")]
    assert failed in ([], ["key"]), run.stdout
    assert "not checked approvals" in run.stdout


def test_a_comment_asks_for_approvals_as_the_gate_does(auditor: Command, place: Path) -> None:
    comment = ("comment", "out", "--key", "out/signer.pub")
    assert "not approved" not in auditor(*comment).out
    lacking = auditor(*comment, "--require-approval").out
    assert "not approved on this record" in lacking
    assert "0 of 1 approvals" in lacking
    put(place / "out", "bob/decision.key", answer=ApprovalAnswer.NO)
    assert "not approved on this record" in auditor(*comment).out


def test_of_two_yes_in_one_second_the_later_in_the_ledger_counts(
    auditor: Command, place: Path, home: Path
) -> None:
    record, folder = read_record((place / "out" / "record.json").read_bytes()), place / "out"
    signer, when = load_signer(Path("bob/decision.key")), at(0)
    for name in ("Ann", "Zoe", "Bob"):
        told = Approval(
            record=record.digest, record_id=record.id, by=name, role="model risk",
            answer=ApprovalAnswer.YES, reason="All findings are known.", created=when,
        )  # fmt: skip
        signed = sign_approval(told, signer)
        add_approval(folder, signed, signer.public_pem())
        with open_own_ledger() as store, store.unit_of_work() as work:
            log_approval(work, told, signed, signer.public_pem(), when)
    known = collect_approvals(
        record, RecordFolder(folder), AuditorSettings.from_environment().place
    )
    assert [said.approval.by for said in known.said] == ["Ann", "Zoe", "Bob"]


def test_a_yes_that_nothing_shows_to_be_blind_opens_no_gate_that_asks_for_that(
    auditor: Command, inside: Path
) -> None:
    asks = (inside / "policy.yaml").read_text()
    asks = asks.replace("least_budget", "approvals: 1, blind_labels: 5, least_budget")
    (inside / "policy.yaml").write_text(asks)
    assert auditor(*AUDITED, "--out", "out").code == 0
    create_key_pair(inside / "bob", stem="decision")
    assert auditor(*BOB, "--yes").code == 0
    shut = auditor(*GATE, "--approvals-key", "bob/decision.pub")
    assert shut.code == 1, shut.said
    assert "Gate: closed (approvals)" in shut.said
    assert "a folder does not show that Bob labelled the 5 cases" in shut.said
    shown = ("comment", "out", "--key", "out/signer.pub", "--approvals-key", "bob/decision.pub")
    assert "\N{WHITE HEAVY CHECK MARK}" not in auditor(*shown).out
