"""Request metrics for Prometheus."""

from collections import Counter
from collections.abc import Iterator, Mapping
from threading import Lock

from auditor import __version__

PREFIX = "auditor"


class RequestMetrics:
    """Counts the calls of one application by method, route and status; it never goes back."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._calls: Counter[tuple[str, str, str]] = Counter()
        self._seconds: Counter[tuple[str, str]] = Counter()

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a call that was answered. ``route`` is its template, not the path called."""
        with self._lock:
            self._calls[method, route, str(status)] += 1
            self._seconds[method, route] += seconds  # type: ignore[assignment]  # counts of seconds

    def text(self, gauges: Mapping[str, Mapping[str, float]]) -> str:
        """Return everything in the text format of Prometheus, 0.0.4.

        ``gauges`` map a name such as ``audits{state}`` to its values by that label.
        """
        with self._lock:
            calls, seconds = dict(self._calls), dict(self._seconds)
        lines = [*_family("build_info", "gauge", "The version that runs.")]
        lines.append(_line("build_info", {"version": __version__}, 1))
        lines += _family("http_requests_total", "counter", "Calls answered.")
        for (method, route, status), count in sorted(calls.items()):
            labels = {"method": method, "route": route, "status": status}
            lines.append(_line("http_requests_total", labels, count))
        lines += _family("http_request_seconds_total", "counter", "Seconds spent on them.")
        for (method, route), spent in sorted(seconds.items()):
            labels = {"method": method, "route": route}
            lines.append(_line("http_request_seconds_total", labels, round(spent, 6)))
        for name, values in gauges.items():
            bare, label = name.rstrip("}").split("{")
            lines += _family(bare, "gauge", f"{bare.replace('_', ' ').capitalize()} by {label}.")
            lines += [_line(bare, {label: key}, value) for key, value in values.items()]
        return "\n".join(lines) + "\n"


def _family(name: str, kind: str, said: str) -> Iterator[str]:
    yield f"# HELP {PREFIX}_{name} {said}"
    yield f"# TYPE {PREFIX}_{name} {kind}"


def _line(name: str, labels: Mapping[str, str], value: float) -> str:
    told = ",".join(f'{key}="{_escaped(said)}"' for key, said in labels.items())
    return f"{PREFIX}_{name}{{{told}}} {value}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
