"""Rules for `spec.cloudWorker.expose`: what `Exposure` refuses, as far as regular expressions can tell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sedna_py.api.crd_rule import Rule, pattern
from sedna_py.api.exposure import ADDRESS_FORM, BARE_HOST

_NAME: Final = "[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?"
_HEX: Final = "[0-9A-Fa-f.]*"
_SIX: Final = f"{_HEX}:{_HEX}:[0-9A-Fa-f:.]*"
_PORT: Final = r":0*([1-9]\d{0,3}|[1-5]\d{4}|6[0-4]\d{3}|65[0-4]\d{2}|655[0-2]\d|6553[0-5])"
_ADDRESS: Final = rf"^(({_NAME}|\[{_SIX}\])({_PORT})?|{_SIX})$"
_WITH_PORT: Final = r"^[^:\[]*:|\]:"


def address_rule() -> Rule:
    """Return the rule for what an address looks like."""
    return Rule(f"self.matches({pattern(_ADDRESS)})", ADDRESS_FORM)


def exposure_rules() -> Sequence[Rule]:
    """Return the rules for what goes with which type."""
    return (
        Rule(
            "!has(self.type) || self.type != 'Address' || has(self.address)",
            "is missing; write host or host:port at which edges reach the cloud worker",
            field=".address",
        ),
        Rule(
            "!has(self.address) || (has(self.type) && self.type in ['Address', 'NodePort'])",
            "does not belong to this type; remove it, or write type: Address",
            field=".address",
        ),
        Rule(
            f"!has(self.address) || !has(self.type) || self.type != 'NodePort'"
            f" || !self.address.matches({pattern(_WITH_PORT)}) || self.address.matches({pattern(f'^{_SIX}$')})",
            BARE_HOST,
            field=".address",
        ),
        Rule(
            "!has(self.nodePort) || (has(self.type) && self.type == 'NodePort')",
            "does not belong to this type; remove it, or write type: NodePort",
            field=".nodePort",
        ),
    )
