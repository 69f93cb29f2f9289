"""Connection to a model served by an inference endpoint: batching, scoring, and latency timing.

It answers the same requests as a child process. The connection opens only at the first request.
Latency is measured on the client, with network time measured separately.
"""

import importlib
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from auditor.domain.targets import EndpointProtocol, EndpointSpec, TargetSpec
from auditor.domain.tasks import Floats
from auditor.errors import (
    AuditorError,
    MissingExtraError,
    ModelFailedError,
    SubjectLostError,
    TargetError,
    suggest_install,
)
from auditor.targets.endpoints.client import (
    EndpointClient,
    InferenceResponse,
    TensorMetadata,
    check_answer,
    find_label_outputs,
    select_label_outputs,
)
from auditor.targets.endpoints.config import (
    Credentials,
    EndpointAddress,
    check_endpoint_spec,
    parse_endpoint_url,
    read_credentials,
)
from auditor.targets.endpoints.identity import (
    EndpointIdentity,
    ScoreCanary,
    build_header_facts,
    describe_tensors,
)
from auditor.targets.endpoints.throttle import (
    Clock,
    RateLimit,
    RequestSender,
    RetryPolicy,
    RowQuota,
    Sleep,
)
from auditor.targets.protocol import Anything, MessageFrame


def split_request_rows(rows: Anything, limit: int | None, fixed: int | None) -> Iterator[Anything]:
    """Yield the rows in requests of at most ``limit``, or of exactly ``fixed`` rows.

    The last of a fixed batch is filled up with its own last row. Raises ``ModelFailedError``
    where one of the two leaves no room for the other.
    """
    if fixed is not None and limit is not None and fixed > limit:
        raise ModelFailedError(
            f"the model takes batches of {fixed} rows, but `batch_limit` is {limit}",
            cure="Raise `endpoint.batch_limit`, or serve the model with an open batch axis.",
        )
    step = fixed or limit or max(1, len(rows))
    for start in range(0, len(rows), step):
        part = rows[start : start + step]
        missing = (fixed or len(part)) - len(part)
        yield np.concatenate([part, np.repeat(part[-1:], missing, axis=0)]) if missing else part


