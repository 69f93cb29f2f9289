"""Auditees who cheat with the record of an audit, or with what they deploy after it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from auditor.domain.canonical import Json
from auditor.zoo.grids import pairs
from auditor.zoo.learners import learnt
from auditor.zoo.papers import AUDIT, MODEL, POLICY, Papers, Rule, rule
from auditor.zoo.samples import PACKAGES, Sample, divided
from auditor.zoo.servers import TARGET, ScoreServer
from auditor.zoo.specimens import ActTrial, Deed, Family, Scale, Specimen
from auditor.zoo.tricks import (
    EARLIER,
    LATER,
    OUT,
    TRUSTED,
    age,
    audit_elsewhere,
    call_simulation_a_chip,
    claim_more,
    count_again,
    edit_evidence,
    invent_answers,
    keep_key,
    replay_statements,
    retouch_report,
    sign_as_another,
    succeed,
    swap_model,
)

LAX, PROBE, MOST_ATTEMPTS = "lax.yaml", "probe.json", 3
GATE = ("gate", "--artifact", MODEL, "--policy", POLICY, "--record", OUT, "--key", TRUSTED)
VERIFY = ("verify", OUT, "--key", TRUSTED)
REPRODUCE = ("reproduce", OUT)
ONLY = ("--only", "quality.accuracy", "--out", OUT)


@dataclass(frozen=True, slots=True)
class Trick:
    """What a cheat does after the audit, what is asked then, and the words that refuse it."""

    deed: Deed | None
    asked: tuple[str, ...]
    word: str


TRICKS: Mapping[str, Trick] = {
    "edited-evidence": Trick(edit_evidence, VERIFY, "failed signature"),
    "retouched-report": Trick(retouch_report, VERIFY, "failed files"),
    "replayed-verdict": Trick(replay_statements, VERIFY, "failed verdict"),
    "forged-worker": Trick(sign_as_another, GATE, "failed signature"),
    "claimed-assurance": Trick(claim_more, VERIFY, "ASSURANCE"),
    "invented-answers": Trick(invent_answers, REPRODUCE, "failed quality.accuracy on cpu"),
    "swapped-model": Trick(swap_model, GATE, "failed artifact"),
    "other-machine": Trick(audit_elsewhere, (*GATE, "--fingerprint", PROBE), "failed target"),
    "weaker-policy": Trick(None, GATE, "failed policy"),
    "old-record": Trick(age, (*GATE, "--max-age", "30d"), "failed freshness"),
    "simulated-chip": Trick(call_simulation_a_chip, VERIFY, "failed evidence level"),
    "other-endpoint": Trick(None, GATE, "failed artifact"),
    "many-attempts": Trick(count_again(MOST_ATTEMPTS + 6), GATE, "failed attempts"),
}


@dataclass(frozen=True, slots=True)
class Deceit:
    """A record is edited, forged, made up, claimed to be more, or held out for another thing.

    The clean twin goes the same way and leaves everything as it is.
    """

    name: str = "deceit"
    title: str = "records that are forged, or held out for what they are not"
    packages: tuple[str, ...] = PACKAGES

    def specimens(self, scale: Scale) -> Sequence[Specimen]:
        """Return every trick, once or of three architectures."""
        tricks = [(name, None) for name in TRICKS]
        if scale is Scale.QUICK:
            return pairs(self.name, tricks, ["logistic"], [1])
        return pairs(self.name, tricks, ["logistic", "forest"], range(1, 3))

    def write(self, specimen: Specimen, folder: Path) -> ActTrial:
        """Make a model, and a bad one where its answers are to be made up."""
        trick, sample = TRICKS[specimen.defect], divided("cancer", specimen.seed)
        labels = sample.training.labels
        served = specimen.planted and specimen.defect == "other-endpoint"
        if served or (specimen.planted and specimen.defect == "invented-answers"):
            labels = np.random.default_rng([specimen.seed, 601]).permutation(labels)
        model = learnt(specimen.architecture, sample.training.inputs, labels, specimen.seed)
        if specimen.defect == "replayed-verdict":
            _write_successor(specimen, sample, folder)
        counted = specimen.defect == "many-attempts"
        asked: dict[str, Json] = {"most_attempts": MOST_ATTEMPTS} if counted else {}
        papers = Papers(
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
            honest = learnt(specimen.architecture, learn.inputs, learn.labels, specimen.seed)
            server = ScoreServer(honest.scores)
            before = [server.start, before[0], server.stop, keep_key]
        if specimen.defect == "replayed-verdict":
            before = [("audit", AUDIT, *ONLY[:-1], EARLIER), succeed, *before]
        if PROBE in trick.asked:
            before.append(("targets", "probe", "cpu", "--out", PROBE))
        if counted:
            before.append(count_again(1))
        if specimen.planted and trick.deed is not None:
            before.append(trick.deed)
        return ActTrial(tuple(before), trick.asked, 1, (trick.word,))


def _write_successor(specimen: Specimen, sample: Sample, folder: Path) -> None:
    """Write a model of the next seed; where that is to be hidden, one that has learnt nothing."""
    learn, seed = sample.training, specimen.seed + 1
    labels = learn.labels
    if specimen.planted:
        labels = np.random.default_rng([seed, 607]).permutation(labels)
    later = learnt(specimen.architecture, learn.inputs, labels, seed)
    (folder / LATER).write_bytes(later.parts().onnx())


def _rules(least: float) -> tuple[Rule, ...]:
    title = "It is right often enough"
    return (rule("right-enough", "quality.accuracy/accuracy", title, at_least=least),)


FAMILY: Family = Deceit()
