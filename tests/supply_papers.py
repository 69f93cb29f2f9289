"""Documents as they lie beside models, made by hand, and an audit's things that they speak of."""

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from auditor.domain.supply_chain import SupplyItem, SupplyPart
from auditor.trust.encoding.dsse import IN_TOTO, DsseEnvelope, pae
from auditor.trust.signatures.keys import KeySigner
from auditor.trust.signatures.sigstore_bundle import sign_bundle

SIGNER = KeySigner(ec.derive_private_key(51, ec.SECP256R1()))
OTHER = KeySigner(ec.derive_private_key(52, ec.SECP256R1()))


def hexed(name: str) -> str:
    """The SHA-256 that stands for the content of a file."""
    return sha256(name.encode()).hexdigest()


MODEL = SupplyItem(SupplyPart.MODEL, "model.onnx", hexed("model"))
BASE = SupplyItem(SupplyPart.BASE_MODEL, "base.onnx", hexed("base"))
CODE = SupplyItem(SupplyPart.CODE, "train.py", hexed("code"))
TRAINING = SupplyItem(SupplyPart.TRAINING, "data/train.csv", hexed("train"))
EVALUATION = SupplyItem(SupplyPart.EVALUATION, "data/test.csv", hexed("test"))
GIVEN = (MODEL, BASE, CODE, TRAINING, EVALUATION)


def dumped(document: object) -> bytes:
    """A document's bytes."""
    return json.dumps(document).encode()


def resource(name: str, content: str | None = None, **digests: str) -> dict[str, Any]:
    """A resource of in-toto whose content is that of ``hexed``."""
    digest = {"sha256": hexed(content)} if content else {}
    return {"name": name, "digest": digest | digests}


def slsa_v1(
    subject: list[dict[str, Any]] | None = None, materials: list[dict[str, Any]] | None = None
) -> dict[str, Any]:
    """SLSA provenance 1.0 of the model."""
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": subject or [resource("model.onnx", "model")],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": "https://acme.example/train/v1",
                "externalParameters": {"epochs": 3},
                "resolvedDependencies": materials
                or [
                    resource("train.csv", "train"),
                    {"uri": "git+https://acme.example/c@v1", "digest": {"gitCommit": "a" * 40}},
                ],
            },
            "runDetails": {"builder": {"id": "https://acme.example/builder"}},
        },
    }


def slsa_v0_2() -> dict[str, Any]:
    """SLSA provenance 0.2 of the model, in the older statement."""
    return {
        "_type": "https://in-toto.io/Statement/v0.1",
        "subject": [resource("model.onnx", "model")],
        "predicateType": "https://slsa.dev/provenance/v0.2",
        "predicate": {
            "builder": {"id": "https://acme.example/builder"},
            "buildType": "https://acme.example/train/v0",
            "invocation": {"configSource": {"uri": "git+https://acme.example/c", "digest": {}}},
            "materials": [{"uri": "file:///in/train.py", "digest": {"sha256": hexed("code")}}],
        },
    }


def bom(version: str = "1.6", **changes: Any) -> dict[str, Any]:  # noqa: ANN401 -- JSON
    """A bill of materials of a model, its ancestor and its data."""
    model = {
        "type": "machine-learning-model",
        "name": "credit",
        "version": "3",
        "licenses": [{"license": {"id": "Apache-2.0"}}],
        "hashes": [{"alg": "SHA-256", "content": hexed("model").upper()}],
        "pedigree": {
            "ancestors": [
                {
                    "type": "machine-learning-model",
                    "name": "base",
                    "hashes": [{"alg": "SHA-256", "content": hexed("base")}],
                }
            ]
        },
        "modelCard": {
            "modelParameters": {"datasets": [{"type": "dataset", "name": "acme-credit"}]}
        },
    }
    return {
        "bomFormat": "CycloneDX",
        "specVersion": version,
        "metadata": {"component": model},
        "components": [
            {
                "type": "data",
                "name": "train.csv",
                "hashes": [{"alg": "SHA-256", "content": hexed("train")}],
            },
            {"type": "library", "name": "numpy", "hashes": [{"alg": "MD5", "content": "0" * 32}]},
        ],
        **changes,
    }


def croissant(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 -- JSON
    """A description of a dataset of one file and of a set of files."""
    return {
        "@context": {"@vocab": "https://schema.org/"},
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": "credit",
        "version": "2.0.0",
        "license": "CC-BY-4.0",
        "rai:dataCollection": "by hand",
        "distribution": [
            {"@type": "cr:FileObject", "@id": "test", "name": "test.csv", "sha256": hexed("test")},
            {"@type": "cr:FileSet", "@id": "rest", "includes": "*.csv"},
        ],
        **changes,
    }


CARD = b"""---
license: mit
datasets:
- acme/credit
base_model: acme/base
metrics: [accuracy, auc]
model-index:
- name: credit
  results:
  - task: {type: tabular-classification}
    dataset: {name: Credit (test), type: acme/credit-test}
    metrics: [{type: accuracy, value: 0.9}]
---
# Credit
"""


def enveloped(document: Mapping[str, Any], signer: KeySigner = SIGNER) -> bytes:
    """A statement in a DSSE envelope."""
    payload = dumped(document)
    return dumped(DsseEnvelope(IN_TOTO, payload, signer.sign(pae(IN_TOTO, payload))).to_json())


def bundled(document: Mapping[str, Any], signer: KeySigner = SIGNER) -> bytes:
    """A statement in a Sigstore bundle under a key."""
    return sign_bundle(dumped(document), signer)


def by_certificate(document: Mapping[str, Any]) -> bytes:
    """A statement in a Sigstore bundle as a keyless signer makes it."""
    found = json.loads(bundled(document))
    found["verificationMaterial"] = {"certificate": {"rawBytes": "AAAA"}, "tlogEntries": [{}]}
    return dumped(found)
