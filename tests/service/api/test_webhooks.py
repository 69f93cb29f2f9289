"""Web hooks: signed, delivered again where that fails, and nowhere that they must not go."""

import socket
import stat
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
from hook_receivers import Receiver, receiving
from scheduled_worlds import Clock, Scheduled
from served_worlds import World, problem
from sqlalchemy import insert
from standardwebhooks.webhooks import Webhook

from auditor._time import format_time, utc_now
from auditor.domain.json import compute_digest
from auditor.errors import StateConflictError, WebhookError
from auditor.service.domain.access import AccessRole
from auditor.service.domain.schedules import SkipReason
from auditor.service.domain.submissions import SubmissionFailure, SubmissionResult
from auditor.service.domain.webhooks import (
    DeliveryOutcome,
    DeliveryState,
    WebhookDelivery,
    WebhookEvent,
    WebhookSubscription,
)
from auditor.service.webhooks.deliver import (
    KEPT,
    LATE,
    PAUSES,
    SELDOM,
    DeliveryWorker,
    WebhookRules,
    WebhookSender,
    WebhookService,
    deliver_due_messages,
    parse_hook_url,
    resolve_addresses,
)
from auditor.service.webhooks.manage import create_webhook, retry_delivery
from auditor.service.webhooks.signature import WebhookSecretKey, load_secret_key, sign_message
from auditor.store.tables import RecordRow, RequestRow

NUMBERS = count()
OPEN = WebhookRules(http=True, private=True)
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105 -- of the standard's own example


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


@pytest.fixture
def scheduled(world: World) -> Scheduled:
    return Scheduled(world, f"hooked{next(NUMBERS)}")


def messenger_of(scheduled: Scheduled, clock: Clock) -> WebhookService:
    """Return a messenger of the world's store that may send to this machine."""
    hooks = scheduled.world.service.hooks
    return replace(hooks, sender=replace(hooks.sender, rules=OPEN), clock=clock)


def hooked(
    scheduled: Scheduled, messenger: WebhookService, url: str, *events: WebhookEvent
) -> tuple[WebhookSubscription, str]:
    return create_webhook(messenger, scheduled.caller, url, events)


def deliveries(scheduled: Scheduled, hook: WebhookSubscription) -> tuple[WebhookDelivery, ...]:
    return scheduled.world.service.hooks.deliveries.of_hook(hook.id, None, 50)[0]


def real_clock() -> Clock:
    """Return a clock that stands at what the other side of a hook takes for now."""
    return Clock(datetime.now(UTC))


def test_a_signature_is_that_of_the_standards_own_example() -> None:
    body = b'{"test": 2432232314}'
    made = sign_message(SECRET, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)
    assert made == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_signature_is_what_the_library_of_the_standard_makes() -> None:
    at = datetime(2030, 1, 1, tzinfo=UTC)
    theirs = Webhook(SECRET).sign("msg_1", at, '{"é": 1}')
    assert sign_message(SECRET, "msg_1", int(at.timestamp()), '{"é": 1}'.encode()) == theirs


def test_secrets_follow_from_the_key_file_which_only_its_owner_reads(world: World) -> None:
    path = world.place.settings.home / "service" / "hooks.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    key = load_secret_key(path)
    assert key == load_secret_key(path)
    assert key.secret("hook-1") != key.secret("hook-2")
    assert "raw" not in repr(WebhookSecretKey(b"x" * 32))
    raw = (world.place.settings.home / "auditor.db").read_bytes()
    assert key.secret(world.webhook).encode() not in raw


def test_processes_that_make_the_key_at_once_have_the_same(world: World) -> None:
    path = world.place.settings.home / f"made-{next(NUMBERS)}" / "hooks.key"
    with ThreadPoolExecutor(8) as pool:
        assert len({key.raw for key in pool.map(load_secret_key, [path] * 8)}) == 1
    assert [item.name for item in path.parent.iterdir()] == ["hooks.key"]


def test_a_message_arrives_signed_and_holds_no_text_of_an_error(
    scheduled: Scheduled, receiver: Receiver
) -> None:
    clock = real_clock()
    messenger = messenger_of(scheduled, clock)
    hook, secret = hooked(scheduled, messenger, receiver.url, WebhookEvent.AUDIT_FAILED)
    audit = scheduled.audit()
    failure = SubmissionFailure(problem="row 7 says 'Smith'", cure="none")
    scheduled.world.service.kept.end(audit, SubmissionResult(ended=clock(), failure=failure))
    deliver_due_messages(messenger)
    said = receiver.verified(secret)
    assert said["type"] == "audit.failed"
    assert said["data"]["audit"] == audit
    assert said["data"]["project"] == scheduled.project
    assert said["data"]["link"] == f"/audits/{audit}"
    assert b"Smith" not in receiver.got[0][1]
    (delivery,) = deliveries(scheduled, hook)
    assert delivery.state(clock()) is DeliveryState.DELIVERED
    deliver_due_messages(messenger)
    assert len(receiver.got) == 1


