"""The files of a specimen: its model, its data, the policy that a sensible user writes, and the
audit file.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from auditor.domain.canonical import Json
from auditor.zoo.samples import Rows
from auditor.zoo.specimens import Specimen

Rule = Mapping[str, Json]
LABEL, ID = "label", "row"
AUDIT, POLICY, MODEL = "audit.yaml", "policy.yaml", "model.onnx"


@dataclass(frozen=True, slots=True)
class Papers:
    """What an audit is given. ``data`` are rows by role; ``about`` holds more settings by role,
    ``model`` more of the model, ``more`` those of the audit file beside them, and ``asks`` more of
    the policy's metadata.
    """

    artifact: bytes | None
    classes: Sequence[str]
    data: Mapping[str, Rows]
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
            (folder / f"{role}.csv").write_bytes(table(rows, self.classes))
        self.write_policy(specimen, folder / POLICY, self.rules)
        _dump(folder / AUDIT, self._audit(specimen))
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

    def _audit(self, specimen: Specimen) -> dict[str, Any]:
        model: dict[str, Any] = {"name": specimen.name, "version": "1.0.0", **self.model}
        if self.artifact is not None:
            model["artifact"] = MODEL
        sections = {
            role: {"path": f"{role}.csv", "labels": LABEL, "id": ID, **self.about.get(role, {})}
            for role in self.data
        }
        return {
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


def rule(name: str, measure: str, title: str, **limits: Json) -> Rule:
    """Return a rule that denies; ``limits`` hold its bound, and where it is asked."""
    about = {"id": name, "title": title, "severity": "high", "effect": "deny", "measure": measure}
    return {**about, **limits}


def table(rows: Rows, classes: Sequence[str]) -> bytes:
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
