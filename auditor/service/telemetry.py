"""Tracing spans of a service, for a trace collector if one is configured."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from auditor.errors import MissingExtraError, suggest_install

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
OFF = "OTEL_SDK_DISABLED"
Said = str | int | float | bool


class TraceSpan(Protocol):
    """A span that is open."""

    def named(self, name: str) -> None:
        """Give it the name that is known by now."""

    def say(self, **said: Said | None) -> None:
        """Say something of it; ``None`` says nothing. In names ``_`` is a dot, ``__`` a ``_``."""

    def failed(self) -> None:
        """Say that what it spans failed; why is for the log."""


class SpanTracer(Protocol):
    """Where spans go."""

    def span(
        self, name: str, came: Mapping[str, str] | None = None
    ) -> AbstractContextManager[TraceSpan]:
        """Open a span as long as a block lasts.

        ``came`` are the headers of a call, whose ``traceparent`` (W3C) is taken on.
        """
        ...

    def close(self) -> None:
        """Send what was not sent yet."""


class NullTracer:
    """Spans that go nowhere."""

    def named(self, name: str) -> None:
        """Forget it."""

    def say(self, **said: Said | None) -> None:
        """Forget it."""

    def failed(self) -> None:
        """Forget it."""

    @contextmanager
    def span(self, name: str, came: Mapping[str, str] | None = None) -> Iterator[TraceSpan]:  # noqa: ARG002 -- of the protocol
        """Do nothing but the block."""
        yield self

    def close(self) -> None:
        """Have nothing to send."""


SILENT = NullTracer()


@contextmanager
def span_step(
    spans: SpanTracer, kind: str, audit: str, target: str | None = None, check: str | None = None
) -> Iterator[None]:
    """Open the span of one step of an audit, under the audit's id."""
    with spans.span(kind if check is None else f"check {check}") as mark:
        mark.say(auditor_audit=audit, auditor_target=target, auditor_check=check)
        yield


def open_tracer(environment: Mapping[str, str]) -> SpanTracer:
    """Return where spans go by the usual variables of OpenTelemetry: nowhere without an address.

    Raises ``MissingExtraError`` where there is one and the extra is not installed.
    """
    off = environment.get(OFF, "").lower() == "true"
    if off or not any(environment.get(name) for name in ENDPOINTS):
        return SILENT
    try:
        from auditor.service.trace_export import open_otel_tracer  # noqa: PLC0415 -- optional
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"the packages that send traces are not installed ({error.name})",
            cure=f"{suggest_install('otel')}, or unset OTEL_EXPORTER_OTLP_ENDPOINT.",
        ) from error
    return open_otel_tracer(environment)
