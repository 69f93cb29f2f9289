"""Properly signed statements that leave something out, or that two verifiers read in two ways."""

from hostile_corpus import EXTRA, Made, case, name_case, resources, serialization, statement_case
from signature_forge import CONTENTS, FILES, Forge, file_digest

from auditor.domain.artifacts import FileDigest
from auditor.trust.verification_result import IssueCode


@case(IssueCode.EMPTY)
def empty_manifest_that_ignores_everything(forge: Forge) -> Made:
    statement = forge.statement()
    statement["predicate"]["resources"] = []
    statement["predicate"]["serialization"]["ignore_paths"] = ["."]
    return forge.sign(forge.rooted(statement)), FILES


statement_case(
    "ignore_paths_names_the_root", IssueCode.IGNORE_PATHS, serialization("ignore_paths", ["."])
)
statement_case(
    "ignore_paths_leaves_the_folder",
    IssueCode.IGNORE_PATHS,
    serialization("ignore_paths", ["../x"]),
)
statement_case(
    "ignore_paths_is_absolute", IssueCode.IGNORE_PATHS, serialization("ignore_paths", ["/x"])
)
statement_case(
    "ignore_paths_has_a_glob", IssueCode.IGNORE_PATHS, serialization("ignore_paths", ["*.py"])
)
statement_case(
    "ignore_paths_is_empty_text", IssueCode.IGNORE_PATHS, serialization("ignore_paths", [""])
)
statement_case("ignore_paths_is_a_text", IssueCode.FORMAT, serialization("ignore_paths", ".git"))
statement_case(
    "signer_declares_code_ignored",
    IssueCode.IGNORE_PATHS,
    serialization("ignore_paths", ["hook.py"]),
    files=(*FILES, EXTRA),
)
statement_case(
    "signer_declares_a_folder_ignored",
    IssueCode.IGNORE_PATHS,
    serialization("ignore_paths", ["lib"]),
    files=(*FILES, file_digest("lib/hook.py", b"import os")),
)
statement_case(
    "code_is_planted_in_git_hooks",
    IssueCode.GIT_FILE,
    lambda _: None,
    files=(*FILES, file_digest(".git/hooks/post-checkout", b"#!/bin/sh")),
)
statement_case(
    "code_is_planted_in_github",
    IssueCode.GIT_FILE,
    lambda _: None,
    files=(*FILES, file_digest(".github/x.py", b"import os")),
)
statement_case("a_file_is_added", IssueCode.EXTRA_FILE, lambda _: None, files=(*FILES, EXTRA))
statement_case("a_file_is_removed", IssueCode.MISSING_FILE, lambda _: None, files=FILES[1:])
statement_case(
    "a_file_is_changed",
    IssueCode.DIGEST_MISMATCH,
    lambda _: None,
    files=(file_digest("config.json", b"{} "), *FILES[1:]),
)
statement_case(
    "a_file_is_renamed_so_that_the_root_digest_stays",
    IssueCode.EXTRA_FILE,
    lambda _: None,
    files=(file_digest("code.py", CONTENTS["config.json"]), *FILES[1:]),
)
statement_case("there_are_no_files", IssueCode.MISSING_FILE, lambda _: None, files=())


@case(IssueCode.RESOURCE_ORDER)
def an_unsorted_manifest(forge: Forge) -> Made:
    return forge.sign(forge.statement(FILES[::-1])), FILES


@case(IssueCode.RESOURCE_ORDER)
def sorted_by_path_component(forge: Forge) -> Made:
    files = (file_digest("a/b", b"1"), file_digest("a.txt", b"2"))
    return forge.sign(forge.statement(files)), files


@case(IssueCode.DUPLICATE)
def a_name_stands_twice_with_the_good_one_last(
    forge: Forge,
) -> Made:
    bad = file_digest("config.json", b"bad")
    return forge.sign(forge.statement((bad, *FILES))), FILES


@case(IssueCode.DUPLICATE)
def a_name_stands_twice_with_the_same_digest(
    forge: Forge,
) -> Made:
    return forge.sign(forge.statement((FILES[0], *FILES))), FILES


@case(IssueCode.COLLISION)
def two_names_differ_in_case_only(forge: Forge) -> Made:
    files = (file_digest("Model.bin", b"1"), file_digest("model.bin", b"2"))
    return forge.sign(forge.statement(files)), files


@case(IssueCode.COLLISION)
def two_names_differ_in_composition_only(forge: Forge) -> Made:
    files = (file_digest("cafe\u0301", b"1"), file_digest("caf\u00e9", b"2"))
    return forge.sign(forge.statement(files)), files


@case(IssueCode.COLLISION)
def two_names_are_the_same_once_folded_and_composed(forge: Forge) -> Made:
    # One folds to three letters, the other composes two of them first.
    files = (file_digest("\u0390", b"1"), file_digest("\u03aa\u0301", b"2"))
    return forge.sign(forge.statement(files)), files


@case(IssueCode.COLLISION)
def two_names_differ_in_what_is_not_drawn(forge: Forge) -> Made:
    files = (file_digest("model.bin", b"1"), file_digest("model\u3164.bin", b"2"))
    return forge.sign(forge.statement(files)), files


