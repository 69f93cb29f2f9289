"""Traces: a span a call and a step, with ids alone; and nothing at all where nobody collects."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode
from served_worlds import World
from starlette.testclient import TestClient

from auditor.service.api.app import build_app
from auditor.service.jobs.job_steps import StepRunner
from auditor.service.telemetry import SILENT, open_tracer, span_step
from auditor.service.trace_export import OtelTracer

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
CAME = {"traceparent": f"00-{TRACE}-{PARENT}-01"}


@pytest.fixture
def collected() -> Iterator[tuple[OtelTracer, InMemorySpanExporter]]:
    exporter = InMemorySpanExporter()
    spans = OtelTracer(SimpleSpanProcessor(exporter))
    yield spans, exporter
    spans.close()


def told(span: ReadableSpan) -> dict[str, object]:
    return dict(span.attributes or {})


def test_a_call_is_a_span_of_its_callers_trace_and_tells_ids_alone(
    world: World, collected: tuple[OtelTracer, InMemorySpanExporter]
) -> None:
    spans, exporter = collected
    with TestClient(build_app(replace(world.service, spans=spans))) as client:
        door = replace(world, client=client)
        path = f"/v1/audits/{world.done}?secret=tell"
        answer = door.call("GET", path, "viewer", headers=CAME)
        door.call("GET", "/v1/nothing/secret", "viewer")
        client.get("/v1/audits", headers={"Authorization": "Bearer secret"})
    looked, lost, refused = exporter.get_finished_spans()
    assert looked.name == "GET /v1/audits/{audit}"
    assert looked.context is not None
    assert looked.parent is not None
    assert f"{looked.context.trace_id:032x}" == TRACE
    assert f"{looked.parent.span_id:016x}" == PARENT
    assert told(looked) == {
        "http.request.method": "GET", "http.route": "/v1/audits/{audit}",
        "http.response.status_code": 200, "auditor.audit": world.done,
        "auditor.caller": world.keys["viewer"].split("_")[1], "auditor.project": "default",
        "auditor.call": answer.headers["x-request-id"],
    }  # fmt: skip
    assert lost.parent is None
    assert (lost.name, told(lost)["http.response.status_code"]) == ("HTTP", 404)
    assert told(refused)["http.response.status_code"] == 401
    assert "auditor.caller" not in told(refused)
    everything = "".join(span.to_json() for span in (looked, lost, refused))
    assert "secret" not in everything
    assert "tell" not in everything


def test_a_fault_fails_its_span_and_its_words_go_nowhere(
    world: World, collected: tuple[OtelTracer, InMemorySpanExporter]
) -> None:
    spans, exporter = collected

    def fail() -> list[str]:
        raise RuntimeError("the secret place")

    with TestClient(build_app(replace(world.service, spans=spans, ready=fail))) as client:
        assert client.get("/readyz").status_code == 500
    (span,) = exporter.get_finished_spans()
    assert span.status.status_code is StatusCode.ERROR
    assert "secret" not in span.to_json()


class Work:
    """What there is to do for one check that goes well and one that does not."""

    def plan(self, submission: str) -> dict[str, tuple[str, ...]]:
        return {"cpu": ("quality.accuracy", "quality.broken")}

    def observe(self, submission: str, target: str, check: str) -> None:
        if check == "quality.broken":
            raise RuntimeError("/home/somebody")

    def conclude(self, submission: str) -> None:
        pass

    def failed(self, submission: str, problem: str, cure: str) -> None:
        pass


def test_a_check_is_a_span_with_the_audits_id(
    collected: tuple[OtelTracer, InMemorySpanExporter],
) -> None:
    spans, exporter = collected
    work, steps = Work(), StepRunner(partial(span_step, spans))
    steps.run(work.plan, "sub-1")
    steps.run(work.observe, "sub-1", "cpu", "quality.accuracy")
    with pytest.raises(RuntimeError):
        steps.run(work.observe, "sub-1", "cpu", "quality.broken")
    steps.run(work.conclude, "sub-1")
    found = exporter.get_finished_spans()
    assert [span.name for span in found] == [
        "plan", "check quality.accuracy", "check quality.broken", "conclude",
    ]  # fmt: skip
    assert {told(span)["auditor.audit"] for span in found} == {"sub-1"}
    assert told(found[1])["auditor.target"] == "cpu"
    failed = [span.name for span in found if span.status.status_code is StatusCode.ERROR]
    assert failed == ["check quality.broken"]
    assert "somebody" not in found[2].to_json()


def test_without_an_address_there_are_no_spans() -> None:
    here = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}
    assert open_tracer({}) is SILENT
    assert open_tracer({**here, "OTEL_SDK_DISABLED": "true"}) is SILENT
    opened = open_tracer(here)
    assert opened is not SILENT
    opened.close()


@pytest.mark.slow
def test_nothing_of_it_is_imported_where_nobody_collects() -> None:
    said = (
        "import sys; import auditor.service.server.worker, auditor.cli.commands.serve; "
        "from auditor.service.telemetry import open_tracer; open_tracer({}); "
        "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    ended = subprocess.run([sys.executable, "-c", said], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"
