"""etcd, kube-apiserver and kube-controller-manager, gone when their owner is gone."""

from __future__ import annotations

import json
import os
import random
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.cluster.api import Api
from tests.cluster.audit import POLICY, ApiWrite, read_writes
from tests.cluster.binaries import Binaries
from tests.cluster.commands import (
    HOST,
    Layout,
    NodeAccess,
    api_server_command,
    controller_manager_command,
    etcd_command,
)
from tests.cluster.errors import KubectlError, StartError
from tests.cluster.kubeconfig import Access, write_kubeconfig, write_private
from tests.cluster.pki import Authority, Subject
from tests.cluster.processes import ChildProcess, start_process

READY_TIMEOUT_S = 90
POLL_S = 0.05
TOKEN_S = 3600
KUBECTL_TIMEOUT_S = 60
# Below the ports that the system hands to outgoing connections: one of those could take ours while the server is down.
PORTS = range(20000, 30000)
ADMIN = "admin"
CONTROLLER_MANAGER = "system:kube-controller-manager"

ETCD, API_SERVER, MANAGER = "etcd", "kube-apiserver", "kube-controller-manager"


class ControlPlane:
    """One control plane, on loopback and without nodes unless told otherwise: objects are real, pods stay Pending.

    Use it as a context manager, from the main thread. A `tied` one is killed by the kernel when this process ends in any way.
    The logs stay in the folder, the data does not outlive `stop`.
    """

    def __init__(
        self,
        binaries: Binaries,
        folder: Path,
        *,
        audit: bool = False,
        tied: bool = True,
        nodes: NodeAccess | None = None,
        api_server_options: Sequence[str] = (),
        manager_options: Sequence[str] = (),
    ) -> None:
        """Choose the port and the admin's token; nothing runs before `start`. With `audit`, writes are recorded.

        The options come last on the command lines of the API server and the controller manager, so they win.
        """
        self.layout = Layout(folder.absolute(), free_port())
        self._binaries = binaries
        self._audit = audit
        self._tied = tied
        self.nodes = nodes
        self._api_server_options = tuple(api_server_options)
        self._manager_options = tuple(manager_options)
        self._tokens = {ADMIN: secrets.token_hex(16), CONTROLLER_MANAGER: secrets.token_hex(16)}
        self._children: dict[str, ChildProcess] = {}
        self._api: Api | None = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def kubeconfig(self) -> Path:
        """The admin's."""
        return self.layout.kubeconfig

    @property
    def kubectl_program(self) -> Path:
        """Where kubectl is, for who runs it otherwise than `kubectl` here does."""
        return self._binaries.kubectl

    @property
    def api(self) -> Api:
        """Plain requests as the admin."""
        if self._api is None:
            raise StartError("the control plane is not running: call start() first")
        return self._api

    def start(self) -> Self:
        """Start all and return once the API server is ready and the controllers work; StartError with the log's end if not."""
        try:
            self._write_files()
            self._start(ETCD, etcd_command(self._binaries, self.layout))
            self.start_api_server()
            self._write_kubeconfig(self.layout.controller_manager_kubeconfig, CONTROLLER_MANAGER)
            command = controller_manager_command(self._binaries, self.layout)
            self._start(MANAGER, [*command, *self._manager_options])
            self._wait_for_service_account("default")
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End every process, wait until they are gone, and remove the data; a second call changes nothing."""
        for name in (MANAGER, API_SERVER, ETCD):
            self._end(name)
        if self._api is not None:
            self._api.close()
            self._api = None
        shutil.rmtree(self.layout.etcd_data, ignore_errors=True)

    def stop_api_server(self) -> None:
        """Make an outage: the API server is killed at once, etcd and the controllers go on."""
        self._end(API_SERVER)

    def start_api_server(self) -> None:
        """Start the API server on the port and the data that it had before, and wait until it is ready."""
        command = api_server_command(self._binaries, self.layout, audit=self._audit, nodes=self.nodes)
        self._start(API_SERVER, [*command, *self._api_server_options])
        self._wait("the API server to be ready", self._is_ready)
        self._write_kubeconfig(self.layout.kubeconfig, ADMIN)

    def kubectl(
        self,
        *arguments: str,
        stdin: str | None = None,
        kubeconfig: Path | None = None,
        timeout_s: float = KUBECTL_TIMEOUT_S,
    ) -> str:
        """Run kubectl as the admin, or with another kubeconfig, and return what it prints; KubectlError when it fails."""
        environ = {
            **os.environ,
            "KUBECONFIG": str(kubeconfig or self.kubeconfig),
            "KUBECACHEDIR": str(self.layout.folder / "kubectl-cache"),
            "KUBERC": "off",
        }
        done = subprocess.run(
            [str(self._binaries.kubectl), *arguments],
            env=environ,
            input=stdin if stdin is not None else "",
            capture_output=True,
            text=True,
            timeout=timeout_s,
        )
        if done.returncode != 0:
            raise KubectlError(arguments, done.stderr)
        return done.stdout

    def kubeconfig_for(self, service_account: str, namespace: str) -> Path:
        """Write a kubeconfig with a fresh token (1 h) of this ServiceAccount, and return its path."""
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{service_account}/token"
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": TOKEN_S},
        }
        token: str = self.api.create(path, body)["status"]["token"]
        target = self.layout.folder / f"{namespace}.{service_account}.kubeconfig"
        write_kubeconfig(target, self._access(token, service_account, namespace))
        return target

    def create_namespace(self, prefix: str = "test-") -> str:
        """Make a namespace with a fresh name that pods can be made in, and return the name."""
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"generateName": prefix}}
        name: str = self.api.create("/api/v1/namespaces", body)["metadata"]["name"]
        self._wait_for_service_account(name)
        return name

    def delete_namespace(self, name: str) -> None:
        """Let the controllers empty and remove the namespace; returns at once."""
        self.api.delete(f"/api/v1/namespaces/{name}")

    def api_writes(self) -> list[ApiWrite]:
        """Return what was written so far; only with `audit`."""
        return list(read_writes(self.layout.audit_log))

    def _write_files(self) -> None:
        self.layout.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        groups = {ADMIN: "system:masters", CONTROLLER_MANAGER: ""}
        lines = [f'{token},{user},{user},"{groups[user]}"\n' for user, token in self._tokens.items()]
        write_private(self.layout.tokens, "".join(lines))
        write_private(self.layout.audit_policy, POLICY)
        if self.nodes is None:
            authority, client = self.layout.front_proxy
            made = Authority.create(authority.certificate.parent, authority.certificate.stem)
            made.issue(client.certificate.stem, Subject(client.certificate.stem))

    def _write_kubeconfig(self, path: Path, user: str) -> None:
        write_kubeconfig(path, self._access(self._tokens[user], user))

    def _access(self, token: str, user: str, namespace: str = "default") -> Access:
        return Access(self.layout.server, self.layout.authority.read_bytes(), token, user, namespace)

    def _start(self, name: str, command: Sequence[str]) -> None:
        if name in self._children:
            raise StartError(f"{name} is running already: stop it first")
        marked = [*(self.nodes.prefix if self.nodes else ()), *command]
        self._children[name] = start_process(name, marked, self.layout.folder, tied=self._tied)
        self._record_processes()

    def _end(self, name: str) -> None:
        child = self._children.pop(name, None)
        if child is not None:
            child.kill()
            self._record_processes()

    def _record_processes(self) -> None:
        """Write who runs after each change, so that even a start that was cut off can be cleaned up by another command."""
        running = {
            name: {"pid": child.identity.pid, "start_ticks": child.identity.start_ticks}
            for name, child in self._children.items()
        }
        write_private(self.layout.processes, json.dumps(running))

    def _is_ready(self) -> bool:
        if self._api is None:
            try:
                self._api = Api(self.layout.server, self.layout.authority, self._tokens[ADMIN])
            except OSError:  # the API server is about to write its certificate
                return False
        return self._api.is_ready()

    def _wait_for_service_account(self, namespace: str) -> None:
        """Wait for what a controller makes in every namespace, and what every pod needs."""
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/default"
        self._wait(f"the ServiceAccount of the namespace {namespace}", lambda: self.api.exists(path))

    def _wait(self, what: str, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + READY_TIMEOUT_S
        while not condition():
            for child in self._children.values():
                if child.has_ended():
                    raise StartError(f"{child.name} ended by itself, log {child.log}:\n{child.log_tail()}")
            if time.monotonic() > deadline:
                raise StartError(f"waited {READY_TIMEOUT_S} s for {what}; logs are in {self.layout.folder}")
            time.sleep(POLL_S)


def free_port() -> int:
    """Return a port of PORTS that nobody listens on."""
    for port in random.sample(PORTS, 100):
        with socket.socket() as candidate:
            try:
                candidate.bind((HOST, port))
            except OSError:
                continue
            return port
    raise StartError(f"100 ports between {PORTS.start} and {PORTS.stop} are all taken")
