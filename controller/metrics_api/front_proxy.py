"""Who calls: what the API server says of itself in a ConfigMap, and what its front proxy says of others in headers.

Kubernetes' rules for aggregated API servers: the headers count only on a connection whose client has shown a certificate of
the front proxy's authority, with one of the allowed names in it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote

CONFIG_MAP: Final = ("kube-system", "extension-apiserver-authentication")
ANYBODY: Final = "system:authenticated"
MOST_GROUPS: Final = 256


@dataclass(frozen=True)
class FrontProxy:
    """How the API server shows who calls; header names are in small letters, `allowed_names` () allows every name."""

    authority: str = ""  # PEM; "" = nobody can be the front proxy
    allowed_names: tuple[str, ...] = ()
    user_headers: tuple[str, ...] = ("x-remote-user",)
    group_headers: tuple[str, ...] = ("x-remote-group",)
    extra_prefixes: tuple[str, ...] = ("x-remote-extra-",)


@dataclass(frozen=True)
class Caller:
    """Somebody who is known; `extra` goes on to the authorizer unread."""

    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @classmethod
    def known(cls, name: str, groups: Iterable[str], **more: Any) -> Caller:
        """Return the caller, who is in the group of everybody that is known, whatever the groups say."""
        return cls(name, groups=tuple(dict.fromkeys([*groups, ANYBODY]))[:MOST_GROUPS], **more)


def front_proxy(data: Mapping[str, Any]) -> FrontProxy:
    """Return what the ConfigMap's data say; a list that cannot be read is an empty one, and no headers are then trusted."""
    names = _names(data.get("requestheader-allowed-names"), default=())
    authority = data.get("requestheader-client-ca-file")
    usable = isinstance(authority, str) and names is not None
    return FrontProxy(
        authority=authority if usable and isinstance(authority, str) else "",
        allowed_names=names or (),
        user_headers=_lowered(data.get("requestheader-username-headers")),
        group_headers=_lowered(data.get("requestheader-group-headers")),
        extra_prefixes=_lowered(data.get("requestheader-extra-headers-prefix")),
    )


def caller_in_headers(
    proxy: FrontProxy, common_names: Iterable[str], headers: Iterable[tuple[str, str]]
) -> Caller | None:
    """Return whom the front proxy calls for; None where it is not the front proxy, or names nobody.

    `common_names` are those of the certificate that TLS has checked.
    """
    if not proxy.authority or not any(not proxy.allowed_names or name in proxy.allowed_names for name in common_names):
        return None
    lowered = [(name.lower(), value) for name, value in headers]
    users = [value for wanted in proxy.user_headers for name, value in lowered if name == wanted and value]
    if not users:
        return None
    groups = [value for wanted in proxy.group_headers for name, value in lowered if name == wanted]
    return Caller.known(users[0], groups, extra=_extra(proxy, lowered))


def common_names(certificate: Mapping[str, Any] | None) -> list[str]:
    """Return the CNs of a checked certificate as Python's ssl module gives it."""
    subject = (certificate or {}).get("subject") or ()
    return [value for part in subject for key, value in part if key == "commonName"]


def _extra(proxy: FrontProxy, headers: list[tuple[str, str]]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    found: dict[str, list[str]] = {}
    for name, value in headers:
        for prefix in proxy.extra_prefixes:
            if name.startswith(prefix):
                found.setdefault(unquote(name.removeprefix(prefix)), []).append(value)
    return tuple((key, tuple(values)) for key, values in sorted(found.items()))


def _lowered(text: Any) -> tuple[str, ...]:
    return tuple(name.lower() for name in _names(text, default=()) or () if name)


def _names(text: Any, default: tuple[str, ...]) -> tuple[str, ...] | None:
    """Return the list in a JSON text, `default` where there is no text, None where it is something else."""
    if text is None:
        return default
    try:
        found = json.loads(text)
    except (TypeError, ValueError):
        return None
    return tuple(found) if isinstance(found, list) and all(isinstance(one, str) for one in found) else None
