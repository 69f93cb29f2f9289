"""hardware.saturation: 8-bit sums that overflow, by the file and by running it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from evasion_toys import ToyModel, box, classes, subject

from auditor.checks.hardware.saturation import SaturationCheck
from auditor.domain.artifacts import ModelStructure
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.evidence import Evidence, decode_evidence, encode_evidence
from auditor.domain.json import Json
from auditor.domain.model_instrumentation import RunAlteration
from auditor.domain.readings import Gap, GapReason, Measurement, Reading
from auditor.domain.targets import EXACT_SUMS, TargetSpec
from auditor.domain.tasks import Array, Floats

ROWS = 100
RISKY: Mapping[str, Json] = {
    "name": "w", "operator": "Conv", "signed": True, "pairs": 50, "over": 5, "largest": 250,
    "read": True,
}  # fmt: skip
SAFE: Mapping[str, Json] = {**RISKY, "name": "v", "over": 0, "largest": 120}
UNREAD: Mapping[str, Json] = {**SAFE, "name": "u", "pairs": 0, "largest": 0, "read": False}


@dataclass
class Overflowing:
    """A bench whose sums are cut off, unless they are asked to be exact."""

    cut: float
    asked: list[RunAlteration] = field(default_factory=list)

    def scores(self, inputs: Array, alteration: RunAlteration) -> Floats:
        self.asked.append(alteration)
        exact = alteration.session == EXACT_SUMS
        rows = inputs.astype(np.float64)
        return rows if exact else np.minimum(rows, self.cut)


def seen(weights: tuple[Mapping[str, Json], ...], bench: Overflowing | Gap) -> Subject:
    rows = np.random.default_rng(3).random((ROWS, 2))
    absent = Gap(reason=GapReason.NEEDS_TWIN, detail="absent", cure="none")
    model = ToyModel(lambda x: x)
    found = subject(model, absent, rows, rows.argmax(axis=1), box((2,)), classes(2))
    structure = ModelStructure(kind="onnx", integers=weights)
    return replace(found, structure=structure, bench=bench)  # type: ignore[arg-type]  # only what is asked


def looked(subject: Subject) -> dict[str, Reading]:
    evidence = SaturationCheck().observe(subject, CheckShard())
    kept: Evidence = {
        name: decode_evidence(encode_evidence(item).raw) for name, item in evidence.items()
    }
    return {item.metric: item for item in SaturationCheck().figures(kept, 0.95)}


def measured(found: dict[str, Reading], metric: str) -> Measurement:
    reading = found[metric]
    assert isinstance(reading, Measurement)
    return reading


def test_decisions_that_exact_sums_change_are_counted() -> None:
    """Both scores above the cut become equal, and the other class wins."""
    bench = Overflowing(cut=0.5)
    found = looked(seen((RISKY, SAFE), bench))
    rows = np.random.default_rng(3).random((ROWS, 2))
    task = classes(2)
    model = ToyModel(lambda x: x)
    exact = task.decide(model.probabilities(rows))
    cut = task.decide(model.probabilities(np.minimum(rows, 0.5)))
    rate = measured(found, "saturated_flip_rate")
    assert rate.value == pytest.approx((exact != cut).mean())
    assert rate.low > 0.05  # type: ignore[operator]  # a share
    assert [item.session for item in bench.asked] == [{}, EXACT_SUMS]


def test_the_scan_counts_pairs_over_all_weights_and_names_the_layer() -> None:
    found = looked(seen((RISKY, SAFE), Overflowing(cut=2.0)))
    share = measured(found, "risky_share")
    assert (share.value, share.n) == (0.05, 100)
    assert [layer["name"] for layer in share.details["layers"]] == ["w"]  # type: ignore[union-attr,index,call-overload]  # a list
    assert measured(found, "at_risk").value is True
    assert measured(found, "saturated_flip_rate").value == 0


def test_weights_that_fit_are_no_risk() -> None:
    found = looked(seen((SAFE,), Overflowing(cut=2.0)))
    assert measured(found, "at_risk").value is False
    assert measured(found, "risky_share").value == 0


def test_a_model_without_8_bit_weights_is_not_run_at_all() -> None:
    bench = Overflowing(cut=0.5)
    found = looked(seen((), bench))
    assert bench.asked == []
    assert measured(found, "at_risk").value is False
    gap = found["saturated_flip_rate"]
    assert isinstance(gap, Gap)
    assert gap.reason is GapReason.NOT_DEFINED


def test_a_target_whose_sessions_cannot_be_altered_is_scanned_all_the_same() -> None:
    absent = Gap(reason=GapReason.UNSUPPORTED, detail="no bench", cure="none")
    found = looked(seen((RISKY,), absent))
    assert measured(found, "at_risk").value is True
    gap = found["saturated_flip_rate"]
    assert isinstance(gap, Gap)
    assert (gap.reason, gap.detail) == (GapReason.UNSUPPORTED, "no bench")


def test_a_file_that_cannot_be_parsed_is_a_gap_and_never_safe() -> None:
    broken = Gap(reason=GapReason.MODEL_FAILED, detail="not an ONNX file", cure="none")
    subject = replace(seen((), Overflowing(cut=1.0)), structure=broken)
    (gap,) = looked(subject).values()
    assert isinstance(gap, Gap)
    assert gap.reason is GapReason.MODEL_FAILED


def test_a_weight_that_could_not_be_looked_at_is_never_safe() -> None:
    found = looked(seen((SAFE, UNREAD), Overflowing(cut=2.0)))
    for metric in ("at_risk", "risky_share"):
        gap = found[metric]
        assert isinstance(gap, Gap)
        assert "'u'" in gap.detail


def test_what_was_found_stays_sure_beside_a_weight_that_could_not_be_looked_at() -> None:
    found = looked(seen((RISKY, UNREAD), Overflowing(cut=2.0)))
    assert measured(found, "at_risk").value is True
    assert isinstance(found["risky_share"], Gap)


@pytest.mark.parametrize(
    "spec",
    [
        TargetSpec("npu", provider="OpenVINOExecutionProvider"),
        TargetSpec("npu", library="some_plugin"),
        TargetSpec("npu", device="NPU"),
    ],
)
def test_a_provider_that_does_not_heed_the_switch_is_not_said_to_be_without_overflow(
    spec: TargetSpec,
) -> None:
    """Both runs would be the same one, so that no decision would change, overflow or not."""
    bench = Overflowing(cut=0.5)
    found = looked(replace(seen((RISKY,), bench), target=spec))
    assert bench.asked == []
    gap = found["saturated_flip_rate"]
    assert isinstance(gap, Gap)
    assert gap.reason is GapReason.UNSUPPORTED
