"""What the two worker programs share: from an environment to an exit status."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Callable, Mapping
from typing import NoReturn, TypeVar

from sedna_py.errors import SednaError
from sedna_py.log import configure_logging
from workers.inference.engine import EngineOptions
from workers.inference.predictor import EstimatorPredictor, HookPredictor, create_predictor
from workers.settings import WorkerSettings

LOG = logging.getLogger(__name__)
S = TypeVar("S", bound=WorkerSettings)


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
        return 1
    return 0


def load_predictor(settings: WorkerSettings) -> HookPredictor | EstimatorPredictor:
    """Load and warm the model that the settings name. Raises SednaError."""
    return create_predictor(
        settings.model_url,
        model_name=settings.model_name,
        estimator=settings.estimator,
        detection_threshold=settings.detection_threshold,
        model_type=settings.model_type,
        options=EngineOptions(settings.device, settings.streams),
    )


def explain(error: SednaError) -> str:
    """Return an error as one line."""
    return "; ".join(str(error).splitlines())


def leave(status: int) -> NoReturn:
    """End the process, also where a thread is stuck in a model's code: the interpreter would wait for it."""
    if threading.active_count() > 1:
        logging.shutdown()
        sys.stdout.flush()
        os._exit(status)
    sys.exit(status)
