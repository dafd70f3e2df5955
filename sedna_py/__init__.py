"""Cloud-edge joint inference: what a worker script imports.

The names are imported when they are first used, so that `import sedna_py` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sedna_py.big_model_service import BigModelService
    from sedna_py.class_factory import ClassFactory, ClassType
    from sedna_py.context import BaseConfig, Context
    from sedna_py.file_ops import FileOps
    from sedna_py.joint_inference import JointInference

__version__ = "0.1.0"

__all__ = [
    "BaseConfig",
    "BigModelService",
    "ClassFactory",
    "ClassType",
    "Context",
    "FileOps",
    "JointInference",
    "__version__",
]

_HOMES = {
    "BaseConfig": "sedna_py.context",
    "BigModelService": "sedna_py.big_model_service",
    "ClassFactory": "sedna_py.class_factory",
    "ClassType": "sedna_py.class_factory",
    "Context": "sedna_py.context",
    "FileOps": "sedna_py.file_ops",
    "JointInference": "sedna_py.joint_inference",
}


def __getattr__(name: str) -> object:
    """Import a public name at its first use."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
