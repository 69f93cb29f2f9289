"""Audit machine-learning models as they will be deployed, on the hardware they will run on.

    import auditor

    report = auditor.audit("model.onnx", auditor.Dataset(X, y), policy="baseline")
    report.verdict, report.findings, report.save("report/")

Every name is loaded when it is first used, so that `import auditor` is quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from auditor import errors
    from auditor.domain.policies import Policy
    from auditor.domain.records import AuditRecord as Record
    from auditor.inputs.datasets.in_memory import Dataset
    from auditor.workflows.audit_report import AuditReport
    from auditor.workflows.audit_spec import AuditSpec
    from auditor.workflows.public_api import (
        audit,
        compare,
        gate,
        judge,
        plan,
        reproduce,
        verify,
    )
    from auditor.workflows.workspace import SigningKey as Key

__version__ = "0.1.0"
__all__ = [
    "AuditReport",
    "AuditSpec",
    "Dataset",
    "Key",
    "Policy",
    "Record",
    "audit",
    "compare",
    "errors",
    "gate",
    "judge",
    "plan",
    "reproduce",
    "verify",
]
_API = "auditor.workflows.public_api"
_PLACES = {
    "AuditReport": ("auditor.workflows.audit_report", "AuditReport"),
    "AuditSpec": ("auditor.workflows.audit_spec", "AuditSpec"),
    "Dataset": ("auditor.inputs.datasets.in_memory", "Dataset"),
    "Key": ("auditor.workflows.workspace", "SigningKey"),
    "Policy": ("auditor.domain.policies", "Policy"),
    "Record": ("auditor.domain.records", "AuditRecord"),
    **{
        name: (_API, name)
        for name in ("audit", "compare", "gate", "judge", "plan", "reproduce", "verify")
    },
}
"""Where each name of the API is defined."""


def __getattr__(name: str) -> Any:  # noqa: ANN401 -- whatever the name stands for
    """Load a name of the API. Raises ``AttributeError`` for another one."""
    if name in {"errors", "extend"}:
        return import_module(f"auditor.{name}")
    if name not in _PLACES:
        raise AttributeError(f"module 'auditor' has no attribute {name!r}")
    module, attribute = _PLACES[name]
    found = getattr(import_module(module), attribute)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    """List the names of the API."""
    return sorted([*globals(), *__all__])
