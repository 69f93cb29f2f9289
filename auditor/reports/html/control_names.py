"""Names of controls in published frameworks, by their ids."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from auditor._resources import find_shipped_folder
from auditor._yaml import read_yaml_document
from auditor.domain.policies import FrameworkControl
from auditor.errors import InvalidInputError

LONGEST_TITLE = 60
FRAMEWORKS: Mapping[str, str] = MappingProxyType(
    {
        "eu-ai-act": "EU AI Act, Article",
        "nist-ai-rmf": "NIST AI RMF 1.0,",
        "iso-42001": "ISO/IEC 42001:2023,",
        "mitre-atlas": "MITRE ATLAS",
        "owasp-ml": "OWASP ML Security Top 10 (2023),",
        "nist-ai-100-2": "NIST AI 100-2 E2025,",
        "us-sr-26-2": "SR 26-2 / OCC 2026-13,",
        "nyc-ll144": "NYC Local Law 144,",
    }
)


@dataclass(frozen=True, slots=True)
class PinnedCatalogue:
    """A framework as its pinned catalogue names it, and its controls' titles by reference.

    ``verified`` is when its titles were read, ``complete`` says that it has every control.
    """

    title: str
    version: str
    source: str
    controls: Mapping[str, str]
    verified: str = ""
    complete: bool = False


def format_control_name(control: FrameworkControl) -> str:
    """Name a control with its framework, as a reader would look it up."""
    framework = FRAMEWORKS.get(control.framework, control.framework)
    if control.framework == "eu-ai-act" and not control.ref[:1].isdigit():
        framework = "EU AI Act,"  # annexes and recitals are no articles
    return f"{framework} {control.ref.removeprefix('Art. ')}"


def format_control_reference(control: FrameworkControl) -> str:
    """Name a control where its framework is named already."""
    article = control.framework == "eu-ai-act" and control.ref[:1].isdigit()
    return f"Article {control.ref}" if article else control.ref


def find_control_title(control: FrameworkControl) -> str:
    """Return what the pinned catalogue says that a control is about, or nothing."""
    found = find_catalogue(control.framework)
    return "" if found is None else found.controls.get(control.ref, "")


def find_catalogue(framework: str) -> PinnedCatalogue | None:
    """Return the pinned catalogue of a framework, or ``None`` where there is none."""
    return _catalogues().get(framework)


def format_control_chip(control: FrameworkControl) -> str:
    """Name a control, with its title where that is short."""
    name, title = format_control_name(control), find_control_title(control)
    return f"{name}: {title}" if title and len(title) <= LONGEST_TITLE else name


@lru_cache(maxsize=1)
def _catalogues() -> Mapping[str, PinnedCatalogue]:
    found: dict[str, PinnedCatalogue] = {}
    for path in sorted((find_shipped_folder("policies") / "catalogues").glob("*.yaml")):
        catalogue: Any = read_yaml_document(path.read_bytes(), path.name, InvalidInputError).content
        about = catalogue["metadata"]
        controls = {**catalogue.get("other_editions", {}), **catalogue["controls"]}
        found[about["framework"]] = PinnedCatalogue(
            title=about["title"],
            version=about["version"],
            source=about["source"],
            controls={ref: str(title) for ref, title in controls.items()},
            verified=str(about["verified"]),
            complete=bool(about.get("complete", False)),
        )
    return found
