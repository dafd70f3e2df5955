"""Write documents as YAML that kubectl reads back as they were; the only place that writes YAML."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping
from typing import Any, Final

import yaml

# Text that some reader of YAML takes for a number (1e3, 0o17) or a truth value, beyond what PyYAML itself would quote.
_AMBIGUOUS: Final = re.compile(r"[-+]?[.\d][\da-fox_.:+-]*|[yn]", re.IGNORECASE)


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True  # what two objects share is written out in both

    def text(self, value: str) -> yaml.ScalarNode:
        style = '"' if _AMBIGUOUS.fullmatch(value) else None
        return self.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _Dumper.text)


def yaml_documents(documents: Iterable[Mapping[str, Any]]) -> str:
    """Return the documents as one text, each beginning with `---`, their fields in the order in which they are held."""
    return yaml.dump_all(
        documents, Dumper=_Dumper, sort_keys=False, explicit_start=True, allow_unicode=False, width=sys.maxsize
    )
