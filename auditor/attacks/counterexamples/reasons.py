"""Why nothing that somebody chose refutes a check: said of single checks, or of whole families."""

from collections.abc import Mapping
from types import MappingProxyType

from auditor.attacks.counterexamples.claims import (
    ByExample,
    Claims,
    Params,
    by_example,
)
from auditor.attacks.counterexamples.given import Kind
from auditor.domain.checks import Check
from auditor.domain.evidence import Evidence

FAMILIES: Mapping[str, str] = MappingProxyType(
    {
        "data": "it speaks of the data, and not of what the model answers to an input",
        "fairness": "it estimates shares of groups and differences between them, of which a row "
        "that somebody chose says nothing",
        "hardware": "it measures how the target runs the model, or sets two runs of it side by "
        "side, of which a row that somebody chose says nothing",
        "poisoning": "it speaks of how the model was trained, which a wrong answer to one input "
        "does not show",
        "privacy": "it speaks of what the model tells about its training data, which a wrong "
        "answer to one input does not show",
        "provenance": "it speaks of files, signatures and papers, and not of what the model "
        "answers",
        "quality": "it estimates how the model does on rows that nobody chose, of which a row "
        "that somebody chose says nothing",
    }
)
UNSAID = "the check does not say how an example is judged under it (`by_example`)"
HOLDS_OF: Mapping[Kind, str] = MappingProxyType(
    {
        Kind.INPUTS: "arrays inputs and rows",
        Kind.VIEWS: "rows and the parts of a view, as angle, down and right",
        Kind.PERTURBATIONS: "an array perturbations",
    }
)


def claims_of(
    check: Check | type[Check], evidence: Evidence, params: Params, kind: Kind
) -> Claims | str:
    """Return what a check claims that examples of a kind could refute, or say why nothing."""
    told = by_example(check)
    found = _why(check) if told is None else told.claims(evidence, params)
    if isinstance(found, str):
        return f"{check.id} cannot be challenged by examples because {found}"
    if told is not None and told.kind is not kind:
        return _other_kind(check, told)
    return found


def _why(check: Check | type[Check]) -> str:
    return FAMILIES.get(check.id.partition(".")[0], UNSAID)


def _other_kind(check: Check | type[Check], told: ByExample) -> str:
    return f"{check.id} is challenged by another file, one with {HOLDS_OF[told.kind]}"
