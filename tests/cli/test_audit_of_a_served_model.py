"""A served model audited by the command, from the first request to a record that verifies."""

import json
from _thread import interrupt_main
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from targets.endpoint_servers import Handler, Host, hosting

from auditor.targets.session import LONE_ROWS, PROBE_ROWS

TOKEN = "Bearer kept-to-ourselves-4711"  # noqa: S105 -- what a user would keep secret
LEAVE = "The owner of the test, for this audit."
ROWS, MET = 240, 3 * PROBE_ROWS + LONE_ROWS
"""Rows of the data; and of the first meeting, which sends some of them twice, and some alone."""
ATTACKS = ("evasion.linf", "evasion.linf_query")
Command = Callable[..., Any]
Declare = Callable[..., None]
Audit = Callable[..., Mapping[str, Any]]


@pytest.fixture
def host(inside: Path) -> Iterator[Host]:
    with hosting(inside / "model.onnx") as found:
        yield found


@pytest.fixture
def declare(inside: Path, home: Path, host: Host) -> Declare:
    """Write the endpoint down as the audit's one target; without its file where it is a black box.

    It stands in the operator's own file, too, which alone may send variables of the environment.

    Settings of the endpoint are keywords; ``target`` holds those of the target.
    """

    def write(
        *, black_box: bool = False, target: Mapping[str, object] | None = None, **settings: object
    ) -> None:
        endpoint = {"url": host.url, "model": "tiny", "retries": 0, **settings}
        targets = {"prod": {"time_limit": 20.0, **(target or {}), "endpoint": endpoint}}
        declared = {"apiVersion": "auditor/v1", "kind": "Targets", "targets": targets}
        home.mkdir(exist_ok=True)
        for folder in (inside, home):
            (folder / "targets.yaml").write_text(yaml.safe_dump(declared))
        asked = yaml.safe_load((inside / "audit.yaml").read_text()) | {"targets": ["prod"]}
        if black_box:
            asked["model"].pop("artifact", None)
        (inside / "audit.yaml").write_text(yaml.safe_dump(asked))

    return write


@pytest.fixture
def audit(auditor: Command, inside: Path) -> Audit:
    """Audit by the checks that are named, and return the record once it verifies."""

    def run(*only: str, code: int | None = None) -> Mapping[str, Any]:
        chosen = [word for check in only for word in ("--only", check)]
        ended = auditor("audit", "audit.yaml", *chosen, "--out", "out")
        assert code is None or ended.code == code, ended.said
        checked = auditor("verify", "out", "--key", "out/signer.pub")
        assert checked.code == 0, checked.said
        found: Mapping[str, Any] = json.loads((inside / "out" / "record.json").read_bytes())
        return found

    return run


def gaps(record: Mapping[str, Any]) -> dict[str, str]:
    """The reason of each check that gave nothing."""
    return {
        item["check"]: item["reason"]
        for item in record["readings"]
        if item["kind"] == "gap" and "metric" not in item
    }


def missing(record: Mapping[str, Any]) -> dict[str, str]:
    """The reason of each single metric that is missing."""
    return {
        item["metric"]: item["reason"]
        for item in record["readings"]
        if item["kind"] == "gap" and "metric" in item
    }


def figures(record: Mapping[str, Any], check: str) -> list[Mapping[str, Any]]:
    """What a check measured, without where."""
    return [
        {name: said for name, said in item.items() if name != "target"}
        for item in record["readings"]
        if item["check"] == check
    ]


def value(record: Mapping[str, Any], metric: str) -> float:
    (found,) = [
        item["value"]
        for item in record["readings"]
        if item.get("metric") == metric and "value" in item
    ]
    return float(found)


def everything_kept(*folders: Path) -> bytes:
    return b"\n".join(
        path.read_bytes() for folder in folders for path in folder.rglob("*") if path.is_file()
    )


