"""The JSON of models and their trends, with an example of each."""

from typing import Any

from pydantic import BaseModel

from auditor.api.shapes import AT, AUDIT, DIGEST, OTHER, like
from auditor.domain.record_scopes import RecordScope

STANDING: dict[str, Any] = {
    "target": "cpu", "verdict": "pass", "policy": OTHER, "record": DIGEST, "audit": AUDIT,
    "finished": AT, "scope": "artifact", "open": False, "why": "freshness",
}  # fmt: skip
VERSION: dict[str, Any] = {"version": "2.0.0", "artifact": DIGEST, "targets": [STANDING]}
POINT: dict[str, Any] = {
    "finished": AT, "version": "2.0.0", "target": "cpu", "check": "quality.accuracy",
    "check_version": 1, "params": {}, "value": 0.91, "low": 0.88, "high": 0.94, "confidence": 0.95,
    "bound": "estimate", "n": 450, "unit": "share", "doubted": False, "record": DIGEST,
    "audit": AUDIT,
}  # fmt: skip


class StandingShown(BaseModel):
    """What the gate says of a version under a policy on a target: whether it is ``open``, and else
    ``why`` not, by the names of steps. ``record`` is the one that the gate asks, ``verdict`` that
    of it there. ``scope`` is what it speaks for: the artifact, or an endpoint that is not shown to
    give the artifact's answers.
    """

    model_config = like(**STANDING)
    target: str
    verdict: str
    policy: str
    record: str
    audit: str
    finished: str
    scope: RecordScope
    open: bool
    why: str


class ModelVersionShown(BaseModel):
    """A version of a model, by its artifact, and how it stands on each target."""

    model_config = like(**VERSION)
    version: str
    artifact: str | None
    targets: list[StandingShown]


class ModelShown(BaseModel):
    """A model and its newest versions."""

    model_config = like(name="credit", versions=[VERSION])
    name: str
    versions: list[ModelVersionShown]


class ModelPage(BaseModel):
    """Models by name; ``next`` is the cursor of what follows, empty at the end."""

    model_config = like(models=[{"name": "credit", "versions": [VERSION]}], next="")
    models: list[ModelShown]
    next: str


class PointShown(BaseModel):
    """A measurement of one audit: the figure, its interval, and what it may prove."""

    model_config = like(**POINT)
    finished: str
    version: str
    target: str
    check: str
    check_version: int
    params: dict[str, Any]
    value: float
    low: float | None
    high: float | None
    confidence: float | None
    bound: str
    n: int
    unit: str
    doubted: bool
    record: str
    audit: str


class TrendShown(BaseModel):
    """A metric over time, the newest first; ``next`` is the cursor of what follows."""

    model_config = like(model="credit", metric="accuracy", points=[POINT], next="")
    model: str
    metric: str
    points: list[PointShown]
    next: str
