"""Targets by name or written out, as declared; what is not to be had here is an error."""

import dataclasses
from collections.abc import Callable, Mapping

from auditor.domain.canonical import Json
from auditor.domain.targets import TargetSpec
from auditor.errors import TargetError
from auditor.targets.probing import probe_target

CPU = "CPUExecutionProvider"
"""Part of every build of onnxruntime, so that naming it needs no look."""
NAMED: Mapping[str, TargetSpec] = {"cpu": TargetSpec("cpu")}
RUNTIMES = ("onnxruntime",)
OPTIMIZATIONS = ("none", "basic", "extended", "all")
MOST_THREADS = 1024
LEAST_MEMORY = 2**28


def resolve_target(asked: str | Mapping[str, Json]) -> TargetSpec:
    """Return the target of that name, or the one that a mapping writes out.

    Raises ``TargetError`` that lists what there is for an unknown name, key, runtime or provider:
    a provider that the runtime lacks never falls back to another.
    """
    if isinstance(asked, str):
        if asked not in NAMED:
            raise TargetError(
                f"there is no target {asked!r}",
                cure=f"Name one of {', '.join(NAMED)}, or write the target out.",
            )
        return NAMED[asked]
    spec = _written_out(asked)
    if spec.provider != CPU:
        _require(spec)
    return spec


def _written_out(asked: Mapping[str, Json]) -> TargetSpec:
    known = {entry.name: entry for entry in dataclasses.fields(TargetSpec)}
    unknown = sorted(set(asked) - set(known))
    if unknown:
        raise TargetError(
            f"a target has no setting {unknown[0]!r}", cure=f"There are {', '.join(known)}."
        )
    if "name" not in asked:
        raise TargetError("a target that is written out has no name", cure="Add `name:` to it.")
    for name, value in asked.items():
        _check(name, value)
    return TargetSpec(**{**asked, **_as_floats(asked)})  # type: ignore[arg-type]  # checked above


def _as_floats(asked: Mapping[str, Json]) -> dict[str, float]:
    """Return the settings that are numbers with a fraction, however they were written."""
    pairs = ((name, asked.get(name)) for name in ("time_limit", "price_per_hour"))
    return {name: float(value) for name, value in pairs if isinstance(value, int | float)}


def _is_text(value: Json) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_number(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 2**53


def _is_count(most: int, least: int = 1) -> Callable[[Json], bool]:
    return lambda value: type(value) is int and least <= value <= most


ALLOWED: Mapping[str, tuple[Callable[[Json], bool], str]] = {
    "name": (_is_text, "a text"),
    "runtime": (lambda value: value in RUNTIMES, f"one of {', '.join(RUNTIMES)}"),
    "provider": (_is_text, "the name of an execution provider, such as CPUExecutionProvider"),
    "threads": (_is_count(MOST_THREADS), f"a whole number from 1 to {MOST_THREADS}"),
    "graph_optimization": (
        lambda value: value in OPTIMIZATIONS,
        f"one of {', '.join(OPTIMIZATIONS)}",
    ),
    "memory_limit": (_is_count(2**53, LEAST_MEMORY), f"bytes, at least {LEAST_MEMORY}"),
    "time_limit": (_is_number, "seconds above 0"),
    "price_per_hour": (lambda value: value is None or _is_number(value), "a number above 0"),
}


def _check(name: str, value: Json) -> None:
    holds, words = ALLOWED[name]
    if not holds(value):
        raise TargetError(f"the target's {name} is {value!r}", cure=f"Give {words}.")


def _require(spec: TargetSpec) -> None:
    runtime = probe_target(spec)["runtime"]
    available = [str(name) for name in runtime.get("providers", ())]
    if spec.provider not in available:
        raise TargetError(
            f"the target {spec.name!r} asks for the provider {spec.provider!r}, which this "
            f"{spec.runtime} {runtime.get('version')} does not have",
            cure=f"Use one of {', '.join(available)}, or install the build that has it.",
        )
