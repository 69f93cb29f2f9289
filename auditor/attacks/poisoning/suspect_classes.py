"""The classes that each backdoor detector suspects: one, or several outliers together."""

from collections.abc import Collection, Iterator

from auditor.attacks.poisoning.backdoor_detectors import (
    LEADS,
    LEAST_SPREAD,
    anomaly_indices,
    leading_classes,
)
from auditor.attacks.poisoning.backdoor_evidence import (
    DetectionRules,
    anomaly_index,
    class_scores,
    count_ranks,
    detector_p_value,
    list_able_detectors,
    scored_classes,
    top_class,
)
from auditor.domain.evidence import Evidence


def find_suspect_classes(
    evidence: Evidence, rules: DetectionRules
) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield the detectors that single classes out, and those classes, the strangest first.

    Clean models decide where there are enough of them to reach the level; fewer can only object.
    """
    able = list_able_detectors(evidence, rules)
    own = {detector: _own(evidence, detector, rules) for detector in able}
    groups = [of for of in own.values() if len(of) > 1]
    for detector in able:
        chance = detector_p_value(evidence, detector)
        objected = chance is not None and chance > max(rules.level, 1 / count_ranks(evidence))
        told = () if objected else confirmed_classes(evidence, detector, groups, rules.index)
        named = tuple(dict.fromkeys((*own[detector], *told)))
        if named:
            yield detector, named


def outlying_classes(evidence: Evidence, detector: str, index: float) -> tuple[int, ...]:
    """Return the classes that lie ``index`` deviations out, and far ahead of all others.

    There are none among too few classes, and noise singles none out.
    """
    if anomaly_index(evidence, detector) is None:
        return ()
    scores = class_scores(evidence, detector)
    found = leading_classes(scores, index, LEAST_SPREAD[detector], LEADS[detector])
    return tuple(int(at) for at in scored_classes(evidence, detector)[found])


def confirmed_classes(
    evidence: Evidence, detector: str, groups: Collection[tuple[int, ...]], index: float
) -> tuple[int, ...]:
    """Return the classes of groups, each of which a detector names together, that this one finds
    ``index`` deviations out and far ahead of all that are not of their group.
    """
    if anomaly_index(evidence, detector) is None:
        return ()
    scores = class_scores(evidence, detector)
    of = [int(at) for at in scored_classes(evidence, detector)]
    out = dict(zip(of, anomaly_indices(scores, LEAST_SPREAD[detector]), strict=True))
    told = dict(zip(of, scores, strict=True))
    return tuple(
        at
        for group in groups
        for ordinary in [max(told[one] for one in of if one not in group)]
        for at in group
        if out[at] >= index and told[at] - ordinary >= LEADS[detector]
    )


def _own(evidence: Evidence, detector: str, rules: DetectionRules) -> tuple[int, ...]:
    chance = detector_p_value(evidence, detector)
    out = outlying_classes(evidence, detector, rules.index)
    if chance is None:
        return out
    if chance <= rules.level:
        return out or (top_class(evidence, detector),)
    return out if chance <= 1 / count_ranks(evidence) else ()
