"""The published JSON schemas, and validation of documents against them."""

import json
from collections.abc import Iterable
from functools import cache
from typing import Literal

from jsonschema_rs import Draft202012Validator, ValidationError, ValidationErrorKind

from auditor._resources import find_shipped_folder
from auditor.domain.json import Json

SchemaName = Literal[
    "record",
    "audit",
    "policy",
    "trust-policy",
    "system",
    "risks",
    "audit-output",
    "compare-output",
    "gate-output",
    "init-output",
    "judge-output",
    "plan-output",
    "reproduce-output",
    "verify-output",
]
MOST_MISTAKES = 20
LONGEST_MISTAKE = 300


def validate_record(document: Json) -> list[str]:
    """Say what a parsed ``record.json`` breaks of its schema, place by place; empty when nothing.

    Beyond the schema it holds that findings point at readings that exist.
    """
    return find_schema_errors("record", document) or list(_dangling(document))


def find_schema_errors(name: SchemaName, document: Json) -> list[str]:
    """Say what a document breaks of a published schema, each as ``place: reason``."""
    try:
        # Values of records are subclasses of text and lists, which the validator does not take.
        plain = json.loads(json.dumps(document))
        found = sorted(_validator(name).iter_errors(plain), key=_path)
    except (ValueError, RecursionError) as error:  # too deep, or text that is no Unicode
        return [f"$: {error}"]
    return [_words(error) for error in found[:MOST_MISTAKES]]


def _words(error: ValidationError) -> str:
    # Of the branches of an `oneOf`, speak of the one whose `kind` was the document's.
    kind, mistakes = error.kind, list[ValidationError]()
    if isinstance(kind, (ValidationErrorKind.OneOfNotValid, ValidationErrorKind.AnyOf)):
        mistakes = [item for branch in kind.context for item in branch]
    nearest = min(mistakes, key=_depth, default=error)
    reason = nearest.message
    if len(reason) > LONGEST_MISTAKE:
        reason = reason[:LONGEST_MISTAKE] + "…"
    return f"{_path(nearest)}: {reason}"


def _path(error: ValidationError) -> str:
    steps = (f"[{it}]" if isinstance(it, int) else f".{it}" for it in error.instance_path)
    return "$" + "".join(steps)


def _depth(error: ValidationError) -> tuple[bool, int]:
    return (error.kind.name == "const", -len(error.instance_path))


def _dangling(document: Json) -> Iterable[str]:
    if not isinstance(document, dict):
        return
    count = len(document["readings"])
    for place, finding in enumerate(document["findings"]):
        for index in finding["readings"]:
            if index >= count:
                yield f"$.findings[{place}].readings: there is no reading {index}"


@cache
def _validator(name: SchemaName) -> Draft202012Validator:
    path = find_shipped_folder("reports") / "schemas" / f"{name}-v1.json"
    return Draft202012Validator(json.loads(path.read_text(encoding="utf-8")))
