"""A model server on this machine, for specimens whose target is an endpoint."""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np

from auditor.domain.tasks import Floats

TARGET = "prod"
TARGETS_FILE = """\
apiVersion: auditor/v1
kind: Targets
targets:
  {name}: {{endpoint: {{url: "http://127.0.0.1:{port}/", protocol: http-json}}}}
"""


@dataclass(slots=True)
class ScoreServer:
    """Answers rows with the scores of a model, from ``start`` to ``stop``: deeds of a specimen."""

    scores: Callable[[Floats], Floats]
    _running: ThreadingHTTPServer | None = field(default=None, init=False)

    def start(self, folder: Path, _home: Path) -> None:
        """Serve on a free port, and declare the target in the folder."""
        scores = self.scores

        class Answer(BaseHTTPRequestHandler):
            """One request of rows."""

            def do_POST(self) -> None:
                """Answer with scores."""
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                rows = np.asarray(asked["instances"], dtype=np.float64)
                said = json.dumps({"predictions": scores(rows).tolist()}).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)

            def log_message(self, *_: object) -> None:
                """Say nothing: the selftest shows its own progress."""

        self._running = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        declared = TARGETS_FILE.format(name=TARGET, port=self._running.server_address[1])
        (folder / "targets.yaml").write_text(declared, "utf-8")
        threading.Thread(target=self._running.serve_forever, daemon=True).start()

    def stop(self, _folder: Path, _home: Path) -> None:
        """Serve no longer."""
        if self._running is not None:
            self._running.shutdown()
            self._running.server_close()
