"""What is done for audits is done beside the process that answers, and no key goes there."""

import os
import signal
import socket
import subprocess
import threading
import time
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from served_worlds import World

from auditor._resources import code_digest
from auditor.domain.json import JsonPart, encode_canonical, parse_json, read_json
from auditor.errors import EngineError
from auditor.service.domain.submissions import SubmissionState
from auditor.service.jobs.durable import EngineClient
from auditor.service.server.options import ServiceOptions, build_engine_config
from auditor.service.server.worker_main import ServiceLedgerKey, ServiceLine, ServiceReportKey, work
from auditor.service.server.worker_process import (
    COMMAND,
    WorkerOrder,
    WorkerProcess,
    sign_for_role,
)
from auditor.targets.target_specs import NAMED
from auditor.trust.encoding.dsse import IN_TOTO, pae
from auditor.trust.ledger.merkle import SIZE, TreeHead
from auditor.trust.ledger.notes import LogCheckpoint
from auditor.trust.signatures.verify import verify_bundle
from auditor.workflows.settings import AuditorSettings


def order_of(world: World, *, recipes: bool = False) -> WorkerOrder:
    """Return what the worker of a world's service is told."""
    choices = ServiceOptions(targets=NAMED, recipes=recipes)
    return WorkerOrder.of(world.place, choices, ("cpu",), 1)


def test_an_order_is_read_as_it_was_given_and_holds_no_private_key(apart: World) -> None:
    order = order_of(apart, recipes=True)
    told = encode_canonical(replace(order, suspects={"plan sub-0": 2}).to_json())
    again = read_json(WorkerOrder, parse_json(told), "order")
    assert again == replace(order, targets=dict(NAMED), suspects={"plan sub-0": 2})
    assert (again.recipes, again.works, again.drain) == (True, ("cpu",), 1)
    assert again.settings == apart.place.settings
    assert b"PRIVATE" not in told
    assert apart.place.store.signer is not None
    assert again.ledger == str(apart.place.store.signer.key)


def test_a_worker_of_other_code_than_the_service_opens_nothing(
    apart: World, tmp_path: Path
) -> None:
    place = replace(
        apart.place, settings=AuditorSettings(tmp_path, f"sqlite:///{tmp_path / 'new.db'}")
    )
    order = WorkerOrder.of(place, ServiceOptions(targets=NAMED), ("cpu",), 1)
    assert order.code == code_digest()
    old = replace(order, code="sha256:0f0f")
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(encode_canonical(old.to_json()) + b"\n")
        line = ServiceLine(theirs)
        # What reads on is closed here: left to the collector, it may outlive its socket.
        with (
            closing(line.messages),
            pytest.raises(EngineError, match="changed on disk since the service") as refused,
        ):
            work(line)
    assert refused.value.cure == "Restart the service."
    assert not list(tmp_path.iterdir())


def fits(world: World) -> dict[str, bytes]:
    """Return what each key of a service signs."""
    ledger = world.place.store.signer
    assert ledger is not None
    checkpoint = LogCheckpoint(ledger.key.name, TreeHead(3, bytes(SIZE))).text().encode()
    return {"report": pae(IN_TOTO, b"{}"), "ledger": checkpoint}


def test_a_key_signs_what_its_role_signs_and_nothing_else(apart: World) -> None:
    fit = fits(apart)
    wrong = (
        b"yes",
        pae("application/x", b"{}"),
        pae(IN_TOTO, b"{}") + b" ",
        LogCheckpoint("another.example", TreeHead(3, bytes(SIZE))).text().encode(),
        fit["ledger"] + b"more\n",
        b"\xff",
    )
    for role, raw in fit.items():
        assert b64decode(sign_for_role(apart.place, role, b64encode(raw).decode()), validate=True)
        for other in ({*fit.values()} - {raw}).union(wrong):
            with pytest.raises(EngineError, match=f"there is no {role} key that signs this"):
                sign_for_role(apart.place, role, b64encode(other).decode())
    with pytest.raises(EngineError, match="there is no decision key"):
        sign_for_role(apart.place, "decision", b64encode(fit["report"]).decode())


@pytest.fixture
def line(apart: World) -> Iterator[ServiceLine]:
    """The line of a worker to a service that signs, and does nothing else."""
    ours, theirs = socket.socketpair()
    with ours, theirs:

        def answer() -> None:
            with ours.makefile("rb") as lines:
                for raw in lines:
                    asked = JsonPart(parse_json(raw), "message")
                    given = keeper._signed(asked)  # noqa: SLF001 -- what is between the two
                    ours.sendall(encode_canonical(given) + b"\n")

        keeper = WorkerProcess(apart.place, order_of(apart))
        made = ServiceLine(theirs)
        threads = [threading.Thread(target=it, daemon=True) for it in (answer, made.attend)]
        for thread in threads:
            thread.start()
        yield made
        for end in (ours, theirs):
            end.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join(120)


