"""What is done for audits is done beside the process that answers, and no key goes there."""

import os
import re
import signal
import socket
import subprocess
import threading
import time
from base64 import b64decode, b64encode
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from served_worlds import World

from auditor._resources import code_digest
from auditor.domain.json import Json, JsonPart, encode_canonical
from auditor.errors import EngineError
from auditor.service.domain.submissions import SubmissionFailure, SubmissionState
from auditor.service.server.options import ServiceOptions
from auditor.service.server.worker_process import (
    COMMAND,
    PeerGoneError,
    RpcChannel,
    WorkerConfig,
    WorkerProcessClient,
    read_worker_config,
    sign_for_role,
)
from auditor.service.server.worker_steps import WorkerProcess
from auditor.targets.target_specs import NAMED
from auditor.trust.encoding.dsse import IN_TOTO, pae
from auditor.trust.ledger.merkle import SIZE, TreeHead
from auditor.trust.ledger.notes import LogCheckpoint
from auditor.trust.signatures.verify import verify_bundle
from auditor.workflows.settings import AuditorSettings


@pytest.fixture
def ends() -> Iterator[tuple[RpcChannel, RpcChannel]]:
    """Both ends of a line; the far one doubles numbers, refuses texts, and waits for a word."""
    word = threading.Event()

    def double(number: str) -> Json:
        if not number.isdecimal():
            raise EngineError("that is no number", cure="Ask for one.")
        return 2 * int(number)

    def wait() -> Json:
        return word.wait(120)

    def end() -> Json:
        raise SystemExit(3)

    def refuse() -> Json:
        raise EngineError("no file \udcff", cure="Rename \udcff.")

    near, far = socket.socketpair()
    answers = {"double": double, "wait": wait, "say": word.set, "end": end, "refuse": refuse}
    asked = RpcChannel(far, {**answers, "surrogate": lambda: "\udcff"})
    asking = RpcChannel(near, {})
    for end in (asked, asking):
        threading.Thread(target=end.attend, daemon=True).start()
    yield asking, asked
    for end in (asking, asked):
        end.close()


def test_a_question_is_answered_or_refused_in_the_words_of_whoever_could_not(
    ends: tuple[RpcChannel, RpcChannel],
) -> None:
    assert ends[0].ask("double", "21") == 42
    with pytest.raises(EngineError, match="that is no number") as refused:
        ends[0].ask("double", "two")
    assert refused.value.cure == "Ask for one."


@pytest.mark.parametrize(
    ("what", "heard"),
    [
        ("end", "SystemExit.*: 3"),
        ("refuse", r"no file \\udcff"),
        ("surrogate", "the answer cannot be written: .*non-UTF-8"),
    ],
)
def test_every_question_is_answered(
    ends: tuple[RpcChannel, RpcChannel], what: str, heard: str
) -> None:
    found: list[str] = []

    def ask() -> None:
        with pytest.raises(EngineError) as refused:
            ends[0].ask(what)
        found.append(refused.value.problem)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(120)
    assert len(found) == 1
    assert re.search(heard, found[0])


def test_a_question_that_cannot_be_sent_is_forgotten(ends: tuple[RpcChannel, RpcChannel]) -> None:
    with pytest.raises(ValueError, match="non-UTF-8"):
        ends[0].ask("double", "\udcff")
    assert not ends[0]._asked  # noqa: SLF001 -- nobody else sees it
    assert ends[0].ask("double", "21") == 42


def test_nothing_is_done_but_what_is_named(ends: tuple[RpcChannel, RpcChannel]) -> None:
    with pytest.raises(EngineError, match="KeyError"):
        ends[0].ask("__class__")
    with pytest.raises(EngineError, match="KeyError"):
        ends[1].ask("double", "1")


def test_one_question_does_not_wait_for_another(ends: tuple[RpcChannel, RpcChannel]) -> None:
    waited: list[Json] = []
    thread = threading.Thread(target=lambda: waited.append(ends[0].ask("wait")))
    thread.start()
    ends[0].ask("say")
    thread.join()
    assert waited == [True]


def test_whoever_waits_hears_that_the_other_is_gone(ends: tuple[RpcChannel, RpcChannel]) -> None:
    heard: list[bool] = []

    def ask() -> None:
        with pytest.raises(PeerGoneError):
            ends[0].ask("wait")
        heard.append(True)

    thread = threading.Thread(target=ask)
    thread.start()
    ends[1].close()
    thread.join()
    assert heard == [True]
    with pytest.raises(PeerGoneError):
        ends[0].ask("double", "1")


def test_orders_are_read_as_they_were_given_and_hold_no_private_key(apart: World) -> None:
    place = apart.place
    told = WorkerConfig.of(place, ServiceOptions(targets=NAMED, recipes=True), 3).to_json()
    again = read_worker_config(JsonPart(told, "orders"))
    assert again.to_json() == told
    assert (again.targets, again.recipes, again.at_once) == (dict(NAMED), True, 3)
    assert b"PRIVATE" not in encode_canonical(told)
    assert place.store.signer is not None
    assert again.ledger == str(place.store.signer.key)


def test_hands_of_other_code_than_the_service_open_nothing(apart: World, tmp_path: Path) -> None:
    place = replace(
        apart.place, settings=AuditorSettings(tmp_path, f"sqlite:///{tmp_path / 'new.db'}")
    )
    orders = WorkerConfig.of(place, ServiceOptions(targets=NAMED), 1)
    assert orders.code == code_digest()
    old = replace(orders, code="sha256:0f0f")
    ours, theirs = socket.socketpair()
    asking = RpcChannel(ours, {"orders": old.to_json})
    threads = [threading.Thread(target=it) for it in (asking.attend, WorkerProcess(theirs).attend)]
    for thread in threads:
        thread.start()
    with theirs, pytest.raises(EngineError, match="changed on disk since the service") as refused:
        asking.ask("plan", "sub-0")
    assert refused.value.cure == "Restart the service."
    assert not list(tmp_path.iterdir())
    asking.close()
    for thread in threads:
        thread.join()


