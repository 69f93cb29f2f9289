"""A service that stops ends the check in hand, begins no other, and leaves its address free."""

import threading
from dataclasses import dataclass, field
from pathlib import Path

from auditor.service.jobs.job_steps import StepRunner
from auditor.service.server.bind_address import BindAddress
from auditor.service.server.options import build_engine_config, read_service_targets
from auditor.workflows.settings import AuditorSettings


@dataclass
class SlowWork:
    """Work whose checks end when they are told to."""

    begun: list[str] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    inside: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)

    def plan(self, submission: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
        return (("cpu", ("first", "second")),)

    def observe(self, submission: str, target: str, check: str) -> None:
        self.begun.append(check)
        self.inside.set()
        self.go_on.wait(120)
        self.ended.append(check)

    def conclude(self, submission: str) -> None:
        self.begun.append("conclude")

    def failed(self, submission: str, problem: str, cure: str) -> None:
        self.begun.append("failed")


def test_the_check_in_hand_ends_and_no_other_begins() -> None:
    work = SlowWork()
    steps = StepRunner()

    def all_of_it() -> None:
        for check in ("first", "second"):
            steps.run(work.observe, "sub", "cpu", check)

    threading.Thread(target=all_of_it, daemon=True).start()
    assert work.inside.wait(120)
    assert not steps.drain(0.01)
    work.go_on.set()
    assert steps.drain(10)
    assert (work.begun, work.ended) == (["first"], ["first"])


def test_whether_others_can_call_is_known() -> None:
    assert not any(BindAddress(host=host).open for host in ("127.0.0.1", "::1", "localhost"))
    assert all(BindAddress(host=host).open for host in ("0.0.0.0", "::", "audits.example"))  # noqa: S104


def test_a_process_has_the_same_name_after_a_start_anew_and_meets_the_others(
    tmp_path: Path,
) -> None:
    settings = AuditorSettings(tmp_path, f"sqlite:///{tmp_path / 'auditor.db'}")
    first, again = (
        build_engine_config(settings, "serve", ("cpu",), control=True) for _ in range(2)
    )
    worker = build_engine_config(settings, "worker", ("npu",), control=False)
    elsewhere = build_engine_config(
        AuditorSettings(tmp_path / "b", settings.database), "serve", (), control=True
    )
    assert first == again
    assert worker.database == first.database
    assert worker.locks == first.locks
    assert len({first.executor, worker.executor, elsewhere.executor}) == 3
    shared = build_engine_config(
        AuditorSettings(tmp_path, "postgresql://a@b/c"), "serve", (), control=True
    )
    assert shared.database == "postgresql://a@b/c"


def test_targets_of_a_service_are_those_of_its_file_and_the_house(tmp_path: Path) -> None:
    path = tmp_path / "targets.yaml"
    path.write_text("apiVersion: auditor/v1\nkind: Targets\ntargets: {two: {threads: 2}}\n")
    assert set(read_service_targets(path)) == {"cpu", "two"}
    assert set(read_service_targets(None)) == {"cpu"}
