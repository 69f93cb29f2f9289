"""Parses target specifications from configuration and resolves target names.

Parsing is strict: no setting is guessed or ignored. A target that is not available here is an
error.
"""

import dataclasses
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from auditor.domain.digests import is_digest
from auditor.domain.execution_providers import find_meant_provider
from auditor.domain.json import Json
from auditor.domain.name_suggestions import suggest_near_names
from auditor.domain.targets import (
    CallableSpec,
    CascadeSpec,
    EndpointProtocol,
    EndpointSpec,
    TargetSpec,
    TensorEncoding,
)
from auditor.errors import SubmissionError, TargetError
from auditor.targets.endpoints.config import check_endpoint_spec, parse_endpoint_url
from auditor.targets.runtimes import list_runtimes

Named: TypeAlias = Callable[["str | Mapping[str, Json]"], TargetSpec]
"""Turns a target's name, or a mapping, into a specification."""
OPTIMIZATIONS = ("none", "basic", "extended", "all")
DEVICE = re.compile(r"[A-Za-z][A-Za-z0-9_.]*(:[0-9]{1,3})?")
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
MOST_THREADS = 1024
LEAST_MEMORY = 2**28


def parse_target_spec(asked: Mapping[str, Json], named: Named) -> TargetSpec:
    """Return the target that a mapping writes out; ``named`` resolves a cascade's two halves.

    Raises ``TargetError`` that names the setting, and says what it may be.
    """
    if "name" not in asked:
        raise TargetError("a target that is written out has no name", cure="Add `name:` to it.")
    where = f"the target {asked['name']!r}"
    settings = _checked(asked, TARGET, where)
    endpoint, cascade = settings.pop("endpoint", None), settings.pop("cascade", None)
    function = settings.pop("callable", None)
    if endpoint is not None:
        settings["endpoint"] = _endpoint(endpoint, f"{where}: endpoint")
        settings.setdefault("runtime", "endpoint")
    if cascade is not None:
        settings["cascade"] = _cascade(cascade, f"{where}: cascade", named)
        settings.setdefault("runtime", "cascade")
    if function is not None:
        settings["callable"] = _callable(function, f"{where}: callable")
        settings.setdefault("runtime", "callable")
    spec = TargetSpec(**settings)
    sections = {"endpoint": spec.endpoint, "cascade": spec.cascade, "callable": spec.callable}
    for runtime, section in sections.items():
        if (spec.runtime == runtime) != (section is not None):
            raise TargetError(
                f"{where} has the runtime {spec.runtime!r}, and "
                f"{'no' if section is None else 'a'} section `{runtime}`",
                cure=f"Give runtime: {runtime} and a section `{runtime}`, or neither.",
            )
    meant = "" if spec.library or spec.served else find_meant_provider(spec.provider)
    if meant:
        raise TargetError(
            f"{where} names the provider {spec.provider!r}, which does not exist",
            cure=f"Did you mean {meant}?",
        )
    if spec.emulated is not None and spec.served:
        raise TargetError(
            f"{where} is emulated, but runs nothing of its own here",
            cure="Emulate the processor of a target that runs the artifact itself.",
        )
    return spec


def _endpoint(asked: Mapping[str, Json], where: str) -> EndpointSpec:
    settings = _checked(asked, ENDPOINT, where)
    if "url" not in settings:
        raise TargetError(f"{where} has no url", cure="Add `url: https://…` to it.")
    settings["protocol"] = EndpointProtocol(settings.get("protocol", EndpointProtocol.OIP_HTTP))
    settings["encoding"] = TensorEncoding(settings.get("encoding", TensorEncoding.AUTO))
    spec = EndpointSpec(**settings)
    # Before anything is written down: an address may hold what must not get into a record.
    parse_endpoint_url(spec)
    check_endpoint_spec(spec)
    return spec


def _callable(asked: Mapping[str, Json], where: str) -> CallableSpec:
    settings = _checked(asked, CALLABLE, where)
    if "function" not in settings:
        raise TargetError(f"{where} names no function", cure="Add `function: module.name` to it.")
    return CallableSpec(**settings)


