"""What an audit saw in its tests: metrics with intervals, groups, attacks, reasons, and changes."""

from auditor.domain.dossiers import RisksPaper
from auditor.domain.systems import Topic, risk_owner
from auditor.rendering.annex.entries import Entry, Source, seen
from auditor.rendering.annex.told import Told
from auditor.rendering.cells import Cell, Table
from auditor.rendering.laws import laws
from auditor.rendering.risks import risk_rows, risks_table
from auditor.rendering.verdicts import good_until, moment

ATTACKS = frozenset({"evasion", "poisoning", "privacy", "provenance"})
GROUPS = frozenset({"fairness"})
CHANGES = frozenset({"hardware.variant", "hardware.parity"})
OVER_TIME = frozenset({"data.drift", "data.decay", "data.skew", "quality.online_gap"})
MOST_REASONS = 200
Entries = tuple[Entry, ...]


def tested(told: Told) -> Entries:
    """Say what was fixed beforehand, what every rule found, and by whom that is signed."""
    record, policy = told.inputs.record, told.inputs.policy
    fixed = f"Policy {policy.name} {policy.version}, {policy.digest}, owned by {policy.owner}"
    before = f"Registered on {moment(record.registered)}, before anything ran"
    if record.derived_from is not None:
        before = (
            f"Judged again by this policy on {moment(record.finished)}, after the measurements of "
            f"record {record.derived_from} were known; those were registered on "
            f"{moment(record.registered)}"
        )
    signed = f"Finished on {moment(record.finished)}, signed by key {told.inputs.signer or '?'}"
    families = {item.finding.measure.partition(".")[0] for item in told.found}
    return (
        *seen("Metrics and limits", fixed, before),
        *seen("Outcome of every rule", table=told.findings(families)),
        *seen("Rules about discriminatory impacts", table=told.findings(GROUPS)),
        *seen("Test logs and reports, dated and signed", f"Record {record.digest}", signed),
    )


def attacked(told: Told) -> Entries:
    """Say which attacks were tried and what the rules about them found."""
    tried = dict.fromkeys(item.check for item in told.measured(ATTACKS))
    judged = {item.finding.measure.partition("/")[0] for item in told.found}
    beside = ", ".join(check for check in tried if check not in judged)
    said = f"Tried too, without a rule that judges it: {beside}" if beside else ""
    return (
        *seen("Rules about attacks and provenance", table=told.findings(ATTACKS)),
        *seen("Other attacks", said),
    )


def performance(told: Told) -> Entries:
    """Say how well it does, over all rows and for each group of people."""
    overall = [item for item in told.measured({"quality.accuracy"}) if not item.slice]
    grouped = [
        item
        for check in ("fairness.groups", "fairness.slices", "fairness.calibration")
        for item in told.measured({check})
        if item.slice or "group" in item.params
    ]
    robust = [item for item in told.measured({"evasion"}) if item.metric == "robust_accuracy"]
    return (
        *seen("Accuracy", table=told.figures(overall)),
        *seen("Performance for groups of people", table=told.figures(grouped)),
        *seen("Accuracy under attack (at most)", table=told.figures(robust, by_check=True)),
    )


def reasons(told: Told) -> Entries:
    """Say why each rule is asked, and how its limit was chosen."""
    rules = told.inputs.policy.rules
    rows = [
        (Cell(rule.title), Cell(rule.rationale or "not said"), Cell(rule.threshold))
        for rule in rules
        if rule.rationale or rule.threshold
    ]
    if not rows:
        return ()
    header = ("Rule", "Why it is asked", "How its limit was chosen")
    width = len(header) if any(rule.threshold for rule in rules) else len(header) - 1
    shown = tuple(row[:width] for row in rows[:MOST_REASONS])
    table = Table(header[:width], shown, len(rows) - len(shown))
    return seen("Reasons that the policy gives", table=table)


def risks(told: Told) -> Entries:
    """Say which risks are declared, and what the rules that evidence them found."""
    paper = told.inputs.dossier.risks
    owner, name = risk_owner(told.system), "Risks, and what evidences that they are held"
    if not isinstance(paper, RisksPaper):
        return (Entry(name=name, source=Source.MISSING, owner=owner),)
    table = risks_table(risk_rows(told.inputs, told.found))
    said = "Hazards, mitigations and acceptances are declared; outcomes are from this audit."
    return (Entry(name=name, source=Source.DECLARED, owner=owner, lines=(said,), table=table),)


def changes(told: Told) -> Entries:
    """Say what is known of the model's changes: its parent, and how it differs from that."""
    parent = told.inputs.record.request.parent
    said = "" if parent is None else f"Compared with its parent {parent.digest}"
    before = said if told.measured({"hardware.variant"}) else ""
    return (
        *seen("Parent", before),
        *seen("Rules about what changed", table=told.findings(CHANGES)),
    )


def standards(told: Told) -> Entries:
    """Say what law the policy was read from, and what stands in for standards if none is named."""
    system, policy = told.system, told.inputs.policy
    read = seen("Law that the policy rests on", *(law.line for law in laws(told.inputs)))
    if system is not None and system.told.get(Topic.STANDARDS):
        return read
    checks = dict.fromkeys(item.check for item in told.inputs.record.observations)
    return read + seen(
        "Solutions in place of standards",
        "No harmonised standard is said to be applied; the solutions are described instead.",
        f"They are the rules of the policy {policy.name} {policy.version} and the methods of these "
        f"checks: {', '.join(checks) or 'none ran'}.",
    )


def afterwards(told: Told) -> Entries:
    """Say until when the verdict holds by its policy, and what was seen over time."""
    until = good_until(told.inputs)
    again = f"A new audit is due by {until}" if until else ""
    return (
        *seen("When to audit again", again),
        *seen("Rules about change over time", table=told.findings(OVER_TIME)),
    )
