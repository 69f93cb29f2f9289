"""Broken audit files and broken policies."""

from hostile import Break, Case, edited, missing, written

FILE, POLICY = "audit.yaml", "policy.yaml"
RULE = "at_least: 0.6"
LAUGH = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


def line(old: str, new: str) -> Break:
    return edited(FILE, (old, new))


def rule(old: str, new: str) -> Break:
    return edited(POLICY, (old, new))


FILES = {
    "that is not there": Case((FILE, "cannot be read", "auditor init"), missing(FILE)),
    "of 0 bytes": Case((FILE, "no settings", "key: value"), written(FILE, b"")),
    "of a list": Case((FILE, "no settings", "key: value"), written(FILE, "- a\n- b\n")),
    "of one word": Case((FILE, "no settings", "key: value"), written(FILE, "hello\n")),
    "that is not YAML": Case((f"{FILE}:9", "Fix the"), line("evaluation: {", "evaluation: {{")),
    "indented with tabs": Case(
        (f"{FILE}:8", "Indent with spaces"), line("  evaluation:", "\tevaluation:")
    ),
    "that is not UTF-8": Case((FILE, "UTF-8", "byte"), written(FILE, b"model: \xff\xfe\n")),
    "with null bytes": Case((FILE, "Fix the"), line("line", "li\0ne")),
    "with a setting twice": Case(
        (FILE, "'seed'", "line 12", "twice"), line("seed: 3", "seed: 3\nseed: 4")
    ),
    "with an unknown setting": Case(
        (
            f"{FILE}:10",
            "budgt",
            "there is no such setting; nearest is: budget. Fix the lines named.",
        ),
        line("budget:", "budgt:"),
    ),
    "with a number for a name": Case(
        (f"{FILE}:3", "model.name", "7", "quotes"), line("name: line", "name: 7")
    ),
    "with text for a number": Case(
        (f"{FILE}:11", "seed", "'three'", "whole number"), line("seed: 3", "seed: three")
    ),
    "with a negative seed": Case(
        (f"{FILE}:11", "seed", "-3", "choose"), line("seed: 3", "seed: -3")
    ),
    "with an unknown budget": Case(
        (f"{FILE}:10", "budget", "'smoke'", "'ci'", "'full'"), line("budget: smoke", "budget: huge")
    ),
    "with a negative budget": Case(
        (f"{FILE}:10", "budget", "'smoke'", "'ci'"), line("budget: smoke", "budget: -1")
    ),
    "with an unknown target": Case(
        (f"{FILE}:6", "'gpu9'", "cpu", "write the target out"), line("[cpu]", "[gpu9]")
    ),
    "with no target": Case((f"{FILE}:6", "targets"), line("[cpu]", "[]")),
    "with a target twice": Case(
        (f"{FILE}:6", "targets.1", "'cpu'", "a name of its own"), line("[cpu]", "[cpu, cpu]")
    ),
    "with an unknown setting of a target": Case(
        (f"{FILE}:6", "'gpus'", "time_limit"), line("[cpu]", "[{name: a, gpus: 2}]")
    ),
    "with a negative time limit": Case(
        (f"{FILE}:6", "time_limit", "-1", "seconds above 0"),
        line("[cpu]", "[{name: a, time_limit: -1}]"),
    ),
    "with an infinite time limit": Case(
        (f"{FILE}:6", "time_limit", "inf", "seconds above 0"),
        line("[cpu]", "[{name: a, time_limit: .inf}]"),
    ),
    "with no threads": Case(
        (f"{FILE}:6", "threads", "0", "whole number"), line("[cpu]", "[{name: a, threads: 0}]")
    ),
    "with a provider that is not there": Case(
        ("'MoonExecutionProvider'", "CPUExecutionProvider", "install"),
        line("[cpu]", "[{name: a, provider: MoonExecutionProvider}]"),
        code=3,
        gap="needs_runtime",
    ),
    "with an unknown policy": Case(
        (f"{FILE}:9: policy", "'none.yaml'", "baseline", "Write the path"),
        line("policy.yaml", "none.yaml"),
    ),
    "with a folder for a policy": Case(("'.'", "Write the path"), line("policy.yaml", '"."')),
    "without a model": Case(
        (FILE, "model", "missing", "Fix the"),
        line("model: {name: line, version: 1.0.0, artifact: model.onnx}\n", ""),
    ),
    "without data": Case(
        ("data.evaluation", "Name a labelled sample"),
        line("data:\n  evaluation: {path: test.csv, labels: y, id: id, groups: [town]}\n", ""),
        code=3,
        gap="needs_evaluation_data",
    ),
    "of another version": Case(
        (f"{FILE}:1", "apiVersion", "auditor/v1"), line("auditor/v1", "auditor/v9")
    ),
    "of another kind": Case((f"{FILE}:2", "kind", "'Audit'"), line("kind: Audit", "kind: Policy")),
    "of one class": Case(
        (f"{FILE}:4", "task.classes", "fewer than two", "every class"),
        line('["no", "yes"]', '["no"]'),
    ),
    "with a class twice": Case(
        (f"{FILE}:4", "task.classes", "twice", "once"), line('["no", "yes"]', '["no", "no"]')
    ),
    "with labels that YAML takes for truth values": Case(
        (f"{FILE}:4", "task.classes", "false", "quotes"), line('["no", "yes"]', "[no, yes]")
    ),
    "with an empty range": Case(
        (f"{FILE}:5", "input.domain", "empty range", "low below high"),
        line("[0.0, 1.0]", "[1.0, 0.0]"),
    ),
    "with an infinite range": Case(
        (f"{FILE}:5", "input.domain", "finite", "ordinary number"),
        line("[0.0, 1.0]", "[0.0, .inf]"),
    ),
    "that claims NaN": Case(
        (f"{FILE}:12", "claims.accuracy", "finite"),
        line("seed: 3", "seed: 3\nclaims: {accuracy: .nan}"),
    ),
    "with a recipe that is not there": Case(
        (f"{FILE}:12", "recipe.path", "a.py does not exist", "train(X, y, seed)"),
        line("seed: 3", "seed: 3\nrecipe: {path: a.py}"),
    ),
    "with a recipe that is no code": Case(
        (f"{FILE}:12", "recipe.path", "is not a Python file", ".py"),
        line("seed: 3", "seed: 3\nrecipe: {path: test.npz, allow: true}"),
    ),
    "with a pipeline": Case(
        (f"{FILE}:12", "pipeline.pre", "not supported yet", "remove"),
        line("seed: 3", "seed: 3\npipeline: {pre: a.py}"),
    ),
    "of a regression": Case(
        (f"{FILE}:4", "regression", "task.tolerance is not set", "classification"),
        line("kind: classification", "kind: regression"),
    ),
    "of a hundred million aliases": Case((FILE, "100,000", "Fix the"), written(FILE, LAUGH)),
    "nested without end": Case(
        (FILE, "nested", "Fix the"), written(FILE, "model: " + "[" * 50_000)
    ),
    "with a Python object": Case(
        (f"{FILE}:12", "Fix the"),
        line("seed: 3", "seed: 3\nclaims: !!python/object/apply:os.system [id]"),
    ),
    "with a bomb of an integer": Case(
        (FILE, "line 11", "digits"), line("seed: 3", "seed: 1" + "0" * 6000)
    ),
    "whose schema is not there": Case(
        (f"{FILE}:5", "input.features: schema.yaml does not exist", "Fix the path"),
        line("domain: [0.0, 1.0]", "features: schema.yaml"),
    ),
    "whose key is not there": Case(
        (f"{FILE}:3", "model.key", "none.pub", "auditor sign"),
        line("artifact: model.onnx}", "artifact: model.onnx, key: none.pub}"),
    ),
}
RULES = {
    "that is not there": Case((POLICY, "no policy", "Write the path"), missing(POLICY)),
    "of 0 bytes": Case((POLICY, "no settings", "key: value"), written(POLICY, b"")),
    "that is not YAML": Case((f"{POLICY}:8", "Fix the"), rule("- id: accuracy", "- id: {accuracy")),
    "that is not UTF-8": Case((POLICY, "UTF-8"), written(POLICY, b"rules: \xff\n")),
    "of a hundred million aliases": Case((POLICY, "100,000"), written(POLICY, LAUGH)),
    "without rules": Case(
        (f"{POLICY}:6", "no rules", "at least one rule"),
        lambda folder: (folder / POLICY).write_text(
            (folder / POLICY).read_text().partition("rules:")[0] + "rules: []\n"
        ),
    ),
    "with an unknown setting": Case(
        (f"{POLICY}:12", "atleast", "no such setting; nearest is: at_least. "),
        rule("at_least", "atleast"),
    ),
    "of an unknown check": Case(
        (f"{POLICY}:11", "quality.beauty", "quality.accuracy"),
        rule("quality.accuracy/accuracy", "quality.beauty/accuracy"),
    ),
    "of an unknown metric": Case(
        (f"{POLICY}:11", "'beauty'", "balanced_accuracy"),
        rule("quality.accuracy/accuracy", "quality.accuracy/beauty"),
    ),
    "of no metric": Case(
        (f"{POLICY}:11", "measure", "quality.accuracy/accuracy"),
        rule("quality.accuracy/accuracy", "accuracy"),
    ),
    "with two bounds": Case(
        (f"{POLICY}:13", "exactly one thing", "at_least and at_most", "Write one of"),
        rule(RULE, f"{RULE}\n    at_most: 0.9"),
    ),
    "with no bound": Case(
        (f"{POLICY}:7", "exactly one thing", "Write one of"), rule(f"    {RULE}\n", "")
    ),
    "with NaN for a bound": Case((f"{POLICY}:12", "finite number"), rule(RULE, "at_least: .nan")),
    "with infinity for a bound": Case(
        (f"{POLICY}:12", "finite number"), rule(RULE, "at_most: .inf")
    ),
    "with text for a bound": Case((f"{POLICY}:12", "finite number"), rule(RULE, "at_least: high")),
    "with per cent for a share": Case(
        (f"{POLICY}:12", "share", "0.8 for 80 %"), rule(RULE, "at_least: 60")
    ),
    "with its ends exchanged": Case(
        (f"{POLICY}:12", "greater", "smaller one first"), rule(RULE, "within: [0.9, 0.1]")
    ),
    "with unknown params": Case(
        (f"{POLICY}:12", "params.least", "Set it under params"),
        rule(RULE, "at_least: params.least"),
    ),
    "with an id twice": Case(
        (f"{POLICY}:15", "stands already", f"{POLICY}:7", "its own id"),
        rule(
            "    remediation: Train it.\n",
            "    remediation: Train it.\n  - {id: accuracy, title: Twice, severity: low,"
            " measure: quality.accuracy/accuracy, at_least: 0.1}\n",
        ),
    ),
    "with a coordinate that does not exist": Case(
        (f"{POLICY}:12", "'epz'", "eps"),
        rule(
            f"measure: quality.accuracy/accuracy\n    {RULE}",
            "measure: evasion.linf/robust_accuracy\n    where: {epz: 0.1}\n    at_least: 0.1",
        ),
    ),
    "with an unknown parameter of a check": Case(
        (f"{POLICY}:5", "'bins'", "Its parameters are"),
        rule("checks: {}", "checks: {quality.accuracy: {bins: 3}}"),
    ),
    "with a parameter of another type": Case(
        (f"{POLICY}:5", "eps", "'big'", "By default"),
        rule("checks: {}", "checks: {evasion.linf: {eps: big}}"),
    ),
    "with a condition that does not compile": Case(
        (f"{POLICY}:12", "column", "Mend the condition"), rule(RULE, "require: 'reading. &&'")
    ),
    "with a condition that calls what is not allowed": Case(
        (f"{POLICY}:12", "'exit' is not allowed", "Allowed are"),
        rule(RULE, "require: 'os.exit()'"),
    ),
    "with a condition on an unknown name": Case(
        (f"{POLICY}:12", "'os'", "the names it may use are"), rule(RULE, "require: 'os == 1.0'")
    ),
    "with a condition that is no question": Case(
        (f"{POLICY}:12", "not yes or no", "Compare it"), rule(RULE, "require: '1 + 1'")
    ),
    "with a condition that explodes": Case(
        (f"{POLICY}:12", "more than", "params"),
        rule(RULE, "require: '" + "[1,2].all(a, " * 20 + "true" + ")" * 20 + "'"),
    ),
    "with a condition that asks of the middle of an interval": Case(
        (f"{POLICY}:12", "interval", "Use at_least"), rule(RULE, "require: 'reading.value > 0.6'")
    ),
    "with a wrong condition of use": Case(
        (f"{POLICY}:12", "column 7", "Mend the condition"),
        rule(RULE, f"when: 'model.'\n    {RULE}"),
    ),
    "with an unknown severity": Case(
        (f"{POLICY}:9", "severity", "'critical'"), rule("severity: high", "severity: mild")
    ),
    "of an unknown control": Case(
        (f"{POLICY}:12", "AI Act", "'999'", "nearest is"),
        rule(RULE, f'controls: [{{framework: eu-ai-act, ref: "999"}}]\n    {RULE}'),
    ),
    "that accepts what cannot be withstood": Case(
        (f"{POLICY}:13", "withstand"), rule(RULE, f"{RULE}\n    accept: withstood")
    ),
    "that is an audit file": Case(
        (f"{POLICY}:2", "kind", "'Policy'"), rule("kind: Policy", "kind: Audit")
    ),
    "of two megabytes": Case(
        (POLICY, "bytes", "1,000,000", "Split"), written(POLICY, "# " + "x" * 2_000_000)
    ),
}
