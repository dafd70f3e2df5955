"""Upstream's `BigModelService`: the cloud worker of a script."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Any

from sedna_py.context import Context
from sedna_py.errors import SednaError
from sedna_py.job import JobBase, PostProcess
from sedna_py.job_settings import BigModelSettings

ENTRY_POINT_GROUP = "sedna_py.big_model_server"


class BigModelService(JobBase):
    """An estimator behind `POST /{JOB_NAME}/predict`."""

    def __init__(self, estimator: Any = None) -> None:
        super().__init__(estimator)
        self.job_kind = "jointinferenceservice"

    def start(self) -> None:
        """Load the model and serve until SIGTERM or SIGINT; to be called in the main thread.

        Raises ModelError for a missing model, SettingsError for a port that is taken, SednaError where no HTTP server is
        installed, and whatever the estimator raises in `load`.
        """
        settings = BigModelSettings.from_environment(Context.parameters)
        serve = find_server()
        self.load_model()
        self.log.info("serving on http://%s:%d/%s", settings.host, settings.port, self.job_name)
        serve(ServedModel(self), host=settings.host, port=settings.port, prefix=self.job_name)

    def inference(self, data: Any = None, post_process: PostProcess = None, **kwargs: Any) -> Any:
        """Return the estimator's answer, post-processed by a function or by one registered under that name."""
        return super().inference(data, post_process, **kwargs)

    def train(self, train_data: Any = None, post_process: PostProcess = None, **kwargs: Any) -> None:
        """Do nothing but say so: there is no training in joint inference."""
        self.log.warning("BigModelService does not train; it returns at once, as upstream's does")


class ServedModel:
    """What the server is given: it calls `predict`, a script's subclass may have its own `inference`."""

    def __init__(self, service: Any) -> None:
        self._service = service
        estimator = getattr(service, "estimator", None)
        self.thread_safe = bool(getattr(estimator, "thread_safe", False))
        self.labels = list(getattr(estimator, "labels", []))

    def load(self, model_url: str = "") -> None:
        """Do nothing: the model was loaded before the server was started."""

    def predict(self, data: Any, **kwargs: Any) -> Any:
        """Ask the service."""
        return self._service.inference(data, **kwargs)


def find_server() -> Callable[..., None]:
    """Return the HTTP server: `serve(estimator, *, host, port, prefix)`, which blocks.

    Raises SednaError where none is installed, with what to run.
    """
    advice = "run: pip install 'sedna-py[cloud]'"
    servers = sorted(entry_points(group=ENTRY_POINT_GROUP), key=lambda entry: entry.name)
    if not servers:
        raise SednaError(f"no HTTP server for big models is installed; {advice}")
    try:
        serve: Callable[..., None] = servers[0].load()
    except ImportError as error:
        raise SednaError(f"the HTTP server {servers[0].value} cannot be imported: {error}; {advice}") from error
    return serve
