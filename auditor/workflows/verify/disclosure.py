"""Verifies selectively disclosed evidence: withheld rows, and figures that can be recomputed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from auditor.checks.measure import CONFIDENCE, compute_readings
from auditor.domain.checks import Check
from auditor.domain.evidence import Evidence
from auditor.domain.json import Json, digest_json
from auditor.domain.observed_checks import ObservedCheck
from auditor.domain.readings import Gap, Measurement, Reading
from auditor.domain.records import AuditRecord, CheckObservation
from auditor.domain.verification_steps import StepResult, VerificationStep
from auditor.reports.folder import RecordFolder
from auditor.trust.disclosure import count_evidence_rows
from auditor.workflows.evidence import UnsealedItem, find_observing_check, unseal_observation

SLACK = 1e-6
_CORE = (
    "kind", "metric", "params", "slice", "value", "low", "high", "n", "bound", "unit", "method",
    "reason",
)  # fmt: skip
"""What is compared of a reading: doubts may come from evidence that is withheld."""


@dataclass(frozen=True, slots=True, eq=False)
class DisclosedObservation:
    """What is shown of one observation."""

    observation: CheckObservation
    check: Check
    items: Mapping[str, UnsealedItem]

    @property
    def name(self) -> str:
        """The check and its target."""
        return f"{self.observation.check} on {self.observation.target}"

    @property
    def evidence(self) -> Evidence:
        """The items that are shown, with the rows that are shown."""
        return {name: one.item for name, one in self.items.items() if one.shown}

    @property
    def rows(self) -> tuple[int, int]:
        """How many rows are withheld, and of how many; ``(0, 0)`` where no rows are shown."""
        by_row = [one for one in self.items.values() if one.shown and not one.one_leaf]
        return (by_row[0].lacking, by_row[0].commitment.header.leaves) if by_row else (0, 0)

    @property
    def whole(self) -> bool:
        """Whether nothing is withheld."""
        return all(one.whole for one in self.items.values())

    @property
    def lacking(self) -> str:
        """Say how much is withheld."""
        lacking, rows = self.rows
        if not self.evidence:
            return "all withheld"
        beside = any(not one.shown for one in self.items.values())
        return f"{lacking} of {rows} rows withheld" + (" and what goes by no row" * beside)


@dataclass(slots=True)
class _FigureFindings:
    """What came of looking at the figures."""

    mistakes: list[str] = field(default_factory=list)
    again: int = 0
    bounds: list[VerificationStep] = field(default_factory=list)


def open_disclosed_evidence(
    folder: RecordFolder, record: AuditRecord, checks: Mapping[str, type[Check]]
) -> tuple[DisclosedObservation, ...]:
    """Open what a folder without a key shows of a record's evidence.

    Raises ``RecordError`` for rows that are not those that were bound, ``BrokenCheckError`` where
    a check is not installed at the version that observed.
    """
    return tuple(
        DisclosedObservation(
            seen, find_observing_check(seen, checks), unseal_observation(folder, seen, None)
        )
        for seen in record.observations
        if seen.committed
    )


def check_withheld_rows(
    remains: Sequence[DisclosedObservation], *, erased: bool
) -> VerificationStep:
    """Say of each observation how many of its rows are withheld."""
    lacking = [one for one in remains if not one.whole]
    if erased:
        detail = f"erased: nothing is left that could open the evidence of {len(remains)} checks"
        return VerificationStep("rows", StepResult.WITHHELD, detail)
    if not lacking:
        return VerificationStep.of(
            "rows", [], "every row is shown, and is the one that the record binds"
        )
    named: dict[str, list[str]] = {}
    for one in lacking:
        named.setdefault(one.lacking, []).append(one.name)
    said = "; ".join(f"{how}: {', '.join(names)}" for how, names in named.items())
    return VerificationStep(
        "rows", StepResult.WITHHELD, f"what is shown is what the record binds. {said}"
    )


def recompute_disclosed_figures(
    record: AuditRecord, remains: Sequence[DisclosedObservation]
) -> tuple[VerificationStep, ...]:
    """Compute again what can be computed from what is shown, and say what is left open.

    A share of rows that are counted one by one lies between what it is if none of the withheld
    rows counts and if all do; one that is signed and lies elsewhere is a lie.
    """
    unfounded = []
    seen = {(one.observation.target, one.observation.check) for one in remains}
    for index, item in enumerate(record.readings):
        if isinstance(item, Measurement) and (item.target, item.check) not in seen:
            unfounded.append(f"reading {index} ({item.check}) rests on no evidence")
    told = _FigureFindings(mistakes=unfounded)
    for one in remains:
        place = (one.observation.target, one.observation.check)
        signed = [item for item in record.readings if (item.target, item.check) == place]
        if one.whole:
            # Compute the figures of an observation of which nothing is withheld
            found = _readings(one)
            if found is None:
                told.mistakes.append(f"the evidence of {one.name} is not what that check sees")
            elif [_core(item) for item in found] != [_core(item) for item in signed]:
                told.mistakes.append(f"the readings of {one.name} are not what its evidence gives")
            else:
                told.again += len(found)
        else:
            # Say what the shown rows leave possible
            counted = one.check.by_row.counted
            mine = {
                _at(item): item
                for item in _readings(one) or ()
                if isinstance(item, Measurement) and item.metric in counted
            }
            for theirs in signed:
                known = mine.get(_at(theirs))
                if isinstance(theirs, Measurement) and known is not None:
                    _between(one, known, theirs, told)
    detail = f"{told.again} of {len(record.readings)} readings recomputed"
    if told.mistakes or all(one.whole for one in remains):
        return (VerificationStep.of("figures", told.mistakes, detail),)
    rest = "; the others are not checked, for they rest on what is withheld"
    return (VerificationStep("figures", StepResult.WITHHELD, detail + rest), *told.bounds)


def _between(
    one: DisclosedObservation, known: Measurement, signed: Measurement, told: _FigureFindings
) -> None:
    lacking, rows = one.rows
    shown = rows - lacking
    if not isinstance(known.value, float) or not isinstance(signed.value, float):
        return
    least, count = round(known.value * shown), round(signed.value * rows)
    most = least + lacking
    name = f"{_words(signed)} of {one.name}"
    if known.n != shown:
        return  # it speaks of clusters of rows, which may be withheld in part
    limits = f"between {least / rows:.6g} and {most / rows:.6g}"
    if signed.n != rows:
        told.mistakes.append(f"{name} is said of {signed.n} rows, and {rows} were bound")
    elif abs(signed.value * rows - count) > SLACK or not least <= count <= most:
        told.mistakes.append(
            f"{name} cannot be {signed.value:.6g}: with the rows that are shown it lies {limits}"
        )
    else:
        detail = (
            f"{name}, signed as {signed.value:.6g}, is {known.value:.6g} on the {shown} rows shown"
        )
        told.bounds.append(VerificationStep.of("bounds", [], f"{detail} and lies {limits}"))


def _readings(one: DisclosedObservation) -> tuple[Reading, ...] | None:
    """Return what the shown rows give, or ``None`` where the check cannot do without the rest."""
    if not one.evidence or (one.rows[1] and count_evidence_rows(one.evidence) is None):
        return None
    try:
        return compute_readings(
            [ObservedCheck(one.observation, one.check, one.evidence)], CONFIDENCE
        )
    except Exception:  # noqa: BLE001 -- what is not there is missed in as many ways as there are checks
        return None


def _core(reading: Reading) -> dict[str, Json]:
    told = reading.to_json()
    return {name: told[name] for name in _CORE if name in told}


def _at(reading: Reading) -> tuple[str, str, str]:
    place = {} if isinstance(reading, Gap) else dict(reading.slice)
    return (reading.metric, digest_json(dict(reading.params)), digest_json(place))


def _words(reading: Measurement) -> str:
    at = ", ".join(f"{name} {value}" for name, value in {**reading.params, **reading.slice}.items())
    return f"{reading.metric} ({at})" if at else reading.metric
