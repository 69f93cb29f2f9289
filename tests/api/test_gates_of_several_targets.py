"""A gate that is asked of no target opens where the newest record on every target opens it."""

from dataclasses import replace
from functools import partial
from itertools import count

import pytest
from deciding_people import artifact, later, policy_of
from scheduled_worlds import Scheduled
from served_toys import sha
from served_worlds import World

from auditor.clock import now
from auditor.domain.artifacts import FileDigest
from auditor.domain.canonical import canonical
from auditor.domain.requests import InputFile
from auditor.domain.targets import TargetSpec
from auditor.gatekeeping import Answer, Asking
from auditor.submitting import Asked, submit
from auditor.targets.resolving import known_target

pytestmark = pytest.mark.slow
NUMBERS = count()
TARGETS = {"cpu": TargetSpec("cpu"), "npu": TargetSpec("npu", threads=2)}


class Fleet:
    """A service that has two targets, and audits of one model there under a policy of its own."""

    def __init__(self, world: World) -> None:
        self.at = Scheduled(world, f"fleet{next(NUMBERS)}")
        self.world, self.seconds = world, 0
        self.policy = policy_of(f"fleet{next(NUMBERS)}", 0.6)
        world.upload(canonical(self.policy.document), key=self.at.key)
        desk = world.service.desk
        known = partial(known_target, known=TARGETS)
        engine = replace(world.engine, alive=frozenset(TARGETS))
        readers = replace(desk.readers, resolve_target=known)
        self.desk = replace(desk, targets=TARGETS, readers=readers, engine=engine)

    def audits(self, *targets: str, bad: bool = False) -> str:
        """Audit on targets, a second later than before; with wrong labels it does not pass."""
        self.seconds += 1
        raw = self.at.bad_batch() if bad else (self.world.example / "test.csv").read_bytes()
        self.world.upload(raw, key=self.at.key)
        body = self.world.body()
        files = {it["path"]: FileDigest(it["name"], it["size"], it["sha256"])
                 for it in body["inputs"]}  # fmt: skip
        files["test.csv"] = FileDigest("test.csv", len(raw), sha(raw).removeprefix("sha256:"))
        asked = Asked(
            audit_file=body["audit_file"], source="audit.yaml", policy=self.policy.digest,
            inputs=tuple(InputFile(path, file) for path, file in files.items()),
            targets=targets, only=("quality.accuracy",),
        )  # fmt: skip
        audit = submit(self.desk, self.at.caller, asked)[0].id
        work = self.world.place.commissioned(TARGETS)
        for target, checks in work.plan(audit):
            for check in checks:
                work.observe(audit, target, check)
        self.world.service.kept.finish(audit, later(now(), self.seconds / 86400))
        work.conclude(audit)
        return audit

    def asks(self, target: str | None = None) -> Answer:
        keeper = replace(self.world.service.gatekeeper, clock=lambda: later(now(), 1 / 24))
        return keeper.ask(
            Asking(project=self.at.project, artifact=artifact(self.world),
                   policy=self.policy.digest, target=target)
        )  # fmt: skip


@pytest.fixture
def fleet(apart: World) -> Fleet:
    return Fleet(apart)


def failed(answer: Answer) -> set[str]:
    return {it.name for it in answer.steps if it.result == "failed"}


def test_what_passed_on_one_target_does_not_excuse_what_failed_on_another(fleet: Fleet) -> None:
    on_cpu = fleet.audits("cpu", bad=True)
    on_npu = fleet.audits("npu")
    assert fleet.asks("npu").open
    answer = fleet.asks()
    assert (answer.open, failed(answer)) == (False, {"verdict on cpu"})
    assert answer.submission == on_cpu
    (found,) = [it for it in answer.steps if it.name == "found on npu"]
    assert on_npu in found.detail


def test_a_gate_of_all_targets_opens_by_the_newest_record_on_each(fleet: Fleet) -> None:
    fleet.audits("cpu", "npu", bad=True)
    fleet.audits("cpu")
    assert failed(fleet.asks()) == {"verdict on npu"}
    fleet.audits("npu")
    answer = fleet.asks()
    assert answer.open, answer.steps
    assert {"verdict on cpu", "verdict on npu"} <= {it.name for it in answer.steps}


def test_a_gate_of_one_target_names_its_steps_as_ever(fleet: Fleet) -> None:
    fleet.audits("cpu")
    answer = fleet.asks()
    assert answer.open
    assert "verdict" in {it.name for it in answer.steps}
