"""Read YAML files into services and models; the only place that reads YAML.

Scalars are read as kubectl reads them: dates stay text, and so does 10:30, which YAML 1.1 takes for base sixty.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import yaml

from sedna_py.api.findings import RESOURCES, Finding, check_service, error, parse_document, warning
from sedna_py.api.joint_inference_service import JointInferenceService
from sedna_py.api.metadata import DEFAULT_NAMESPACE
from sedna_py.api.model import Model
from sedna_py.api.wording import near_miss, show
from sedna_py.errors import ManifestError

MAX_BYTES: Final = 5_000_000
MAX_NODES: Final = 200_000
"""Most values of one file, counted with every alias written out, so that a few lines cannot become gigabytes."""

# YAML 1.1 without what kubectl's parser has not got: dates as values and numbers of base sixty.
_PATTERNS: Final[Mapping[str, re.Pattern[str]]] = {
    "tag:yaml.org,2002:timestamp": re.compile(r"(?!)"),
    "tag:yaml.org,2002:int": re.compile(r"[-+]?(0b[01_]+|0x[0-9a-fA-F_]+|0[0-7_]*|[1-9][0-9_]*)$"),
    "tag:yaml.org,2002:float": re.compile(
        r"([-+]?([0-9][0-9_]*)\.[0-9_]*([eE][-+][0-9]+)?|\.[0-9][0-9_]*([eE][-+][0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))$"
    ),
}

MAX_DEPTH: Final = 100
"""Most mappings and lists inside of each other; the composer of libyaml recurses and crashes on very deep ones."""

_TOO_DEEP: Final = f"is nested more than {MAX_DEPTH} levels deep; write it flatter"
_MAX_EVENTS: Final = 4 * MAX_NODES  # a value has at most two events, and an empty document three
_FASTEST: Final[type[yaml.SafeLoader]] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_SECRET: Final = "Secret"  # noqa: S105 - a kind, not a password
_LISTS: Final = frozenset({"List", "JointInferenceServiceList", "ModelList"})


@dataclass(frozen=True)
class LocatedFinding:
    """A finding and where it was found: the file, and the document in it, counted from 1 (0: the file as a whole)."""

    source: str
    document: int
    finding: Finding

    def __str__(self) -> str:
        place = f"{self.source}, document {self.document}" if self.document else self.source
        prefix = "warning: " if self.finding.level == "warning" else ""
        return f"{prefix}{place}: {self.finding}"


@dataclass(frozen=True)
class Manifests:
    """What the files hold, found by (namespace, name); of a Secret only the annotations."""

    services: tuple[JointInferenceService, ...]
    models: Mapping[tuple[str, str], Model]
    secrets: Mapping[tuple[str, str], Mapping[str, str]] = field(default_factory=dict)
    warnings: tuple[LocatedFinding, ...] = ()

    def models_for(self, service: JointInferenceService) -> dict[str, Model]:
        """Return the models that the service can refer to, by name."""
        return {name: model for (namespace, name), model in self.models.items() if namespace == service.namespace}

    def secrets_for(self, service: JointInferenceService) -> dict[str, Mapping[str, str]]:
        """Return the annotations of the Secrets that the service's models can refer to, by name."""
        return {name: notes for (namespace, name), notes in self.secrets.items() if namespace == service.namespace}


@dataclass(frozen=True)
class _Document:
    source: str
    number: int
    content: Any

    def locate(self, finding: Finding) -> LocatedFinding:
        return LocatedFinding(self.source, self.number, finding)


@dataclass
class _Collected:
    services: dict[tuple[str, str], tuple[JointInferenceService, _Document]] = field(default_factory=dict)
    models: dict[tuple[str, str], Model] = field(default_factory=dict)
    secrets: dict[tuple[str, str], dict[str, str]] = field(default_factory=dict)
    findings: list[LocatedFinding] = field(default_factory=list)
    unusable: set[str] = field(default_factory=set)  # kinds of which a document could not be parsed


