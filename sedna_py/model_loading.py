"""How an estimator is given its model and its data: the rules of upstream's framework backends, without the frameworks."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sedna_py.errors import ModelError
from sedna_py.estimator import accepted_kwargs, instantiate

_log = logging.getLogger(__name__)

_DEFAULT_NAMES = {
    "TENSORFLOW": "model_finetune_tensorflow.pb",
    "KERAS": "model_finetune_keras.pb",
    "MINDSPORE": "model_finetune_mindspore.ckpt",
    "TORCH": "model_finetune_pytorch.pkl",
}
_NAMED_BY_POSITION = (
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
    inspect.Parameter.VAR_POSITIONAL,
)


@dataclass(frozen=True, slots=True)
class ModelLocation:
    """MODEL_URL, MODEL_LOAD_MODE, model_path, MODEL_NAME and BACKEND_TYPE."""

    url: str | None
    load_mode: str = "file"
    path_in_folder: str | None = None
    file_name: str | None = None
    backend: str = ""

    @property
    def is_file(self) -> bool:
        """Whether the model has to be on this machine."""
        return self.load_mode == "file"


def find_model(location: ModelLocation) -> str:
    """Return the path or address that the estimator is to load; it may not exist.

    Raises ModelError where nothing names one.
    """
    url = location.url
    if not location.is_file:
        return url or ""
    if url and Path(url).is_file():
        return url
    if location.path_in_folder:
        return location.path_in_folder
    if not url:
        raise ModelError("MODEL_URL is not set; write the path of the model file, or set MODEL_LOAD_MODE")
    return str(Path(url) / (location.file_name or _DEFAULT_NAMES.get(location.backend, "model_finetune_.pkl")))


def load_estimator(estimator: Any, location: ModelLocation) -> Any:
    """Return an instance that has loaded its model.

    Raises ModelError ("<path> miss") for a missing file, and whatever the estimator raises.
    """
    path = find_model(location)
    if location.is_file and not Path(path).exists():
        raise ModelError(f"{path} miss")
    instance = instantiate(estimator)
    if location.backend == "TORCH":
        _load_without_path(instance)
    elif hasattr(instance, "load"):
        instance.load(**accepted_kwargs(instance.load, {"model_url": path}))
    return instance


def call_with_data(function: Callable[..., Any], data: Any, kwargs: dict[str, Any]) -> Any:
    """Call `predict` or `evaluate` with those keyword arguments that it takes; `data` goes by name only if it has to."""
    accepted = accepted_kwargs(function, kwargs) if kwargs else {}
    by_position = any(p.kind in _NAMED_BY_POSITION for p in inspect.signature(function).parameters.values())
    return function(data, **accepted) if by_position else function(data=data, **accepted)


def _load_without_path(instance: Any) -> None:
    # Upstream's scripts rely on both: they read MODEL_URL themselves, and go on if that fails.
    try:
        instance.load()
    except Exception:  # noqa: BLE001 - user code
        _log.exception(
            "the estimator could not load its model; going on without it, as Sedna does for BACKEND_TYPE=TORCH"
        )
