"""The mistakes of a first hour are answered with the line that mends them."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

Command = Callable[..., Any]


def test_a_mistyped_command_names_the_nearest(auditor: Command, home: Path) -> None:
    ended = auditor("inti")
    assert ended.code == 2
    assert "No such command 'inti'. Did you mean init?" in ended.said


def test_a_model_in_place_of_the_audit_file_is_named_as_one(auditor: Command, inside: Path) -> None:
    for command in ("audit", "plan"):
        ended = auditor(command, "model.onnx")
        assert ended.code == 2
        assert "model.onnx is a model, not an audit file" in ended.said
        assert "auditor init model.onnx --data FILE" in ended.said


def test_a_pickle_in_an_audit_file_is_refused_with_the_lines_that_export_it(
    auditor: Command, inside: Path
) -> None:
    (inside / "model.onnx").write_bytes(pickle.dumps({"a": 1}))
    for command in ("audit", "plan"):
        ended = auditor(command, "audit.yaml")
        assert ended.code == 2
        assert "audit.yaml:3: model.artifact: model.onnx is a pickle" in ended.err
        assert '    open("model.onnx", "wb").write(onnx.SerializeToString())\n' in ended.err


def test_data_that_are_not_there_are_relative_to_no_audit_file(
    auditor: Command, inside: Path
) -> None:
    ended = auditor("init", "model.onnx", "--data", "nope.csv", "--out", "new.yaml")
    assert ended.code == 2
    assert "nope.csv cannot be read" in ended.said
    assert "relative to the audit file" not in ended.said


def test_the_help_of_a_baseline_is_in_whole_sentences(auditor: Command) -> None:
    assert "Changes use it. `last` means" in auditor("audit", "--help").said


def test_verifying_without_a_key_names_one(auditor: Command, finished: Path) -> None:
    ended = auditor("verify", "out")
    assert ended.code == 2
    assert "--key out/signer.pub" in ended.said
    assert auditor("verify", "out", "--key", "out/signer.pub").code == 0


def test_a_new_version_of_the_same_bytes_is_no_changed_file(
    auditor: Command, finished: Path
) -> None:
    file = finished / "audit.yaml"
    file.write_text(file.read_text().replace("version: 1.0.0", "version: 2.0.0", 1))
    ended = auditor("audit", "audit.yaml", "--only", "quality.accuracy", "--out", "again")
    assert "line 1.0.0 was registered at" in ended.said
    assert "The file is unchanged: these bytes have a new name or version." in ended.said
    assert "Give the changed file a new version" not in ended.said
