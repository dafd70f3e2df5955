"""The lists of a pod whose items have a key: server-side apply takes each key once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from controller.reasons import Reason
from controller.resources.unbuildable import Unbuildable
from sedna_py.api.finding import Place
from sedna_py.api.wording import path_text, show

Items = list[dict[str, Any]]

# By field: the keys of an item, with the value that a missing one stands for. Source: x-kubernetes-list-map-keys of the API.
_POD: Final[Mapping[str, Mapping[str, Any]]] = {
    "containers": {"name": None},
    "initContainers": {"name": None},
    "volumes": {"name": None},
    "imagePullSecrets": {"name": ""},
    "hostAliases": {"ip": None},
    "topologySpreadConstraints": {"topologyKey": None, "whenUnsatisfiable": None},
    "resourceClaims": {"name": None},
    "schedulingGates": {"name": None},
}
_CONTAINER: Final[Mapping[str, Mapping[str, Any]]] = {
    "env": {"name": None},
    "ports": {"containerPort": None, "protocol": "TCP"},
    "volumeMounts": {"mountPath": None},
    "volumeDevices": {"devicePath": None},
}


def items_of(part: Mapping[str, Any], field: str, place: Place) -> Items:
    """Return a list of mappings, empty where there is none. Raises Unbuildable for anything else."""
    items = part.get(field, [])
    if not isinstance(items, list):
        raise invalid((*place, field), f"is {show(items)}; write a list")
    for index, item in enumerate(items):
        if not isinstance(item, dict):
            raise invalid((*place, field, index), f"is {show(item)}; write a mapping")
    return items


def with_unique_items(pod: dict[str, Any], place: Place) -> dict[str, Any]:
    """Return the pod's spec with what is written twice in the same words written once.

    Raises Unbuildable where two items have the same key and differ.
    """
    unique = _unique_lists(pod, _POD, place)
    for field in ("containers", "initContainers"):
        if field in unique:
            unique[field] = [
                _unique_lists(container, _CONTAINER, (*place, field, index))
                for index, container in enumerate(items_of(unique, field, place))
            ]
    return unique


def invalid(place: Place, message: str) -> Unbuildable:
    """Make the error for something in the template that cannot be used."""
    return Unbuildable(Reason.INVALID_SPEC, f"{path_text(place)} {message}")


def _unique_lists(part: dict[str, Any], lists: Mapping[str, Mapping[str, Any]], place: Place) -> dict[str, Any]:
    found = {field: keys for field, keys in lists.items() if field in part}
    return {
        **part,
        **{field: _unique(items_of(part, field, place), keys, (*place, field)) for field, keys in found.items()},
    }


def _unique(items: Items, keys: Mapping[str, Any], place: Place) -> Items:
    seen: dict[str, tuple[int, dict[str, Any]]] = {}
    for index, item in enumerate(items):
        values = {key: item.get(key, default) for key, default in keys.items()}
        first, before = seen.setdefault(repr(values), (index, item))
        if {**before, **values} != {**item, **values}:
            text = ", ".join(f"{key} {show(value)}" for key, value in values.items())
            raise invalid((*place, index), f"has {text}, as item [{first}] has; write each once")
    return [item for _, item in seen.values()]
