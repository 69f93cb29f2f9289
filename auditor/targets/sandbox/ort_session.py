"""Opens an ONNX Runtime session as a target declares it, and reads operator placement."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from auditor.targets.sandbox.devices import (
    CPU,
    choose_device,
    choose_plugin_provider,
    require_provider,
)
from auditor.targets.sandbox.ort_library import ort
from auditor.targets.sandbox.request_loop import RefusalError

OPTIMIZATION = {
    "none": ort.GraphOptimizationLevel.ORT_DISABLE_ALL,
    "basic": ort.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    "extended": ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    "all": ort.GraphOptimizationLevel.ORT_ENABLE_ALL,
}
SILENT = 4  # onnxruntime's severity "fatal": errors come as exceptions, not as lines
NO_FALLBACK = "session.disable_cpu_ep_fallback"
RESERVED = frozenset({"session.record_ep_graph_assignment_info"})


def open_session(source: Path | bytes, asked: Mapping[str, Any]) -> Any:  # noqa: ANN401 -- onnxruntime has no types
    """Open a model, by path or by its bytes, as the request ``asked`` says.

    Raises ``RefusalError`` where provider, plugin or device are not to be had, and
    ``RUNTIME_ERRORS``.
    """
    provider, options = choose_provider(asked), build_session_options(asked)
    model = str(source) if isinstance(source, Path) else source
    device = asked.get("device")
    own = dict(asked.get("provider_options") or {})
    if asked.get("library") is None and device is None:
        require_provider(provider, str(asked.get("cure") or ""))
        return ort.InferenceSession(model, options, providers=[(provider, own)])
    options.add_provider_for_devices(choose_device(provider, device), own)
    return ort.InferenceSession(model, options)


def choose_provider(asked: Mapping[str, Any]) -> str:
    """Return the provider that shall run the model: the one named, or the one of the plugin.

    Raises ``RefusalError`` where the plugin is not to be had, or brings no such provider.
    """
    library, provider = asked.get("library"), str(asked["provider"])
    return choose_plugin_provider(str(library), provider) if library else provider


def build_session_options(asked: Mapping[str, Any]) -> Any:  # noqa: ANN401 -- onnxruntime has no types
    """Return the session's options: threads, optimisation, entries, free dimensions, profile."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = int(asked["threads"])
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = OPTIMIZATION[asked["graph_optimization"]]
    options.log_severity_level = SILENT
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    for key, value in (asked.get("session") or {}).items():
        _refuse_conflict(str(key), str(value), str(asked["provider"]))
        options.add_session_config_entry(str(key), str(value))
    if asked.get("profile"):
        options.enable_profiling = True
        options.profile_file_prefix = str(asked["profile"])
    for name, size in (asked.get("free_dimensions") or {}).items():
        options.add_free_dimension_override_by_name(str(name), int(size))
    return options


def _refuse_conflict(key: str, value: str, provider: str) -> None:
    if key in RESERVED:
        raise RefusalError(
            "runtime",
            f"the session entry {key!r} is the auditor's own: without it, nobody knows where "
            "operators run",
            "Remove it from the target's `session`.",
        )
    if key == NO_FALLBACK and value == "1" and provider == CPU:
        raise RefusalError(
            "target",
            f"the session entry {key!r} forbids the processor, and {CPU} is the provider",
            "Name the provider that shall run the model, or remove the entry: without "
            "allow_fallback, an operator that falls back is refused anyway.",
        )


def count_placement(session: Any) -> dict[str, dict[str, int]] | None:  # noqa: ANN401 -- onnxruntime has no types
    """Count the operators on each provider by kind; ``None`` from a runtime that cannot say."""
    ask = getattr(session, "get_provider_graph_assignment_info", None)
    if ask is None:
        return None
    placed: dict[str, dict[str, int]] = {}
    for part in ask():
        counts = placed.setdefault(part.ep_name, {})
        for node in part.get_nodes():
            counts[node.op_type] = counts.get(node.op_type, 0) + 1
    return placed
