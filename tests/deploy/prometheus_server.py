"""A real Prometheus on a free port of this machine, ended with the test."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests.workers.edge.fakes import until
from tests.workers.edge.programs import free_port

Series = dict[str, Any]  # metric: its labels; value or values: [time, text]


class PrometheusServer:
    """Scrapes `targets` (their labels by address) every second, by the rules in `rules`."""

    def __init__(self, program: str, folder: Path, targets: dict[str, dict[str, str]], rules: list[Path]) -> None:
        folder.mkdir()
        config = {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(path) for path in rules],
            "scrape_configs": [
                {
                    "job_name": "sedna-workers",
                    "static_configs": [{"targets": [address], "labels": labels} for address, labels in targets.items()],
                }
            ],
        }
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
        self._client = httpx.Client(base_url=f"http://127.0.0.1:{free_port()}", trust_env=False, timeout=10)
        self._log = (folder / "log").open("wb")
        self._process = subprocess.Popen(
            [
                program,
                f"--config.file={folder}/prometheus.yml",
                f"--storage.tsdb.path={folder}/data",
                f"--web.listen-address=127.0.0.1:{self._client.base_url.port}",
            ],
            stdout=self._log,
            stderr=self._log,
        )
        until(self._is_ready, f"Prometheus, see {folder}/log")

    def query(self, expression: str, time: float | None = None) -> list[Series]:
        """Return the series of an expression, now or then. Fails the test where Prometheus refuses it."""
        asked = {"query": expression, **({} if time is None else {"time": f"{time:.3f}"})}
        answer = self._client.get("/api/v1/query", params=asked).json()
        assert answer["status"] == "success", f"{expression}: {answer}"
        return list(answer["data"]["result"])

    def targets(self) -> list[dict[str, Any]]:
        """Return what it scrapes."""
        return list(self._client.get("/api/v1/targets").json()["data"]["activeTargets"])

    def stop(self) -> None:
        self._process.kill()
        self._process.wait(10)
        self._client.close()
        self._log.close()

    def _is_ready(self) -> bool:
        assert self._process.poll() is None
        try:
            return self._client.get("/-/ready").status_code == 200
        except httpx.HTTPError:
            return False
