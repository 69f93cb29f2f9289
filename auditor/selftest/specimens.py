"""Selftest specimens: models with planted defects, their clean twins, and their audit files.

Defects have strengths, so that a curve shows from which strength a check detects them.
"""

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import yaml

from auditor.domain.json import Json
from auditor.selftest.datasets import SampleRows
from auditor.selftest.scale import SelftestScale


@dataclass(frozen=True, slots=True)
class Specimen:
    """A model with its data: one planted defect, or the clean twin that was made the same way.

    A clean twin carries the defect that its sibling has and it has not. The same specimen is the
    same bytes, wherever it is made with the same packages.
    """

    family: str
    defect: str
    architecture: str
    seed: int
    planted: bool
    strength: float | None = None

    @property
    def name(self) -> str:
        """A word that names it among all, fit for a folder."""
        strength = "" if self.strength is None else f"-{self.strength:g}"
        kind = "planted" if self.planted else "clean"
        return f"{self.family}-{self.defect}{strength}-{self.architecture}-{self.seed}-{kind}"


@dataclass(frozen=True, slots=True)
class SpecimenRun:
    """A specimen as files: an audit file whose policy denies what the family plants.

    The defect is found when one of ``rules`` fails; a clean twin is falsely alarmed when any
    denying rule of the policy fails. ``only`` restricts the audit to the checks that are needed.
    """

    audit: Path
    rules: tuple[str, ...]
    only: tuple[str, ...] = ()


Deed = tuple[str, ...] | Callable[[Path, Path], None]
"""What somebody does in a specimen's folder: the arguments of a command, or a change of files, told
that folder and the home in which the keys of the audits lie.
"""


@dataclass(frozen=True, slots=True)
class DeceptionRun:
    """A specimen as files, and what somebody does with them so as to be believed.

    ``before`` is done first; its commands may end with any verdict. The defect is found when the
    command ``asked`` ends with ``code`` and says every one of ``words``, white space apart; a clean
    twin, of which the same is asked, is falsely alarmed unless that ends with 0.
    """

    before: tuple[Deed, ...]
    asked: tuple[str, ...]
    code: int
    words: tuple[str, ...]


class SpecimenFamily(Protocol):
    """Defects of one kind: how they are planted, and which rules or commands have to see them."""

    @property
    def name(self) -> str:
        """The word of ``--family``."""

    @property
    def title(self) -> str:
        """What is planted, in a sentence."""

    @property
    def packages(self) -> tuple[str, ...]:
        """The modules that making it needs, beyond what auditor itself needs."""

    def specimens(self, scale: SelftestScale) -> Sequence[Specimen]:
        """Return planted ones and as many clean twins, several seeds and architectures."""

    def write(self, specimen: Specimen, folder: Path) -> SpecimenRun | DeceptionRun:
        """Make a specimen in an empty folder."""


Rule = Mapping[str, Json]
LABEL, ID = "label", "row"
AUDIT, POLICY, MODEL, RECIPE = "audit.yaml", "policy.yaml", "model.onnx", "recipe.py"


@dataclass(frozen=True, slots=True)
class SpecimenFiles:
    """What an audit is given. ``data`` are rows by role; ``about`` holds more settings by role,
    ``model`` more of the model, ``more`` those of the audit file beside them, and ``asks`` more of
    the policy's metadata.
    """

    artifact: bytes | None
    classes: Sequence[str]
    data: Mapping[str, SampleRows]
    rules: Sequence[Rule]
    about: Mapping[str, Mapping[str, Json]] = field(default_factory=dict)
    model: Mapping[str, Json] = field(default_factory=dict)
    more: Mapping[str, Json] = field(default_factory=dict)
    checks: Mapping[str, Mapping[str, Json]] = field(default_factory=dict)
    asks: Mapping[str, Json] = field(default_factory=dict)
    budget: str = "ci"

    def write(self, specimen: Specimen, folder: Path) -> Path:
        """Write all files into a folder, and return the audit file."""
        if self.artifact is not None:
            (folder / MODEL).write_bytes(self.artifact)
        for role, rows in self.data.items():
            (folder / f"{role}.csv").write_bytes(encode_csv_table(rows, self.classes))
        self.write_policy(specimen, folder / POLICY, self.rules)
        model: dict[str, Any] = {"name": specimen.name, "version": "1.0.0", **self.model}
        if self.artifact is not None:
            model["artifact"] = MODEL
        sections = {
            role: {"path": f"{role}.csv", "labels": LABEL, "id": ID, **self.about.get(role, {})}
            for role in self.data
        }
        audit = {
            "apiVersion": "auditor/v1",
            "kind": "Audit",
            "model": model,
            "task": {"kind": "classification", "classes": list(self.classes)},
            "input": {"domain": [0.0, 1.0]},
            "targets": ["cpu"],
            "data": sections,
            "policy": POLICY,
            "budget": self.budget,
            "seed": specimen.seed,
            **self.more,
        }
        _dump(folder / AUDIT, audit)
        return folder / AUDIT

    def write_policy(self, specimen: Specimen, path: Path, rules: Sequence[Rule]) -> None:
        """Write a policy of these rules."""
        document = {
            "apiVersion": "auditor/v1",
            "kind": "Policy",
            "metadata": {
                "name": f"selftest.{specimen.family}",
                "version": "1.0.0",
                "owner": "selftest@example.org",
                "least_budget": "smoke",
                **self.asks,
            },
            "checks": {name: dict(of) for name, of in self.checks.items()},
            "rules": [dict(rule) for rule in rules],
        }
        _dump(path, document)


