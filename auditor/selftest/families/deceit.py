"""Planted deceit: auditees who tamper with a record, or deploy another model after the audit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from auditor.domain.json import Json
from auditor.selftest.datasets import PACKAGES, load_split
from auditor.selftest.record_forgery import (
    EARLIER,
    LATER,
    OUT,
    TRUSTED,
    age_record,
    audit_elsewhere,
    claim_assurance,
    claim_simulated_chip,
    count_attempt,
    edit_evidence,
    install_successor,
    invent_answers,
    keep_key,
    replay_statements,
    retouch_report,
    sign_as_worker,
    swap_model,
)
from auditor.selftest.scale import SelftestScale
from auditor.selftest.score_server import TARGET, ScoreServer
from auditor.selftest.specimens import (
    AUDIT,
    MODEL,
    POLICY,
    DeceptionRun,
    Deed,
    Rule,
    Specimen,
    SpecimenFamily,
    SpecimenFiles,
    build_deny_rule,
    build_specimen_pairs,
)
from auditor.selftest.train import train_model

LAX, PROBE, MOST_ATTEMPTS = "lax.yaml", "probe.json", 3
GATE = ("gate", "--artifact", MODEL, "--policy", POLICY, "--record", OUT, "--key", TRUSTED)
VERIFY = ("verify", OUT, "--key", TRUSTED)
REPRODUCE = ("reproduce", OUT)
ONLY = ("--only", "quality.accuracy", "--out", OUT)


@dataclass(frozen=True, slots=True)
class TamperingCase:
    """What a cheat does after the audit, what is asked then, and the words that refuse it."""

    deed: Deed | None
    asked: tuple[str, ...]
    word: str


TRICKS: Mapping[str, TamperingCase] = {
    "edited-evidence": TamperingCase(edit_evidence, VERIFY, "failed signature"),
    "retouched-report": TamperingCase(retouch_report, VERIFY, "failed files"),
    "replayed-verdict": TamperingCase(replay_statements, VERIFY, "failed verdict"),
    "forged-worker": TamperingCase(sign_as_worker, GATE, "failed signature"),
    "claimed-assurance": TamperingCase(claim_assurance, VERIFY, "ASSURANCE"),
    "invented-answers": TamperingCase(invent_answers, REPRODUCE, "failed quality.accuracy on cpu"),
    "swapped-model": TamperingCase(swap_model, GATE, "failed artifact"),
    "other-machine": TamperingCase(
        audit_elsewhere, (*GATE, "--fingerprint", PROBE), "failed target"
    ),
    "weaker-policy": TamperingCase(None, GATE, "failed policy"),
    "old-record": TamperingCase(age_record, (*GATE, "--max-age", "30d"), "failed freshness"),
    "simulated-chip": TamperingCase(claim_simulated_chip, VERIFY, "failed evidence level"),
    "other-endpoint": TamperingCase(None, GATE, "failed artifact"),
    "many-attempts": TamperingCase(count_attempt(MOST_ATTEMPTS + 6), GATE, "failed attempts"),
}


@dataclass(frozen=True, slots=True)
class DeceitFamily:
    """A record is edited, forged, made up, claimed to be more, or held out for another thing.

    The clean twin goes the same way and leaves everything as it is.
    """

    name: str = "deceit"
    title: str = "records that are forged, or held out for what they are not"
    packages: tuple[str, ...] = PACKAGES

    def specimens(self, scale: SelftestScale) -> Sequence[Specimen]:
        """Return every trick, once or of three architectures."""
        tricks = [(name, None) for name in TRICKS]
        if scale is SelftestScale.QUICK:
            return build_specimen_pairs(self.name, tricks, ["logistic"], [1])
        return build_specimen_pairs(self.name, tricks, ["logistic", "forest"], range(1, 3))

    def write(self, specimen: Specimen, folder: Path) -> DeceptionRun:
        """Make a model, and a bad one where its answers are to be made up."""
        trick, sample = TRICKS[specimen.defect], load_split("cancer", specimen.seed)
        labels = sample.training.labels
        served = specimen.planted and specimen.defect == "other-endpoint"
        if served or (specimen.planted and specimen.defect == "invented-answers"):
            labels = np.random.default_rng([specimen.seed, 601]).permutation(labels)
        model = train_model(specimen.architecture, sample.training.inputs, labels, specimen.seed)
        if specimen.defect == "replayed-verdict":
            # Write a model of the next seed; where that is to be hidden, one that has learnt
            # nothing
            successor_learn, seed = sample.training, specimen.seed + 1
            successor_labels = successor_learn.labels
            if specimen.planted:
                successor_labels = np.random.default_rng([seed, 607]).permutation(successor_labels)
            later = train_model(
                specimen.architecture, successor_learn.inputs, successor_labels, seed
            )
            (folder / LATER).write_bytes(later.parts().onnx())
        counted = specimen.defect == "many-attempts"
        asked: dict[str, Json] = {"most_attempts": MOST_ATTEMPTS} if counted else {}
        papers = SpecimenFiles(
            model.parts().onnx(),
            sample.classes,
            {"evaluation": sample.evaluation},
            _rules(0.85),
            asks=asked,
            more={"targets": [TARGET]} if served else {},
        )
        papers.write(specimen, folder)
        papers.write_policy(specimen, folder / LAX, _rules(0.5))
        lax = ("--policy", LAX) if specimen.planted and specimen.defect == "weaker-policy" else ()
        before: list[Deed] = [("audit", AUDIT, *ONLY, *lax), keep_key]
        if served:
            learn = sample.training
            honest = train_model(specimen.architecture, learn.inputs, learn.labels, specimen.seed)
            server = ScoreServer(honest.scores)
            before = [server.start, before[0], server.stop, keep_key]
        if specimen.defect == "replayed-verdict":
            before = [("audit", AUDIT, *ONLY[:-1], EARLIER), install_successor, *before]
        if PROBE in trick.asked:
            before.append(("targets", "probe", "cpu", "--out", PROBE))
        if counted:
            before.append(count_attempt(1))
        if specimen.planted and trick.deed is not None:
            before.append(trick.deed)
        return DeceptionRun(tuple(before), trick.asked, 1, (trick.word,))


def _rules(least: float) -> tuple[Rule, ...]:
    title = "It is right often enough"
    return (build_deny_rule("right-enough", "quality.accuracy/accuracy", title, at_least=least),)


FAMILY: SpecimenFamily = DeceitFamily()
