"""Planted defects of artifacts: unsigned model files, and files that do more than compute."""

import base64
import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx
import yaml
from onnx import TensorProto, helper

from auditor.selftest.datasets import PACKAGES, load_split
from auditor.selftest.record_forgery import derive_signer, tamper_weight, write_model_signature
from auditor.selftest.scale import SelftestScale
from auditor.selftest.specimens import (
    Specimen,
    SpecimenFamily,
    SpecimenFiles,
    SpecimenRun,
    build_deny_rule,
    build_specimen_pairs,
)
from auditor.selftest.train import train_model

RULES = (
    build_deny_rule(
        "signed",
        "provenance.signature/verified",
        "A trusted signature holds for exactly these bytes",
        require="reading.value",
    ),
    build_deny_rule(
        "no-unsafe-constructs",
        "provenance.artifact/unsafe_constructs",
        "Opening the file cannot run foreign code",
        at_most=0,
    ),
)
SIGNATURE, KEY, TRUST = "model.sig", "model.pub", "trust.yaml"
UNSIGNED = ("unsigned", "tampered", "other-signer", "rolled-back")
UNSAFE = ("custom-operator", "outside-weights", "pickled-text", "plain-pickle")
ONLY = ("provenance.signature", "provenance.artifact")
FLOOR, NOW, OLD = "2.0.0", "2.1.0", "1.4.0"


@dataclass(frozen=True, slots=True)
class ArtifactsFamily:
    """A model without a signature, with one of other bytes or of a stranger, or of a version that
    is trusted no more; or one whose file names foreign code or files outside of its folder.
    """

    name: str = "artifacts"
    title: str = "model files that are unsigned, tampered with, rolled back or unsafe"
    packages: tuple[str, ...] = PACKAGES

    def specimens(self, scale: SelftestScale) -> Sequence[Specimen]:
        """Return every defect, once or in three architectures."""
        defects = [(name, None) for name in (*UNSIGNED, *UNSAFE)]
        kinds = ["logistic"] if scale is SelftestScale.QUICK else ["logistic", "mlp", "forest"]
        return build_specimen_pairs(self.name, defects, kinds, [1])

    def write(self, specimen: Specimen, folder: Path) -> SpecimenRun:
        """Train, sign, and do to the file what the defect is called."""
        sample = load_split("cancer", specimen.seed)
        learn = sample.training
        model = train_model(specimen.architecture, learn.inputs, learn.labels, specimen.seed)
        signed = model.parts().onnx()
        defect = specimen.defect if specimen.planted else ""
        deployed = signed
        if defect in UNSAFE:
            # Whoever signs it does not look into it.
            signed = deployed = add_unsafe_code(signed, defect)
        if defect == "tampered":
            deployed = tamper_weight(signed)
        # Sign a model, and return what the audit file says of that
        if defect == "unsigned":
            about = {}
        else:
            owner = derive_signer(specimen.seed, "owner")
            (folder / KEY).write_bytes(owner.public_pem())
            stranger = derive_signer(specimen.seed, "stranger")
            by = stranger if defect == "other-signer" else owner
            if specimen.defect != "rolled-back":
                write_model_signature(signed, folder, by)
                about = {"signature": SIGNATURE, "key": KEY}
            else:
                version = OLD if specimen.planted else NOW
                write_model_signature(signed, folder, by, name=f"{specimen.name}@{version}")
                (folder / TRUST).write_text(yaml.safe_dump(_trust(specimen)), "utf-8")
                about = {"signature": SIGNATURE, "trust": TRUST, "version": version}
        papers = SpecimenFiles(
            deployed, sample.classes, {"evaluation": sample.evaluation}, RULES, model=about
        )
        meant = "signed" if specimen.defect in UNSIGNED else "no-unsafe-constructs"
        return SpecimenRun(papers.write(specimen, folder), (meant,), ONLY)


def _trust(specimen: Specimen) -> dict[str, object]:
    """Return a policy that trusts the owner for versions from a floor on."""
    signature = {"predicate": "https://model_signing/signature/v1.0", "any_of": [{"key": "owner"}]}
    trusted = {
        "models": [specimen.name],
        "require": [signature],
        "min_version": FLOOR,
        "signed_name": True,
    }
    return {
        "apiVersion": "auditor/v1",
        "kind": "TrustPolicy",
        "metadata": {
            "name": "selftest",
            "version": 1,
            "owner": "selftest@example.org",
            "expires": "2100-01-01T00:00:00Z",
        },
        "keys": {"owner": {"pem": KEY}},
        "rules": [trusted],
        "default": "deny",
    }


def add_unsafe_code(raw: bytes, defect: str) -> bytes:
    """Return a model with something in its file that may run code or reach outside."""
    model = onnx.load_from_string(raw)
    match defect:
        case "custom-operator":
            model.opset_import.append(helper.make_opsetid("com.example.hidden", 1))
            node = helper.make_node("Beacon", ["x"], ["beacon"], domain="com.example.hidden")
            model.graph.node.append(node)
        case "outside-weights":
            tensor = TensorProto(name="outside", data_type=TensorProto.FLOAT, dims=[1])
            tensor.data_location = TensorProto.EXTERNAL
            tensor.external_data.add(key="location", value="../../../etc/passwd")
            model.graph.initializer.append(tensor)
        case "plain-pickle":
            payload = pickle.dumps(print, protocol=0).decode("ascii")
            model.metadata_props.add(key="license", value=payload)
        case _:
            hidden = base64.b64encode(pickle.dumps(print, protocol=4)).decode("ascii")
            model.metadata_props.add(key="license", value=hidden)
    changed: bytes = model.SerializeToString(deterministic=True)
    return changed


FAMILY: SpecimenFamily = ArtifactsFamily()
