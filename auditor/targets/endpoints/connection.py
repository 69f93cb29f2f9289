"""A served model, asked as a child process would be."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from auditor.domain.endpoints import EndpointSpec
from auditor.errors import AuditorError, ModelFailedError, SubjectLostError
from auditor.targets.endpoints import batches, timing
from auditor.targets.endpoints.addresses import Address
from auditor.targets.endpoints.answers import Answer, Client, Declared
from auditor.targets.endpoints.canaries import Canary
from auditor.targets.endpoints.checking import as_labels, check_answer, label_outputs
from auditor.targets.endpoints.couriers import Courier
from auditor.targets.endpoints.credentials import Credentials
from auditor.targets.endpoints.facts import header_facts, listed
from auditor.targets.endpoints.identities import Identity
from auditor.targets.endpoints.limits import Allowance, Clock
from auditor.targets.frames import Anything, Frame
from auditor.targets.scores import Key


@dataclass(frozen=True, slots=True)
class Line:
    """All that it takes to ask one server: who speaks, how often, how fast, and with what."""

    spec: EndpointSpec
    address: Address
    client: Client
    courier: Courier
    allowance: Allowance
    credentials: Credentials
    clock: Clock
    seconds: float


class EndpointConnection:
    """Implements ``targets.connections.Connection`` over a protocol's client."""

    level = "remote"

    def __init__(self, line: Line) -> None:
        self._line = line
        self._identity = Identity(
            line.spec, line.address.title, line.client, line.courier, line.clock
        )
        self._canary = Canary()
        self._looks = 0
        self._first: float | None = None

    @property
    def seconds(self) -> float:
        """The time limit of one request."""
        return self._line.seconds

    @property
    def opened(self) -> Frame:
        """What server and model say of themselves, and how much was asked of them so far."""
        line, met = self._line, self._identity.met()
        facts = header_facts(
            line.spec, line.address, met.server, met.served, self._identity.version
        )
        header = {
            **facts,
            "inputs": listed(met.served.inputs),
            "outputs": listed(self._outputs()),
            "conditions": self._counts(),
        }
        return Frame(line.credentials.redact_all(header))

    def ask(self, header: Mapping[str, Any], arrays: Mapping[str, Anything] | None = None) -> Frame:
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

    def _infer(self, header: Mapping[str, Any], name: str, rows: Anything) -> Frame:
        outputs, fixed = self._outputs(), header.get("fixed_batch")
        wanted = list(header.get("outputs") or [slot.name for slot in outputs])
        answers, sizes, _ = self._send(name, rows, wanted, fixed)
        arrays = {
            output: batches.join(
                output, [answer.arrays[output] for answer in answers], sizes, len(rows), fixed
            )
            for output in wanted
        }
        self._canary.note(name, rows, wanted, fixed, arrays)
        if self._line.spec.labels_only:
            arrays = as_labels(arrays)
        return Frame({"keys": _keys(answers)}, arrays)

    def _time(self, header: Mapping[str, Any], name: str, rows: Anything) -> Frame:
        fixed, wanted = header.get("fixed_batch"), list(header.get("outputs") or ())
        plan = timing.read_plan(header)
        self._line.allowance.require(plan.rows_sent(fixed))
        taken = timing.take(
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
        return Frame(said, {**arrays, **transport})

    def _send(
        self, name: str, rows: Anything, wanted: Sequence[str], fixed: int | None,
        recheck: Callable[[], object] | None = None,
    ) -> tuple[list[Answer], list[int], float]:  # fmt: skip
        """Return checked answers, the rows that each is to, and the seconds that they took."""
        line = self._line
        line.allowance.ask(batches.sent(len(rows), fixed))
        answers, sizes, took = [], [], 0.0
        for part in batches.parts(rows, line.spec.batch_limit, fixed):
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
            name: batches.join(
                name, [answer.arrays[name] for answer in answers], sizes, rows, asked.fixed
            )
            for name in asked.outputs
        }
        if not self._canary.agrees(scores):
            raise self._identity.change("rows that were scored before are scored otherwise now")

    def _outputs(self) -> tuple[Declared, ...]:
        outputs = self._identity.known().served.outputs
        return label_outputs(outputs) if self._line.spec.labels_only else outputs

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


def _keys(answers: Sequence[Answer]) -> dict[str, list[Key]]:
    """Return the classes that the answers name. Raises ``ModelFailedError`` where they differ."""
    first = answers[0].keys if answers else {}
    if any(answer.keys != first for answer in answers):
        raise ModelFailedError(
            "the server names other classes, or in another order, from one answer to the next",
            cure="Let the server name the same classes in the same order for all rows.",
        )
    return dict(first)
