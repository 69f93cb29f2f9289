from collections.abc import Mapping
from pathlib import Path

import pytest

from auditor.domain.auditfiles import AuditFile
from auditor.domain.budgets import Budget
from auditor.domain.datasets import DatasetRole
from auditor.domain.json import Json
from auditor.domain.targets import TargetSpec
from auditor.domain.tasks import ScoreKind
from auditor.errors import AuditFileError, TargetError
from auditor.inputs.auditfile.read import read_audit_file

EXAMPLES = Path(__file__).parents[3] / "examples"
LEAST = """\
apiVersion: auditor/v1
kind: Audit
model: {name: m, artifact: model.onnx}
"""
CONTRACT = """\
apiVersion: auditor/v1
kind: Audit
model: {name: digits-cnn, version: 1.2.0, artifact: model.onnx, signature: model.sig,
        key: model.pub, trust: null, twin: auto, parent: null, tags: [high-risk]}
pipeline: {pre: null, post: null}
task: {kind: classification, classes: ["0", "1"], output: auto, positive: "1", favourable: "0",
       threshold: 0.4, costs: null}
input: {domain: [0.0, 1.0], quantum: null}
targets: [cpu, {name: slow, threads: 4}]
data:
  evaluation: {path: test.npz, labels: y, id: null, groups: [sex, race], slices: [age, income],
               cluster: person}
  training: {path: train.npz}
recipe: null
claims: {accuracy: 0.98}
policy: baseline
budget: smoke
seed: 11
"""


def resolve(entry: str | Mapping[str, Json]) -> TargetSpec:
    if isinstance(entry, str):
        if entry != "cpu":
            raise TargetError(f"there is no target {entry!r}", cure="Write cpu.")
        return TargetSpec(entry)
    return TargetSpec(str(entry["name"]), threads=int(str(entry.get("threads", 1))))


def read(text: str) -> AuditFile:
    return read_audit_file(text.encode(), "audit.yaml", resolve)


def test_the_file_of_the_contract_is_read_as_it_is_meant() -> None:
    audit = read(CONTRACT)
    assert audit.model.tags == ("high-risk",)
    assert audit.task.classes == ("0", "1")
    assert (audit.task.positive, audit.task.favourable, audit.task.threshold) == ("1", "0", 0.4)
    assert audit.input.domain == (0.0, 1.0)
    assert audit.targets == (TargetSpec("cpu"), TargetSpec("slow", threads=4))
    assert audit.data[DatasetRole.EVALUATION].groups == ("sex", "race")
    assert audit.data[DatasetRole.EVALUATION].cluster == "person"
    assert audit.data[DatasetRole.TRAINING].labels is None
    assert (audit.claims, audit.budget, audit.seed) == ({"accuracy": 0.98}, Budget.SMOKE, 11)
    assert audit.raw == CONTRACT.encode()


def test_what_is_left_out_has_the_defaults_of_the_contract() -> None:
    audit = read(LEAST)
    assert audit.model.version == "0"
    assert audit.model.twin == "auto"
    assert audit.task.output is ScoreKind.AUTO
    assert audit.task.threshold == 0.5
    assert audit.targets == (TargetSpec("cpu"),)
    assert (audit.policy, audit.budget, audit.seed) == ("baseline", Budget.CI, 7)
    assert (dict(audit.data), dict(audit.claims), audit.show_examples) == ({}, {}, False)


def test_a_recipe_is_read_as_it_is_written() -> None:
    written = "{path: r.py, function: fit, dp_train: private, allow: true, time_limit: 9}"
    recipe = read(f"{LEAST}recipe: {written}\n").recipe
    assert recipe is not None
    assert (recipe.path, recipe.function, recipe.dp_train) == ("r.py", "fit", "private")
    assert (recipe.allow, recipe.time_limit, recipe.memory_limit) == (True, 9.0, 8 * 2**30)


def test_leave_to_run_code_is_never_taken_for_granted() -> None:
    recipe = read(f"{LEAST}recipe: {{path: r.py}}\n").recipe
    assert recipe is not None
    assert (recipe.function, recipe.dp_train, recipe.allow) == ("train", None, False)
    assert read(LEAST).recipe is None


def test_leave_to_run_code_without_a_sandbox_is_its_own_word() -> None:
    for written, found in (("true", (True, False)), ("unsandboxed", (True, True))):
        recipe = read(f"{LEAST}recipe: {{path: r.py, allow: {written}}}\n").recipe
        assert recipe is not None
        assert (recipe.allow, recipe.unsandboxed) == found


