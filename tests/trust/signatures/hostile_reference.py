"""What the reference verifier (``model_signing`` 1.1.1) is known to accept, by our cases' names.

``test_reference_tool.py`` holds these against the tool itself.
"""

from collections.abc import Mapping

ACCEPTED_BY_THE_REFERENCE: Mapping[str, str] = {
    "code_is_planted_in_git_hooks": "never looks into .git",
    "code_is_planted_in_github": "never looks into .github",
    "signer_declares_code_ignored": "ignores what the signer says",
    "empty_manifest_that_ignores_everything": "needs no file at all",
    "a_name_stands_twice_with_the_good_one_last": "takes the last of two",
    "a_member_of_the_payload_stands_twice": "takes the last of two",
    "the_encoding_that_version_0_2_signed": "still takes the faulty encoding",
    "a_manifest_of_version_0_2": "still takes the predicate of 0.2",
    "second_signature_is_garbage": "looks at the first only",
    "name_climbs_out": "reads outside of the model, told to ignore unsigned files",
    "name_starts_with_dot_slash": "takes two spellings of one path",
    "name_has_two_slashes": "takes two spellings of one path",
    "an_unsorted_manifest": "sorts for itself",
    "leaf_that_expired_yesterday": "judges at the time of the certificate",
    "leaf_for_tls_servers": "any certificate that may sign",
    "another_leaf_of_the_same_authority": "asks for no name",
    "links_were_followed": "neither signs nor checks what a linked folder holds",
}
"""With what it does. Two more are no bundles: the setting that leaks from one verification into
the next (``test_nothing_of_one_verification_reaches_the_next``), and digests in upper case."""