def count_sent_rows(rows: int, fixed: int | None) -> int:
    """Return how many rows really go out for ``rows``."""
    return rows if fixed is None else -(-rows // fixed) * fixed


def join_request_rows(
    name: str, found: Sequence[Anything], sizes: Sequence[int], rows: int, fixed: int | None
) -> Anything:
    """Put one output of several requests together, without what filled them up.

    A lone request's output comes as it is, for not every output speaks of rows. Raises
    ``ModelFailedError`` where an output of several does not have a row for each row sent: which
    row it speaks of would be a guess.
    """
    if len(found) == 1 and fixed is None:
        return found[0]
    if fixed == 1 and any(part.shape[:1] != (1,) for part in found):
        found = [part[np.newaxis] for part in found]  # it leaves out a batch axis of one
    for part, size in zip(found, sizes, strict=True):
        first = found[0]
        if part.shape[:1] != (size,) or part.shape[1:] != first.shape[1:]:
            raise ModelFailedError(
                f"the server's output {name!r} has the shape {part.shape} for {size} rows",
                cure="Serve the model with the rows as the first axis of its outputs.",
            )
        if part.dtype.kind != first.dtype.kind:
            raise ModelFailedError(
                f"the server's output {name!r} is {part.dtype} in one answer and {first.dtype} "
                "in another",
                cure="Look at the server's runtime for that model.",
            )
    return np.concatenate(list(found))[:rows]


BATCH_EVERY = 20
LEAST_BATCHES = 12
"""One call of a batch is timed for 20 single ones, and enough for their median's interval."""
MOST_PINGS = 200
SHARES: Mapping[str, float] = {"warmup": 0.25, "single": 0.5, "batch": 0.25}
"""Of the seconds that are given, what each part may take."""

Send = Callable[[Anything], float]
Ping = Callable[[], float | None]


@dataclass(frozen=True, slots=True)
class TimingPlan:
    """How many calls of each kind a timing makes at most."""

    warmup: int
    single: int
    batch: int
    batch_rows: int
    seconds: float

    def rows_sent(self, fixed: int | None) -> int:
        """Return how many rows it sends at most, to a model that may have a fixed batch."""
        calls = (self.warmup + self.single) * count_sent_rows(1, fixed)
        return calls + self.batch * count_sent_rows(self.batch_rows, fixed)


@dataclass(frozen=True, slots=True)
class EndpointTimes:
    """Times in seconds, one a call; ``transport`` is empty where it cannot be told."""

    warmup: Floats
    single: Floats
    batch: Floats
    transport: Floats
    conditions: dict[str, float]


def read_timing_plan(asked: Mapping[str, Any]) -> TimingPlan:
    """Read the request of a timing: at least one call of each kind."""
    calls = max(1, int(asked["calls"]))
    return TimingPlan(
        warmup=max(1, int(asked["warmup"])),
        single=calls,
        batch=max(LEAST_BATCHES, calls // BATCH_EVERY),
        batch_rows=int(asked["batch_rows"]),
        seconds=float(asked["seconds"]),
    )


def time_endpoint(
    plan: TimingPlan, rows: Anything, send: Send, ping: Ping, clock: Clock
) -> EndpointTimes:
    """Warm up, then time single rows, and batches.

    Between single rows go round trips that do not touch the model, so that what the machines are
    doing meanwhile falls on both alike. ``send`` and ``ping`` return the seconds of the call alone,
    without what was waited before it for the sake of a rate limit. No call of a kind begins after
    its share of the time is over.
    """
    singles = [rows[index : index + 1] for index in range(len(rows))]
    batch = np.resize(rows, (plan.batch_rows, *rows.shape[1:]))
    pings = _PingTimer(ping, every=max(1, plan.single // MOST_PINGS))

    def calls(kind: str, parts: list[Anything], most: int, then: Callable[[], None]) -> Floats:
        end, times = clock() + SHARES[kind] * plan.seconds, list[float]()
        while len(times) < most and (not times or clock() < end):
            times.append(send(parts[len(times) % len(parts)]))
            then()
        return np.array(times)

    warm = calls("warmup", singles, plan.warmup, _nothing)
    cpu = time.process_time()
    single = calls("single", singles, plan.single, pings.after_call)
    cpu = (time.process_time() - cpu) / (len(single) + len(pings.times))
    batched = calls("batch", [batch], plan.batch, _nothing)
    seen = {"client_cpu_seconds_a_request": cpu, "load_average": os.getloadavg()[0]}
    return EndpointTimes(warm, single, batched, np.array(pings.times), seen)


class _PingTimer:
    """Makes a round trip after every so many calls, until the server takes none."""

    def __init__(self, ping: Ping, every: int) -> None:
        self._ping: Ping | None = ping
        self._every = every
        self._calls = 0
        self.times: list[float] = []

    def after_call(self) -> None:
        self._calls += 1
        if self._ping is None or self._calls % self._every:
            return
        took = self._ping()
        if took is None:
            self._ping = None
            self.times.clear()
        else:
            self.times.append(took)


def _nothing() -> None:
    """Do nothing between calls."""


@dataclass(frozen=True, slots=True)
class EndpointContext:
    """All that it takes to ask one server: who speaks, how often, how fast, and with what."""

    spec: EndpointSpec
    address: EndpointAddress
    client: EndpointClient
    courier: RequestSender
    allowance: RowQuota
    credentials: Credentials
    clock: Clock
    seconds: float


class EndpointConnection:
    """Implements ``ModelConnection`` over a protocol's client."""

    level = "remote"

    def __init__(self, line: EndpointContext) -> None:
        self._line = line
        self._identity = EndpointIdentity(
            line.spec, line.address.title, line.client, line.courier, line.clock
        )
        self._canary = ScoreCanary()
        self._looks = 0
        self._first: float | None = None

    @property
    def seconds(self) -> float:
        """The time limit of one request."""
        return self._line.seconds

    @property
    def opened(self) -> MessageFrame:
        """What server and model say of themselves, and how much was asked of them so far."""
        line, met = self._line, self._identity.met()
        facts = build_header_facts(
            line.spec, line.address, met.server, met.served, self._identity.version
        )
        header = {
            **facts,
            "inputs": describe_tensors(met.served.inputs),
            "outputs": describe_tensors(self._outputs()),
            "conditions": self._counts(),
        }
        return MessageFrame(line.credentials.redact_all(header))

    def ask(
        self, header: Mapping[str, Any], arrays: Mapping[str, Anything] | None = None
    ) -> MessageFrame:
        """Score rows (``infer``) or time calls (``time``).

        Raises ``SubjectLostError`` where the server was lost: the next request connects anew and
        looks whether it is still the same. Raises ``LimitReachedError`` before anything is sent
        that would break a limit, ``TargetChangedError`` for good once another model answers,
        ``ModelFailedError`` where the server refuses or its answer is none.
        """
        operation = {"infer": self._infer, "time": self._time}.get(str(header.get("op")))
        if operation is None:
            raise ModelFailedError(
                f"an endpoint cannot be asked to {header.get('op')}",
                cure="Run the artifact on a target of this machine for that check.",
            )
        ((name, rows),) = (arrays or {}).items()
        try:
            self._identity.met()
            self._recognise()
            return operation(header, name, rows)
        except SubjectLostError:
            self._line.client.close()
            self._identity.forget()
            raise

    def close(self) -> None:
        """Drop the connection."""
        self._line.client.close()

    def _infer(self, header: Mapping[str, Any], name: str, rows: Anything) -> MessageFrame:
        outputs, fixed = self._outputs(), header.get("fixed_batch")
        wanted = list(header.get("outputs") or [slot.name for slot in outputs])
        answers, sizes, _ = self._send(name, rows, wanted, fixed)
        arrays = {
            output: join_request_rows(
                output, [answer.arrays[output] for answer in answers], sizes, len(rows), fixed
            )
            for output in wanted
        }
        self._canary.note(name, rows, wanted, fixed, arrays)
        if self._line.spec.labels_only:
            arrays = select_label_outputs(arrays)
        # The classes that the answers name
        first = answers[0].keys if answers else {}
        if any(answer.keys != first for answer in answers):
            raise ModelFailedError(
                "the server names other classes, or in another order, from one answer to the next",
                cure="Let the server name the same classes in the same order for all rows.",
            )
        return MessageFrame({"keys": dict(first)}, arrays)

    def _time(self, header: Mapping[str, Any], name: str, rows: Anything) -> MessageFrame:
        fixed, wanted = header.get("fixed_batch"), list(header.get("outputs") or ())
        plan = read_timing_plan(header)
        self._line.allowance.require(plan.rows_sent(fixed))
        taken = time_endpoint(
            plan,
            rows,
            lambda part: self._send(name, part, wanted, fixed)[2],
            self._ping,
            self._line.clock,
        )
        said = {
            "load": self._identity.met().seconds,
            "first": self._first,
            "warmup": len(taken.warmup),
            "conditions": {**taken.conditions, **self._counts()},
        }
        arrays = {"single": taken.single, "batch": taken.batch}
        transport = {"transport": taken.transport} if len(taken.transport) else {}
        return MessageFrame(said, {**arrays, **transport})

    def _send(
        self, name: str, rows: Anything, wanted: Sequence[str], fixed: int | None,
        recheck: Callable[[], object] | None = None,
    ) -> tuple[list[InferenceResponse], list[int], float]:  # fmt: skip
        """Return checked answers, the rows that each is to, and the seconds that they took."""
        line = self._line
        line.allowance.ask(count_sent_rows(len(rows), fixed))
        answers, sizes, took = [], [], 0.0
        for part in split_request_rows(rows, line.spec.batch_limit, fixed):
            answer, seconds = line.courier.send(
                lambda part=part: line.client.infer(name, part, wanted),  # type: ignore[misc]  # bound now
                len(part),
                recheck or self._look,
            )
            self._identity.check(answer)
            if recheck is None:
                self._recognise()
            check_answer(answer, self._outputs(), wanted)
            answers.append(answer)
            sizes.append(len(part))
            took += seconds
        if self._first is None:
            self._first = took
        return answers, sizes, took

    def _look(self) -> None:
        self._identity.look()
        self._recognise()

    def _recognise(self) -> None:
        """Ask known rows again after a look; fail for good where they are scored otherwise."""
        looked, self._looks = self._identity.looks != self._looks, self._identity.looks
        asked = self._canary.asked
        if not looked or asked is None:
            return
        answers, sizes, _ = self._send(
            asked.name, asked.rows, asked.outputs, asked.fixed, recheck=self._identity.look
        )
        rows = len(asked.rows)
        scores = {
            name: join_request_rows(
                name, [answer.arrays[name] for answer in answers], sizes, rows, asked.fixed
            )
            for name in asked.outputs
        }
        if not self._canary.agrees(scores):
            raise self._identity.change("rows that were scored before are scored otherwise now")

    def _outputs(self) -> tuple[TensorMetadata, ...]:
        outputs = self._identity.known().served.outputs
        return find_label_outputs(outputs) if self._line.spec.labels_only else outputs

    def _ping(self) -> float | None:
        try:
            return self._line.courier.send(self._line.client.ping)[1]
        except SubjectLostError:
            raise
        except AuditorError:  # a server need not have such a request
            return None

    def _counts(self) -> dict[str, float]:
        line = self._line
        return {
            "rows_asked": line.allowance.asked,
            "rows_repeated": line.allowance.repeated,
            "attempts": line.courier.attempts,
            "retries": line.courier.retries,
        }


HERE = "auditor.targets.endpoints"


def open_endpoint(
    spec: TargetSpec,
    *,
    environ: Mapping[str, str] | None = None,
    allowance: RowQuota | None = None,
    clock: Clock = time.perf_counter,
    sleep: Sleep = time.sleep,
) -> EndpointConnection:
    """Return a connection to the endpoint that ``spec`` declares.

    ``environ`` holds the values of its headers (by default the process's own). Connections that
    share an ``allowance`` keep its limits together; without one, this connection has its own.
    Raises ``TargetError`` for what cannot be kept or read, ``MissingExtraError`` where the
    libraries are not installed.
    """
    declared = spec.endpoint
    if declared is None:
        raise TargetError(
            f"the target {spec.name!r} runs on an endpoint, and names none",
            cure="Write its address and protocol under `endpoint`.",
        )
    check_endpoint_spec(declared)
    address = parse_endpoint_url(declared)
    credentials = read_credentials(declared, os.environ if environ is None else environ)
    allowance = allowance or RowQuota(declared)
    patience = RetryPolicy(declared.retries, spec.time_limit)
    courier = RequestSender(
        allowance, RateLimit(declared.rate, clock, sleep), patience, clock, sleep
    )
    client: EndpointClient
    if declared.protocol is EndpointProtocol.OIP_GRPC:
        client = _load("oip_grpc").OipGrpcClient(address, credentials, declared, spec.time_limit)
    else:
        http = _load("http").StrictHttpClient(address, credentials, declared.ca, spec.time_limit)
        if declared.protocol is EndpointProtocol.OIP_HTTP:
            client = _load("oip_http").OipHttpClient(http, declared, address.title)
        else:
            client = _load("http_json").HttpJsonClient(http, declared, address.title, address.query)
    return EndpointConnection(
        EndpointContext(
            declared, address, client, courier, allowance, credentials, clock, spec.time_limit
        )
    )


def _load(name: str) -> ModuleType:
    """Import a client when it is needed: its libraries are large, and part of an extra."""
    try:
        return importlib.import_module(f"{HERE}.{name}")
    except ImportError as error:
        raise MissingExtraError(
            f"an endpoint needs a library that is missing: {error}",
            cure=f"{suggest_install('endpoint')}.",
        ) from error
