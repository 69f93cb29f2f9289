"""The nine points of the EU AI Act's Annex IV, and what can be said at each; titles are ours.

Source: Regulation (EU) 2024/1689, Annex IV.
"""

from collections.abc import Callable
from dataclasses import dataclass

from auditor.domain.systems import Topic
from auditor.rendering.annex import surroundings, tests
from auditor.rendering.annex.entries import Entry
from auditor.rendering.annex.told import Told

See = Callable[[Told], tuple[Entry, ...]]


@dataclass(frozen=True, slots=True)
class Asked:
    """A point, or a part of one: what is seen of it here, and what only owners can tell."""

    ref: str
    title: str
    sees: tuple[See, ...] = ()
    topics: tuple[Topic, ...] = ()
    optional: tuple[Topic, ...] = ()


@dataclass(frozen=True, slots=True)
class Chapter:
    """One of the nine points with its parts."""

    ref: str
    title: str
    parts: tuple[Asked, ...]


GENERAL = (
    Asked(
        "1(a)",
        "Purpose, provider and version",
        (surroundings.model,),
        (
            *(Topic.PROVIDER_NAME, Topic.PROVIDER_CONTACT, Topic.PURPOSE, Topic.CATEGORY),
            *(Topic.PEOPLE, Topic.DEPLOYERS),
        ),
    ),
    Asked("1(b)", "What it works together with", (), (Topic.INTERACTIONS,)),
    Asked("1(c)", "Versions of software", (surroundings.software,), (Topic.SOFTWARE,)),
    Asked("1(d)", "Form in which it is placed on the market", (), (Topic.FORM,)),
    Asked("1(e)", "Hardware", (surroundings.hardware,), (Topic.HARDWARE,)),
    Asked("1(f)", "Pictures of the product, where it is a part of one", (), (Topic.PICTURES,)),
    Asked("1(g)", "User interface", (), (Topic.INTERFACE,)),
    Asked("1(h)", "Instructions for use", (), (Topic.INSTRUCTIONS,)),
)
DEVELOPMENT = (
    Asked(
        "2(a)",
        "How it was developed, and from which parts",
        (surroundings.parts,),
        (Topic.DEVELOPMENT, Topic.COMPONENTS),
    ),
    Asked("2(b)", "Design", (), (Topic.DESIGN,)),
    Asked(
        "2(c)",
        "Architecture and computing resources",
        (surroundings.compute,),
        (Topic.ARCHITECTURE, Topic.COMPUTE),
    ),
    Asked("2(d)", "Data", (surroundings.data,), (Topic.DATA_GOVERNANCE,)),
    Asked(
        "2(e)",
        "Human oversight",
        (),
        (Topic.OVERSIGHT_MEASURES, Topic.OVERSIGHT_WHO, Topic.OVERSIGHT_QUALIFICATIONS),
    ),
    Asked("2(f)", "Changes planned beforehand", (), (Topic.PREDETERMINED_CHANGES,)),
    Asked("2(g)", "Validation and testing", (tests.tested,), (Topic.RESPONSIBLE,)),
    Asked("2(h)", "Cybersecurity", (tests.attacked,), (Topic.CYBERSECURITY,)),
)
CHAPTERS = (
    Chapter("1", "General description", GENERAL),
    Chapter("2", "Elements and development", DEVELOPMENT),
    Chapter(
        "3",
        "Capabilities, limits and performance",
        (Asked("3", "", (tests.performance,), (Topic.LIMITS,)),),
    ),
    Chapter(
        "4", "Why these metrics are fit", (Asked("4", "", (tests.reasons,), (Topic.METRICS,)),)
    ),
    Chapter("5", "Risk management", (Asked("5", "", (tests.risks,)),)),
    Chapter(
        "6",
        "Changes over its life",
        (Asked("6", "", (tests.changes,), (Topic.LIFECYCLE_CHANGES,)),),
    ),
    Chapter(
        "7",
        "Standards applied",
        (Asked("7", "", (tests.standards,), optional=(Topic.STANDARDS,)),),
    ),
    Chapter("8", "Declaration of conformity", (Asked("8", "", (), (Topic.DECLARATION,)),)),
    Chapter(
        "9",
        "Monitoring after deployment",
        (
            Asked(
                "9",
                "",
                (tests.afterwards,),
                (
                    *(Topic.MONITORING_PLAN, Topic.MONITORING_FREQUENCY),
                    *(Topic.MONITORING_TRIGGERS, Topic.MONITORING_WHO),
                ),
            ),
        ),
    ),
)
