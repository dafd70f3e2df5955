"""What others did to an object that we apply, read from its managedFields; so no default has to be known here.

Server-side apply puts back what others changed or removed of ours, and leaves alone what they added. This finds both: the
digest of what we own changes with the first, and `foreign_fields` undoes the second.

managedFields has one entry per manager and operation. Its fieldsV1 is a tree of fields: `f:name` is a field,
`k:{"key":value}` and `v:value` are items of a list, `i:3` is a position, "." is the node itself, and {} ends a branch.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

Tree = Mapping[str, Any]
FieldPath = tuple[str, ...]
JsonPath = tuple[str | int, ...]
Operation = dict[str, Any]

_ITEM: Final = "*"
# Whose fields these are: the autoscaler and `kubectl scale`, `kubectl rollout restart`, and the API server itself.
_BY_RIGHT: Final[Mapping[str, frozenset[FieldPath]]] = {
    "Deployment": frozenset(
        {
            ("f:spec", "f:replicas"),
            ("f:spec", "f:template", "f:metadata", "f:annotations"),
        }
    ),
    "Service": frozenset(
        {
            ("f:spec", "f:clusterIP"),
            ("f:spec", "f:clusterIPs"),
            ("f:spec", "f:ipFamilies"),
            ("f:spec", "f:ipFamilyPolicy"),
            ("f:spec", "f:healthCheckNodePort"),
            ("f:spec", "f:loadBalancerIP"),  # some load balancers write there what they have chosen
            ("f:spec", "f:ports", _ITEM, "f:nodePort"),
        }
    ),
}


def ownership(live: Mapping[str, Any], manager: str) -> bytes | None:
    """Return a digest of what `manager` owns by apply; None when it never applied, or owns nothing any more.

    It changes when anybody else changes, removes or reorders any of it, and with what is applied.
    """
    entry = _applied(_entries(live), manager)
    if entry is None:
        return None
    text = json.dumps([entry["fieldsV1"], *_orders(entry["fieldsV1"], live)], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).digest()


def foreign_fields(live: Mapping[str, Any], manager: str) -> list[Operation]:
    """Return the JSON patch that removes what others added under `spec`; empty when there is nothing to remove.

    What is theirs by right stays: subresources, replicas, annotations of the pods, what the server allocates. The patch names
    the version of the object that it is for, so a later one is a conflict (409).

    Where a default takes the place of what is removed, the server makes the default a field of whoever patched. One more
    call, with the patched object, returns the patch that ends this.
    """
    entries = _entries(live)
    applied = _applied(entries, manager)
    if applied is None:
        return []
    others = [entry for entry in entries if entry is not applied and not entry.get("subresource")]
    removals = set(_added_by(others, manager, applied["fieldsV1"], _BY_RIGHT.get(live.get("kind", ""), frozenset())))
    if not removals and all(entry.get("manager") != manager for entry in others):
        return []
    return [
        *({"op": "remove", "path": _pointer_text(pointer)} for pointer in _pointers(live, removals)),
        {"op": "replace", "path": "/metadata/managedFields", "value": _without(entries, applied, manager, removals)},
        _for_version(live),
    ]


def overwrite(live: Mapping[str, Any], manifest: Mapping[str, Any]) -> list[Operation]:
    """Return the JSON patch that replaces each field of `spec` that the manifest has, with all that others put into it.

    For an edit that apply cannot undo, because what it leaves and what it puts back do not go together: two kinds of source
    in one volume, two ports of one name. Apply again afterwards, so that the fields are owned by apply. Annotations of the
    pods are kept.
    """
    wanted = dict(manifest["spec"])
    if "template" in wanted:
        wanted["template"] = _with_annotations(wanted["template"], live["spec"].get("template", {}))
    fields: list[Operation] = [{"op": "add", "path": f"/spec/{field}", "value": wanted[field]} for field in wanted]
    return [*fields, _for_version(live)]


def _with_annotations(template: Mapping[str, Any], live: Mapping[str, Any]) -> dict[str, Any]:
    metadata = template.get("metadata", {})
    theirs = live.get("metadata", {}).get("annotations") or {}
    annotations = {**theirs, **metadata.get("annotations", {})}
    return {**template, "metadata": {**metadata, **({"annotations": annotations} if annotations else {})}}


def _entries(live: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    return [entry for entry in live["metadata"].get("managedFields") or () if isinstance(entry.get("fieldsV1"), dict)]


def _applied(entries: Sequence[Mapping[str, Any]], manager: str) -> Mapping[str, Any] | None:
    for entry in entries:
        if entry.get("manager") == manager and entry.get("operation") == "Apply" and not entry.get("subresource"):
            return entry
    return None


def _orders(own: Tree, node: Any) -> Iterator[list[str]]:
    """Yield the keys of the items of each list of ours in the order in which they stand, which no owner is kept of."""
    places = {key: next(iter(_parts(node, key)), -1) for key in own if key.startswith("k:")}
    if places:
        yield sorted(places, key=lambda key: (places[key], key))
    for key, below in sorted(own.items()):
        for part in _parts(node, key) if below else ():
            yield from _orders(below, node[part])


def _added_by(
    others: Sequence[Mapping[str, Any]], manager: str, own: Tree, by_right: frozenset[FieldPath]
) -> Iterator[FieldPath]:
    for entry in others:
        if entry.get("manager") != manager:
            theirs = {key: below for key, below in entry["fieldsV1"].items() if key == "f:spec"}
            yield from _beyond(theirs, own, (), by_right)


def _beyond(theirs: Tree, own: Tree, at: FieldPath, by_right: frozenset[FieldPath]) -> Iterator[FieldPath]:
    """Yield the highest paths of their tree that are not in ours; a path is in ours if anything below it is."""
    for key, below in theirs.items():
        path = (*at, key)
        if key == "." or _pattern(path) in by_right:
            continue
        if key not in own:
            yield path
        else:
            yield from _beyond(below, own[key], path, by_right)


def _pattern(path: FieldPath) -> FieldPath:
    return tuple(key if key.startswith("f:") else _ITEM for key in path)


def _without(
    entries: Sequence[Mapping[str, Any]], applied: Mapping[str, Any], manager: str, removals: set[FieldPath]
) -> list[Mapping[str, Any]]:
    """Return the entries without the removed fields; else who set a field to its default would own it for ever."""
    left: list[Mapping[str, Any]] = []
    for entry in entries:
        if entry is applied or entry.get("subresource"):
            left.append(entry)
        elif entry.get("manager") != manager:
            tree = _pruned(entry["fieldsV1"], removals, ())
            left += [{**entry, "fieldsV1": tree}] if tree else []
    return left


def _pruned(tree: Tree, removals: set[FieldPath], at: FieldPath) -> Tree:
    kept: dict[str, Any] = {}
    for key, below in tree.items():
        path = (*at, key)
        if path in removals:
            continue
        pruned = _pruned(below, removals, path)
        if pruned or not below:
            kept[key] = pruned
    return kept


def _pointers(live: Mapping[str, Any], paths: set[FieldPath]) -> list[JsonPath]:
    """Return where the fields are in the object, the last item of a list first, as each removal moves those behind it."""
    found = {pointer for path in paths for pointer in _located(live, path, ())}
    # Pointers first differ below the same node, so numbers are never compared with names.
    return sorted(found, key=lambda pointer: tuple(-part if isinstance(part, int) else part for part in pointer))


def _located(node: Any, path: FieldPath, at: JsonPath) -> Iterator[JsonPath]:
    if not path:
        yield at
        return
    for part in _parts(node, path[0]):
        yield from _located(node[part], path[1:], (*at, part))


def _parts(node: Any, key: str) -> list[str | int]:
    """Return the names or positions that a key of fieldsV1 stands for: none where there is no such thing (any more)."""
    kind, _, text = key.partition(":")
    if isinstance(node, dict):
        return [text] if kind == "f" and text in node else []
    if not isinstance(node, list):
        return []
    if kind == "i":
        return [int(text)] if int(text) < len(node) else []
    wanted = _parsed(text)
    if kind == "v":
        return [index for index, item in enumerate(node) if item == wanted]
    return [index for index, item in enumerate(node) if isinstance(item, dict) and wanted.items() <= item.items()]


@lru_cache(maxsize=4096)
def _parsed(key: str) -> Any:
    return json.loads(key)


def _pointer_text(pointer: JsonPath) -> str:
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in pointer)


def _for_version(live: Mapping[str, Any]) -> Operation:
    # Not a `test`: the server answers a failed one like any patch that it cannot read, with 422.
    return {"op": "replace", "path": "/metadata/resourceVersion", "value": live["metadata"]["resourceVersion"]}