def test_what_tells_of_a_record_that_this_version_cannot_read_fails_and_is_told(
    scheduled: Scheduled,
) -> None:
    clock, store = real_clock(), scheduled.world.place.store
    messenger = messenger_of(scheduled, clock)
    hook, _secret = hooked(scheduled, messenger, "https://127.0.0.1/x", WebhookEvent.AUDIT_DONE)
    audit, record = scheduled.audit(), compute_digest(b"{}")
    with store.transaction() as session:
        session.add(RequestRow(digest=record, body="{}"))
        session.flush()
        session.execute(insert(RecordRow).values(
            digest=record, id=record, request_digest=record, verdict="pass", assurance="A1",
            model_name="other", model_version="1", policy_digest=record, registered=clock(),
            finished=clock(), body=b"{}", bundle=b"{}",
        ))  # fmt: skip
    scheduled.world.service.kept.end(
        audit, SubmissionResult(ended=clock(), record=record, files=record)
    )
    deliver_due_messages(messenger)
    (delivery,) = deliveries(scheduled, hook)
    assert [it.outcome for it in delivery.attempts] == [
        DeliveryOutcome.QUEUED,
        DeliveryOutcome.FAILED,
    ]


def test_what_was_due_long_ago_is_looked_for_seldom_and_sent_all_the_same(
    scheduled: Scheduled, receiver: Receiver
) -> None:
    clock = real_clock()
    messenger = messenger_of(scheduled, clock)
    hooked(scheduled, messenger, receiver.url, WebhookEvent.AUDIT_FAILED)
    courier = DeliveryWorker(messenger)
    courier.deliver()
    failure = SubmissionFailure(problem="it broke", cure="none")
    kept, long_ago = scheduled.world.service.kept, clock.now - 2 * LATE
    kept.end(scheduled.audit(), SubmissionResult(ended=format_time(long_ago), failure=failure))
    kept.end(scheduled.audit(), SubmissionResult(ended=clock(), failure=failure))
    courier.deliver()
    assert len(receiver.got) == 1
    courier.looks = SELDOM
    courier.deliver()
    assert len(receiver.got) == 2


def test_a_receiver_that_fails_is_asked_again_and_at_last_no_more(
    scheduled: Scheduled, receiver: Receiver
) -> None:
    clock = real_clock()
    messenger = messenger_of(scheduled, clock)
    hook, _secret = hooked(scheduled, messenger, receiver.url, WebhookEvent.SCHEDULE_SKIPPED)
    receiver.answers, receiver.text = [503] * 7, b"\x1b" + b"d" * 5000
    _skip(scheduled, clock)
    deliver_due_messages(messenger)
    for tries, pause in enumerate(PAUSES, start=1):
        assert len(receiver.got) == tries
        clock.move(seconds=pause - 1)
        deliver_due_messages(messenger)
        assert len(receiver.got) == tries
        clock.move(seconds=1)
        deliver_due_messages(messenger)
    (dead,) = deliveries(scheduled, hook)
    assert dead.state(clock()) is DeliveryState.DEAD
    assert len(receiver.got) == len(PAUSES) + 1
    assert {it.status for it in dead.attempts[1:]} == {503}
    assert all(len(it.detail) <= KEPT and "\x1b" not in it.detail for it in dead.attempts)
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 1
    assert len({body for _, body in receiver.got}) == 1
    clock.move(days=1)
    deliver_due_messages(messenger)
    assert len(receiver.got) == len(PAUSES) + 1
    retry_delivery(messenger, scheduled.project, hook.id, dead.id)
    with pytest.raises(StateConflictError, match="is pending"):
        retry_delivery(messenger, scheduled.project, hook.id, dead.id)
    deliver_due_messages(messenger)
    (alive,) = deliveries(scheduled, hook)
    assert alive.state(clock()) is DeliveryState.DELIVERED


def test_two_services_that_deliver_at_once_send_a_message_once(
    scheduled: Scheduled, receiver: Receiver
) -> None:
    clock = real_clock()
    messenger = messenger_of(scheduled, clock)
    hooked(scheduled, messenger, receiver.url, WebhookEvent.SCHEDULE_SKIPPED)
    _skip(scheduled, clock)
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(deliver_due_messages, [messenger] * 6))
    assert len(receiver.got) == 1


def test_a_redirect_is_a_failure_and_is_not_followed(
    scheduled: Scheduled, receiver: Receiver
) -> None:
    clock = real_clock()
    messenger = messenger_of(scheduled, clock)
    hook, _secret = hooked(scheduled, messenger, receiver.url, WebhookEvent.SCHEDULE_SKIPPED)
    receiver.answers = [307]
    _skip(scheduled, clock)
    deliver_due_messages(messenger)
    assert len(receiver.got) == 1
    assert deliveries(scheduled, hook)[0].state(clock()) is DeliveryState.PENDING


