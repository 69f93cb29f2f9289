"""What was meant by a name that there is not: the nearest, and the list where it is short."""

from auditor.domain.name_suggestions import (
    MOST_LISTED,
    describe_unknown_name,
    find_similar_names,
    suggest_names,
    suggest_near_names,
)

MANY = [f"setting_{at}" for at in range(MOST_LISTED)]


def test_names_that_are_nearly_the_same_stand_alone() -> None:
    assert find_similar_names("atleast", ["title", "at_most", "at_least", "least_rows"]) == (
        "at_least",
    )
    assert find_similar_names("mean radus", ["mean area", "worst radius", "mean radius"]) == (
        "mean radius",
    )


def test_nothing_is_near_to_what_is_like_no_name() -> None:
    assert find_similar_names("zzz", ["path", "labels"]) == ()
    assert suggest_near_names("zzz.csv", ["risks.yaml"]) == ""


def test_a_short_list_is_told_whole_and_a_long_one_only_where_nothing_is_near() -> None:
    assert suggest_names("pth", ["path", "id"]) == "nearest is: path; there are path, id"
    assert suggest_names("budgt", [*MANY, "budget"]) == "nearest is: budget"
    assert suggest_names("zzz", [*MANY, "budget"]).endswith("setting_11, budget")
    assert suggest_names("zzz", [*MANY, "budget", "x"]).endswith("setting_11 and 2 more")
    assert suggest_names("zzz", []) == "there are none"


def test_each_stranger_is_told_with_its_own_like() -> None:
    said = describe_unknown_name("check", ["budgt", "zzz"], [*MANY, "budget"])
    assert said == "there is no check budgt (nearest is: budget), zzz"
