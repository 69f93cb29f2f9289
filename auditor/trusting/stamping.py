"""When a model was signed, by the timestamps beside its signature and a trust policy's clocks."""

from dataclasses import replace

from auditor.signatures.clocks import proven_moment
from auditor.signatures.objections import Grade, Objection, Refused
from auditor.signatures.trust import Moment
from auditor.trusting.asking import Asked, Presented


def stamp(asked: Asked, presented: Presented) -> tuple[Asked, tuple[Objection, ...]]:
    """Return what is asked, at the time that the timestamps prove, and what speaks against them.

    A time of signing that is vouched for already stays, and a policy without clocks reads none.
    Timestamps that do not hold prove nothing, so that all is judged at the time of looking; they
    are an error where the rule asks for a time, and else a warning.
    """
    clocks, when = asked.policy.clocks, asked.when
    bundle, timestamps = presented.bundle, presented.timestamps
    if clocks is None or when is None or when.stamped is not None:
        return asked, ()
    if bundle is None or timestamps is None:
        return asked, ()
    try:
        moment = proven_moment(timestamps, bundle, clocks, Moment(when.looked))
    except Refused as refused:
        text = f"the timestamp beside the signature proves nothing: {refused.problem}"
        wanted = asked.rule is not None and asked.rule.timed
        return asked, (Objection(refused.code, text, Grade.ERROR if wanted else Grade.WARNING),)
    return replace(asked, when=replace(when, stamped=moment)), ()
