"""The published JSON schemas, and what a document breaks of them."""

import json
from collections.abc import Iterable
from functools import lru_cache
from typing import Literal

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from auditor._resources import find_shipped_folder
from auditor.domain.json import Json

SchemaName = Literal["record", "audit", "policy", "trust-policy", "system", "risks"]
MOST_MISTAKES = 20
LONGEST_MISTAKE = 300


def validate_record(document: Json) -> list[str]:
    """Say what a parsed ``record.json`` breaks of its schema, place by place; empty when nothing.

    Beyond the schema it holds that findings point at readings that exist.
    """
    return find_schema_errors("record", document) or list(_dangling(document))


def find_schema_errors(name: SchemaName, document: Json) -> list[str]:
    """Say what a document breaks of a published schema, each as ``place: reason``."""
    found = sorted(_validator(name).iter_errors(document), key=lambda error: error.json_path)
    return [_words(error) for error in found[:MOST_MISTAKES]]


def _words(error: ValidationError) -> str:
    nearest = min(error.context, key=_depth) if error.context else error
    reason = nearest.message
    if len(reason) > LONGEST_MISTAKE:
        reason = reason[:LONGEST_MISTAKE] + "…"
    return f"{nearest.json_path}: {reason}"


def _depth(error: ValidationError) -> tuple[int, int]:
    """Prefer the branch that got furthest: the one whose ``kind`` was the document's."""
    return (error.validator == "const", -len(error.absolute_path))


def _dangling(document: Json) -> Iterable[str]:
    if not isinstance(document, dict):
        return
    count = len(document["readings"])
    for place, finding in enumerate(document["findings"]):
        for index in finding["readings"]:
            if index >= count:
                yield f"$.findings[{place}].readings: there is no reading {index}"


@lru_cache(maxsize=6)
def _validator(name: SchemaName) -> Draft202012Validator:
    path = find_shipped_folder("reports") / "schemas" / f"{name}-v1.json"
    return Draft202012Validator(json.loads(path.read_text(encoding="utf-8")))
