"""A record beside which owners declared a system and its risks: what dossiers are tested on."""

from dataclasses import replace

from rendering_records import FAILING, HOSTILE, LONG, POLICY, finding, inputs_of

from auditor.domain.ai_system import (
    AiSystem,
    RiskAcceptance,
    RisksDocument,
    SystemDocument,
    SystemDossier,
    SystemModel,
    SystemRisk,
    SystemTopic,
)
from auditor.domain.findings import Outcome
from auditor.domain.policies import FrameworkControl, ManualDuty, Policy, Severity
from auditor.domain.records import AuditRecord
from auditor.reports.rendering_inputs import ReportInputs

SYSTEM = AiSystem(
    name="sorting desk",
    version="2",
    models=(SystemModel("digits-cnn", "Reads the postcode."), SystemModel("router", "")),
    told={
        SystemTopic.PURPOSE: ("To sort letters.",),
        SystemTopic.PEOPLE: ("senders: letters go astray",),
        SystemTopic.OVERSIGHT_MEASURES: (
            "A clerk looks at one letter in a hundred.",
            "A stop button.",
        ),
    },
    owners={"monitoring": "Jane Doe"},
)


def risk(name: str, severity: Severity, *rules: str, accepted: bool = False) -> SystemRisk:
    return SystemRisk(
        id=name,
        hazard=f"The hazard {name}",
        affected="senders",
        severity=severity,
        residual=f"What is left of {name}",
        likelihood="rare" if accepted else "",
        mitigations=("A second look.",),
        rules=rules,
        accepted=RiskAcceptance("J. Doe", "2026-11-02") if accepted else None,
    )


RISKS = (
    risk("R-held", Severity.LOW, "accurate"),
    risk("R-unseen", Severity.CRITICAL),
    risk("R-open", Severity.MEDIUM, "robust-linf", "accurate"),
    risk("R-worse", Severity.HIGH, "fair-selection"),
    risk("R-taken", Severity.HIGH, "robust-linf", accepted=True),
    risk("R-kept", Severity.HIGH, "signed", accepted=True),
    risk("R-gone", Severity.LOW, "no-such-rule"),
)
DOSSIER = SystemDossier(SystemDocument({}, SYSTEM), RisksDocument({}, RISKS))
WAIVED = finding("fair-selection", Outcome.WAIVED, "Waived by W-3 (J. Doe) until 2026-12-31.")


def told(
    record: AuditRecord = FAILING, dossier: SystemDossier = DOSSIER, policy: Policy = POLICY
) -> ReportInputs:
    return replace(inputs_of(record, policy=policy), dossier=dossier)


def hostile() -> ReportInputs:
    """A dossier whose every text is markup, too long, or turns the direction of writing."""
    system = replace(
        SYSTEM,
        name=HOSTILE,
        version=LONG,
        models=(SystemModel("digits-cnn", HOSTILE), SystemModel(LONG, LONG)),
        told=dict.fromkeys(SystemTopic, (HOSTILE, LONG)),
        owners={"risks": HOSTILE, "monitoring": LONG},
    )
    bad = replace(
        RISKS[0],
        id=HOSTILE,
        hazard=HOSTILE,
        affected=LONG,
        residual=HOSTILE,
        likelihood=HOSTILE,
        mitigations=(LONG, HOSTILE),
        rules=(HOSTILE, "accurate"),
        accepted=RiskAcceptance(HOSTILE, LONG),
    )
    owed = ManualDuty(FrameworkControl(HOSTILE, LONG), HOSTILE, LONG)
    dossier = SystemDossier(SystemDocument({}, system), RisksDocument({}, (bad,)))
    return told(FAILING, dossier, replace(POLICY, cannot_evidence=(owed,)))


DECLARED = told()