def _cascade(asked: Mapping[str, Json], where: str, named: Named) -> CascadeSpec:
    settings = _checked(asked, CASCADE, where)
    for half in ("edge", "cloud"):
        if half not in settings:
            raise TargetError(
                f"{where} names no {half}", cure=f"Add `{half}:` with the name of a target."
            )
        settings[half] = named(settings[half])
        if settings[half].cascade is not None or settings[half].callable is not None:
            kind = "cascade itself" if settings[half].callable is None else "function"
            raise TargetError(
                f"{where}: {half} is a {kind}",
                cure="Name a target that is one place, and opens a file or asks a server.",
            )
    return CascadeSpec(**settings)


@dataclasses.dataclass(frozen=True, slots=True)
class _SettingRule:
    """What a setting may be: a test, and its words; ``number`` makes a float of it.

    What is ``hidden`` may be a secret that was written where none belongs: no error shows it.
    """

    holds: Callable[[Any], bool]
    words: str | Callable[[], str]
    number: bool = False
    hidden: bool = False


def _checked(
    asked: Mapping[str, Json], rules: Mapping[str, _SettingRule], where: str
) -> dict[str, Any]:
    unknown = sorted(set(asked) - set(rules))
    if unknown:
        raise TargetError(
            f"{where} has no setting {unknown[0]!r}", cure=f"There are {', '.join(rules)}."
        )
    found: dict[str, Any] = {}
    for name, value in asked.items():
        rule = rules[name]
        if value is None:
            continue
        if not rule.holds(value):
            words = rule.words if isinstance(rule.words, str) else rule.words()
            said = "not what it may be" if rule.hidden else repr(value)
            raise TargetError(f"{where}: {name} is {said}", cure=f"Give {words}.")
        found[name] = float(value) if rule.number else value  # type: ignore[arg-type]  # a number, as the rule says
    return found


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 2**53


def _is_texts(value: object) -> bool:
    return isinstance(value, Mapping) and all(
        isinstance(key, str) and isinstance(item, str) for key, item in value.items()
    )


def _is_variables(value: object) -> bool:
    return isinstance(value, Mapping) and all(
        isinstance(key, str) and isinstance(item, str) and VARIABLE.fullmatch(item)
        for key, item in value.items()
    )


def _is_counts(value: object) -> bool:
    return isinstance(value, Mapping) and all(
        isinstance(key, str) and type(item) is int and item > 0 for key, item in value.items()
    )


def _is_section(value: object) -> bool:
    return isinstance(value, Mapping) and bool(value)


def _is_target(value: object) -> bool:
    return _is_text(value) or _is_section(value)


def _count(most: int, least: int = 1) -> Callable[[object], bool]:
    return lambda value: type(value) is int and least <= value <= most


def _one_of(names: tuple[str, ...]) -> _SettingRule:
    return _SettingRule(lambda value: value in names, f"one of {', '.join(names)}")


