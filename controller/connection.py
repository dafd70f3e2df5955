"""The way to the API server: one configuration, for our own requests and for the framework's watches."""

from __future__ import annotations

import kopf
from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.aio.config import ConfigException, load_incluster_config, load_kube_config

from controller.cluster import write_guard
from controller.errors import ControllerError


async def connect(connections: int) -> ApiClient:
    """Return a client for the cluster that this process is in, or else for that of the kubeconfig."""
    configuration = Configuration()
    configuration.connection_pool_maxsize = connections
    configuration.trace_configs = [write_guard()]
    try:
        load_incluster_config(configuration)
    except ConfigException:
        try:
            await load_kube_config(client_configuration=configuration, persist_config=False)
        except (ConfigException, OSError) as failure:
            raise ControllerError(f"no cluster to talk to: {failure}; set KUBECONFIG, or run it in a pod") from failure
    return ApiClient(configuration)


async def connection_info(client: ApiClient) -> kopf.ConnectionInfo:
    """Return the same way for the framework, with the token as it is now: it asks again when one has run out.

    The framework's own login goes by the name kubernetes.default.svc, which needs the cluster's DNS.
    """
    configuration = client.configuration
    headers: dict[str, str] = {}
    await client.update_params_for_auth(headers, [], ["BearerToken"], "", "GET", None)
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return kopf.ConnectionInfo(
        server=configuration.host,
        ca_path=configuration.ssl_ca_cert,
        insecure=not configuration.verify_ssl,
        scheme=scheme or None,
        token=token or None,
        certificate_path=configuration.cert_file,
        private_key_path=configuration.key_file,
    )
