"""A container under runc as a restricted pod would have it: no root, no capability, nothing to write to."""

from __future__ import annotations

import json
import subprocess
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.cluster.system import run_tool, tool, try_tool
from tests.images.oci_layout import UnpackedImage

LONGEST_STOP_S = 30


@dataclass
class Container:
    """A container that runs; it shares the machine's network."""

    folder: Path
    image: UnpackedImage
    arguments: Sequence[str] = ()  # in place of the image's CMD
    environment: dict[str, str] = field(default_factory=dict)
    folders: Mapping[str, Path] = field(default_factory=dict)  # read-only, by their path inside
    writable: Mapping[str, Path] = field(default_factory=dict)
    name: str = field(default_factory=lambda: f"sedna-py-test-{uuid.uuid4().hex[:8]}")

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text(encoding="utf-8", errors="replace")

    @contextmanager
    def running(self) -> Iterator[subprocess.Popen[bytes]]:
        """Run it until the block ends."""
        (self.folder / "config.json").write_text(json.dumps(self._bundle()), encoding="utf-8")
        with (self.folder / "log").open("wb") as log:
            command = [
                tool("runc"),
                "--root",
                str(self.folder / "state"),
                "run",
                "--bundle",
                str(self.folder),
                self.name,
            ]
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
            try:
                yield process
            finally:
                self.stop(process)

    def stop(self, process: subprocess.Popen[bytes]) -> None:
        """End it, with its cgroups."""
        if process.poll() is None:
            self._runc("kill", self.name, "KILL")
            try:
                process.wait(LONGEST_STOP_S)
            finally:
                process.kill()
        try_tool("runc", "--root", str(self.folder / "state"), "delete", "--force", self.name)

    def terminate(self) -> None:
        """Send it SIGTERM, as a kubelet does."""
        self._runc("kill", self.name, "TERM")

    def _runc(self, *words: str) -> None:
        run_tool("runc", "--root", str(self.folder / "state"), *words)

    def _bundle(self) -> dict[str, Any]:
        config = self.image.config
        user, group = (int(number) for number in config["User"].split(":"))
        variables = dict(pair.split("=", 1) for pair in config["Env"]) | dict(self.environment)
        return {
            "ociVersion": "1.0.2",
            "process": {
                "user": {"uid": user, "gid": group},
                "args": [*config.get("Entrypoint", ()), *(self.arguments or config.get("Cmd", ()))],
                "env": [f"{name}={value}" for name, value in variables.items()],
                "cwd": config["WorkingDir"],
                "noNewPrivileges": True,
            },
            "root": {"path": str(self.image.root), "readonly": True},
            "mounts": self._mounts(),
            # Its network is the machine's: the test speaks to it over loopback.
            "linux": {"namespaces": [{"type": kind} for kind in ("pid", "mount", "ipc", "uts")]},
        }

    def _mounts(self) -> list[dict[str, Any]]:
        made = [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755", "size=64k"]},
        ]
        for access, folders in (("ro", self.folders), ("rw", self.writable)):
            for inside, folder in folders.items():
                options = ["rbind", access]
                made.append({"destination": inside, "type": "bind", "source": str(folder), "options": options})
        return made
