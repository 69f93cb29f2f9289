"""JUnit XML: one suite a target, one case a rule, so that any CI shows the findings.

A failed required rule is a failure, an undecided one an error. Rules that do not deny never turn
a build red: they pass and say in ``system-out`` what was found. Waived and inapplicable rules are
skipped, with the reason.
"""

from collections.abc import Sequence
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from auditor.domain.findings import Finding, Outcome
from auditor.domain.policies import RuleEffect
from auditor.domain.records import AuditRecord
from auditor.domain.waivers import Waiver
from auditor.policy.evaluate.engine import evaluate_waivers
from auditor.reports.html.findings import suggest_remedy
from auditor.reports.html.verdict import SILENCE, describe_unused_waiver, is_decided_by_silence
from auditor.reports.report_formats import ReportFormat
from auditor.reports.waiver_text import describe_exception, list_exceptions
from auditor.reports.wording import OUTCOMES, escape_invisible, name_place

SKIPPED = frozenset({Outcome.WAIVED, Outcome.NOT_APPLICABLE})
SEEN = ("tests", "failures", "errors")
"""What the schema that Jenkins reads by (junit-10.xsd) lets the whole count."""
NOWHERE = "no target"


def render_junit(record: AuditRecord, waivers: Sequence[Waiver] = ()) -> bytes:
    """Return ``junit.xml``; characters that XML cannot hold are written out.

    A waiver that waived nothing is a property of its own, ``warning``, of each suite; that a pass
    rests on waivers is the property ``exception``.
    """
    idle = [describe_unused_waiver(used) for used in evaluate_waivers(record, waivers) if used.idle]
    policy, waived = record.request.policy.name, list_exceptions(record)
    exception = describe_exception(waived) if waived else ""
    root = Element("testsuites", name=escape_invisible(f"auditor: {policy}"))
    # Every target that was asked for or found, or one suite of none: none looks green
    asked = [target.name for target in record.request.targets]
    found = [item.target for item in record.findings]
    for target in list(dict.fromkeys([*asked, *found])) or [NOWHERE]:
        mine = [item for item in record.findings if item.target == target]
        root.append(_suite(record, target, mine, idle, exception))
    for name in SEEN:
        total = sum(int(suite.get(name, "0")) for suite in root)
        root.set(name, str(total))
    indent(root)
    written: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
    return written + b"\n"


def _suite(
    record: AuditRecord,
    target: str,
    findings: Sequence[Finding],
    warnings: Sequence[str],
    exception: str,
) -> Element:
    suite = Element(
        "testsuite",
        name=escape_invisible(f"{record.request.policy.name}@{target}"),
        timestamp=record.finished.removesuffix("Z"),
        time="0",
    )
    properties = SubElement(suite, "properties")
    for name, value in (
        ("verdict", record.verdict.value),
        ("record", record.digest),
        ("policy", record.request.policy.digest),
        ("assurance", record.assurance.name),
        *((("exception", escape_invisible(exception)),) if exception else ()),
        *(("warning", escape_invisible(text)) for text in warnings),
    ):
        SubElement(properties, "property", name=name, value=value)
    cases = [_case(record, item) for item in findings]
    if is_decided_by_silence(record):
        # Make an error of an audit that judged nothing: an empty suite would look green
        case = Element("testcase", name="verdict", classname=_class(record, target), time="0")
        SubElement(case, "error", message=SILENCE, type="inconclusive")
        cases.append(case)
    suite.extend(cases)
    suite.set("tests", str(len(cases)))
    for name, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(name, str(sum(case.find(tag) is not None for case in cases)))
    return suite


def _case(record: AuditRecord, finding: Finding) -> Element:
    case = Element(
        "testcase",
        name=escape_invisible(f"{finding.name}: {finding.title}"),
        classname=_class(record, finding.target),
        time="0",
    )
    words = escape_invisible(f"{OUTCOMES[finding.outcome]}: {finding.message}")
    denies = finding.effect is RuleEffect.DENY
    if finding.outcome in SKIPPED:
        SubElement(case, "skipped", message=words)
    elif finding.outcome is Outcome.FAILED and denies:
        _explain(SubElement(case, "failure", message=words, type="failed"), record, finding)
    elif finding.outcome is Outcome.UNKNOWN and denies:
        _explain(SubElement(case, "error", message=words, type="unknown"), record, finding)
    else:
        SubElement(case, "system-out").text = words
    return case


def _class(record: AuditRecord, target: str) -> str:
    # With the target: readers that drop cases of one name would drop what failed on another one.
    return escape_invisible(
        f"{record.request.name}@{record.request.version} on {name_place(record, target)}"
    )


def _explain(element: Element, record: AuditRecord, finding: Finding) -> None:
    controls = ", ".join(f"{item.framework} {item.ref}" for item in finding.controls)
    evidence = f"Touches: {controls}" if controls else ""
    helps = suggest_remedy(record, finding)
    parts = [finding.message, "" if helps in finding.message else helps, evidence]
    element.text = escape_invisible("\n".join(part for part in parts if part))


FORMATS = (
    ReportFormat(
        "junit",
        "junit.xml",
        lambda inputs: render_junit(inputs.record, inputs.waivers),
        kept=True,
    ),
)
