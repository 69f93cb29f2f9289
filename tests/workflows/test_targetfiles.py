"""targets.yaml: what a team writes down of the places where its models run."""

from dataclasses import replace
from pathlib import Path

import pytest

from auditor.domain.budgets import Budget
from auditor.domain.json import read_json
from auditor.domain.requests import AuditRequest, PolicyRef
from auditor.domain.targets import CascadeSpec, EndpointProtocol, TargetSpec, TensorEncoding
from auditor.errors import TargetError
from auditor.targets.config import (
    OperatorTargets,
    parse_targets,
    read_targets,
    require_operator_permission,
)

HEAD = "apiVersion: auditor/v1\nkind: Targets\ntargets:\n"
WHOLE = (
    HEAD
    + """
  npu: {provider: QNNExecutionProvider, device: NPU, provider_options: {htp: burst}}
  old: {emulated: Haswell, seconds: 60, session: {session.x64quantprecision: "1"}}
  prod:
    price_per_hour: 2
    endpoint: {url: "https://models.example/v2", protocol: oip-http, model: digits, encoding: json,
      headers: {Authorization: DIGITS_TOKEN}, rate: 20, queries: 1000, authorisation: "Ada, test"}
  pair: {cascade: {edge: old, cloud: cpu, below: 0.9}}
"""
)


def test_each_kind_of_target_is_read_as_it_is_written() -> None:
    found = parse_targets(WHOLE.encode(), "targets.yaml")
    assert list(found) == ["cpu", "npu", "old", "prod", "pair"]
    assert found["npu"].device == "NPU"
    assert found["npu"].provider_options == {"htp": "burst"}
    assert (found["old"].emulated, found["old"].seconds) == ("Haswell", 60.0)
    endpoint = found["prod"].endpoint
    assert endpoint is not None
    assert (endpoint.protocol, endpoint.encoding) == (
        EndpointProtocol.OIP_HTTP,
        TensorEncoding.JSON,
    )
    assert found["prod"].runtime == "endpoint"
    cascade = found["pair"].cascade
    assert cascade is not None
    assert (cascade.edge, cascade.cloud, cascade.below) == (found["old"], TargetSpec("cpu"), 0.9)


@pytest.mark.parametrize("name", ["cpu", "npu", "old", "prod", "pair"])
def test_a_target_comes_back_from_a_record_as_it_was_declared(name: str) -> None:
    spec = parse_targets(WHOLE.encode(), "targets.yaml")[name]
    assert read_json(TargetSpec, spec.to_json(), "target") == spec


