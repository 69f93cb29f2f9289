"""Audits of one model on several targets of a service, each a second later than the last."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from itertools import count

from deciding_people import artifact, later, policy_of
from scheduled_worlds import Scheduled
from served_toys import sha
from served_worlds import World

from auditor._time import utc_now
from auditor.domain.artifacts import FileDigest
from auditor.domain.json import encode_canonical
from auditor.domain.requests import InputFile
from auditor.domain.targets import TargetSpec
from auditor.service.domain.submissions import AuditOrder
from auditor.service.gate import GateDecision, GateRequest
from auditor.service.jobs.executor import build_executor
from auditor.service.jobs.submit import submit_audit
from auditor.targets.target_specs import find_known_target

NUMBERS = count()
TARGETS = {"cpu": TargetSpec("cpu"), "npu": TargetSpec("npu", threads=2)}


class Fleet:
    """A service with some targets, and audits of one model there under a policy of its own."""

    def __init__(self, world: World, targets: Mapping[str, TargetSpec] = TARGETS) -> None:
        self.targets = targets
        self.at = Scheduled(world, f"fleet{next(NUMBERS)}")
        self.world, self.seconds = world, 0
        self.policy = policy_of(f"fleet{next(NUMBERS)}", 0.6)
        world.upload(encode_canonical(self.policy.document), key=self.at.key)
        desk = world.service.desk
        known = partial(find_known_target, known=targets)
        engine = replace(world.engine, alive=frozenset(targets))
        readers = replace(desk.readers, resolve_target=known)
        self.desk = replace(desk, targets=targets, readers=readers, engine=engine)

    def audits(self, *targets: str, bad: bool = False) -> str:
        """Audit on targets, a second later than before; with wrong labels it does not pass."""
        self.seconds += 1
        raw = self.at.bad_batch() if bad else (self.world.example / "test.csv").read_bytes()
        self.world.upload(raw, key=self.at.key)
        body = self.world.body()
        files = {it["path"]: FileDigest(it["name"], it["size"], it["sha256"])
                 for it in body["inputs"]}  # fmt: skip
        files["test.csv"] = FileDigest("test.csv", len(raw), sha(raw).removeprefix("sha256:"))
        asked = AuditOrder(
            audit_file=body["audit_file"], source="audit.yaml", policy=self.policy.digest,
            inputs=tuple(InputFile(path, file) for path, file in files.items()),
            targets=targets, only=("quality.accuracy",),
        )  # fmt: skip
        audit = submit_audit(self.desk, self.at.caller, asked)[0].id
        work = build_executor(self.world.place, self.targets)
        for target, checks in work.plan(audit):
            for check in checks:
                work.observe(audit, target, check)
        self.world.service.kept.finish(audit, later(utc_now(), self.seconds / 86400))
        work.conclude(audit)
        return audit

    def asks(self, target: str | None = None) -> GateDecision:
        keeper = replace(self.world.service.gatekeeper, clock=lambda: later(utc_now(), 1 / 24))
        return keeper.ask(
            GateRequest(project=self.at.project, artifact=artifact(self.world),
                        policy=self.policy.digest, target=target)
        )  # fmt: skip


def failed(answer: GateDecision) -> set[str]:
    """The steps that keep a gate shut."""
    return {it.name for it in answer.steps if it.result == "failed"}