@case(IssueCode.SINGLE_FILE_NAME)
def a_dot_for_a_model_of_two_files(forge: Forge) -> Made:
    lone = FileDigest(".", FILES[0].size, FILES[0].sha256)
    return forge.sign(forge.statement((lone,))), FILES[:2]


name_case("name_climbs_out", "../outside", IssueCode.PATH_ESCAPE)
name_case("name_climbs_out_in_the_middle", "a/../../outside", IssueCode.PATH_ESCAPE)
name_case("name_starts_with_dot_slash", "./config.json")
name_case("name_has_a_dot_inside", "a/./config.json")
name_case("name_has_two_slashes", "a//config.json")
name_case("name_ends_in_a_slash", "config.json/")
name_case("name_is_absolute", "/etc/passwd", IssueCode.PATH_ESCAPE)
name_case("name_is_empty", "")
name_case("name_is_a_dot_among_others", ".")
name_case("name_has_a_backslash", "..\\outside", IssueCode.PATH_ESCAPE)
name_case("name_has_a_nul", "config.json\0.png")
name_case("name_has_a_newline", "config\n.json")
name_case("name_turns_the_reading_direction", "config\u202enosj.py")
name_case("name_is_half_a_surrogate_pair", "config\ud800.json")

statement_case(
    "legacy_predicate_over_todays_subject",
    IssueCode.LEGACY_PREDICATE,
    lambda s: s.update(predicateType="https://model_signing/Digests/v0.1"),
)
statement_case(
    "predicate_of_another_kind",
    IssueCode.PREDICATE,
    lambda s: s.update(predicateType="https://slsa.dev/provenance/v1"),
)
statement_case(
    "statement_of_version_0_1",
    IssueCode.LEGACY_STATEMENT,
    lambda s: s.update(_type="https://in-toto.io/Statement/v0.1"),
)
statement_case("no_predicate", IssueCode.FORMAT, lambda s: s.pop("predicate"))
statement_case("two_subjects", IssueCode.SUBJECT, lambda s: s["subject"].append(s["subject"][0]))
statement_case("no_subject", IssueCode.SUBJECT, lambda s: s["subject"].clear())
statement_case("nameless_subject", IssueCode.SUBJECT, lambda s: s["subject"][0].update(name=""))
statement_case(
    "root_digest_of_something_else",
    IssueCode.ROOT,
    lambda s: s["subject"][0]["digest"].update(sha256="0" * 64),
)
statement_case(
    "root_digest_in_upper_case",
    IssueCode.SUBJECT,
    lambda s: s["subject"][0]["digest"].update(sha256="AB" * 32),
)
statement_case(
    "digest_in_upper_case",
    IssueCode.DIGEST_FORMAT,
    resources(lambda r: r[0].update(digest=r[0]["digest"].upper())),
)
statement_case(
    "digest_cut_short",
    IssueCode.DIGEST_FORMAT,
    resources(lambda r: r[0].update(digest=r[0]["digest"][:-2])),
)
statement_case(
    "digest_with_a_space",
    IssueCode.DIGEST_FORMAT,
    resources(lambda r: r[0].update(digest=" " + r[0]["digest"][1:])),
)
statement_case(
    "digest_is_a_number", IssueCode.DIGEST_FORMAT, resources(lambda r: r[0].update(digest=7))
)
statement_case(
    "resource_is_a_text", IssueCode.FORMAT, resources(lambda r: r.insert(0, "config.json"))
)
statement_case(
    "resource_hashed_otherwise_than_declared",
    IssueCode.HASH_TYPE,
    resources(lambda r: r[0].update(algorithm="blake2b")),
)
statement_case("blake2b_over_sha256", IssueCode.HASH_TYPE, serialization("hash_type", "blake2b"))
statement_case("unknown_hash", IssueCode.HASH_TYPE, serialization("hash_type", "md5"))
statement_case("shards_without_a_size", IssueCode.FORMAT, serialization("method", "shards"))
statement_case(
    "shards_of_the_specification", IssueCode.METHOD, serialization("method", "file-shard-1048576")
)
statement_case(
    "links_were_followed", IssueCode.SYMLINKS, serialization("allow_symlinks", value=True)
)
statement_case("links_flag_is_a_text", IssueCode.FORMAT, serialization("allow_symlinks", "false"))
statement_case(
    "resources_is_an_object", IssueCode.FORMAT, lambda s: s["predicate"].update(resources={})
)


@case(IssueCode.LEGACY_PREDICATE)
def a_manifest_of_version_0_2(forge: Forge) -> Made:
    subjects = [{"name": item.name, "digest": {"sha256": item.sha256}} for item in FILES]
    legacy = "https://model_signing/Digests/v0.1"
    statement = {**forge.statement(), "predicateType": legacy, "predicate": {"unused": "x"}}
    return forge.sign({**statement, "subject": subjects}), FILES


@case(IssueCode.SINGLE_FILE_NAME)
def a_dot_for_a_model_of_one_file(forge: Forge) -> Made:
    lone = FileDigest(".", FILES[0].size, FILES[0].sha256)
    return forge.sign(forge.statement((lone,))), FILES[:1]
