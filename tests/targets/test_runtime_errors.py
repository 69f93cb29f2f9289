"""What ONNX Runtime says of a model is told with the file, the fault and the cure."""

from auditor.targets.sandbox.runtime_errors import OPENING, build_refusal

LOCALE = (
    "[ONNXRuntimeError] : 1 : FAIL : Exception during initialization: string_normalizer.cc:235 "
    "Failed to construct locale with name:en_US.UTF-8:locale::facet::_S_create_c_locale name not "
    "valid:Please, install necessary language-pack-XX and configure locales"
)


def test_a_locale_that_is_missing_is_named_with_the_way_to_export_without_it() -> None:
    refusal = build_refusal("router.onnx", OPENING, RuntimeError(LOCALE))
    told = str(refusal)
    assert told.startswith("router.onnx: the model reads texts by the locale en_US.UTF-8, which")
    assert "{'locale': 'C'}" in refusal.cure