def load_manifests(paths: Sequence[Path], *, models_needed: bool = True) -> Manifests:
    """Read services and models from YAML files of at most 5 MB each.

    ManifestError with a line per finding, errors first, when any of them is an error. `models_needed` False allows
    services whose Models are not in the files, because they are in the cluster.
    """
    collected = _Collected()
    for path in paths:
        try:
            documents = list(_documents(path))
        except _Unreadable as failure:
            collected.findings.append(LocatedFinding(str(path), 0, error((), str(failure))))
            collected.unusable |= set(RESOURCES)
            continue
        for document in documents:
            _collect(document, collected)
    manifests = _checked(collected, paths, models_needed)
    if any(located.finding.level == "error" for located in collected.findings):
        in_order = sorted(collected.findings, key=lambda located: located.finding.level != "error")
        raise ManifestError([str(located) for located in in_order])
    return manifests


def _checked(collected: _Collected, paths: Sequence[Path], models_needed: bool) -> Manifests:
    # A Model that could not be parsed is not missing: its own finding says what to do.
    complete = models_needed and "Model" not in collected.unusable
    services = tuple(service for service, _ in collected.services.values())
    manifests = Manifests(services, collected.models, collected.secrets)
    for service, document in collected.services.values():
        found = check_service(service, manifests.models_for(service) if complete else None)
        collected.findings += [document.locate(finding) for finding in found]
    if not services and "JointInferenceService" not in collected.unusable:
        names = ", ".join(str(path) for path in paths) or "no file"
        message = "has no JointInferenceService; write a document with kind: JointInferenceService"
        collected.findings.append(LocatedFinding(names, 0, error((), message)))
    return replace(manifests, warnings=tuple(collected.findings))


def _collect(document: _Document, collected: _Collected) -> None:
    kind = document.content.get("kind") if isinstance(document.content, dict) else None
    if isinstance(kind, str) and kind not in RESOURCES and near_miss(kind, RESOURCES, cutoff=0.8) is None:
        if kind == _SECRET:
            _store_secret(document, collected)
        else:
            ignored = f"is {show(kind)} and is ignored; only JointInferenceService, Model and Secret are read here"
            collected.findings.append(document.locate(warning(("kind",), ignored)))
        return
    resource, findings = parse_document(document.content)
    collected.findings += [document.locate(finding) for finding in findings]
    if resource is None:
        collected.unusable |= {kind} if isinstance(kind, str) and kind in RESOURCES else set(RESOURCES)
        return
    _store(resource, document, collected)


def _store(resource: JointInferenceService | Model, document: _Document, collected: _Collected) -> None:
    key = (resource.namespace, resource.name)
    taken: Mapping[tuple[str, str], object] = collected.models if isinstance(resource, Model) else collected.services
    if key in taken:
        repeated = f"is {show(resource.name)}, the name of another {resource.kind} in namespace {resource.namespace}"
        collected.findings.append(document.locate(error(("metadata", "name"), f"{repeated}; write another name")))
    elif isinstance(resource, Model):
        collected.models[key] = resource
    else:
        collected.services[key] = (resource, document)


def _store_secret(document: _Document, collected: _Collected) -> None:
    metadata = document.content.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    if not isinstance(name, str):
        return  # not ours to judge; a Model that needs it will be told that it is missing
    annotations = metadata.get("annotations")
    texts = annotations.items() if isinstance(annotations, dict) else ()
    for key, value in texts:
        if not isinstance(value, str):
            message = f"is {show(value)}, not text, and is ignored; write it in quotes"
            collected.findings.append(document.locate(warning(("metadata", "annotations", str(key)), message)))
    key = (str(metadata.get("namespace") or DEFAULT_NAMESPACE), name)
    collected.secrets[key] = {str(key): value for key, value in texts if isinstance(value, str)}


class _Unreadable(Exception):
    """A file that cannot be read or is not YAML; the message is one line."""


