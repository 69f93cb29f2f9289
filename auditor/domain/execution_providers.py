"""Execution providers of ONNX Runtime: their packages, devices, and effects on numbers.

A table, and no code of each provider: options are passed on as written, and the runtime judges
them. What our own tests never ran says so wherever it is offered.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from auditor.domain.json import Json
from auditor.domain.targets import TargetSpec

UNTESTED = "untested here"
OF_PROVIDERS = frozenset({"onnxruntime", "endpoint", "cascade", "callable"})
"""Runtimes whose targets name a provider of onnxruntime; any other runtime is one itself."""
ENDING = "executionprovider"
QUANTIZERS = frozenset({"QuantizeLinear", "DequantizeLinear"})
ALIKE = 0.95
"""How like a known name a provider must be to count as a slip of the pen: all end alike."""
ORT_DEVICE = (
    "the device that onnxruntime discovers, the provider's version and its library's digest"
)
NVIDIA = f"{ORT_DEVICE}; the driver's version is not read"

PINNED = (
    'load_config: {"CPU": {"INFERENCE_PRECISION_HINT": "f32"}} (unset, the plugin computes in '
    "bf16 where the processor has it; options that it does not know are ignored without a word)"
)


@dataclass(frozen=True, slots=True)
class ProviderFacts:
    """One provider: package, names of its options, what sets its precision, its fingerprint.

    ``package`` is what pip installs (``library`` is its module, where it is a plugin beside
    onnxruntime). ``precision`` are options, session entries or habits that change numbers.
    ``tested`` says where our own tests ran it; empty, they never did.

    ``kinds`` are the kinds of device that it stands for, ``vendor`` who makes that hardware: empty
    where any will do, or where it is unknown. One that ``runs_in_process`` runs on the processor of
    the process itself. Without ``reports_device`` it may use another device than the runtime lists.
    ``maker`` is the name by which its library is told from others. ``quantization_option``, set to
    0, keeps the quantisation of a graph's inputs and outputs on it.
    """

    name: str
    package: str
    options: tuple[str, ...]
    precision: tuple[str, ...]
    fingerprint: str
    library: str = ""
    tested: str = ""
    kinds: tuple[str, ...] = ()
    vendor: str = ""
    maker: str = ""
    runs_in_process: bool = False
    reports_device: bool = True
    quantization_option: str = ""

    @property
    def support(self) -> str:
        """In words, how far it can be relied on."""
        return f"tested: {self.tested}" if self.tested else UNTESTED

    def to_json(self) -> dict[str, Json]:
        """Return the form that the command line prints."""
        return {
            "name": self.name,
            "package": self.package,
            "library": self.library,
            "options": list(self.options),
            "precision": list(self.precision),
            "fingerprint": self.fingerprint,
            "stands_for": list(self.kinds),
            "tested": bool(self.tested),
            "support": self.support,
        }


PROVIDERS: Mapping[str, ProviderFacts] = {
    facts.name: facts
    for facts in (
        ProviderFacts(
            "CPUExecutionProvider",
            "onnxruntime",
            (),
            ("session: session.x64quantprecision", "session: session.set_denormal_as_zero",
             "8-bit products saturate on x86 without VNNI"),
            "processor, its instruction sets and caches, the library's digest",
            tested="x86-64 with and without AVX-512, and emulated processors",
            kinds=("CPU",),
            runs_in_process=True,
        ),
        ProviderFacts(
            "AzureExecutionProvider",
            "onnxruntime",
            (),
            (),
            "nothing runs on it here: it calls a cloud endpoint for operators of its own",
            tested="that it takes no operator of an ordinary model",
        ),
        ProviderFacts(
            "CUDAExecutionProvider",
            "onnxruntime-gpu",
            ("device_id", "gpu_mem_limit", "arena_extend_strategy", "cudnn_conv_algo_search",
             "cudnn_conv_use_max_workspace", "do_copy_in_default_stream", "enable_cuda_graph",
             "prefer_nhwc", "use_tf32"),
            ("use_tf32 (on by default where the GPU has it)", "cudnn_conv_algo_search"),
            NVIDIA,
            kinds=("GPU",),
            vendor="nvidia",
        ),
        ProviderFacts(
            "TensorrtExecutionProvider",
            "onnxruntime-gpu",
            ("device_id", "trt_max_workspace_size", "trt_fp16_enable", "trt_bf16_enable",
             "trt_int8_enable", "trt_engine_cache_enable", "trt_engine_cache_path",
             "trt_timing_cache_enable", "trt_builder_optimization_level",
             "trt_profile_min_shapes", "trt_profile_opt_shapes", "trt_profile_max_shapes"),
            ("trt_fp16_enable", "trt_bf16_enable", "trt_int8_enable",
             "tactics are chosen by timing: two builds may differ"),
            NVIDIA,
            kinds=("GPU",),
            vendor="nvidia",
        ),
        ProviderFacts(
            "NvTensorRTRTXExecutionProvider",
            "onnxruntime-ep-nv-tensorrt-rtx",
            ("device_id", "nv_max_workspace_size", "nv_max_shared_mem_size",
             "nv_profile_min_shapes", "nv_profile_opt_shapes", "nv_profile_max_shapes",
             "enable_cuda_graph"),
            ("the types written in the model",),
            NVIDIA,
            library="onnxruntime_ep_nv_tensorrt_rtx",
            kinds=("GPU",),
            vendor="nvidia",
        ),
        ProviderFacts(
            "OpenVINOExecutionProvider",
            "onnxruntime-ep-openvino or onnxruntime-openvino",
            ("device_type", "precision", "num_of_threads", "num_streams", "cache_dir",
             "load_config"),
            (PINNED,),
            ORT_DEVICE,
            library="onnxruntime_ep_openvino",
            tested="on x86 processors",
            kinds=("CPU", "GPU", "NPU"),
        ),
        ProviderFacts(
            "QNNExecutionProvider",
            "onnxruntime-qnn",
            ("backend_type", "backend_path", "htp_performance_mode",
             "htp_graph_finalization_optimization_mode", "enable_htp_fp16_precision",
             "htp_arch", "soc_model", "device_id", "offload_graph_io_quantization"),
            ("enable_htp_fp16_precision (on by default: float models run in float16)",),
            ORT_DEVICE,
            library="onnxruntime_qnn",
            tested="its simulation of the chip on x86-64, version 2.7.0",
            kinds=("NPU", "GPU"),
            vendor="qualcomm",
            maker="Qualcomm",
            quantization_option="offload_graph_io_quantization",
        ),
        ProviderFacts(
            "CoreMLExecutionProvider",
            "onnxruntime (macOS)",
            ("ModelFormat", "MLComputeUnits", "RequireStaticInputShapes", "EnableOnSubgraphs",
             "SpecializationStrategy", "AllowLowPrecisionAccumulationOnGPU", "ModelCacheDirectory"),
            ("MLComputeUnits (the Neural Engine computes in float16)",
             "AllowLowPrecisionAccumulationOnGPU"),
            ORT_DEVICE,
        ),
        ProviderFacts(
            "DmlExecutionProvider",
            "onnxruntime-directml",
            ("device_id", "performance_preference", "device_filter", "disable_metacommands"),
            ("the driver's metacommands",),
            ORT_DEVICE,
            kinds=("GPU", "NPU"),
        ),
        ProviderFacts(
            "MIGraphXExecutionProvider",
            "onnxruntime-migraphx",
            ("device_id", "migraphx_fp16_enable", "migraphx_bf16_enable", "migraphx_fp8_enable",
             "migraphx_int8_enable", "migraphx_exhaustive_tune", "migraphx_mem_limit"),
            ("migraphx_fp16_enable", "migraphx_bf16_enable", "migraphx_fp8_enable",
             "migraphx_int8_enable", "migraphx_exhaustive_tune chooses kernels by timing"),
            ORT_DEVICE,
            kinds=("GPU",),
            vendor="amd",
        ),
        ProviderFacts(
            "XnnpackExecutionProvider",
            "onnxruntime built with XNNPACK",
            ("intra_op_num_threads",),
            (),
            "processor and instruction sets, the library's digest",
            kinds=("CPU",),
            runs_in_process=True,
        ),
        ProviderFacts(
            "WebGpuExecutionProvider",
            "onnxruntime-ep-webgpu",
            ("preferredLayout", "enableGraphCapture", "dawnBackendType", "deviceId",
             "validationMode", "forceCpuNodeNames"),
            ("the GPU's shader compiler",),
            ORT_DEVICE,
            library="onnxruntime_ep_webgpu",
            tested="on Mesa's lavapipe, a GPU played in software",
            kinds=("GPU",),
            reports_device=False,
        ),
        ProviderFacts(
            "openvino",
            "openvino",
            ("INFERENCE_PRECISION_HINT", "EXECUTION_MODE_HINT", "PERFORMANCE_HINT",
             "NUM_STREAMS", "DYNAMIC_QUANTIZATION_GROUP_SIZE"),
            ("INFERENCE_PRECISION_HINT (unset, a processor with bf16 computes in bf16)",
             "DYNAMIC_QUANTIZATION_GROUP_SIZE"),
            "OpenVINO's device, version, libraries' digest, and the precision of each node",
            tested="on x86 processors",
        ),
        ProviderFacts(
            "cpu_ep",
            "nxrt-ep-cpu",
            (),
            (),
            ORT_DEVICE,
            library="nxrt_ep_cpu",
            tested="version 0.1.0.dev6 on x86-64",
            kinds=("CPU",),
        ),
        ProviderFacts(
            "ggml",
            "onnxruntime-ggml",
            ("device", "threads", "partial"),
            (),
            ORT_DEVICE,
            library="onnxruntime_ggml",
            tested="version 0.2.0 on x86-64",
        ),
    )
}  # fmt: skip


_FILES = re.compile(r"path|dir|file|lib|config|cache|load|plugin|custom", re.IGNORECASE)
_WORD = re.compile(r"[A-Za-z0-9_.,:+-]{0,100}")
_SHARED = re.compile(r"\.(so|dll|dylib)(\.|$)", re.IGNORECASE)
_ENTRY = re.compile(r"(session|optimization|mlas|memory)\.[A-Za-z0-9_.]+")


def is_plain_option(name: str, said: str) -> bool:
    """Whether a provider's option can name neither a file nor code: an option of the table, a word.

    What is not known to be plain is not.
    """
    known = any(name in facts.options for facts in PROVIDERS.values())
    return known and _FILES.search(name) is None and _is_word(said)


def is_plain_entry(name: str, said: str) -> bool:
    """Whether an entry of a session can name neither a file nor code.

    An entry ``ep.PROVIDER.OPTION`` sets an option of a provider, and is never plain.
    """
    return _ENTRY.fullmatch(name) is not None and _FILES.search(name) is None and _is_word(said)


def _is_word(said: str) -> bool:
    return _WORD.fullmatch(said) is not None and _SHARED.search(said) is None


def find_provider(spec: TargetSpec) -> ProviderFacts | None:
    """Return what is known of the provider that a target names; ``None`` where nothing is."""
    if spec.runtime not in OF_PROVIDERS:
        return PROVIDERS.get(spec.runtime)
    plugins = {facts.library: facts for facts in PROVIDERS.values() if facts.library}
    if spec.library in plugins:
        return plugins[spec.library]
    known = PROVIDERS.get(spec.provider)
    # A plugin that is named by a path is not the processor, which is the default of `provider`.
    return None if spec.library and known is not None and known.runs_in_process else known


def describe_support(spec: TargetSpec) -> str:
    """Say whether our own tests ever ran what a target names, in words."""
    if spec.callable is not None:
        return "tested: Python functions"
    if spec.endpoint is not None or spec.cascade is not None:
        return "tested: served endpoints and cascades"
    facts = find_provider(spec)
    return UNTESTED if facts is None else facts.support


def suggest_fallback_cure(spec: TargetSpec, elsewhere: Mapping[str, Mapping[str, int]]) -> str:
    """Say which setting of the provider keeps on it what ran ``elsewhere``, if one is known."""
    known = find_provider(spec)
    kinds = {kind for counts in elsewhere.values() for kind in counts}
    option = "" if known is None else known.quantization_option
    if known is None or not option or option in spec.provider_options or not kinds <= QUANTIZERS:
        return ""
    return (
        f"{known.name} leaves the quantisation of the graph's inputs and outputs to the processor. "
        f'To keep it on the provider, set provider_options: {{{option}: "0"}}. Otherwise: '
    )


def suggest_provider_package(spec: TargetSpec) -> str:
    """Say which name was meant, or which package brings the provider."""
    known = PROVIDERS.get(spec.provider)
    if meant := find_meant_provider(spec.provider):
        return f"Did you mean {meant}?"
    package = "the build of onnxruntime that has it" if known is None else known.package
    return (
        "Run it where the runtime has this provider, or install "
        f"{package} into a worker environment, and name its Python as the target's `interpreter`."
    )


def find_meant_provider(name: str) -> str:
    """Return the known provider that a misspelt name means, or nothing: it is known, or unlike."""
    if name in PROVIDERS:
        return ""
    short = {known.lower().removesuffix(ENDING): known for known in PROVIDERS}
    low = name.lower()
    if (exact := short.get(low.removesuffix(ENDING))) is not None:
        return exact
    meant = get_close_matches(low, [known.lower() for known in PROVIDERS], 1, ALIKE)
    return short[meant[0].removesuffix(ENDING)] if meant else ""
