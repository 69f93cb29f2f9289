"""A service whose blobs lie in a bucket: the same audit, and uploads that break off."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import httpx
import obstore
import pytest
from fleets import Fleet
from obstore.store import S3Store

from auditor.domain.verification_steps import all_hold
from auditor.reports.folder import RecordFolder
from auditor.store.blob_urls import open_blobs
from auditor.store.blobs import FolderBlobStore
from auditor.workflows.verify.folder import verify_folder
from auditor.workflows.verify.verifiers import build_service_verifier

pytestmark = pytest.mark.slow
ONLY = ("--only", "quality.accuracy")
MIB = 2**20
SENDS = """
import sys
from pathlib import Path
from auditor.workflows.settings import AuditorSettings
print(AuditorSettings.from_environment().blobs.put_file(Path(sys.argv[1])))
"""


def objects(world: Mapping[str, str]) -> list[str]:
    bucket = S3Store(
        "audits",
        endpoint=world["AWS_ENDPOINT_URL"],
        region="us-east-1",
        access_key_id="none",
        secret_access_key="none",  # noqa: S106 -- a bucket of this test
        client_options={"allow_http": True},
    )
    return [item["path"] for page in obstore.list(bucket) for item in page]


def test_a_whole_audit_is_served_from_a_bucket(
    fleet: Fleet, bucket: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    there, caller = fleet.world("service", **bucket), fleet.world("here")
    door = fleet.serve(world=there)
    made = fleet.audit("served", *ONLY, *door.there, world={**caller, **door.caller})
    folder = RecordFolder(fleet.folder / "served")
    assert all_hold(verify_folder(folder, build_service_verifier(folder.read("signer.pub"))))
    asked = {"artifact": made.request.artifact.digest, "policy": made.request.policy.digest}
    assert door.get("/v1/gate", **asked)["steps"][0]["result"] == "holds"
    door.running.stop()
    home = Path(there["AUDITOR_HOME"])
    assert not [path for path in (home / "blobs").glob("**/*") if path.is_file()]
    kept = objects(bucket)
    assert len(kept) > 20
    assert all(name.startswith("kept/") for name in kept)
    # Another machine finds all of it.
    for name, value in bucket.items():
        monkeypatch.setenv(name, value)
    elsewhere = open_blobs(bucket["AUDITOR_BLOBS_URL"], fleet.folder / "elsewhere", 2**30)
    for name in kept:
        assert elsewhere.get(f"sha256:{name.rpartition('/')[2]}")


def test_of_an_upload_that_was_killed_nothing_is_seen_and_the_next_one_is_whole(
    fleet: Fleet, bucket: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "model.onnx"
    file.write_bytes(os.urandom(MIB) * 96)
    world = fleet.world("one", **bucket)
    sends = [sys.executable, "-c", SENDS, str(file)]
    process = subprocess.Popen(sends, env=world)
    until = time.monotonic() + 60
    while "<UploadId>" not in httpx.get(f"{bucket['AWS_ENDPOINT_URL']}/audits?uploads").text:
        assert process.poll() is None, "it was over before it could be killed"
        assert time.monotonic() < until
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert objects(bucket) == []
    digest = subprocess.check_output(sends, env=world, text=True).strip()
    assert digest == FolderBlobStore(tmp_path / "folder").put_file(file)
    for name, value in bucket.items():
        monkeypatch.setenv(name, value)
    elsewhere = open_blobs(bucket["AUDITOR_BLOBS_URL"], tmp_path / "elsewhere", 2**30)
    assert elsewhere.path(digest).read_bytes() == file.read_bytes()
