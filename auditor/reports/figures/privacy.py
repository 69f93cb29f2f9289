"""What a model gives away: columns of its members, itself, and rows that are near to members."""

from collections.abc import Iterator, Sequence

from auditor.domain.readings import Measurement, Unit
from auditor.rendering.figures.panel import Ends, Panel, ends, said
from auditor.rendering.inputs import RenderedInputs
from auditor.rendering.numbers import number, scalar
from auditor.rendering.plots.intervals import Row, interval_rows

MOST = 12
COLUMNS = (
    "How much oftener the attack names a member's level than an imputer which never sees the "
    "model, less what it gains of others. 0 is no leak; intervals hold jointly. Each is a bound: "
    "who knows more may find more."
)
COPIES = (
    "On how many held-out rows a copy decides as the model does, by what it was taught with: dots "
    "are copies from the model's answers, squares the best one that true labels of as many rows "
    "teach. Better attackers copy more."
)
NEAR = (
    "Among the rows nearest to what was made up, members less others: 0 is chance. Each row that "
    "is nearest counts once. That a made-up row looks like its class is no leak; the p-value says "
    "whether members lie nearer."
)


def column_panels(
    inputs: RenderedInputs, measured: Sequence[Measurement], key: str
) -> Iterator[Panel]:
    """Yield what is given away of each column."""
    del inputs
    part = _of(measured, "privacy.attribute", "advantage")
    if part:
        yield Panel(
            title="What it gives away of its members' columns",
            target=part[0][0].target,
            caption=COLUMNS,
            drawing=interval_rows(
                key,
                "What it gives away of its members' columns",
                [_row(str(m.params.get("column", "")), of, m) for m, of in part[:MOST]],
                Unit.NONE,
                ideal=0.0,
            ),
            header=("Column", "Gain", "Interval", "How sure", "Members right", "Imputer right"),
            rows=tuple(
                (
                    str(m.params.get("column", "")),
                    *said(m),
                    _share(m, "members_accuracy"),
                    _share(m, "members_baseline"),
                )
                for m, _ in part
            ),
        )


def fidelity_panels(
    inputs: RenderedInputs, measured: Sequence[Measurement], key: str
) -> Iterator[Panel]:
    """Yield how faithful copies are, by growing numbers of queries."""
    del inputs
    part = _of(measured, "privacy.extraction", "fidelity")
    part.sort(key=lambda item: (str(item[0].params.get("strategy")), _queries(item[0])))
    rows: list[Row] = []
    for m, of in part[:MOST]:
        rows.append(_row(_asked(m), of, m))
        labels = m.details.get("taught_by_labels")
        if isinstance(labels, int | float):
            rows.append(Row("", labels, labels, labels, 1))
    if rows:
        title = "How faithfully it is copied"
        yield Panel(
            title=title,
            target=part[0][0].target,
            caption=COPIES,
            drawing=interval_rows(key, title, rows, Unit.SHARE),
            header=("Queries", "Fidelity", "Interval", "How sure", "Taught by labels"),
            rows=tuple((_asked(m), *said(m), _share(m, "taught_by_labels")) for m, _ in part),
        )


def proximity_panels(
    inputs: RenderedInputs, measured: Sequence[Measurement], key: str
) -> Iterator[Panel]:
    """Yield whether what attacks made up is nearer to members than to others."""
    del inputs
    part = _of(measured, "privacy.inversion", "member_proximity")
    if part:
        title = "Whether made-up rows are near to members"
        yield Panel(
            title=title,
            target=part[0][0].target,
            caption=NEAR,
            drawing=interval_rows(
                key,
                title,
                [_row(_attack(m), of, m) for m, of in part[:MOST]],
                Unit.NONE,
                ideal=0.0,
            ),
            header=("Attack, prior", "Members less others", "Interval", "How sure", "p-value"),
            rows=tuple((_attack(m), *said(m), _plain(m, "p_value")) for m, _ in part),
        )


def _of(measured: Sequence[Measurement], check: str, metric: str) -> list[tuple[Measurement, Ends]]:
    mine = (m for m in measured if m.check == check and m.metric == metric)
    return [(m, of) for m in mine if (of := ends(m)) is not None]


def _row(name: str, of: Ends, m: Measurement) -> Row:
    return Row(name, *of, 0, m.doubted)


def _queries(m: Measurement) -> float:
    asked = m.params.get("queries")
    return float(asked) if isinstance(asked, int | float) else 0.0


def _asked(m: Measurement) -> str:
    return f"{scalar(_queries(m))} by {m.params.get('strategy', '')}"


def _attack(m: Measurement) -> str:
    attack, prior = (str(m.params.get(name, "")) for name in ("attack", "prior"))
    return attack if prior == "none" else f"{attack}, {prior}"


def _share(m: Measurement, name: str) -> str:
    value = m.details.get(name)
    return number(value, Unit.SHARE) if isinstance(value, int | float) else ""


def _plain(m: Measurement, name: str) -> str:
    value = m.details.get(name)
    return scalar(value) if isinstance(value, int | float) else ""
