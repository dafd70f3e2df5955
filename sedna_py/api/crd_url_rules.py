"""Rules for the url of a Model: what `url_problem` finds, as far as regular expressions can tell.

The messages do not repeat the url, which may hold a password.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sedna_py.api.crd_rule import Rule, pattern

_SCHEME: Final = "^[A-Za-z][A-Za-z0-9+.-]*:"
_FETCHED: Final = "^([sS]3|[hH][tT][tT][pP][sS]?):"
_CONTROL: Final = r"[\x00-\x1f\x7f]|%[01][0-9A-Fa-f]|%7[Ff]"
_BAD_ESCAPE: Final = "%([^0-9A-Fa-f]|[0-9A-Fa-f][^0-9A-Fa-f]|[0-9A-Fa-f]?$)"
_PARENT: Final = "(^|/|%2[Ff])([.]|%2[Ee]){2}(/|%2[Ff]|$)"
_HOST: Final = r"(\[[0-9A-Fa-f:.]+\]|[^\s/?#@:\[\]]+)"
_PORT: Final = "(:(0*([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?)?"
_ADDRESS: Final = rf"^[A-Za-z0-9]+://([^\s/?#]*@)?{_HOST}{_PORT}([/?#]|$)"


def _matches(form: str) -> str:
    return f"self.matches({pattern(form)})"


def url_rules() -> Sequence[Rule]:
    """Return the rules for `spec.url`; of one mistake only one rule speaks."""
    passed_on = f"({_matches(_SCHEME)} && !{_matches(_FETCHED)})"
    return (
        Rule("self != ''", "is empty; write a path on the node such as /models/yolo.xml, or an s3, http or https URL"),
        Rule(f"!{_matches(_CONTROL)}", "has control characters; remove them"),
        Rule(f"!{_matches(_BAD_ESCAPE)}", "has a % that begins no escape; write %25 for a percent sign"),
        Rule(f"{passed_on} || !{_matches(_PARENT)}", "has '..' in it; write the path without '..'"),
        Rule(
            f"self == '' || self.startsWith('/') || {_matches(_SCHEME)}",
            "is a relative path; write an absolute path on the node, such as /models/yolo.xml",
        ),
        Rule(
            f"!{_matches(_FETCHED)} || {_matches(_ADDRESS)}",
            "has no usable host; write it as s3://bucket/path/model.xml or https://host/path/model.xml",
        ),
    )