def test_a_section_whose_settings_are_all_commented_out_counts_as_absent() -> None:
    audit, least = read(LEAST + "task:\ninput:\ndata:\nclaims:\n"), read(LEAST)
    assert (audit.task, audit.input) == (least.task, least.input)
    assert (audit.data, audit.claims) == (least.data, least.claims)


def test_whole_numbers_as_classes_are_their_text() -> None:
    assert read(LEAST + "task: {classes: [0, 1], positive: 0}").task.positive == "0"


def test_a_predictions_only_audit_needs_scores_and_no_artifact() -> None:
    audit = read(
        "apiVersion: auditor/v1\nkind: Audit\nmodel: {name: m}\n"
        "data: {evaluation: {path: scored.parquet, labels: y, scores: [p0, p1]}}\n"
    )
    assert audit.model.artifact is None
    assert audit.data[DatasetRole.EVALUATION].scores == ("p0", "p1")


def test_predictions_alone_are_enough_where_there_is_no_model() -> None:
    audit = read(
        "apiVersion: auditor/v1\nkind: Audit\nmodel: {name: m}\n"
        "data: {evaluation: {path: a.csv, labels: y, predictions: y_hat, time: at, as_of: known}}\n"
    )
    section = audit.data[DatasetRole.EVALUATION]
    assert (section.predictions, section.time, section.as_of) == ("y_hat", "at", "known")


def test_a_population_is_read_as_shares() -> None:
    audit = read(LEAST + "population: {sex: {Female: 30, Male: 10}, age: {1: 0.5, 2: 0.5}}")
    assert audit.population == {
        "sex": {"Female": 0.75, "Male": 0.25},
        "age": {"1": 0.5, "2": 0.5},
    }


@pytest.mark.parametrize("name", ["digits", "loans"])
def test_the_audit_files_of_the_examples_are_read(name: str) -> None:
    raw = (EXAMPLES / name / "audit.yaml").read_bytes()
    audit = read_audit_file(raw, "audit.yaml", resolve)
    assert (audit.policy, audit.budget, audit.seed) == ("baseline", Budget.CI, 7)
    assert audit.show_examples
    assert (audit.model.signature, audit.model.key) == ("model.sig", "model.pub")


