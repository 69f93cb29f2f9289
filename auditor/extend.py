"""Extension API for other packages: checks, drivers of targets, report formats and signers.

Each name is loaded from its own module when it is first asked for, so that a driver in the Python
of a target needs nothing but what it uses. Import it from here: other modules move.
"""

import ast
import importlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from auditor.attacks.counterexamples.refutable_claims import (
        claims_from_evidence as claims_from_evidence,
        not_refutable as not_refutable,
    )
    from auditor.domain.budgets import (
        AuditSize as AuditSize,
        Budget as Budget,
        CheckCost as CheckCost,
        CheckForecast as CheckForecast,
        RowShortage as RowShortage,
    )
    from auditor.domain.challenges import (
        CounterexampleClaims as CounterexampleClaims,
        CounterexampleKind as CounterexampleKind,
    )
    from auditor.domain.checks import Check as Check, Metric as Metric, Need as Need
    from auditor.domain.datasets import Dataset as Dataset, DatasetRole as DatasetRole
    from auditor.domain.evidence import Evidence as Evidence, Item as Item
    from auditor.domain.function_checks import check as check
    from auditor.domain.json import Json as Json
    from auditor.domain.policies import FrameworkControl as FrameworkControl
    from auditor.domain.readings import (
        BoundKind as BoundKind,
        Gap as Gap,
        GapReason as GapReason,
        Measurement as Measurement,
        Reading as Reading,
        Repeatability as Repeatability,
        Unit as Unit,
    )
    from auditor.domain.report_blocks import (
        BarChart as BarChart,
        BlockImage as BlockImage,
        BlockNumber as BlockNumber,
        BlockParagraph as BlockParagraph,
        BlockTable as BlockTable,
        ChartBar as ChartBar,
        ChartPoint as ChartPoint,
        Headline as Headline,
        HeadlineKind as HeadlineKind,
        LineChart as LineChart,
        Reads as Reads,
        ReportBlock as ReportBlock,
        ReportTopic as ReportTopic,
    )
    from auditor.domain.row_evidence import RowEvidence as RowEvidence, RowFigures as RowFigures
    from auditor.domain.check_subject import CheckShard as CheckShard, Subject as Subject
    from auditor.domain.tasks import (
        ClassificationTask as ClassificationTask,
        RegressionTask as RegressionTask,
    )
    from auditor.reports.rendering_inputs import ReportInputs as ReportInputs
    from auditor.reports.report_formats import (
        ReportFormat as ReportFormat,
        encode_document as encode_document,
        encode_text as encode_text,
    )
    from auditor.targets.sandbox.machine_facts import (
        read_conditions as read_conditions,
        read_machine_facts as read_machine_facts,
    )
    from auditor.targets.sandbox.request_loop import (
        Operation as Operation,
        RefusalError as RefusalError,
    )
    from auditor.targets.sandbox.scoring import (
        OpenedSession as OpenedSession,
        ScoringRuntime as ScoringRuntime,
        build_operations as build_operations,
    )
    from auditor.trust.keys.files import PasswordSource as PasswordSource
    from auditor.trust.signatures.keys import Signer as Signer


def __getattr__(name: str) -> Any:  # noqa: ANN401 -- types are those of the imports above
    """Return what stands above under that name, from its module."""
    if name not in _places():
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    return vars(importlib.import_module(_places()[name]))[name]


def __dir__() -> list[str]:
    """Return the names that can be imported from here."""
    return sorted(_places())


@cache
def _places() -> dict[str, str]:
    """Return the module of each name, as the imports above say it: they are the one list."""
    tree = ast.parse(Path(__file__).read_text(encoding="utf-8"))
    found = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    return {
        alias.asname: str(node.module) for node in found for alias in node.names if alias.asname
    }
