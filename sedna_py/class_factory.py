"""The registry by which upstream's scripts name their own filters and callbacks.

The built-in filters are found here too, but are imported only when filters are asked for. What a script registers comes
before them, in whichever order the modules are imported.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from enum import StrEnum
from inspect import isclass, isfunction
from types import ModuleType
from typing import Any, ClassVar, TypeVar

_log = logging.getLogger(__name__)

T = TypeVar("T")


class ClassType(StrEnum):
    """The kinds of things that can be registered; the values are upstream's, its spelling included."""

    GENERAL = "general"
    HEM = "hard_example_mining"
    FL_AGG = "aggregation"
    MTL = "multi_task_learening"
    UTD = "unseen_task_detect"
    OF = "optical_flow"
    ALGORITHM = "algorithm"
    DATASET = "data_process"
    CALLBACK = "post_process_callback"
    UTP = "unseen_task_processing"
    KM = "knowledge_management"
    STP = "seen_task_processing"


class ClassFactory:
    """Classes and functions by kind and alias, one table for the process."""

    _registry: ClassVar[dict[str, dict[str, Any]]] = {}

    @classmethod
    def register(cls, type_name: str = ClassType.GENERAL, alias: str | None = None) -> Callable[[T], T]:
        """Return a decorator that registers what it decorates, under its own name unless `alias` is given."""
        return lambda registered: cls.register_cls(registered, type_name, alias)

    @classmethod
    def register_cls(cls, t_cls: T, type_name: str = ClassType.GENERAL, alias: str | None = None) -> T:
        """Register a class or function and return it; an earlier one of this alias is replaced, with a warning."""
        name = alias if alias is not None else str(getattr(t_cls, "__name__", t_cls))
        replaced = cls._find(type_name, name)
        if replaced is not None and replaced is not t_cls:
            _log.warning("%s %r is registered again: %r replaces %r", type_name, name, t_cls, replaced)
        cls._registry.setdefault(type_name, {})[name] = t_cls
        return t_cls

    @classmethod
    def register_from_package(cls, package: ModuleType, type_name: str = ClassType.GENERAL) -> None:
        """Register every public class and function of a module."""
        for name, value in vars(package).items():
            if not name.startswith("_") and (isclass(value) or isfunction(value)):
                cls.register_cls(value, type_name)

    @classmethod
    def is_exists(cls, type_name: str, cls_name: str | None = None) -> bool:
        """Return whether this alias (or, without one, anything of this kind) is known."""
        if cls_name is None:
            return bool(cls.names(type_name))
        return cls._find(type_name, cls_name) is not None

    @classmethod
    def get_cls(cls, type_name: str, t_cls_name: str | None = None) -> Any:
        """Return what is registered under this alias.

        Raises ValueError with the names that are known.
        """
        found = cls._find(type_name, t_cls_name) if t_cls_name is not None else None
        if found is None:
            known = ", ".join(cls.names(type_name)) or "nothing is registered"
            raise ValueError(f"no {type_name} is called {t_cls_name!r}; known: {known}")
        return found

    @classmethod
    def names(cls, type_name: str) -> tuple[str, ...]:
        """Return the known aliases of a kind, the built-in ones first."""
        return tuple({**_builtins(type_name), **cls._registry.get(type_name, {})})

    @classmethod
    def _find(cls, type_name: str, name: str) -> Any:
        registered = cls._registry.get(type_name, {})
        return registered[name] if name in registered else _builtins(type_name).get(name)


def _builtins(type_name: str) -> Mapping[str, Any]:
    if type_name != ClassType.HEM:
        return {}
    from sedna_py.hard_example_mining.registry import BUILTIN_FILTERS  # it imports this module

    return BUILTIN_FILTERS
