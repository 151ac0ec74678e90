"""What TLS needs: whom to trust as Go does, and a client certificate whose key is on no disk."""

import os
import re
import ssl
import sys
from base64 import b64decode
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from kubectl_pxauth.errors import ClusterError

# Source: Go, crypto/x509/root_linux.go and root_unix.go.
_SYSTEM_FILES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora
    "/etc/ssl/ca-bundle.pem",  # openSUSE
    "/etc/pki/tls/cacert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  # RHEL
    "/etc/ssl/cert.pem",  # Alpine
)
_SYSTEM_FOLDERS = ("/etc/ssl/certs", "/etc/pki/tls/certs")
_CERTIFICATE = re.compile(
    rb"-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----"
)


class _SharedContext(ssl.SSLContext):
    """A context for connections of many threads.

    urllib3 says for each of them again which protocol it speaks, and OpenSSL then frees what was
    said before, while another thread's connection may read it.
    """

    def set_alpn_protocols(self, alpn_protocols: Iterable[str]) -> None:
        """Change nothing: it is said already."""


def new_context() -> ssl.SSLContext:
    """A context that trusts nobody yet, and judges certificates as Go does."""
    context = _SharedContext(ssl.PROTOCOL_TLS_CLIENT)
    super(_SharedContext, context).set_alpn_protocols(["http/1.1"])
    context.hostname_checks_common_name = False
    # Any certificate that Go was told to trust is the end of a chain. Python's default context has
    # it so from 3.13 on, but also asks for extensions that Kubernetes' own authorities often lack.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def trust_everybody(context: ssl.SSLContext) -> None:
    """Take any server for the right one, as insecure-skip-tls-verify says."""
    import urllib3

    urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE


def trust(context: ssl.SSLContext, authorities: bytes) -> None:
    """Trust these certificates (PEM) and no others; raises ClusterError where there are none."""
    if not _trust(context, _certificates(authorities)):
        raise ClusterError("kubeconfig: certificate-authority holds no certificate in PEM")


def trust_the_system(context: ssl.SSLContext, environ: Mapping[str, str]) -> None:
    """Trust whom the system trusts, where Go looks for it: OpenSSL's own folder may be another's.

    SSL_CERT_FILE and SSL_CERT_DIR name other places.
    """
    if sys.platform in ("win32", "darwin"):
        context.load_default_certs()
        return
    # A folder mostly holds again what is in the file.
    found = {
        certificate: None for text in _system_files(environ) for certificate in _certificates(text)
    }
    _trust(context, found)


def _system_files(environ: Mapping[str, str]) -> Iterator[bytes]:
    own = environ.get("SSL_CERT_FILE")
    for file in (own,) if own else _SYSTEM_FILES:
        with suppress(OSError):
            yield Path(file).read_bytes()
            break
    folders = environ.get("SSL_CERT_DIR")
    for folder in folders.split(":") if folders else _SYSTEM_FOLDERS:
        with suppress(OSError):
            for path in Path(folder).iterdir():
                with suppress(OSError):
                    # A link within the folder is only another name of what is there.
                    if not path.is_symlink() or "/" in str(path.readlink()):
                        yield path.read_bytes()


def _certificates(text: bytes) -> Iterator[bytes]:
    """The certificates in a text, in DER: OpenSSL would stumble over the comments between."""
    for found in _CERTIFICATE.finditer(text):
        with suppress(ValueError):
            yield b64decode(found[1])


def _trust(context: ssl.SSLContext, certificates: Iterable[bytes]) -> bool:
    certificates = list(certificates)
    try:
        context.load_verify_locations(cadata=b"".join(certificates))
    except (ssl.SSLError, ValueError):  # one is broken: trust the others
        for certificate in certificates:
            with suppress(ssl.SSLError, ValueError):
                context.load_verify_locations(cadata=certificate)
    return bool(context.cert_store_stats()["x509"])


def show_certificate(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    """Show the server this certificate (PEM); raises ClusterError where the two do not fit."""
    try:
        with ExitStack() as stack:
            certificate_file = stack.enter_context(_file_of(certificate))
            key_file = stack.enter_context(_file_of(key))
            # OpenSSL would ask a terminal for the password of an encrypted key.
            context.load_cert_chain(certificate_file, key_file, password="")
    except ssl.SSLError as error:
        reason = error.reason or "it is not PEM"
        raise ClusterError(
            f"kubeconfig: the client certificate or its key can't be used: {reason}"
        ) from None
    except OSError as error:
        raise ClusterError(
            f"kubeconfig: the client key can't be handed to OpenSSL: {error.strerror or error}"
        ) from None


@contextmanager
def _file_of(data: bytes) -> Iterator[str]:
    """A file that holds the data, for what takes nothing else: in memory where that is possible.

    Elsewhere it is gone from the disk when the block ends.
    """
    if hasattr(os, "memfd_create") and Path("/proc/self/fd").exists():
        with os.fdopen(os.memfd_create("pem"), "wb") as file:
            file.write(data)
            file.flush()
            yield f"/proc/self/fd/{file.fileno()}"
        return
    import tempfile

    descriptor, path = tempfile.mkstemp()
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        yield path
    finally:
        Path(path).unlink()
