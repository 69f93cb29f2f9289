"""Triggers of schedules."""

from enum import StrEnum


class ScheduleTrigger(StrEnum):
    """Upon what a schedule audits again."""

    CRON = "cron"
    NEW_VERSION = "new_version"
    BATCH = "batch"
    POLICY_CHANGED = "policy_changed"
    WAIVER_EXPIRED = "waiver_expired"
    DRIFT_ALARM = "drift_alarm"
    FINGERPRINT_CHANGED = "fingerprint_changed"
