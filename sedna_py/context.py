"""Upstream's view of the environment, for scripts that read their own variables.

`Context` reads at each use. `BaseConfig` reads each value once, when it is first asked for.
"""

from __future__ import annotations

import importlib
import json
import os
import runpy
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar, overload

from sedna_py.errors import SettingsError
from sedna_py.hard_example_mining.parameter_list import parse_parameters

T = TypeVar("T")


class Context:
    """The environment by name; a lower-case name also finds the upper-case variable, and an empty value is no value."""

    parameters: ClassVar[MutableMapping[str, str]] = os.environ

    @overload
    @classmethod
    def get_parameters(cls, param: str, default: None = None) -> str | None: ...
    @overload
    @classmethod
    def get_parameters(cls, param: str, default: T) -> str | T: ...
    @classmethod
    def get_parameters(cls, param: str, default: Any = None) -> Any:
        """Return the variable's text, or `default` as it is."""
        return cls.parameters.get(param) or cls.parameters.get(str(param).upper()) or default

    @classmethod
    def get_algorithm_from_api(cls, algorithm: str, **param: Any) -> dict[str, Any]:
        """Return {"method": name, "param": {...}} from <algorithm>_NAME and <algorithm>_PARAMETERS; {} without a name.

        `param` overrides what the service's manifest says. `Context.get_algorithm_from_api("HEM")` is the filter.
        """
        method = cls.get_parameters(f"{algorithm}_NAME")
        if not method:
            return {}
        return {"method": method, "param": {**parse_parameters(cls.get_parameters(f"{algorithm}_PARAMETERS")), **param}}


class _ReadOnce(Generic[T]):
    """One environment variable: read at the first access to the attribute, on the class or on an instance."""

    def __init__(self, variable: str, default: T) -> None:
        self._variable = variable
        self._default = default

    def __get__(self, instance: object, owner: type[BaseConfig]) -> str | T:
        if self._variable not in owner._read:
            owner._read[self._variable] = os.environ.get(self._variable)
        value = owner._read[self._variable]
        return self._default if value is None else value


class BaseConfig:
    """What the control plane tells a worker; `BaseConfig()` is always the same object.

    The attributes are the environment's names in lower case. As upstream, a value may be replaced by assignment.
    """

    _read: ClassVar[dict[str, str | None]] = {}
    _instance: ClassVar[BaseConfig | None] = None

    device_category = _ReadOnce("DEVICE_CATEGORY", "CPU")
    backend_type = _ReadOnce("BACKEND_TYPE", "TENSORFLOW")
    lc_server = _ReadOnce("LC_SERVER", "http://127.0.0.1:9100")
    original_dataset_url = _ReadOnce("ORIGINAL_DATASET_URL", None)
    train_dataset_url = _ReadOnce("TRAIN_DATASET_URL", None)
    test_dataset_url = _ReadOnce("TEST_DATASET_URL", None)
    data_path_prefix = _ReadOnce("DATA_PATH_PREFIX", "/home/data")
    namespace = _ReadOnce("NAMESPACE", "")
    worker_name = _ReadOnce("WORKER_NAME", "")
    service_name = _ReadOnce("SERVICE_NAME", "")
    job_name = _ReadOnce("JOB_NAME", "sedna")
    pretrained_model_url = _ReadOnce("PRETRAINED_MODEL_URL", "./")
    model_url = _ReadOnce("MODEL_URL", None)
    model_name = _ReadOnce("MODEL_NAME", None)
    log_level = _ReadOnce("LOG_LEVEL", "INFO")
    transmitter = _ReadOnce("TRANSMITTER", "ws")
    agg_data_path = _ReadOnce("AGG_DATA_PATH", "./")
    s3_endpoint_url = _ReadOnce("S3_ENDPOINT_URL", "")
    access_key_id = _ReadOnce("ACCESS_KEY_ID", "")
    secret_access_key = _ReadOnce("SECRET_ACCESS_KEY", "")
    parameters = _ReadOnce("PARAMETERS", None)

    def __new__(cls) -> BaseConfig:
        """Return the one instance."""
        if cls._instance is None:
            cls._instance = super().__new__(cls)
        return cls._instance

    @property
    def parameter(self) -> dict[str, Any]:
        """Return what PARAMETERS holds: JSON text, or a .json, .yaml or .py file; {} if it is not set.

        Raises SettingsError where it cannot be read. A .py file is run.
        """
        return read_parameters(self.parameters) if self.parameters else {}

    @classmethod
    def reload(cls) -> None:
        """Forget what was read: the next access reads the environment again."""
        cls._read.clear()

    @classmethod
    def from_json(cls, data: Mapping[str, Any] | str | None) -> type[BaseConfig]:
        """Set the values of a mapping, of JSON text or of a file, also ones that no variable has."""
        values = read_parameters(data) if isinstance(data, str) and data else data
        for name, value in dict(values or {}).items():
            setattr(cls, name, value)
        return cls

    def update(self, **values: Any) -> None:
        """Set those of the values whose name is known; the others are ignored, as upstream does."""
        for name in self._names() & values.keys():
            setattr(self, name, values[name])

    def to_json(self) -> dict[str, Any]:
        """Return every value by name, credentials included."""
        return {name: getattr(self, name) for name in sorted(self._names())}

    def get(self, item: str, default: Any = "") -> Any:
        """Return a value, or `default` where there is none or an empty one."""
        return self[item] or default

    def __getitem__(self, item: str) -> Any:
        return getattr(self, item, None)

    @classmethod
    def _names(cls) -> set[str]:
        own = vars(BaseConfig).items()
        return {name for name, value in own if not name.startswith("_") and not _is_code(value)}


def read_parameters(text: str) -> dict[str, Any]:
    """Return the object in a .json, .yaml, .yml or .py file, or in `text` itself if it is JSON.

    Raises SettingsError with what to write instead. A .py file is run, and gives its public names.
    """
    suffix = Path(text).suffix if len(text) < _LONGEST_PATH else ""
    try:
        values = _READERS[suffix](Path(text)) if suffix in _READERS else json.loads(text)
    except SettingsError:
        raise
    except Exception as error:
        raise SettingsError(
            f"PARAMETERS cannot be read: {error}; write a JSON object or the path of a .json, .yaml or .py file"
        ) from error
    if not isinstance(values, dict):
        raise SettingsError(f"PARAMETERS holds a {type(values).__name__}; write an object with names and values")
    return values


def _read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _read_yaml(path: Path) -> Any:
    try:
        yaml = importlib.import_module("yaml")  # not among the library's own requirements
    except ImportError as error:
        raise SettingsError(f"reading {path} needs PyYAML; run: pip install pyyaml") from error
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def _read_python(path: Path) -> Any:
    return {name: value for name, value in runpy.run_path(str(path)).items() if not name.startswith("__")}


def _is_code(value: object) -> bool:
    return callable(value) or isinstance(value, (classmethod, property))


_READERS = {".json": _read_json, ".yaml": _read_yaml, ".yml": _read_yaml, ".py": _read_python}
_LONGEST_PATH = 4096  # characters; JSON text may be longer and end like a file name
