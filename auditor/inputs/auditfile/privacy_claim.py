"""Reads a differential privacy claim file, and the ``privacy`` section of an audit file."""

import math
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Annotated, cast

from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError

from auditor._yaml import (
    Place,
    StrictModel,
    YamlDocument,
    locate_json_lines,
    read_yaml_document,
    validate_document,
)
from auditor.domain.auditfiles import PrivacySection
from auditor.domain.digests import is_digest
from auditor.domain.json import Json, parse_json
from auditor.domain.privacy_claims import (
    AdjacencyRelation,
    PrivacyAccountant,
    PrivacyClaim,
    SamplingScheme,
)
from auditor.errors import PrivacyClaimError
from auditor.inputs.auditfile.schema import Flag, LocalPath, SectionSchema, Settings, Text, Whole
from auditor.inputs.auditfile.task_mistakes import Mistake

PRIVACY = "privacy"
DIGESTS = ("model", "code", "config", "data", "container")


def _positive(value: object) -> object:
    # YAML takes 1e-5 for text, and JSON for the number that is meant.
    if isinstance(value, str) and "e" in value.lower():
        with suppress(ValueError):
            value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _refused(f"{value!r} is not a number; write one without quotes")
    if not (math.isfinite(value) and value > 0):
        raise _refused(f"{value!r} is not above 0; write a positive, finite number")
    return float(value)


def _refused(reason: str) -> PydanticCustomError:
    return PydanticCustomError("privacy_claim", "{reason}", {"reason": reason})


Positive = Annotated[float, BeforeValidator(_positive)]


class PrivacySectionSchema(SectionSchema):
    """``claims.privacy`` of an audit file."""

    path: LocalPath
    signature: LocalPath | None = None
    key: LocalPath | None = None


class PrivacyClaimSchema(StrictModel):
    """A whole claim file."""

    epsilon: Positive
    delta: Positive
    noise_multiplier: Positive
    sampling_rate: Positive
    steps: Whole
    clip: Positive
    sampling: SamplingScheme
    adjacency: AdjacencyRelation
    accountant: PrivacyAccountant
    accounted: SamplingScheme | None = None
    accounted_adjacency: AdjacencyRelation | None = None
    dataset_size: Whole | None = None
    batch_size: Positive | None = None
    epochs: Positive | None = None
    tuning_runs: Whole | None = None
    library: Text | None = None
    batch_norm: Flag | None = None
    digests: Settings = {}  # noqa: RUF012 -- pydantic copies it

    def claim(self) -> PrivacyClaim:
        """Return the domain's form; nothing said of it, Poisson sampling was accounted for."""
        supposed = self.accounted
        if supposed is None:
            full = self.sampling is SamplingScheme.FULL_BATCH
            supposed = SamplingScheme.FULL_BATCH if full else SamplingScheme.POISSON
        told = {name: getattr(self, name) for name in type(self).model_fields}
        return PrivacyClaim(**{**told, "accounted": supposed})


def read_privacy_claim(raw: bytes, source: str) -> PrivacyClaim:
    """Parse a claim in JSON or YAML; ``source`` is its name in messages.

    Raises ``PrivacyClaimError`` that names every mistake.
    """
    document = _document(raw, source)
    shape = validate_document(document, PrivacyClaimSchema, PrivacyClaimError)
    mistakes = list(_mistakes(shape))
    if mistakes:
        said = "; ".join(
            f"{document.where(place)}: {'.'.join(map(str, place))} {problem}"
            for place, problem, _ in mistakes
        )
        cures = " ".join(dict.fromkeys(cure for _, _, cure in mistakes))
        raise PrivacyClaimError(said, cure=cures)
    return shape.claim()


def parse_privacy_section(claims: Mapping[str, object]) -> PrivacySection:
    """Return what ``claims.privacy`` names, which ``find_privacy_mistakes`` has looked at."""
    shape = PrivacySectionSchema.model_validate(claims[PRIVACY])
    return PrivacySection(path=shape.path, signature=shape.signature, key=shape.key)


def find_privacy_mistakes(claims: Mapping[str, object]) -> Iterator[Mistake]:
    """Say what is wrong with ``claims.privacy``, which is there."""
    place: Place = ("claims", PRIVACY)
    cure = "Write claims: {privacy: {path: dp_claim.json}}, with signature and key where signed."
    said = claims[PRIVACY]
    if not isinstance(said, Mapping) or "path" not in said:
        yield place, "names no file", cure
        return
    for name, value in said.items():
        if name not in PrivacySectionSchema.model_fields:
            yield (*place, str(name)), "is not a known setting", cure
        elif not isinstance(value, str) or not value.strip() or "://" in value:
            yield (*place, str(name)), f"is {value!r}, which is not a path of a local file", cure


def _document(raw: bytes, source: str) -> YamlDocument:
    try:
        content = parse_json(raw)
    except (ValueError, RecursionError):
        return read_yaml_document(raw, source, PrivacyClaimError)
    if not isinstance(content, dict) or not content:
        raise PrivacyClaimError(f"{source} holds no settings", cure="Write them as one object.")
    return YamlDocument(source, cast("dict[str, Json]", content), locate_json_lines(raw))


def _mistakes(shape: PrivacyClaimSchema) -> Iterator[Mistake]:
    if shape.delta >= 1:
        yield (
            ("delta",),
            f"is {shape.delta:g}, which promises nothing",
            "Write one below 1 / records.",
        )
    if shape.sampling_rate > 1:
        problem = f"is {shape.sampling_rate:g}, and is a chance"
        yield ("sampling_rate",), problem, "Write a number of at most 1."
    for name in ("steps", "dataset_size", "tuning_runs"):
        if getattr(shape, name) == 0:
            yield (name,), "is 0", "Write how many there were."
    full = SamplingScheme.FULL_BATCH in {shape.sampling, shape.accounted}
    if full and shape.sampling_rate != 1:
        cure = "Write sampling_rate: 1, or name the sampling."
        yield ("sampling_rate",), "is not 1, though all records are in each step", cure
    for name, value in shape.digests.items():
        place: Place = ("digests", name)
        if name not in DIGESTS:
            yield place, "is not a known digest", f"There are {', '.join(DIGESTS)}."
        elif not (isinstance(value, str) and is_digest(value)):
            yield place, "is not a SHA-256", "Write sha256: and 64 hexadecimal digits."