def test_a_worker_has_signed_what_its_roles_sign_or_hears_why_not(
    apart: World, line: ServiceLine
) -> None:
    fit, ledger = fits(apart), apart.place.store.signer
    assert ledger is not None
    key = ServiceReportKey(line, apart.place.signer.public_pem())
    public = load_pem_public_key(key.public_pem())
    assert isinstance(public, EllipticCurvePublicKey)
    public.verify(key.sign(fit["report"]), fit["report"], ECDSA(SHA256()))
    told = ServiceLedgerKey(line, ledger.key).sign(fit["ledger"])
    Ed25519PublicKey.from_public_bytes(ledger.key.raw).verify(told, fit["ledger"])
    for role in ("report", "ledger", "decision", "__class__"):
        with pytest.raises(EngineError, match=f"there is no {role} key") as refused:
            line.sign(role, b"yes")
        assert refused.value.cure == "Report this line."


def test_signatures_that_are_asked_for_at_once_are_each_given_to_who_asked(
    apart: World, line: ServiceLine
) -> None:
    ledger = apart.place.store.signer
    assert ledger is not None
    asked = [
        LogCheckpoint(ledger.key.name, TreeHead(size, bytes(SIZE))).text().encode()
        for size in range(1, 9)
    ]
    with ThreadPoolExecutor(8) as threads:
        given = list(threads.map(lambda raw: line.sign("ledger", raw), asked))
    public = Ed25519PublicKey.from_public_bytes(ledger.key.raw)
    for raw, told in zip(asked, given, strict=True):
        public.verify(told, raw)


@pytest.fixture(scope="module")
def served(apart: World) -> Iterator[tuple[WorkerProcess, EngineClient]]:
    """The worker of a service, and who hands audits to it."""
    worker = WorkerProcess(apart.place, order_of(apart))
    client = EngineClient(build_engine_config(apart.place.settings, "test", (), control=False))
    worker.launch()
    worker.await_work()
    client.connect()
    yield worker, client
    client.close()
    worker.stop()
    assert worker.pid is None


def handed_in(world: World, client: EngineClient) -> str:
    """Hand the example in, and return its id."""
    name = str(world.call("POST", "/v1/audits", json=world.body()).json()["id"])
    client.submit(name)
    return name


def until(holds: Callable[[], bool]) -> None:
    for _ in range(6000):
        if holds():
            return
        time.sleep(0.02)
    raise AssertionError


@pytest.mark.slow
def test_an_audit_is_carried_out_in_another_process_and_signed_in_this_one(
    apart: World, served: tuple[WorkerProcess, EngineClient]
) -> None:
    worker, client = served
    assert worker.pid not in {None, os.getpid()}
    assert client.live(("cpu", "npu")) == {"cpu"}
    name = handed_in(apart, client)
    until(lambda: apart.service.kept.outcome(name) is not None)
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
    apart: World, served: tuple[WorkerProcess, EngineClient]
) -> None:
    worker, client = served
    first = worker.pid
    assert first is not None
    name = handed_in(apart, client)
    until(lambda: apart.service.kept.state(name) is SubmissionState.RUNNING)
    os.kill(first, signal.SIGKILL)
    until(lambda: apart.service.kept.outcome(name) is not None)
    assert apart.service.kept.state(name) is SubmissionState.DONE
    assert worker.pid not in {None, first}


@pytest.mark.slow
def test_a_worker_that_cannot_work_says_why(
    apart: World, served: tuple[WorkerProcess, EngineClient]
) -> None:
    assert served[0].pid is not None
    other = WorkerProcess(apart.place, order_of(apart))
    other.launch()
    with pytest.raises(EngineError, match=r"an executor 'serve@.*' is already running") as refused:
        other.await_work()
    assert "Stop it first" in refused.value.cure
    other.stop()


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
def test_it_ends_with_the_process_that_asks_and_not_at_the_terminal(
    apart: World, tmp_path: Path
) -> None:
    place = replace(apart.place, settings=AuditorSettings(tmp_path, apart.place.settings.database))
    order = WorkerOrder.of(place, ServiceOptions(targets=NAMED), (), 1)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        number = theirs.fileno()
        process = subprocess.Popen([*COMMAND, str(number)], pass_fds=(number,))
        theirs.close()
        # Before anything that takes time is loaded, no signal ends it, and nothing that it starts
        # can hold the line open.
        flags = Path(f"/proc/{process.pid}/fdinfo/{number}")
        while not closed_for_others(flags):
            assert process.poll() is None
            time.sleep(0.01)
        while not {signal.SIGINT, signal.SIGTERM} <= handled(process.pid):
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        ours.sendall(encode_canonical(order.to_json()) + b"\n")
        said = ours.makefile("rb")
        assert parse_json(said.readline()) == {"working": True}
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        assert process.poll() is None
        said.close()
        ours.close()
        assert process.wait(60) == 0
