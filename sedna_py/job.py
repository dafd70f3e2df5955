"""What `JointInference` and `BigModelService` have in common."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from sedna_py.class_factory import ClassFactory, ClassType
from sedna_py.context import BaseConfig, Context
from sedna_py.errors import SednaError, SettingsError
from sedna_py.http_request import RetryPolicy, request_once_or_more
from sedna_py.job_settings import ModelSettings
from sedna_py.model_loading import ModelLocation, call_with_data, find_model, load_estimator

LOGGER = logging.getLogger("sedna")

PostProcess = Callable[[Any], Any] | str | None
_REPORT = RetryPolicy(attempts=1, total_s=2.0)  # a courtesy: it may not hold the script up


class JobBase:
    """An estimator with its model and its identity. `config`: values by name (or JSON) that replace the environment's."""

    def __init__(self, estimator: Any, config: Mapping[str, Any] | str | None = None) -> None:
        self.config = BaseConfig()
        if config:
            self.config.from_json(config)
        self.log = LOGGER
        self.estimator = estimator
        self.job_kind = "default"
        self.job_name = str(self.config.job_name or self.config.service_name or "sedna")
        self.worker_name = str(self.config.worker_name or self.job_name)
        self.namespace = str(self.config.namespace or self.job_name)
        self.lc_server = self.config.lc_server
        self._model_settings = ModelSettings.from_environment(Context.parameters)
        self.model_load_mode = self._model_settings.load_mode
        if str(Context.get_parameters("MODEL_HOT_UPDATE", "")).lower() == "true":
            LOGGER.warning("MODEL_HOT_UPDATE is not supported yet; the model stays the one that was loaded")

    @property
    def model_path(self) -> str:
        """The path or address of the model. Raises ModelError where nothing names one."""
        return find_model(self._location())

    def get_parameters(self, param: str, default: Any = None) -> Any:
        """Return an environment variable's text, or `default`."""
        return Context.get_parameters(param, default)

    def inference(self, x: Any = None, /, post_process: PostProcess = None, **kwargs: Any) -> Any:
        """Return the estimator's answer, post-processed."""
        answer = call_with_data(self.estimator.predict, x, kwargs)
        callback = find_post_process(post_process)
        return callback(answer) if callback else answer

    def evaluate(self, data: Any, post_process: PostProcess = None, **kwargs: Any) -> Any:
        """Return the estimator's own evaluation, post-processed."""
        answer = call_with_data(self.estimator.evaluate, data, kwargs)
        callback = find_post_process(post_process)
        return callback(answer) if callback else answer

    def report_task_info(
        self, task_info: Mapping[str, Any] | None, status: str, results: list[Any] | None = None, kind: str = "train"
    ) -> None:
        """Send one report to the local controller; a failure is logged and nothing else."""
        message: dict[str, Any] = {
            "name": self.worker_name,
            "namespace": self.namespace,
            "ownerName": self.job_name,
            "ownerKind": self.job_kind,
            "kind": kind,
            "status": status,
            "results": results or [],
        }
        if task_info:
            message["ownerInfo"] = dict(task_info)
        url = f"{str(self.lc_server).rstrip('/')}/sedna/workers/{self.worker_name}/info"
        try:
            request_once_or_more("POST", url, policy=_REPORT, json=message)
        except (SednaError, TypeError, ValueError) as error:
            self.log.error("the report was not sent: %s", error)

    def load_model(self) -> None:
        """Make the estimator's instance and let it load its model.

        Raises ModelError for a missing file, SettingsError without an estimator, and whatever the estimator raises.
        """
        if self.estimator is None:
            raise SettingsError(
                f"{type(self).__name__} has no estimator; write {type(self).__name__}(estimator=Estimator)"
            )
        self.estimator = load_estimator(self.estimator, self._location())

    def _location(self) -> ModelLocation:
        config = self.config
        return ModelLocation(
            url=config.model_url,
            load_mode=self.model_load_mode,
            path_in_folder=self._model_settings.model_path,
            file_name=config.model_name,
            backend=str(config.backend_type or "").upper(),
        )


def find_post_process(post_process: PostProcess) -> Callable[[Any], Any] | None:
    """Return the function itself, or the one registered under that name. Raises ValueError for an unknown name."""
    if post_process is None or callable(post_process):
        return post_process
    callback: Callable[[Any], Any] = ClassFactory.get_cls(ClassType.CALLBACK, post_process)
    return callback
