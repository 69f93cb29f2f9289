"""Discovers devices and providers, and configures a session for one of them."""

import functools
import hashlib
import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from auditor.targets.sandbox.ort_library import ort
from auditor.targets.sandbox.request_loop import RefusalError

PLUGIN = "auditor-plugin"
"""The name under which a plugin provider is registered: some take it for their own."""
CPU = "CPUExecutionProvider"


def discover_devices() -> list[dict[str, Any]]:
    """Return the devices that the runtime discovers; empty where it cannot look.

    Discovery is incomplete on many systems, so what is not listed is unknown, not absent.
    """
    return [_facts(device) for device in _devices()]


def _devices() -> Sequence[Any]:
    look = getattr(ort, "get_ep_devices", None)
    return () if look is None else tuple(look())


def _facts(device: Any) -> dict[str, Any]:  # noqa: ANN401 -- onnxruntime has no types
    hardware = device.device
    return {
        "provider": device.ep_name,
        "vendor": device.ep_vendor,
        "version": dict(device.ep_metadata).get("version", ""),
        "kind": _kind(device),
        "vendor_id": int(hardware.vendor_id),
        "device_id": int(hardware.device_id),
        "hardware_vendor": hardware.vendor,
    }


def _kind(device: Any) -> str:  # noqa: ANN401 -- onnxruntime has no types
    return str(device.device.type).rsplit(".", 1)[-1].upper()


@functools.cache
def register_plugin(library: str) -> tuple[str, ...]:
    """Load a plugin provider, by package or by path; return the provider names that it brings.

    A second call for the same library returns the same names. Raises ``RefusalError`` where it is
    not to be had, or where it brings no device: a library that registers and then offers nothing
    would leave everything on the CPU.
    """
    place = _place(library)
    before = {(device.ep_name, _kind(device)) for device in _devices()}
    try:
        ort.register_execution_provider_library(PLUGIN, place)
    except Exception as error:
        raise RefusalError(
            "runtime",
            f"the plugin {library!r} does not load: {error}",
            "Install the build of that plugin for this onnxruntime "
            f"({ort.__version__}), in a worker environment of its own.",
        ) from error
    after = [(device.ep_name, _kind(device)) for device in _devices()]
    added = tuple(dict.fromkeys(name for name, kind in after if (name, kind) not in before))
    if not added:
        raise RefusalError(
            "runtime",
            f"the plugin {library!r} registers, but offers no device on this machine",
            "Name a plugin for the hardware that is here; its vendor's drivers may be missing.",
        )
    return added


@functools.cache
def digest_plugin_library(library: str) -> str:
    """Return the digest of a plugin's shared object."""
    with Path(_place(library)).open("rb") as stream:
        return "sha256:" + hashlib.file_digest(stream, "sha256").hexdigest()


def _place(library: str) -> str:
    if Path(library).suffix in {".so", ".dll", ".dylib"}:
        return library
    try:
        package = importlib.import_module(library)
        ask = getattr(package, "get_library_path", None) or package.library_path
        return str(ask())
    except (ImportError, AttributeError, OSError) as error:
        raise RefusalError(
            "runtime",
            f"there is no plugin package {library!r} here: {error}",
            f"pip install {library.replace('_', '-')}, or name the path of its shared object.",
        ) from error


def choose_device(provider: str, device: str | None) -> list[Any]:
    """Return the discovered device that ``provider`` shall use: ``GPU``, ``NPU`` or ``GPU:1``.

    Raises ``RefusalError`` that lists what there is. A policy such as ``PREFER_NPU`` is never
    used: where there is no such chip it takes the CPU and says nothing.
    """
    kind, _, number = (device or "").partition(":")
    fitting = [
        found
        for found in _devices()
        if found.ep_name == provider and (not kind or _kind(found) == kind.upper())
    ]
    index = int(number or 0)
    if index < len(fitting):
        return [fitting[index]]
    there = ", ".join(f"{found.ep_name} on {_kind(found)}" for found in _devices()) or "none"
    raise RefusalError(
        "runtime",
        f"no device {device or ''!r} of the provider {provider!r} is discovered (there are: "
        f"{there})",
        "Name one of these, or leave `device` out and name the provider alone: discovery does not "
        "find every device.",
    )


def choose_plugin_provider(library: str, provider: str) -> str:
    """Return the provider of a plugin that a target means; the plugin's first, where it names none.

    A plugin may bring a provider under the name by which it was registered: then that is meant.
    Raises ``RefusalError`` where the target names a provider that the plugin does not bring.
    """
    added = register_plugin(library)
    if provider in added or provider == CPU or added == (PLUGIN,):
        return provider if provider in added else added[0]
    raise RefusalError(
        "target",
        f"the plugin {library!r} brings no provider {provider!r}",
        f"Name one of {', '.join(added)} as `provider`, or remove it.",
    )


def require_provider(provider: str, cure: str = "") -> None:
    """Refuse a provider that this runtime lacks: it would run on the CPU and say nothing.

    ``cure`` is what whoever asked knows of it.
    """
    available = ort.get_available_providers()
    if provider not in available:
        raise RefusalError(
            "runtime",
            f"this onnxruntime ({ort.__version__}) has no provider {provider!r}",
            f"{cure or 'Install the build that has it.'} Here are {', '.join(available)}.",
        )
