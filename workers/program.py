"""What the two worker programs share: from an environment to an exit status."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, NoReturn, TypeVar

import cv2

from sedna_py.errors import SednaError
from sedna_py.log import configure_logging
from sedna_py.settings import redact
from workers.cpu_limit import CpuBudget
from workers.inference.engine import EngineOptions
from workers.inference.model_files import model_folder
from workers.inference.predictor import EstimatorPredictor, HookPredictor, create_predictor
from workers.settings import WorkerSettings

LOG = logging.getLogger(__name__)
S = TypeVar("S", bound=WorkerSettings)
# Kubernetes makes it in every container, unless the template's terminationMessagePath is another one.
TERMINATION_LOG: Final = Path("/dev/termination-log")
LONGEST_LAST_WORDS: Final = 1000  # characters; Kubernetes keeps 4096 bytes


def run_program(name: str, environment: Mapping[str, str], read: type[S], work: Callable[[S], None]) -> int:
    """Read the settings, log as they say, work; return 0, or 1 with one line why not."""
    configure_logging(worker=environment.get("WORKER_NAME") or name)
    try:
        settings = read.from_environment(environment)
        configure_logging(
            level=settings.log_level, worker=settings.worker_name or name, as_json=settings.log_format == "json"
        )
        work(settings)
    except SednaError as error:
        LOG.critical("%s", explain(error))
        leave_last_words(explain(error))
        return 1
    return 0


def load_predictor(
    settings: WorkerSettings, cpu: CpuBudget, path: Path | None = None
) -> HookPredictor | EstimatorPredictor:
    """Load and warm the model that the settings name, or the version of it at `path`. Raises SednaError."""
    cv2.setNumThreads(1)  # frames run in parallel; OpenCV's own threads would only get in their way
    predictor = create_predictor(
        str(path or settings.model_url),
        model_name=settings.model_name,
        estimator=settings.estimator,
        detection_threshold=settings.detection_threshold,
        model_type=settings.model_type,
        options=EngineOptions(
            settings.device, settings.streams, cpu.bound, settings.batch_size, settings.batch_delay_ms / 1000
        ),
        code_folder=model_folder(settings.model_url) if path else None,
    )
    LOG.info("%s; inference threads: %d, streams: %d", cpu, cpu.threads, predictor.streams)
    return predictor


def explain(error: SednaError) -> str:
    """Return an error as one line."""
    return "; ".join(str(error).splitlines())


def leave_last_words(line: str, path: Path = TERMINATION_LOG) -> None:
    """Write why the worker ends to where Kubernetes reads it from, for `kubectl describe`; nowhere without such a file."""
    if path.is_file():
        with contextlib.suppress(OSError):  # the log has the line as well
            path.write_text(redact(line)[:LONGEST_LAST_WORDS], encoding="utf-8", errors="replace")


def leave(status: int) -> NoReturn:
    """End the process, also where a thread is stuck in a model's code: the interpreter would wait for it."""
    if threading.active_count() > 1:
        logging.shutdown()
        sys.stdout.flush()
        os._exit(status)
    sys.exit(status)
