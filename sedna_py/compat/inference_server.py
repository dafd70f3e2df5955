"""`sedna.service.server.InferenceServer`: a big model behind HTTP, for scripts that start the server themselves."""

from __future__ import annotations

from typing import Any

from sedna_py.big_model_service import ServedModel, find_server


class InferenceServer:
    """Serve `model.inference(data)` as `POST /{servername}/predict`.

    `max_buffer_size` and `workers` are taken for upstream's sake: our server bounds bodies itself and is one process.
    """

    def __init__(
        self,
        model: Any,
        servername: str,
        host: str = "127.0.0.1",
        http_port: int = 8080,
        max_buffer_size: int = 104857600,
        workers: int = 1,
    ) -> None:
        self.model = model
        self.server_name = servername
        self.host = host
        self.http_port = int(http_port)
        self.max_buffer_size = max_buffer_size
        self.workers = workers

    @property
    def url(self) -> str:
        """The address that clients ask."""
        return f"http://{self.host}:{self.http_port}/{self.server_name}"

    def start(self) -> None:
        """Serve until SIGTERM or SIGINT, in the main thread. Raises SednaError where no HTTP server is installed."""
        find_server()(ServedModel(self.model), host=self.host, port=self.http_port, prefix=self.server_name)
