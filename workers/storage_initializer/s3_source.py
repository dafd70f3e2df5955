"""Objects of an S3 store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final
from urllib.parse import quote, unquote, urlsplit

import certifi
import urllib3
from minio import Minio
from minio.error import InvalidResponseError, S3Error, ServerError

from workers.storage_initializer.errors import Denied, Interrupted, Missing, TransferError
from workers.storage_initializer.incoming import PIECE_BYTES, Incoming, Patience
from workers.storage_initializer.job import Job
from workers.storage_initializer.settings import InitializerSettings

MOST_OBJECTS: Final = 10_000
_AGAIN: Final = frozenset({"InternalError", "OperationAborted", "RequestTimeout", "ServiceUnavailable", "SlowDown"})
_ADVICE: Final = {
    "NoSuchKey": "write the URL of an object, or of a folder with objects, in the Model's url",
    "NoSuchBucket": "write the name of a bucket that exists after s3:// in the Model's url",
    "InvalidAccessKeyId": "the store does not know ACCESS_KEY_ID; write the right keys into the Secret of the Model",
    "SignatureDoesNotMatch": "SECRET_ACCESS_KEY is not the one of this ACCESS_KEY_ID; write the right keys into the Secret",
    "AccessDenied": "name a Secret with keys that may read it in the Model's credentialName, or open it to all",
    "RequestTimeTooSkewed": "set the clock of this node",
}
_MISSING: Final = frozenset({"NoSuchKey", "NoSuchBucket"})


@dataclass(frozen=True, slots=True)
class ObjectStore:
    """A store, and who asks."""

    settings: InitializerSettings

    @contextmanager
    def open(self, job: Job, patience: Patience) -> Iterator[Incoming]:
        """Ask for an object. Raises TransferError, Missing and Interrupted, also while it is read."""
        bucket, key = _bucket_and_key(job)
        with self._asking(job, patience) as client:
            try:
                reply = client.get_object(bucket_name=bucket, object_name=key)
            except S3Error as error:
                if error.code != "AccessDenied" or not self.settings.access_key:
                    raise
                # Keys that may read an object need not be allowed to ask in which region its bucket is.
                reply = self._connect(patience, "us-east-1").get_object(bucket_name=bucket, object_name=key)
            try:
                yield _incoming(reply)
            finally:
                reply.close()
                reply.release_conn()

    def list(self, job: Job, patience: Patience) -> list[Job]:
        """Return a job for every object under the prefix that the job names. Raises as `open`; Missing if there is none."""
        bucket, key = _bucket_and_key(job)
        prefix = key.rstrip("/") + "/" if key else ""
        jobs: list[Job] = []
        size = 0
        with self._asking(job, patience) as client:
            for item in client.list_objects(bucket_name=bucket, prefix=prefix, recursive=True):
                name = str(item.object_name)
                if name.endswith("/"):
                    continue  # what some tools write to have an empty folder
                size += item.size or 0
                jobs.append(_below(job, bucket, prefix, name))
                if len(jobs) > MOST_OBJECTS or size > patience.limits.max_bytes:
                    bound = f"{MOST_OBJECTS} objects or {patience.limits.max_bytes} bytes"
                    raise TransferError(f"{job.shown} has more than {bound}; write the URL of one object")
        if not jobs:
            raise Missing(f"{job.shown} does not exist; {_ADVICE['NoSuchKey']}")
        return jobs

    @contextmanager
    def _asking(self, job: Job, patience: Patience) -> Iterator[Minio]:
        endpoint = self.settings.s3_endpoint
        try:
            yield self._connect(patience)
        except S3Error as error:
            raise _translated(job, error) from error
        except (ServerError, InvalidResponseError, urllib3.exceptions.HTTPError) as error:
            raise Interrupted(f"{job.shown} cannot be fetched from {endpoint}: {_why(error)}") from error
        except ValueError as error:  # a name that S3 does not allow, or an endpoint that is none
            raise TransferError(
                f"{job.shown} at {endpoint}: {error}; write s3://bucket/key and http(s)://host:port"
            ) from error

    def _connect(self, patience: Patience, region: str | None = None) -> Minio:
        settings = self.settings
        url = urlsplit(settings.s3_endpoint if "://" in settings.s3_endpoint else f"https://{settings.s3_endpoint}")
        if url.scheme not in {"http", "https"} or not url.hostname:
            raise ValueError("S3_ENDPOINT_URL names no server")
        pool = urllib3.PoolManager(
            timeout=urllib3.Timeout(connect=patience.connect_s, read=patience.idle_s),
            retries=urllib3.Retry(0, raise_on_redirect=False, raise_on_status=False),
            ca_certs=settings.ca_file or certifi.where(),
        )
        return Minio(
            endpoint=url.netloc,
            access_key=settings.access_key,
            secret_key=settings.secret_key if settings.access_key else None,
            secure=url.scheme == "https",
            region=region,
            http_client=pool,
        )


def _incoming(reply: urllib3.BaseHTTPResponse) -> Incoming:
    headers = reply.headers
    etag = headers.get("ETag", "").strip('"')
    # Of an object that was uploaded in parts, or is encrypted with a key of its own, the ETag is no MD5.
    plain = len(etag) == 32 and "aws:kms" not in headers.get("x-amz-server-side-encryption", "")
    length = headers.get("Content-Length", "")
    return Incoming(
        _pieces(reply),
        size=int(length) if length.isascii() and length.isdecimal() else None,
        version=etag or None,
        digests={"md5": etag.lower()} if plain else {},
    )


def _pieces(reply: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    # As the network brings them: to wait for a full piece would keep a slow store's download past its time.
    while piece := reply.read1(PIECE_BYTES, decode_content=False):
        yield piece


def _below(job: Job, bucket: str, prefix: str, name: str) -> Job:
    relative = PurePosixPath(name.removeprefix(prefix))
    if relative.is_absolute() or ".." in relative.parts:
        raise TransferError(f"{job.shown} has an object {name[:200]!r}, which would leave its folder; rename it")
    top = job.place if prefix else job.directory
    return Job(f"s3://{bucket}/{quote(name)}", top / relative.parent, relative.name)


def _bucket_and_key(job: Job) -> tuple[str, str]:
    parts = urlsplit(job.address)
    return parts.netloc, unquote(parts.path).removeprefix("/")


def _translated(job: Job, error: S3Error) -> TransferError:
    code = error.code or "an error without a code"
    said = f"{job.shown}: the store says {code}"
    if code in _AGAIN:
        return Interrupted(said)
    advice = _ADVICE.get(code, f"{error.message}; look at the store")
    kind = Missing if code in _MISSING else Denied if code == "AccessDenied" else TransferError
    return kind(f"{said}; {advice}")


def _why(error: Exception) -> str:
    reason = getattr(error, "reason", None) or error  # urllib3 wraps what it met
    return " ".join(str(reason).split())[:300] or type(error).__name__
