"""What the storage initializer reads from its environment; the names of upstream's are upstream's."""

from __future__ import annotations

from pydantic import Field

from sedna_py.settings import Settings

GIB = 2**30


class InitializerSettings(Settings):
    """Keys, bounds and patience."""

    s3_endpoint: str = Field(
        "https://s3.amazonaws.com", alias="S3_ENDPOINT_URL", description="http(s)://host:port of the object store"
    )
    access_key: str | None = Field(None, alias="ACCESS_KEY_ID", description="the store's key; unset: no key is used")
    secret_key: str | None = Field(None, alias="SECRET_ACCESS_KEY", description="the secret of that key", repr=False)
    ca_file: str | None = Field(
        None,
        alias="SSL_CERT_FILE",
        description="a file of CA certificates; unset: those that come with Python's packages",
    )
    indirect_mark: str = Field(
        "@",
        alias="INDIRECT_URL_MARK",
        description="an argument that begins with this names a variable that has the URL or folder",
    )
    attempts: int = Field(5, alias="DOWNLOAD_ATTEMPTS", ge=1, le=100, description="attempts for each file, 1 to 100")
    total_s: float = Field(
        3600.0, alias="DOWNLOAD_TIMEOUT_S", gt=0, le=86400, description="seconds for all files together"
    )
    connect_s: float = Field(
        10.0, alias="DOWNLOAD_CONNECT_TIMEOUT_S", gt=0, le=600, description="seconds to reach a server"
    )
    idle_s: float = Field(
        60.0, alias="DOWNLOAD_IDLE_TIMEOUT_S", gt=0, le=3600, description="seconds in which some bytes have to come"
    )
    max_bytes: int = Field(
        32 * GIB,
        alias="DOWNLOAD_MAX_BYTES",
        ge=1,
        description="bytes of the largest download, and of an unpacked archive",
    )
    termination_log: str = Field(
        "/dev/termination-log",
        alias="TERMINATION_LOG",
        description="the file from which Kubernetes takes the reason of a failure, where there is one",
    )