@pytest.mark.slow
def test_a_served_model_is_audited_reported_verified_and_reproduced(
    auditor: Command, audit: Audit, declare: Declare, host: Host, inside: Path, home: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    here = audit("quality.accuracy", "evasion.linf_query", "hardware.parity", code=0)
    host.behaviour.token = TOKEN
    monkeypatch.setenv("ENDPOINT_TOKEN", TOKEN)
    declare(headers={"Authorization": "ENDPOINT_TOKEN"}, authorisation=LEAVE)
    there = audit("quality.accuracy", "evasion.linf_query", "hardware.parity", code=0)
    for check in ("quality.accuracy", "evasion.linf_query"):
        assert figures(there, check) == figures(here, check)
    assert value(there, "flip_rate") == 0.0
    facts = there["fingerprints"]["prod"]["identity_facts"]["runtime"]
    assert (facts["server"], facts["model"], facts["model_version"]) == ("small", "tiny", "1")
    assert there["request"]["target_specs"][0]["endpoint"]["headers"] == {
        "Authorization": "ENDPOINT_TOKEN"
    }
    assert f"127.0.0.1:{host.port}" in (inside / "out" / "report.html").read_text()
    assert auditor("plan", "audit.yaml").code == 0
    assert auditor("reproduce", "out").code == 0
    assert TOKEN.split()[1].encode() not in everything_kept(inside, home)


@pytest.mark.slow
def test_a_black_box_is_audited_by_what_it_answers(
    auditor: Command, audit: Audit, declare: Declare, inside: Path
) -> None:
    here = audit("quality.accuracy", "evasion.linf_query", code=0)
    declare(black_box=True, authorisation=LEAVE)
    there = audit("quality.accuracy", "evasion.linf_query", *ATTACKS, "hardware.parity",
                  "hardware.faults", "provenance.artifact")  # fmt: skip
    assert there["request"]["artifact"]["digest"] is None
    for check in ("quality.accuracy", "evasion.linf_query"):
        assert figures(there, check) == figures(here, check)
    assert gaps(there) == {
        "evasion.linf": "needs_model",
        "hardware.faults": "unsupported",
        "hardware.parity": "needs_reference",
        "provenance.artifact": "needs_model",
    }
    said = {item["check"]: item["detail"] for item in there["readings"] if item["kind"] == "gap"}
    assert said["provenance.artifact"] == "The audit names no model file, only an endpoint."
    assert "predictions only" not in (inside / "out" / "report.html").read_text()
    again = auditor("reproduce", "out")
    assert again.code == 0, again.said


def test_without_leave_nothing_but_ordinary_rows_is_sent(
    audit: Audit, declare: Declare, host: Host
) -> None:
    declare()
    record = audit("quality.accuracy", "hardware.sponge", *ATTACKS, code=0)
    assert gaps(record) == dict.fromkeys((*ATTACKS, "hardware.sponge"), "needs_authorisation")
    assert sum(host.behaviour.rows) == MET + ROWS


def test_half_a_cascade_that_is_served_is_not_attacked_without_leave(
    audit: Audit, declare: Declare, host: Host, inside: Path
) -> None:
    declare()
    declared = yaml.safe_load((inside / "targets.yaml").read_text())
    declared["targets"]["both"] = {"cascade": {"edge": "cpu", "cloud": "prod", "below": 0.7}}
    (inside / "targets.yaml").write_text(yaml.safe_dump(declared))
    text = (inside / "audit.yaml").read_text().replace("- prod", "- both")
    (inside / "audit.yaml").write_text(text)
    record = audit("quality.accuracy", "evasion.linf_query", "hardware.cascade", code=0)
    assert gaps(record) == {
        "evasion.linf_query": "needs_authorisation",
        "hardware.cascade": "needs_authorisation",
    }
    assert 0 < sum(host.behaviour.rows) - MET < ROWS


def test_scores_in_the_data_never_stand_in_for_a_server_that_does_not_answer(
    audit: Audit, declare: Declare, host: Host, inside: Path
) -> None:
    declare(black_box=True)
    lines = (inside / "test.csv").read_text().splitlines()
    scored = [f"{line},{'p' if number == 0 else 0.9}" for number, line in enumerate(lines)]
    (inside / "test.csv").write_text("\n".join(scored) + "\n")
    asked = yaml.safe_load((inside / "audit.yaml").read_text())
    asked["data"]["evaluation"]["scores"] = ["p"]
    (inside / "audit.yaml").write_text(yaml.safe_dump(asked))
    host.stop()
    record = audit("quality.accuracy", code=3)
    assert gaps(record) == {"quality.accuracy": "endpoint_lost"}


def test_labels_without_scores_give_shares_of_decisions_and_nothing_else(
    audit: Audit, declare: Declare, host: Host
) -> None:
    here = audit("quality.accuracy", code=0)
    labels = ("no", "yes")
    host.behaviour.reply = lambda scores: {"predictions": [labels[row[0] > 0.5] for row in scores]}
    declare(url=f"{host.url}/predict", protocol="http-json", labels_only=True, black_box=True)
    there = audit("quality.accuracy", "quality.calibration", code=0)
    assert value(there, "accuracy") == value(here, "accuracy")
    assert value(there, "balanced_accuracy") == value(here, "balanced_accuracy")
    of_scores = {item for item in missing(there) if missing(there)[item] == "needs_scores"}
    assert of_scores >= {"auc", "nll", "brier", "debiased_l2", "ece_15"}
    measured = {item["metric"] for item in there["readings"] if item["kind"] == "measurement"}
    assert measured == {"accuracy", "balanced_accuracy"}


def test_a_limit_on_queries_ends_an_attack_and_leaves_what_was_measured(
    audit: Audit, declare: Declare, host: Host
) -> None:
    declare(queries=MET + ROWS + 100, authorisation=LEAVE)
    record = audit("quality.accuracy", "evasion.linf_query", code=0)
    assert gaps(record) == {"evasion.linf_query": "over_budget"}
    assert sum(host.behaviour.rows) <= MET + ROWS + 100


@pytest.mark.slow
@pytest.mark.parametrize("version", ["", "1"])
def test_what_an_interrupted_audit_saw_is_used_again_only_of_a_pinned_version(
    auditor: Command, audit: Audit, declare: Declare, host: Host, version: str
) -> None:
    def interrupt(handler: Handler) -> bool:
        attacked = {*host.behaviour.rows} - {1, PROBE_ROWS, ROWS}
        if b'"shape":[1,3]' in handler.body and attacked:
            interrupt_main()  # the first row that is timed alone, after the attack
        else:
            host.behaviour.mishaps.append(interrupt)
        return False

    pinned = {"model_version": version} if version else {}
    declare(authorisation=LEAVE, **pinned)
    host.behaviour.mishaps.append(interrupt)
    only = ("evasion.linf_query", "hardware.latency")
    chosen = [word for check in only for word in ("--only", check)]
    assert auditor("audit", "audit.yaml", *chosen, "--out", "out").code not in {0, 3}
    before = sum(rows for rows in host.behaviour.rows if rows > 1)
    host.behaviour.rows.clear()
    audit(*only)
    again = sum(rows for rows in host.behaviour.rows if rows > 1)
    assert (again < before) == bool(version)


def test_a_plan_says_what_queries_cost(auditor: Command, declare: Declare) -> None:
    declare(price_per_query=0.001, queries=5000)
    ended = auditor("plan", "audit.yaml", "--only", "quality.accuracy", "--format", "json")
    (check,) = json.loads(ended.out)["prod"]["checks"]
    assert check["price"] == pytest.approx(ROWS * 0.001)


def test_a_plan_at_the_limit_of_queries_is_a_plan_without_a_pace(
    auditor: Command, declare: Declare
) -> None:
    declare(queries=MET)
    ended = auditor("plan", "audit.yaml", "--only", "quality.accuracy", "--format", "json")
    assert ended.code == 0, ended.said
    (check,) = json.loads(ended.out)["prod"]["checks"]
    assert check["seconds"] is None


def test_a_record_sends_rows_and_secrets_nowhere_that_its_reader_did_not_declare(
    auditor: Command, audit: Audit, declare: Declare, host: Host, inside: Path, home: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("ENDPOINT_TOKEN", TOKEN)
    declare(headers={"Authorization": "ENDPOINT_TOKEN"})
    audit("quality.accuracy", code=0)
    asked = len(host.behaviour.seen_headers)
    for change in ("removed", "another variable"):
        if change == "removed":
            (inside / "targets.yaml").unlink()
            (home / "targets.yaml").unlink()
        else:
            declare(headers={"Authorization": "OTHER"})
        ended = auditor("reproduce", "out")
        assert ended.code == 2
        assert "sends rows to 127.0.0.1, with ENDPOINT_TOKEN" in ended.said
    assert len(host.behaviour.seen_headers) == asked


@pytest.mark.parametrize("command", ["plan", "audit"])
def test_an_audit_file_sends_no_secret_by_its_own_word(
    auditor: Command, declare: Declare, host: Host, home: Path, command: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """A pull request may change the audit file, and the targets beside it: keys of CI stay."""
    monkeypatch.setenv("ENDPOINT_TOKEN", TOKEN)
    declare(headers={"Authorization": "ENDPOINT_TOKEN"})
    (home / "targets.yaml").unlink()
    asked = len(host.behaviour.seen_headers)
    ended = auditor(command, "audit.yaml", "--only", "quality.accuracy")
    assert ended.code == 2
    assert "sends ENDPOINT_TOKEN of your environment to 127.0.0.1" in ended.said
    assert len(host.behaviour.seen_headers) == asked
    allowed = (command, "audit.yaml", "--only", "quality.accuracy", "--allow-target-code")
    assert auditor(*allowed).code == 0


@pytest.mark.parametrize(
    "settings",
    [
        {"url": "https://example.org/?api_key=kept-to-ourselves-4711", "protocol": "http-json"},
        {"url": "https://example.org/?accessToken=kept-to-ourselves-47", "protocol": "http-json"},
        {"url": "https://me:kept-to-ourselves-4711@example.org"},
        {"headers": {"Authorization": TOKEN}},
    ],
)  # fmt: skip
def test_a_secret_that_is_written_down_is_refused_before_it_is_kept_or_shown(
    auditor: Command, declare: Declare, inside: Path, home: Path, settings: Mapping[str, object]
) -> None:
    declare(**settings)
    (home / "targets.yaml").unlink()  # what the operator wrote there is no copy of auditor's
    ended = auditor("audit", "audit.yaml", "--out", "out")
    assert ended.code == 2
    assert "targets.yaml" in ended.said
    assert "kept-to-ourselves" not in ended.said
    assert not (inside / "out").exists()
    assert b"kept-to-ourselves" not in everything_kept(home)


def test_a_refused_token_is_not_in_the_error(
    auditor: Command, declare: Declare, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.behaviour.token = "Bearer another"  # noqa: S105 -- the server's side of it
    monkeypatch.setenv("ENDPOINT_TOKEN", TOKEN)
    declare(headers={"Authorization": "ENDPOINT_TOKEN"})
    ended = auditor("audit", "audit.yaml", "--only", "quality.accuracy", "--out", "out")
    assert ended.code == 2
    assert "answers 401" in ended.said
    assert "kept-to-ourselves" not in ended.said


def test_the_way_to_a_served_model_is_told_apart_from_its_latency(
    audit: Audit, declare: Declare
) -> None:
    declare()
    record = audit("hardware.latency")
    assert value(record, "transport") > 0
    assert value(record, "p50") > 0
    (seen,) = [item for item in record["readings"] if item.get("metric") == "transport"]
    assert (seen["unit"], seen["repeat"]) == ("s", "interval")


def test_a_target_that_is_no_server_has_no_way_there(audit: Audit) -> None:
    record = audit("hardware.latency")
    assert value(record, "p50") > 0
    assert "transport" not in {item.get("metric") for item in record["readings"]}
