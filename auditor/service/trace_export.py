"""Export of tracing spans to a collector by OpenTelemetry."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from auditor import __version__
from auditor.service.telemetry import Said, TraceSpan

NAME = "auditor"
TRACE = ("traceparent", "tracestate")


class OtelSpan:
    """A span of OpenTelemetry that is open."""

    def __init__(self, span: Span) -> None:
        self._span = span

    def named(self, name: str) -> None:
        """Give it the name that is known by now."""
        self._span.update_name(name)

    def say(self, **said: Said | None) -> None:
        """Say something of it."""
        for name, value in said.items():
            if value is not None:
                # An attribute's name as OpenTelemetry writes it: `_` is a dot, `__` a `_`
                self._span.set_attribute(
                    name.replace("__", "\0").replace("_", ".").replace("\0", "_"), value
                )

    def failed(self) -> None:
        """Say that what it spans failed."""
        self._span.set_status(Status(StatusCode.ERROR))


class OtelTracer:
    """Spans that go to one processor.

    The provider is our own and not the process's: a library that finds one there would begin to
    tell paths and queries.
    """

    def __init__(self, processor: SpanProcessor, name: str = NAME) -> None:
        self._provider = TracerProvider(
            resource=Resource.create({"service.name": name, "service.version": __version__}),
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer(NAME, __version__)

    @contextmanager
    def span(self, name: str, came: Mapping[str, str] | None = None) -> Iterator[TraceSpan]:
        """Open a span; an exception fails it, and its text goes nowhere."""
        if came is None:
            parent = None
        else:
            carrier = {name: came[name] for name in TRACE if name in came}
            parent = TraceContextTextMapPropagator().extract(carrier, Context())
        kind = SpanKind.INTERNAL if came is None else SpanKind.SERVER
        with self._tracer.start_as_current_span(
            name, parent, kind, record_exception=False, set_status_on_exception=False
        ) as span:
            mark = OtelSpan(span)
            try:
                yield mark
            except BaseException:
                mark.failed()
                raise

    def close(self) -> None:
        """Send what was not sent yet."""
        self._provider.shutdown()


def open_otel_tracer(environment: Mapping[str, str]) -> OtelTracer:
    """Return spans that go where the usual variables say."""
    processor = BatchSpanProcessor(OTLPSpanExporter())
    return OtelTracer(processor, environment.get("OTEL_SERVICE_NAME") or NAME)