TEXT = _SettingRule(_is_text, "a text")
SECONDS = _SettingRule(_is_number, "seconds above 0", number=True)
AMOUNT = _SettingRule(_is_number, "a number above 0", number=True)
COUNT = _SettingRule(_count(2**53), "a whole number above 0")
FLAG = _SettingRule(lambda value: isinstance(value, bool), "true or false")
TEXTS = _SettingRule(_is_texts, "a mapping of texts; put numbers into quotes")
SECTION = _SettingRule(_is_section, "a mapping of settings")
TARGET: Mapping[str, _SettingRule] = {
    "name": TEXT,
    "runtime": _SettingRule(
        lambda value: value in list_runtimes(), lambda: f"one of {', '.join(list_runtimes())}"
    ),
    "provider": _SettingRule(
        _is_text, "the name of an execution provider, as in CPUExecutionProvider"
    ),
    "threads": _SettingRule(_count(MOST_THREADS), f"a whole number from 1 to {MOST_THREADS}"),
    "graph_optimization": _one_of(OPTIMIZATIONS),
    "memory_limit": _SettingRule(_count(2**53, LEAST_MEMORY), f"bytes, at least {LEAST_MEMORY}"),
    "time_limit": SECONDS,
    "price_per_hour": AMOUNT,
    "device": _SettingRule(
        lambda value: isinstance(value, str) and DEVICE.fullmatch(value) is not None,
        "a kind of device and its number, such as NPU or GPU:1",
    ),
    "library": _SettingRule(
        _is_text, "a package that holds a plugin provider, or a path to its library"
    ),
    "provider_options": TEXTS,
    "session": TEXTS,
    "free_dimensions": _SettingRule(_is_counts, "a mapping of names to whole numbers above 0"),
    "allow_fallback": FLAG,
    "emulated": _SettingRule(_is_text, "a processor that qemu plays, such as Haswell"),
    "interpreter": _SettingRule(_is_text, "the path of a Python interpreter"),
    "seconds": SECONDS,
    "endpoint": SECTION,
    "cascade": SECTION,
    "callable": SECTION,
}
ENDPOINT: Mapping[str, _SettingRule] = {
    "url": TEXT,
    "protocol": _one_of(tuple(EndpointProtocol)),
    "model": TEXT,
    "model_version": TEXT,
    "encoding": _one_of(tuple(TensorEncoding)),
    "headers": _SettingRule(
        _is_variables,
        "a mapping of a header to the name of the environment variable that holds it; the value "
        "itself is never written down",
        hidden=True,
    ),
    "ca": TEXT,
    "rows_at": TEXT,
    "scores_at": TEXT,
    "labels_only": FLAG,
    "batch_limit": COUNT,
    "rate": AMOUNT,
    "queries": COUNT,
    "spend": AMOUNT,
    "price_per_query": AMOUNT,
    "retries": _SettingRule(_count(100, 0), "a whole number from 0 to 100"),
    "authorisation": _SettingRule(_is_text, "who authorized attacks on it, and for what"),
}
CALLABLE: Mapping[str, _SettingRule] = {
    "function": TEXT,
    "source": _SettingRule(
        lambda value: isinstance(value, str) and is_digest(value),
        "the digest of its source: sha256:…",
    ),
}
CASCADE: Mapping[str, _SettingRule] = {
    "edge": _SettingRule(_is_target, "the name of a target, or its settings"),
    "cloud": _SettingRule(_is_target, "the name of a target, or its settings"),
    "below": _SettingRule(
        lambda value: _is_number(value) and isinstance(value, int | float) and value <= 1,
        "a probability above 0 and at most 1",
        number=True,
    ),
}


NAMED: Mapping[str, TargetSpec] = {"cpu": TargetSpec("cpu")}


def resolve_target(
    asked: str | Mapping[str, Json], known: Mapping[str, TargetSpec] = NAMED
) -> TargetSpec:
    """Return the target of that name among ``known``, or the one that a mapping writes out.

    Raises ``TargetError`` that lists what there is for an unknown name, key or runtime. What a
    target lacks on this machine comes out when it is opened, and costs its own readings alone.
    """
    if isinstance(asked, str):
        if asked not in known:
            raise TargetError(
                f"there is no target {asked!r}{suggest_near_names(asked, known)}",
                cure=f"Name one of {', '.join(known)}, write the target out, or add it to "
                "targets.yaml beside the audit file.",
            )
        return known[asked]
    return parse_target_spec(asked, lambda inner: resolve_target(inner, known))


def find_known_target(
    asked: str | Mapping[str, Json], known: Mapping[str, TargetSpec]
) -> TargetSpec:
    """Return the target of that name, of those that a service has and no others.

    Raises ``TargetError``, and ``SubmissionError`` for a target that is written out.
    """
    if not isinstance(asked, str):
        raise SubmissionError(
            "a target is written out in the audit file, and a service has targets of its own",
            cure=f"Name one of {', '.join(known)}.",
        )
    if asked not in known:
        raise TargetError(
            f"there is no target {asked!r}{suggest_near_names(asked, known)}",
            cure=f"Name one of {', '.join(known)}; others are given to a service where it starts.",
        )
    return known[asked]
