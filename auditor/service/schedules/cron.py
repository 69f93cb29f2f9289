"""Cron expressions; all times are UTC."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from croniter import croniter
from croniter.croniter import CroniterBadDateError, CroniterError

from auditor._time import format_time, parse_time
from auditor.errors import ScheduleError

FIELDS = ("minute", "hour", "day of the month", "month", "day of the week")
SECOND = "second"
SIGNS = re.compile(r"[0-9A-Za-z*/,#?-]{1,100}")
WORDS = frozenset({
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
    "mon", "tue", "wed", "thu", "fri", "sat", "sun", "l",
})  # fmt: skip
ANY = "*"
MOST_COUNTED = 1000
MOMENT = timedelta(seconds=1)
CURE = (
    "Write five fields (minute, hour, day of the month, month, day of the week) as in '0 3 * * *', "
    "or six with one number of seconds before them; times are UTC."
)


@dataclass(frozen=True, slots=True)
class MissedTimes:
    """The last of the times that have come, and how many came with it (as far as counted)."""

    last: str
    times: int


@dataclass(frozen=True, slots=True)
class CronExpression:
    """A cron expression that was read, of six fields where seconds stand first."""

    text: str

    def came(self, after: str, now: str) -> MissedTimes | None:
        """Return what of it came after one time and not after another, if anything did."""
        began = parse_time(after)
        times = _iterated(self.text, parse_time(now) + MOMENT)
        found: datetime | None = None
        for count in range(MOST_COUNTED):
            before = _previous(times)
            if before is None or before <= began:
                return None if found is None else MissedTimes(format_time(found), count)
            found = found or before
        return None if found is None else MissedTimes(format_time(found), MOST_COUNTED)

    def next(self, now: str) -> str:
        """Return when it comes next after ``now``."""
        times = _iterated(self.text, parse_time(now))
        return format_time(times.get_next(datetime))


def parse_cron(text: str, now: str) -> CronExpression:
    """Read a cron expression. Raises ``ScheduleError`` that names the field that is wrong."""
    parts = text.split()
    names = {5: FIELDS, 6: (SECOND, *FIELDS)}.get(len(parts))
    if names is None:
        raise ScheduleError(
            f"the cron expression {text[:80]!r} has {len(parts)} fields, not 5 or 6", cure=CURE
        )
    for name, part in zip(names, parts, strict=True):
        _refuse_field(name, part)
    cron = CronExpression(" ".join(parts))
    try:
        cron.next(now)
    except CroniterBadDateError:
        raise ScheduleError(f"the cron expression {text!r} matches no time", cure=CURE) from None
    return cron


def _refuse_field(name: str, part: str) -> None:
    """Raise ``ScheduleError`` for a field that is none, or asks for more than once a minute."""
    if name == SECOND:
        if not (part.isascii() and part.isdecimal() and int(part) < 60):  # noqa: PLR2004
            raise ScheduleError(
                f"the field {name!r} is {part[:40]!r}, and not one number from 0 to 59: nothing is "
                "audited more often than once a minute",
                cure=CURE,
            )
        return
    fields = [part if name == other else ANY for other in FIELDS]
    words = {word.lower() for word in re.findall(r"[A-Za-z]+", part)}
    if not SIGNS.fullmatch(part) or not words <= WORDS or not croniter.is_valid(" ".join(fields)):
        raise ScheduleError(f"the field {name!r} cannot be {part[:40]!r}", cure=CURE)


def _iterated(text: str, start: datetime) -> croniter:
    return croniter(text, start, second_at_beginning=True)


def _previous(times: croniter) -> datetime | None:
    try:
        found: datetime = times.get_prev(datetime)
    except CroniterError:
        return None
    return found