def _documents(path: Path) -> Iterator[_Document]:
    for number, content in enumerate(_parsed(_text(path)), start=1):
        items = content.get("items") if isinstance(content, dict) and content.get("kind") in _LISTS else None
        if isinstance(items, list):
            yield from (_Document(str(path), number, item) for item in items)
        elif content is not None:
            yield _Document(str(path), number, content)


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise _Unreadable("there is no such file; check the path") from None
    except IsADirectoryError:
        raise _Unreadable("is a directory; name the YAML files in it") from None
    except (OSError, ValueError) as failure:
        reason = getattr(failure, "strerror", None) or str(failure)
        raise _Unreadable(f"cannot be read ({reason}); check the path and its permissions") from failure
    if len(data) > MAX_BYTES:
        raise _Unreadable(f"is larger than {MAX_BYTES // 1_000_000} MB; split it into several files")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as failure:
        raise _Unreadable(f"is not UTF-8 text (byte {failure.start}); save it as UTF-8") from failure


def _loader(text: str) -> yaml.SafeLoader:
    loader: yaml.SafeLoader = _FASTEST(text)
    loader.yaml_implicit_resolvers = {
        first: [(tag, _PATTERNS.get(tag, pattern)) for tag, pattern in resolvers]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    return loader


def _refuse_huge(text: str) -> None:
    depth = 0
    for count, event in enumerate(yaml.parse(text, Loader=_FASTEST)):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH:
            raise _Unreadable(_TOO_DEEP)
        if count > _MAX_EVENTS:
            raise _Unreadable(f"has more than {MAX_NODES} values; split it into several files")


def _parsed(text: str) -> Iterator[Any]:
    try:
        _refuse_huge(text)
        loader = _loader(text)
        try:
            left = MAX_NODES
            while loader.check_node():
                node = loader.get_node()
                if node is not None:
                    left -= _expanded_size(node, left)
                    yield loader.construct_document(node)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as failure:
        raise _Unreadable(_marked(failure)) from failure
    except yaml.YAMLError as failure:
        reason = str(getattr(failure, "reason", failure)).splitlines()[0]
        raise _Unreadable(f"is not YAML: {reason}") from failure
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as failure:
        # What PyYAML's constructors raise for `!!bool x`, `!!int ''` or a number of thousands of digits.
        raise _Unreadable("has a number or tagged value that cannot be read; write it in quotes") from failure


def _marked(failure: yaml.MarkedYAMLError) -> str:
    # The C parser of PyYAML 6.0.4 and later has a bound of its own, which its look ahead may meet before ours is met.
    if "nesting depth" in (failure.problem or ""):
        return _TOO_DEEP
    mark = failure.problem_mark or failure.context_mark
    place = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
    return f"is not usable YAML{place}: {failure.problem or failure.context}"


def _expanded_size(root: yaml.Node, limit: int) -> int:
    """Count the nodes below `root` with every alias written out.

    _Unreadable beyond `limit` nodes or MAX_DEPTH levels, and for an alias inside of what it stands for.
    """
    measured: dict[int, tuple[int, int]] = {}  # number of nodes and of levels
    open_nodes: set[int] = set()

    def measure(node: yaml.Node) -> tuple[int, int]:
        if id(node) in measured:
            return measured[id(node)]
        if id(node) in open_nodes:
            raise _Unreadable("has an alias inside of what it stands for; write it out")
        open_nodes.add(id(node))
        below = [measure(child) for child in _children(node)]
        size, depth = 1 + sum(part[0] for part in below), 1 + max((part[1] for part in below), default=0)
        if size > limit:
            raise _Unreadable(f"has more than {MAX_NODES} values with its aliases written out; split it or use fewer")
        if depth > MAX_DEPTH + 1:
            raise _Unreadable(_TOO_DEEP)
        open_nodes.discard(id(node))
        measured[id(node)] = (size, depth)
        return size, depth

    return measure(root)[0]


def _children(node: yaml.Node) -> Iterator[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        seen: set[tuple[str, str]] = set()
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                _refuse_repeated_key(key, seen)
            yield key
            yield value
    elif isinstance(node, yaml.SequenceNode):
        yield from node.value


def _refuse_repeated_key(key: yaml.ScalarNode, seen: set[tuple[str, str]]) -> None:
    if (key.tag, key.value) in seen:
        place = f"line {key.start_mark.line + 1}, column {key.start_mark.column + 1}"
        raise _Unreadable(f"has the key {show(key.value)} twice in one mapping at {place}; remove one")
    seen.add((key.tag, key.value))