def test_a_hook_hears_of_its_own_project_and_of_what_it_asked_for_alone(
    scheduled: Scheduled, world: World
) -> None:
    messenger = messenger_of(scheduled, real_clock())
    mine, _secret = hooked(scheduled, messenger, "https://a.example.org/", WebhookEvent.KEY_ENDED)
    scheduled.call("POST", f"/v1/audits/{scheduled.audit()}/cancel")
    other = world.key("quite elsewhere", AccessRole.VIEWER).split("_")[1]
    world.service.kept.end_key(other, utc_now(), "it left")
    assert deliveries(scheduled, mine) == ()
    own = world.key(scheduled.project, AccessRole.VIEWER).split("_")[1]
    world.service.kept.end_key(own, utc_now(), "it left")
    assert [(it.event, it.subject) for it in deliveries(scheduled, mine)] == [
        (WebhookEvent.KEY_ENDED, own)
    ]


PRIVATE = (
    "127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
    "0.0.0.1", "224.0.0.1", "::1", "fe80::1", "fc00::1", "::ffff:10.0.0.1", "64:ff9b::a00:1",
    "2002:a00:1::", "ff02::1",
)  # fmt: skip


@pytest.mark.parametrize("address", PRIVATE)
def test_an_address_of_the_services_own_network_is_refused(address: str) -> None:
    host = f"[{address}]" if ":" in address else address
    with pytest.raises(WebhookError, match="in a private network of the service"):
        parse_hook_url(f"https://{host}/", WebhookRules(http=True))
    # The same behind a name, looked up at the very time of sending, and even beside a good one.
    place = parse_hook_url("https://hooks.example.org/", WebhookRules())
    with pytest.raises(WebhookError, match="in a private network of the service"):
        resolve_addresses(place, WebhookRules(), lambda _host, _port: ("93.184.216.34", address))
    sender = WebhookSender(rules=WebhookRules(), look=lambda _host, _port: (address,))
    sent = sender.send("https://hooks.example.org/", {}, b"{}")
    assert sent.status is None
    assert "is in a private network of the service" in sent.detail


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example.org/", "ftp://hooks.example.org/", "https://", "hooks.example.org",
        "https://user:secret@hooks.example.org/", "https://hooks.example.org/#part",
        "https://hooks.example.org:99999/", "https://hooks.example.org/a b",
        "https://hooks.example.org/\r\nX: y", "file:///etc/passwd", "https://[::1",
    ],
)  # fmt: skip
def test_what_is_no_address_of_a_web_hook_is_refused(world: World, url: str) -> None:
    body = {"url": url, "events": ["audit.done"]}
    told = problem(world.call("POST", "/v1/webhooks", "admin", json=body))
    assert told["type"].endswith("/hook_invalid")


def test_plain_http_is_for_this_machine_or_by_leave() -> None:
    assert (
        parse_hook_url("http://hooks.example.org/x?y=1", WebhookRules(http=True)).path == "/x?y=1"
    )
    assert parse_hook_url("http://127.0.0.1:8000", WebhookRules(private=True)).port == 8000
    assert parse_hook_url("http://localhost", WebhookRules()).host == "localhost"


def test_a_receiver_that_never_comes_to_an_end_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        over = threading.Event()

        def drip() -> None:
            line, _ = listening.accept()
            with line:
                line.sendall(b"HTTP/1.1 200 OK\r\n")
                while not over.wait(0.05):
                    try:
                        line.sendall(b"X: y\r\n")
                    except OSError:
                        return

        thread = threading.Thread(target=drip)
        thread.start()
        sender = WebhookSender(rules=OPEN, look=lambda _host, _port: ("127.0.0.1",), seconds=0.4)
        began = datetime.now(UTC)
        sent = sender.send(f"http://drip.example.org:{port}/", {}, b"{}")
        assert datetime.now(UTC) - began < timedelta(seconds=60)
        over.set()
        thread.join()
    assert not sent.taken
    assert "no whole answer" in sent.detail


def test_the_text_of_a_secret_is_shown_once(world: World) -> None:
    body = {"url": "https://hooks.example.org/", "events": ["audit.done"]}
    made = world.call("POST", "/v1/webhooks", "admin", json=body).json()
    assert made["secret"].startswith("whsec_")
    listed = world.call("GET", "/v1/webhooks", "admin").text
    assert made["webhook"]["id"] in listed
    assert made["secret"] not in listed
    ended = world.call("POST", f"/v1/webhooks/{made['webhook']['id']}/end", "admin").json()
    assert ended["ended"] is not None


def _skip(scheduled: Scheduled, clock: Clock) -> None:
    """Let a schedule skip a run, of which a hook hears."""
    scheduled.clock = clock
    scheduled.scheduler = scheduled.beside(scheduled.world.service)
    made = scheduled.schedule(scheduled.audit(), "* * * * *")
    scheduled.tick(minutes=1)
    assert scheduled.runs(made)[0].skipped is SkipReason.STILL_RUNNING