BROKEN = {
    "an unknown setting": ("sed: 7", "audit.yaml:4: sed", "; nearest is: seed. "),
    "an unknown setting inside": (
        "data:\n  evaluation:\n    path: x.csv\n    lables: y",
        "audit.yaml:7: data.evaluation.lables",
        "labels",
    ),
    "a quoted seed": ("seed: '7'", "audit.yaml:4: seed", "without quotes"),
    "a seed that is true": ("seed: true", "audit.yaml:4: seed", "without quotes"),
    "a negative seed": ("seed: -1", "audit.yaml:4: seed", "choose another"),
    "a seed beyond JSON": ("seed: 9007199254740992", "audit.yaml:4: seed", "choose another"),
    "a word as a flag": ("show_examples: 'yes'", "audit.yaml:4: show_examples", "true nor false"),
    "an unknown budget": (
        "budget: huge",
        "audit.yaml:4: budget",
        "'huge' is not known here; there are 'smoke', 'ci', 'full'",
    ),
    "a domain of texts": (
        "input: {text: said, domain: [0, 1]}",
        "audit.yaml:4: input.domain is set beside input.text",
        "Keep one of the two",
    ),
    "features of texts": (
        "input: {text: said, features: schema.yaml}",
        "audit.yaml:4: input.features is set beside input.text",
        "Keep one of the two",
    ),
    "a label that is the text": (
        "input: {text: y}\ndata: {evaluation: {path: x.csv, labels: y}}",
        "labels names the column 'y', which input.text names already",
        "Use each column for one purpose.",
    ),
    "an intersection with the label": (
        "data: {evaluation: {path: x.csv, labels: y, groups: ['sex, y']}}",
        "groups names the column 'y', which labels names already",
        "Use each column for one purpose.",
    ),
    "a group that is the text": (
        "input: {text: y}\ndata: {evaluation: {path: x.csv, groups: [y]}}",
        "groups names the column 'y', which input.text names already",
        "Use each column for one purpose.",
    ),
    "a regression that tolerates nothing": (
        "task: {kind: regression}",
        "audit.yaml:4: task.kind is regression, but task.tolerance is not set",
        "the labels' unit",
    ),
    "a tolerance": ("task: {tolerance: 0.1}", "audit.yaml:4: task.tolerance", "remove it"),
    "a matrix of costs without classes": (
        "task: {costs: [[0, 1]]}",
        "audit.yaml:4: task.costs is a matrix",
        "List task.classes",
    ),
    "a pipeline": ("pipeline: {pre: a.onnx}", "audit.yaml:4: pipeline.pre", "not supported yet"),
    "a recipe in another language": (
        "recipe: {path: train.sh}",
        "audit.yaml:4: recipe.path is 'train.sh', which is not a Python file",
        "train(X, y, seed)",
    ),
    "a recipe by two names": (
        "recipe: {path: a.py, function: mine.train}",
        "audit.yaml:4: recipe.function is 'mine.train'",
        "the function's name alone",
    ),
    "a recipe by a word of the language": (
        "recipe: {path: a.py, dp_train: lambda}",
        "audit.yaml:4: recipe.dp_train is 'lambda'",
        "the function's name alone",
    ),
    "a recipe without time": (
        "recipe: {path: a.py, time_limit: 0}",
        "audit.yaml:4: recipe.time_limit is 0",
        "seconds",
    ),
    "a recipe without memory": (
        "recipe: {path: a.py, memory_limit: 1000}",
        "audit.yaml:4: recipe.memory_limit is 1000 bytes",
        "at least 268435456",
    ),
    "a recipe that is nearly allowed": (
        "recipe: {path: a.py, allow: 'yes'}",
        "audit.yaml:4: recipe.allow",
        "none of true, false and unsandboxed",
    ),
    "a recipe of a regression": (
        "task: {kind: regression, tolerance: 1}\nrecipe: {path: a.py}",
        "audit.yaml:5: recipe is set, but only classifiers are trained again",
        "Remove it",
    ),
    "predictions that are the labels": (
        "data: {evaluation: {path: a.csv, labels: y, predictions: y}}",
        "audit.yaml:4: data.evaluation.predictions names the column 'y'",
        "Use each column for one purpose.",
    ),
    "predictions of a regression": (
        "task: {kind: regression, tolerance: 1}\ndata: {evaluation: {path: a.csv, predictions: p}}",
        "audit.yaml:5: data.evaluation.predictions names predicted classes",
        "under scores",
    ),
    "a population of one": (
        "population: {sex: {Female: 1}}",
        "audit.yaml:4: population.sex has fewer than two levels",
        "count or share",
    ),
    "a population of less than nobody": (
        "population: {sex: {Female: -1, Male: 2}}",
        "audit.yaml:4: population.sex.Female is -1",
        "count or share",
    ),
    "a population of nobody": (
        "population: {sex: {Female: 0, Male: 0}}",
        "audit.yaml:4: population.sex has no level with anybody in it",
        "count or share",
    ),
    "a population of no levels": (
        "population: {sex: 0.5}",
        "audit.yaml:4: population.sex is not a mapping",
        "count or share",
    ),
    "a URL": (
        "data: {evaluation: {path: s3://bucket/a.csv}}",
        "audit.yaml:4: data.evaluation.path",
        "local file",
    ),
    "a privacy claim": (
        "claims: {privacy: c.json}",
        "audit.yaml:4: claims.privacy",
        "path: dp_claim.json",
    ),
    "an infinite claim": ("claims: {accuracy: .inf}", "audit.yaml:4: claims.accuracy", "finite"),
    "yes and no as classes": (
        "task: {classes: [yes, no]}",
        "audit.yaml:4: task.classes.0: YAML reads this as true",
        "in quotes",
    ),
    "one class": ("task: {classes: [a]}", "audit.yaml:4: task.classes", "List every class"),
    "a class twice": ("task: {classes: [a, a]}", "audit.yaml:4: task.classes", "once"),
    "a positive class of none": (
        "task: {classes: [a, b], positive: c}",
        "audit.yaml:4: task.positive is 'c'",
        "Choose one of a, b",
    ),
    "a threshold of one": ("task: {threshold: 1}", "audit.yaml:4: task.threshold", "between 0"),
    "an empty domain": ("input: {domain: [1, 0]}", "audit.yaml:4: input.domain", "low below high"),
    "an infinite domain": ("input: {domain: [0, .inf]}", "input.domain.1", "ordinary number"),
    "half a domain": ("input: {domain: [0]}", "audit.yaml:4: input.domain.1", "missing"),
    "a huge whole number": (f"input: {{domain: [0, 1{'0' * 400}]}}", "input.domain.1", "finite"),
    "domain and features": (
        "input: {domain: [0, 1], features: s.yaml}",
        "audit.yaml:4: input.domain",
        "Keep one of the two",
    ),
    "a quantum alone": ("input: {quantum: 1}", "audit.yaml:4: input.quantum", "input.domain"),
    "no target": ("targets: []", "audit.yaml:4: targets", "targets: [cpu]"),
    "one target without brackets": ("targets: cpu", "audit.yaml:4: targets", "square brackets"),
    "a target twice": ("targets: [cpu, cpu]", "audit.yaml:4: targets.1", "name of its own"),
    "a number as a target": ("targets: [1]", "audit.yaml:4: targets.0", "Write a name"),
    "labels that are scores": (
        "data: {evaluation: {path: a.csv, labels: y, scores: [y]}}",
        "audit.yaml:4: data.evaluation.scores names the column 'y'",
        "Use each column for one purpose.",
    ),
    "a setting twice": ("seed: 7\nseed: 8", "line 5: 'seed' stands twice", "Fix the YAML"),
    "broken YAML": ("claims: {accuracy: ", "audit.yaml:4", "Fix the YAML"),
    "a truth that is none": ("seed: !!bool maybe", "line 4: 'maybe' is no bool", "Fix the YAML"),
    "a time that is none": (
        "seed: !!timestamp soon",
        "line 4: 'soon' is no timestamp",
        "Fix the YAML",
    ),
    "a number of nothing": ("seed: !!int ''", "line 4: '' is no int", "Fix the YAML"),
    "settings too deep for any stack": (f"claims: {'[' * 400_000}", "4: ", "nest"),
    "unprintable text": ('policy: "a\\0b"', "audit.yaml:4: policy", "without them"),
    "a number as a policy": ("policy: 3", "audit.yaml:4: policy", "in quotes"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_every_mistake_is_named_with_its_line_and_its_cure(case: str) -> None:
    text, place, cure = BROKEN[case]
    with pytest.raises(AuditFileError) as caught:
        read(LEAST + text + "\n")
    assert place in caught.value.problem
    assert cure in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("model", "place", "cure"),
    [
        ("{name: m, artifact: a, key: k, trust: t}", "audit.yaml:3: model.trust", "Keep one of"),
        ("{name: m, artifact: a, twin: t.onnx}", "audit.yaml:3: model.twin", "auto"),
        ("{name: m, version: 1.10, artifact: a}", "audit.yaml:3: model.version", "in quotes"),
        ("{artifact: a}", "audit.yaml:3: model.name", "missing"),
        ("{name: m}", "audit.yaml:3: model names no artifact", "Set model.artifact"),
        ("{name: m, key: k}", "audit.yaml:3: model.key", "Set model.artifact"),
    ],
)
def test_mistakes_in_the_model_section_are_named(model: str, place: str, cure: str) -> None:
    with pytest.raises(AuditFileError) as caught:
        read(f"apiVersion: auditor/v1\nkind: Audit\nmodel: {model}\n")
    assert place in caught.value.problem
    assert cure in str(caught.value)


def test_several_mistakes_are_all_named_at_once() -> None:
    with pytest.raises(AuditFileError) as caught:
        read(LEAST + "seed: '7'\nbudget: huge\npipeline: x\n")
    assert [f"audit.yaml:{line}" in caught.value.problem for line in (4, 5, 6)] == [True] * 3


def test_an_unknown_target_keeps_its_error_and_gains_its_line() -> None:
    with pytest.raises(TargetError) as caught:
        read(LEAST + "targets:\n  - cpu\n  - tpu\n")
    assert caught.value.problem == "audit.yaml:6: targets.1: there is no target 'tpu'"
    assert caught.value.cure == "Write cpu."


def test_another_kind_of_file_is_refused() -> None:
    with pytest.raises(AuditFileError, match=r"audit.yaml:2: kind"):
        read("apiVersion: auditor/v1\nkind: Policy\nmodel: {name: m, artifact: a}\n")
    with pytest.raises(AuditFileError, match="holds no settings"):
        read("")