def build_deny_rule(name: str, measure: str, title: str, **limits: Json) -> Rule:
    """Return a rule that denies; ``limits`` hold its bound, and where it is asked."""
    about = {"id": name, "title": title, "severity": "high", "effect": "deny", "measure": measure}
    return {**about, **limits}


def encode_csv_table(rows: SampleRows, classes: Sequence[str]) -> bytes:
    """Return rows as a CSV file: their names, inputs, further columns and labels."""
    text = io.StringIO()
    write = csv.writer(text, lineterminator="\n")
    width = rows.inputs.shape[1]
    write.writerow([ID, *(f"x{i}" for i in range(width)), *(n for n, _ in rows.columns), LABEL])
    for place, (values, label) in enumerate(zip(rows.inputs, rows.labels, strict=True)):
        more = [column[place] for _, column in rows.columns]
        write.writerow([f"r{place}", *map(repr, values.tolist()), *more, classes[label]])
    return text.getvalue().encode()


def _dump(path: Path, document: Mapping[str, Any]) -> None:
    path.write_text(yaml.safe_dump(document, sort_keys=False, allow_unicode=True), "utf-8")


EACH = 10
"""Specimens of a strength: as many as tell a half from nothing, and from all."""


@runtime_checkable
class GradedFamily(Protocol):
    """A family whose defects, or some of them, can be made weaker and stronger."""

    @property
    def strengths(self) -> Mapping[str, Sequence[float]]:
        """Strengths to try by defect, in the order in which they are to be read."""


def select_specimens(family: SpecimenFamily, scale: SelftestScale) -> Sequence[Specimen]:
    """Return the specimens of a family that a selftest of a scale tries."""
    return build_strength_curve(family) if scale is SelftestScale.CURVE else family.specimens(scale)


def build_strength_curve(family: SpecimenFamily) -> tuple[Specimen, ...]:
    """Return up to ``EACH`` planted specimens of every strength; of no defect without a strength.

    There are no clean twins, since those of a full selftest are theirs too. Seeds come before
    architectures, so that a few specimens are of all architectures.
    """
    if not isinstance(family, GradedFamily):
        return ()
    return tuple(
        replace(one, strength=strength)
        for defect, strengths in family.strengths.items()
        for strength in strengths
        for one in _few(family, defect)
    )


def _few(family: SpecimenFamily, defect: str) -> Sequence[Specimen]:
    """Return planted specimens of a defect, each of another architecture or seed."""
    found = {
        (one.seed, one.architecture): one
        for one in family.specimens(SelftestScale.FULL)
        if one.planted and one.defect == defect
    }
    return [found[key] for key in sorted(found)][:EACH]


def build_specimen_pairs(
    family: str,
    defects: Iterable[tuple[str, float | None]],
    architectures: Sequence[str],
    seeds: Iterable[int],
) -> tuple[Specimen, ...]:
    """Return every defect with its strength in every architecture with every seed, and its twin."""
    return tuple(
        Specimen(family, defect, architecture, seed, planted, strength)
        for (defect, strength), architecture, seed in product(defects, architectures, seeds)
        for planted in (True, False)
    )


@dataclass(frozen=True, slots=True)
class PlantedDefect:
    """One kind of defect, and what makes a specimen of it, planted or clean.

    A quick selftest visits the first strength by one seed, in the architectures of ``quick``;
    ``curve`` are the strengths at which it is looked where the defect begins to be found.
    """

    name: str
    plant: Callable[[Specimen, Path], SpecimenRun | DeceptionRun]
    architectures: tuple[str, ...]
    quick: tuple[str, ...] = ()
    strengths: tuple[float | None, ...] = (None,)
    seeds: int = 2
    curve: tuple[float, ...] = ()

    def specimens(self, family: str, scale: SelftestScale) -> Sequence[Specimen]:
        """Return planted ones, and as many clean twins."""
        kinds = [(self.name, strength) for strength in self.strengths]
        if scale is SelftestScale.QUICK:
            return build_specimen_pairs(family, kinds[:1], self.quick, [1])
        return build_specimen_pairs(family, kinds, self.architectures, range(1, self.seeds + 1))


@dataclass(frozen=True, slots=True)
class DefectTableFamily:
    """A family that is all that its defects name."""

    name: str
    title: str
    packages: tuple[str, ...]
    defects: tuple[PlantedDefect, ...]

    @property
    def strengths(self) -> Mapping[str, Sequence[float]]:
        """Return what its defects are tried at, from weak to strong."""
        return {defect.name: defect.curve for defect in self.defects if defect.curve}

    def specimens(self, scale: SelftestScale) -> Sequence[Specimen]:
        """Return planted ones and as many clean twins, several seeds and architectures."""
        return [one for defect in self.defects for one in defect.specimens(self.name, scale)]

    def write(self, specimen: Specimen, folder: Path) -> SpecimenRun | DeceptionRun:
        """Make a specimen in an empty folder. Raises ``KeyError`` for another family's defect."""
        planters = {defect.name: defect.plant for defect in self.defects}
        return planters[specimen.defect](specimen, folder)
