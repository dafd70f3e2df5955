"""One TLS context out of a certificate that is in memory only."""

from __future__ import annotations

import os
import ssl

from controller.errors import ControllerError
from controller.metrics_api.certificates import ServingCertificate


def server_context(serving: ServingCertificate, client_authority: str) -> ssl.SSLContext:
    """Return a context that shows this certificate and checks the client's, if it shows one, by `client_authority` (PEM).

    Raises ControllerError where the authority cannot be read, or the system has no files in memory.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    _load(context, serving)
    if client_authority:
        try:
            context.load_verify_locations(cadata=client_authority)
        except ssl.SSLError as error:
            raise ControllerError(f"the front proxy's authority cannot be read: {error}") from error
        # Callers with a token show none. One that is not of this authority ends the connection.
        context.verify_mode = ssl.CERT_OPTIONAL
    return context


def _load(context: ssl.SSLContext, serving: ServingCertificate) -> None:
    """Hand the key over in a file without a name: OpenSSL takes only files from Python."""
    if not hasattr(os, "memfd_create"):
        raise ControllerError("this system has no files in memory (Linux has), so there is no place for a TLS key")
    file = os.memfd_create("serving", os.MFD_CLOEXEC)
    try:
        os.write(file, serving.certificate + serving.key)
        context.load_cert_chain(f"/proc/self/fd/{file}")
    finally:
        os.close(file)
