"""The chains that kube-proxy, CNI plugins and a cluster's own rules put into the host's iptables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tests.cluster.system import find_tool, run_tool

FAMILIES = ("iptables", "ip6tables")
OWN_INPUT, OWN_FORWARD = "SEDNA-E2E-INPUT", "SEDNA-E2E-FORWARD"
PREFIXES = ("KUBE-", "CNI-", "SEDNA-E2E-")


@dataclass
class Table:
    """Chains that programs made, and all rules as `iptables-save` writes them."""

    chains: list[str] = field(default_factory=list)
    rules: list[str] = field(default_factory=list)


def read_tables(saved: str) -> dict[str, Table]:
    """Return the tables of what `iptables-save` printed, by name."""
    tables: dict[str, Table] = {}
    current = Table()
    for line in saved.splitlines():
        if line.startswith("*"):
            current = tables.setdefault(line[1:], Table())
        elif line.startswith(":") and line.split()[1] == "-":  # the built-in ones have a policy there
            current.chains.append(line[1:].split()[0])
        elif line.startswith("-A "):
            current.rules.append(line)
    return tables


def removal(tables: Mapping[str, Table], keep: Iterable[str]) -> str:
    """Return the input of `iptables-restore --noflush` that removes chains with PREFIXES but those named `table chain`."""
    kept, lines = set(keep), []
    for name, table in tables.items():
        doomed = [chain for chain in table.chains if chain.startswith(PREFIXES) and f"{name} {chain}" not in kept]
        if not doomed:
            continue
        jumps = [rule for rule in table.rules if rule.split()[1] not in doomed and target(rule) in doomed]
        lines += [f"*{name}", *(f"-D {rule.removeprefix('-A ')}" for rule in jumps)]
        lines += [*(f"-F {chain}" for chain in doomed), *(f"-X {chain}" for chain in doomed), "COMMIT"]
    return "".join(f"{line}\n" for line in lines)


def target(rule: str) -> str:
    """Return the chain that a rule jumps to."""
    words = rule.split()
    marks = [index for index, word in enumerate(words) if word in ("-j", "-g")]
    return words[marks[-1] + 1] if marks else ""


def families() -> list[str]:
    """Return those that this machine has."""
    return [family for family in FAMILIES if find_tool(f"{family}-save") is not None]


def present_chains() -> dict[str, list[str]]:
    """Return `table chain` of every chain with PREFIXES, by family."""
    return {
        family: [
            f"{name} {chain}"
            for name, table in read_tables(run_tool(f"{family}-save")).items()
            for chain in table.chains
            if chain.startswith(PREFIXES)
        ]
        for family in families()
    }


def remove_chains(keep: Mapping[str, Iterable[str]]) -> None:
    """Remove every chain with PREFIXES, and the jumps to it, that was not there before."""
    for family in families():
        text = removal(read_tables(run_tool(f"{family}-save")), keep.get(family, ()))
        if text:
            run_tool(f"{family}-restore", "--noflush", stdin=text)


def open_for(devices: Iterable[str], api_port: int) -> None:
    """Let the cluster's devices talk whatever the machine's policy is, and keep others from the API server's port."""
    accept_in = [f"-A {OWN_INPUT} -i {device} -j ACCEPT" for device in ("lo", *devices)]
    accept_through = [f"-A {OWN_FORWARD} -{way} {device} -j ACCEPT" for device in devices for way in "io"]
    lines = [
        "*filter",
        f":{OWN_INPUT} - [0:0]",
        f":{OWN_FORWARD} - [0:0]",
        *accept_in,
        f"-A {OWN_INPUT} -p tcp --dport {api_port} -j REJECT",
        *accept_through,
        f"-I INPUT -j {OWN_INPUT}",
        f"-I FORWARD -j {OWN_FORWARD}",
        "COMMIT",
    ]
    run_tool("iptables-restore", "--noflush", stdin="".join(f"{line}\n" for line in lines))