def test_a_key_signs_what_its_role_signs_and_nothing_else(apart: World) -> None:
    ledger = apart.place.store.signer
    assert ledger is not None
    fits = {
        "report": pae(IN_TOTO, b"{}"),
        "ledger": LogCheckpoint(ledger.key.name, TreeHead(3, bytes(SIZE))).text().encode(),
    }
    wrong = (
        b"yes",
        pae("application/x", b"{}"),
        pae(IN_TOTO, b"{}") + b" ",
        LogCheckpoint("another.example", TreeHead(3, bytes(SIZE))).text().encode(),
        fits["ledger"] + b"more\n",
        b"\xff",
    )
    for role, raw in fits.items():
        assert b64decode(sign_for_role(apart.place, role, b64encode(raw).decode()), validate=True)
        for other in ({*fits.values()} - {raw}).union(wrong):
            with pytest.raises(EngineError, match=f"there is no {role} key that signs this"):
                sign_for_role(apart.place, role, b64encode(other).decode())
    with pytest.raises(EngineError, match="there is no decision key"):
        sign_for_role(apart.place, "decision", b64encode(fits["report"]).decode())


def test_a_step_that_comes_after_the_end_waits_and_starts_nothing(apart: World) -> None:
    work = WorkerProcessClient(apart.place, ServiceOptions(targets=NAMED), 1)
    work.close()
    late = threading.Thread(target=work.plan, args=("sub-0",), daemon=True)
    late.start()
    late.join(0.2)
    assert late.is_alive()
    assert work.pid is None


def handed_in(world: World) -> str:
    """Hand the example in, and return its id."""
    return str(world.call("POST", "/v1/audits", json=world.body()).json()["id"])


def test_an_audit_ends_without_a_process_to_do_its_work(apart: World) -> None:
    work, name = (
        WorkerProcessClient(apart.place, ServiceOptions(targets=NAMED), 1),
        handed_in(apart),
    )
    work.failed(name, "no process could be started", "Add memory.")
    assert apart.service.kept.state(name) is SubmissionState.FAILED
    ending = apart.service.kept.outcome(name)
    assert ending is not None
    assert ending.failure == SubmissionFailure(
        problem="no process could be started", cure="Add memory."
    )
    assert work.pid is None


@pytest.fixture(scope="module")
def work(apart: World) -> Iterator[WorkerProcessClient]:
    """The work of a service, as its engine has it done."""
    made = WorkerProcessClient(apart.place, ServiceOptions(targets=NAMED), 1)
    yield made
    made.close()
    assert made.pid is None


@pytest.mark.slow
def test_an_audit_is_carried_out_in_another_process_and_signed_in_this_one(
    apart: World, work: WorkerProcessClient
) -> None:
    name = handed_in(apart)
    for target, checks in work.plan(name):
        for check in checks:
            work.observe(name, target, check)
    work.conclude(name)
    assert work.pid not in {None, os.getpid()}
    assert apart.service.kept.state(name) is SubmissionState.DONE
    ending = apart.service.kept.outcome(name)
    assert ending is not None
    with apart.place.store.unit_of_work() as unit:
        kept = unit.find_record_by_digest(str(ending.record))
    assert kept is not None
    assert verify_bundle(kept.bundle, apart.place.signer.public_pem()).verified
    with apart.place.store.ledger() as ledger:
        assert len(ledger.find(kept.read().id)) == 1


@pytest.mark.slow
def test_a_step_whose_process_died_is_done_by_another(
    apart: World, work: WorkerProcessClient
) -> None:
    name = handed_in(apart)
    planned = work.plan(name)
    first = work.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    assert work.plan(name) == planned
    assert work.pid not in {None, first}


@pytest.mark.slow
def test_a_step_that_cannot_be_done_says_why(work: WorkerProcessClient) -> None:
    with pytest.raises(EngineError, match="there is no submission sub-0") as refused:
        work.plan("sub-0")
    assert refused.value.cure == "Submit it first."


def closed_for_others(descriptor: Path) -> bool:
    """Whether a descriptor of a process is closed in every program that it starts."""
    flags = next(it for it in descriptor.read_text().splitlines() if it.startswith("flags:"))
    return bool(int(flags.split()[1], 8) & os.O_CLOEXEC)


def handled(process: int) -> set[int]:
    """Return the signals that end a process no more: it ignores, blocks or catches them."""
    told = dict(
        line.split(":", 1) for line in Path(f"/proc/{process}/status").read_text().splitlines()
    )
    masks = [int(told[name], 16) for name in ("SigBlk", "SigIgn")]
    return {number for number in range(1, 32) if any(mask >> (number - 1) & 1 for mask in masks)}


@pytest.mark.slow
def test_it_ends_with_the_process_that_asks_and_not_at_the_terminal() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        number = theirs.fileno()
        process = subprocess.Popen([*COMMAND, str(number)], pass_fds=(number,))
        theirs.close()
        exchange = RpcChannel(ours, {})
        threading.Thread(target=exchange.attend, daemon=True).start()
        # Before anything that takes time is loaded, no signal ends it, and nothing that it starts
        # can hold the line open.
        place = Path(f"/proc/{process.pid}/fdinfo/{number}")
        while not closed_for_others(place):
            assert process.poll() is None
            time.sleep(0.01)
        while not {signal.SIGINT, signal.SIGTERM} <= handled(process.pid):
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        exchange.ask("close")
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        exchange.ask("close")
        exchange.close()
        assert process.wait(60) == 0
