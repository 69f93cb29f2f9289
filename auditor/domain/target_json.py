"""Targets back from the JSON of a record."""

from collections.abc import Mapping

from auditor.domain.json import JsonPart
from auditor.domain.targets import (
    CascadeSpec,
    EndpointProtocol,
    EndpointSpec,
    TargetSpec,
    TensorEncoding,
)


def read_target(part: JsonPart) -> TargetSpec:
    """Read a target as declared; a field that an older record lacks has its default."""
    return TargetSpec(
        name=part.name("name"),
        runtime=part.get("runtime", str),
        provider=part.get("provider", str),
        threads=part.get("threads", int),
        graph_optimization=part.get("graph_optimization", str),
        memory_limit=part.get("memory_limit", int),
        time_limit=part.get("time_limit", float),
        price_per_hour=part.maybe("price_per_hour", float),
        device=part.maybe("device", str),
        library=part.maybe("library", str),
        provider_options=_texts(part, "provider_options"),
        session=_texts(part, "session"),
        free_dimensions=_counts(part, "free_dimensions"),
        allow_fallback=bool(part.maybe("allow_fallback", bool)),
        emulated=part.maybe("emulated", str),
        interpreter=part.maybe("interpreter", str),
        seconds=part.maybe("seconds", float),
        endpoint=_endpoint(part.part("endpoint")) if part.value.get("endpoint") else None,
        cascade=_cascade(part.part("cascade")) if part.value.get("cascade") else None,
    )


def _cascade(part: JsonPart) -> CascadeSpec:
    return CascadeSpec(
        edge=read_target(part.part("edge")),
        cloud=read_target(part.part("cloud")),
        below=part.get("below", float),
    )


def _endpoint(part: JsonPart) -> EndpointSpec:
    return EndpointSpec(
        url=part.get("url", str),
        protocol=part.choice("protocol", EndpointProtocol),
        model=part.get("model", str),
        model_version=part.get("model_version", str),
        encoding=part.choice("encoding", TensorEncoding),
        headers=_texts(part, "headers"),
        ca=part.maybe("ca", str),
        rows_at=part.get("rows_at", str),
        scores_at=part.get("scores_at", str),
        labels_only=part.get("labels_only", bool),
        batch_limit=part.maybe("batch_limit", int),
        rate=part.maybe("rate", float),
        queries=part.maybe("queries", int),
        spend=part.maybe("spend", float),
        price_per_query=part.maybe("price_per_query", float),
        retries=part.get("retries", int),
        authorisation=part.maybe("authorisation", str),
    )


def _texts(part: JsonPart, name: str) -> Mapping[str, str]:
    if part.value.get(name) is None:
        return {}
    inner = part.part(name)
    return {key: inner.get(key, str) for key in inner.value}


def _counts(part: JsonPart, name: str) -> Mapping[str, int]:
    if part.value.get(name) is None:
        return {}
    inner = part.part(name)
    return {key: inner.get(key, int) for key in inner.value}
