"""Challenges of small subjects: the file of examples, as somebody hands it over, to the figures."""

import io
from collections.abc import Mapping
from typing import Any

import numpy as np

from auditor.attacks.counterexamples.refutable_claims import (
    ExampleOutcomes,
    claims_of,
    weigh_examples,
)
from auditor.checks.measure import get_check_parameters
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.checks import Check
from auditor.domain.evidence import Evidence, decode_evidence, encode_evidence
from auditor.domain.readings import Measurement
from auditor.inputs.datasets.counterexamples import CounterexampleSet, parse_counterexamples
from auditor.workflows.challenge import build_challenge_context, pair_examples


def observed(check: Check, seen: Subject) -> Evidence:
    """What a check saw, as it comes back from the folder of a record."""
    evidence = check.observe(seen, CheckShard())
    return {name: decode_evidence(encode_evidence(item).raw) for name, item in evidence.items()}


def offered(**arrays: Any) -> CounterexampleSet:  # noqa: ANN401 -- what numpy takes for an array
    """The file that holds these arrays."""
    raw = io.BytesIO()
    np.savez(raw, **arrays)
    return parse_counterexamples(raw.getvalue(), "x.npz")


def why_not(check: Check, evidence: Evidence, examples: CounterexampleSet) -> str:
    """Why examples of a kind are not tried under a check."""
    told = claims_of(check, evidence, get_check_parameters(check), examples.kind)
    assert isinstance(told, str)
    return told


def challenged(
    check: Check, seen: Subject, evidence: Evidence, examples: CounterexampleSet
) -> ExampleOutcomes:
    """What comes of a file of examples."""
    claims = claims_of(check, evidence, get_check_parameters(check), examples.kind)
    assert not isinstance(claims, str), claims
    return weigh_examples(
        check.id, claims, evidence, pair_examples(build_challenge_context(seen), examples)
    )


def results(found: ExampleOutcomes) -> list[str]:
    """What came of each example."""
    return [trial.result.value for trial in found.trials]


def figures(check: Check, evidence: Evidence | None, metric: str) -> dict[Mapping[str, Any], float]:
    """Every figure of a metric by its coordinates, after what is stored comes back."""
    assert evidence is not None
    kept = {name: decode_evidence(encode_evidence(item).raw) for name, item in evidence.items()}
    return {
        tuple(sorted(item.params.items())): item.value  # type: ignore[misc]  # numbers by coordinates
        for item in check.figures(kept, 0.95)
        if isinstance(item, Measurement) and item.metric == metric
    }


def by(found: Mapping[Any, float], name: str) -> dict[Any, float]:
    """The same by one coordinate."""
    return {dict(place)[name]: value for place, value in found.items()}