def test_the_rarer_settings_are_left_out_of_a_record_where_nobody_set_them() -> None:
    assert set(TargetSpec("cpu").to_json()) == {
        "name", "runtime", "provider", "threads", "graph_optimization", "memory_limit",
        "time_limit", "price_per_hour",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("targets:\n  a: {}\n", "is not a file of targets"),
        (HEAD + "  a: 3\n", "targets.yaml:4: targets.a is not a mapping"),
        (HEAD + "  a: {name: b}\n", "targets.yaml:4: targets.a is not a mapping"),
        (HEAD + "  a: {thread: 2}\n", "targets.yaml:4: the target 'a' has no setting 'thread'"),
        (HEAD + "  a: {seconds: 0}\n", "seconds is 0"),
        (HEAD + "  a: {device: 'GPU:-1'}\n", "device is 'GPU:-1'"),
        (HEAD + "  a: {device: 'GPU:one'}\n", "device is 'GPU:one'"),
        (HEAD + "  a: {allow_fallback: yes please}\n", "allow_fallback is 'yes please'"),
        (HEAD + "  a: {session: {x: 1}}\n", "put numbers into quotes"),
        (HEAD + "  a: {runtime: endpoint}\n", "no section `endpoint`"),
        (HEAD + "  a: {endpoint: {model: m}}\n", "endpoint has no url"),
        (HEAD + "  a: {endpoint: {url: https://u, protocol: soap}}\n", "protocol is 'soap'"),
        (
            HEAD + "  a: {endpoint: {url: https://u, model: m}, emulated: Haswell}\n",
            "runs nothing of its own here",
        ),
        (HEAD + "  a: {cascade: {edge: cpu}}\n", "names no cloud"),
        (HEAD + "  a: {cascade: {edge: cpu, cloud: b}}\n", "there is no target 'b'"),
        (
            HEAD
            + "  a: {cascade: {edge: cpu, cloud: cpu}}\n  b: {cascade: {edge: a, cloud: cpu}}\n",
            "edge is a cascade itself",
        ),
        (HEAD + "  a: {cascade: {edge: cpu, cloud: cpu, below: 1.5}}\n", "below is 1.5"),
        (HEAD + "other: 1\n", "there is no setting 'other'"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(text: str, said: str) -> None:
    with pytest.raises(TargetError) as caught:
        parse_targets(text.encode(), "targets.yaml")
    assert said in str(caught.value)


def test_a_folder_without_the_file_has_the_targets_of_the_house(tmp_path: Path) -> None:
    assert list(read_targets(tmp_path)) == ["cpu"]


def test_a_file_may_declare_cpu_otherwise(tmp_path: Path) -> None:
    (tmp_path / "targets.yaml").write_text(HEAD + "  cpu: {threads: 4}\n")
    assert read_targets(tmp_path)["cpu"] == TargetSpec("cpu", threads=4)


def asked(*specs: TargetSpec) -> AuditRequest:
    return AuditRequest(
        name="m",
        version="1",
        artifact=None,
        targets=specs,
        datasets=(),
        policy=PolicyRef("p", "1", "sha256:" + "1" * 64),
        audit_file="sha256:" + "2" * 64,
        seed=7,
        budget=Budget.CI,
    )


@pytest.mark.parametrize(
    "spec",
    [
        TargetSpec("npu", interpreter="./evil"),
        TargetSpec("npu", library="/srv/evil.so"),
        TargetSpec("npu", provider_options={"backend_path": "/srv/evil.so"}),
        TargetSpec(
            "pair",
            runtime="cascade",
            cascade=CascadeSpec(TargetSpec("cpu"), TargetSpec("npu", library="/srv/evil.so")),
        ),
    ],
)
def test_code_that_a_record_names_is_not_run_unless_a_target_of_ones_own_names_it(
    spec: TargetSpec, tmp_path: Path
) -> None:
    with pytest.raises(TargetError, match="names code of this machine"):
        require_operator_permission(
            asked(TargetSpec("cpu"), spec), OperatorTargets(read_targets(tmp_path))
        )
    (tmp_path / "targets.yaml").write_text(
        HEAD + "  own: {interpreter: ./evil, library: /srv/evil.so, "
        "provider_options: {backend_path: /srv/evil.so}}\n"
    )
    operator = OperatorTargets(read_targets(tmp_path))
    require_operator_permission(asked(TargetSpec("cpu"), spec), operator)
    with pytest.raises(TargetError, match="names code of this machine"):  # of the reference too
        require_operator_permission(replace(asked(), reference=spec), OperatorTargets())
    require_operator_permission(replace(asked(), reference=spec), operator)


def test_code_of_two_targets_is_not_put_together(tmp_path: Path) -> None:
    (tmp_path / "targets.yaml").write_text(
        HEAD + "  one: {interpreter: /a/python}\n  two: {library: mine, interpreter: /b/python}\n"
    )
    operator = OperatorTargets(read_targets(tmp_path))
    operator.permit_code(TargetSpec("x", interpreter="/b/python", library="mine"))
    with pytest.raises(TargetError, match="names code"):
        operator.permit_code(TargetSpec("x", interpreter="/a/python", library="mine"))


def test_rows_go_only_where_a_target_of_ones_own_sends_them(tmp_path: Path) -> None:
    text = HEAD + "  prod: {endpoint: {url: https://u, model: m, headers: {A: TOKEN}}}\n"
    (tmp_path / "targets.yaml").write_text(text)
    mine, operator = read_targets(tmp_path)["prod"], OperatorTargets(read_targets(tmp_path))
    require_operator_permission(asked(mine), operator)
    assert mine.endpoint is not None
    for other in ({"url": "https://v"}, {"headers": {"A": "OTHER"}}):
        elsewhere = replace(mine, endpoint=replace(mine.endpoint, **other))
        with pytest.raises(TargetError, match="sends rows to"):
            require_operator_permission(asked(elsewhere), operator)
