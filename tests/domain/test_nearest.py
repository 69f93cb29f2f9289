"""What was meant by a name that there is not: the nearest, and the list where it is short."""

from auditor.domain.nearest import MOST_LISTED, meant, near, near_by, unknown

MANY = [f"setting_{at}" for at in range(MOST_LISTED)]


def test_names_that_are_nearly_the_same_stand_alone() -> None:
    assert near("atleast", ["title", "at_most", "at_least", "least_rows"]) == ("at_least",)
    assert near("mean radus", ["mean area", "worst radius", "mean radius"]) == ("mean radius",)


def test_nothing_is_near_to_what_is_like_no_name() -> None:
    assert near("zzz", ["path", "labels"]) == ()
    assert near_by("zzz.csv", ["risks.yaml"]) == ""


def test_a_short_list_is_told_whole_and_a_long_one_only_where_nothing_is_near() -> None:
    assert meant("pth", ["path", "id"]) == "nearest is: path; there are path, id"
    assert meant("budgt", [*MANY, "budget"]) == "nearest is: budget"
    assert meant("zzz", [*MANY, "budget"]).endswith("setting_11 and 1 more")
    assert meant("zzz", []) == "there are none"


def test_each_stranger_is_told_with_its_own_like() -> None:
    said = unknown("check", ["budgt", "zzz"], [*MANY, "budget"])
    assert said == "there is no check budgt (nearest is: budget), zzz"
