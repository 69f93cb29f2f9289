"""Controls of published frameworks, by name: an id alone says little, and ids rot."""

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

import yaml

from auditor.domain.policies import Control
from auditor.shipped import shipped

LONGEST_TITLE = 60
FRAMEWORKS: Mapping[str, str] = MappingProxyType(
    {
        "eu-ai-act": "EU AI Act, Article",
        "nist-ai-rmf": "NIST AI RMF 1.0,",
        "iso-42001": "ISO/IEC 42001:2023,",
        "mitre-atlas": "MITRE ATLAS",
        "owasp-ml": "OWASP ML Security Top 10 (2023),",
        "nist-ai-100-2": "NIST AI 100-2 E2025,",
    }
)


def control_name(control: Control) -> str:
    """Name a control with its framework, as a reader would look it up."""
    framework = FRAMEWORKS.get(control.framework, control.framework)
    if control.framework == "eu-ai-act" and not control.ref[:1].isdigit():
        framework = "EU AI Act,"  # annexes and recitals are no articles
    return f"{framework} {control.ref.removeprefix('Art. ')}"


def control_title(control: Control) -> str:
    """Return what the pinned catalogue says that a control is about, or nothing."""
    return _titles().get((control.framework, control.ref), "")


def control_chip(control: Control) -> str:
    """Name a control, with its title where that is short."""
    name, title = control_name(control), control_title(control)
    return f"{name}: {title}" if title and len(title) <= LONGEST_TITLE else name


@lru_cache(maxsize=1)
def _titles() -> Mapping[tuple[str, str], str]:
    found: dict[tuple[str, str], str] = {}
    for path in sorted((shipped("policies") / "catalogues").glob("*.yaml")):
        catalogue = yaml.safe_load(path.read_text(encoding="utf-8"))
        framework = catalogue["metadata"]["framework"]
        found.update({(framework, ref): str(t) for ref, t in catalogue["controls"].items()})
    return found
