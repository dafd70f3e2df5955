"""A meta path finder that builds `sedna` and its modules from our objects, by the table in `aliases`.

Nothing is found here before `install()`, so an installed upstream package is never hidden by accident.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_loader
from types import ModuleType

from sedna_py.compat.aliases import ALIASES

_ROOT = "sedna"


class AliasFinder(MetaPathFinder):
    """Find the modules of the table; say what there is where another one below `sedna` is asked for."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return how to build the module; None for one that is not upstream's.

        Raises ModuleNotFoundError for one of upstream's that we do not have.
        """
        if not _is_upstream(fullname):
            return None
        if fullname not in ALIASES:
            # Without `name`: the import system would swallow it for `from sedna.core import ...` and say less.
            raise ModuleNotFoundError(missing(fullname))
        return spec_from_loader(fullname, AliasLoader(), is_package=_is_package(fullname))


class AliasLoader(Loader):
    """Fill a module with our objects."""

    def exec_module(self, module: ModuleType) -> None:
        """Import what the module's names stand for."""
        name = module.__name__
        module.__doc__ = f"{name} as upstream's scripts import it, provided by sedna-py."
        for attribute, target in ALIASES[name].items():
            home, _, thing = target.partition(":")
            setattr(module, attribute, getattr(import_module(home), thing))
        if _is_package(name):
            # `import sedna` alone is enough upstream to reach everything below it.
            vars(module)["__getattr__"] = lambda child: _submodule(name, child)


def install() -> None:
    """Make `sedna` ours, in this process and from now on; also where upstream's package is installed."""
    if any(isinstance(finder, AliasFinder) for finder in sys.meta_path):
        return
    _forget()
    sys.meta_path.insert(0, AliasFinder())


def uninstall() -> None:
    """Undo `install`; what was imported meanwhile is forgotten."""
    ours = [finder for finder in sys.meta_path if isinstance(finder, AliasFinder)]
    for finder in ours:
        sys.meta_path.remove(finder)
    if ours:
        _forget()


def missing(fullname: str) -> str:
    """Return what to say about a module that we do not have."""
    known = ", ".join(sorted(name for name, content in ALIASES.items() if content and name.count(".") > 1))
    return f"sedna-py has no {fullname!r}: it covers joint inference only, with {known}"


def _submodule(package: str, child: str) -> ModuleType:
    fullname = f"{package}.{child}"
    if fullname in ALIASES:
        return import_module(fullname)
    raise AttributeError(f"module {package!r} has no attribute {child!r}")


def _is_upstream(fullname: str) -> bool:
    return fullname == _ROOT or fullname.startswith(f"{_ROOT}.")


def _is_package(fullname: str) -> bool:
    return any(name.startswith(f"{fullname}.") for name in ALIASES)


def _forget() -> None:
    for name in [name for name in sys.modules if _is_upstream(name)]:
        del sys.modules[name]
