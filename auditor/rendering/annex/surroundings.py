"""What an audit saw of the model and around it: versions, hardware, parts, data, compute."""

from collections.abc import Iterable, Mapping

from auditor.domain.readings import Measurement
from auditor.rendering.annex.entries import Entry, Source, seen
from auditor.rendering.annex.told import Told
from auditor.rendering.cards import reading_sentence
from auditor.rendering.numbers import count
from auditor.rendering.runs import target_facts
from auditor.rendering.scopes import scope_sentences

MOST_SAID = 8
Entries = tuple[Entry, ...]


def model(told: Told) -> Entries:
    """Say which model was audited, by digest, and what it was made from."""
    request, record = told.inputs.record.request, told.inputs.record
    artifact = request.artifact
    bytes_of = "its file was not seen" if artifact is None else f"digest {artifact.digest}"
    parent = request.parent
    before = "" if parent is None else f"The audit file names as its parent {parent.digest}"
    again = f"Judged again from record {record.derived_from}" if record.derived_from else ""
    named = f"{request.name} {request.version}, {bytes_of}"
    return (
        *seen("Model audited", named, *scope_sentences(record)),
        *seen("Relation to earlier versions", before, again),
        *_role(told),
    )


def _role(told: Told) -> Entries:
    """Say of which system the model is a part, and what it does there."""
    system = told.system
    if system is None:
        name = "System that the model is a part of, with its version"
        return (Entry(name=name, source=Source.MISSING, owner="provider"),)
    role = system.role_of(told.inputs.record.request.name)
    others = [item.name for item in system.models if item.name != told.inputs.record.request.name]
    beside = f"Other models in it: {', '.join(others)}" if others else ""
    lines = (f"{system.name} {system.version}", beside)
    named = Entry(
        name="System",
        source=Source.DECLARED,
        owner="provider",
        lines=tuple(line for line in lines if line),
    )
    source = Source.DECLARED if role else Source.MISSING
    said = (role,) if role else ()
    part = Entry(name="Role of the model", source=source, owner="model owner", lines=said)
    return (named, part)


def software(told: Told) -> Entries:
    """Say by which software it was audited, with versions."""
    tool = told.inputs.record.tool
    packages = tool.get("packages")
    named = packages if isinstance(packages, Mapping) else {}
    listed = ", ".join(f"{name} {version}" for name, version in sorted(named.items()))
    made = f"auditor {tool.get('version', 'unknown')}, code {tool.get('code', 'unknown')}"
    return (
        *seen("Runtime on each target", *_each_target(told)),
        *seen("Software that audited it", made, listed),
    )


def hardware(told: Told) -> Entries:
    """Say on which hardware it really ran, by fingerprint, and how fast."""
    found = told.inputs.record.fingerprints
    prints = [f"{name}: fingerprint {item.identity}" for name, item in sorted(found.items())]
    standing = [f"{item.name}: {item.standing}" for item in target_facts(told.inputs)]
    return (
        *seen("Targets on which it was audited", *_each_target(told), *standing, *prints),
        *seen("Resources it needed there", *_said(told, ("hardware.latency", "hardware.memory"))),
    )


def _each_target(told: Told) -> list[str]:
    return [f"{item.name}: {item.sentence}" for item in target_facts(told.inputs)]


def parts(told: Told) -> Entries:
    """Say what vouches for the model, and which documents and code came with it."""
    request = told.inputs.record.request
    papers = [f"{item.name}, sha256:{item.sha256}" for item in request.documents]
    code = "" if request.recipe is None else f"Training code {request.recipe.digest}"
    return (
        *seen("Signature and provenance", *_said(told, ("provenance",))),
        *seen("Documents and code that came with it", *papers[:MOST_SAID], code),
    )


def compute(told: Told) -> Entries:
    """Say what was spent to test it."""
    record = told.inputs.record
    spent: dict[tuple[str, str], int] = {}
    for item in record.readings:
        queries = item.details.get("queries") if isinstance(item, Measurement) else None
        if isinstance(queries, int) and not isinstance(queries, bool):
            place = (item.target, item.check)
            spent[place] = max(spent.get(place, 0), queries)
    asked = f"At least {count(sum(spent.values()))} queries of the model" if spent else ""
    checks = dict.fromkeys(item.check for item in record.observations)
    observed = f"Checks that ran at budget {record.request.budget.value}: {len(checks)}"
    when = f"Registered {record.registered}, finished {record.finished}"
    return seen("Computing resources used to test", observed, asked, when, *_each_target(told))


def data(told: Told) -> Entries:
    """Say which data were used, by digest, and what the checks of data found."""
    request = told.inputs.record.request
    used = [f"{item.role}: {count(item.rows)} rows, {item.digest}" for item in request.datasets]
    return (
        *seen("Data used", *used),
        *seen("Rules about the data", table=told.findings({"data"})),
        *seen("Checks of the data", *_said(told, ("data",))),
    )


def _said(told: Told, families: Iterable[str]) -> list[str]:
    chosen = told.measured(set(families))
    said = [reading_sentence(told.inputs, item) for item in chosen[:MOST_SAID]]
    more = len(chosen) - len(said)
    return [*said, f"{count(more)} more figures are in the record."] if more else said
