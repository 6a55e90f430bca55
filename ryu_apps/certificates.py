"""TLS towards switches: the context of the listener, and the names of a peer."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ryu_apps.link import TlsFiles


def context(tls: TlsFiles) -> ssl.SSLContext:
    """Return the side of a server; it asks for a certificate if there is somebody to vouch for it."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.load_cert_chain(tls.cert, tls.key)
    if tls.ca:
        made.load_verify_locations(tls.ca)
        made.verify_mode = ssl.CERT_REQUIRED
    return made


def certificate_names(certificate: dict[str, Any]) -> tuple[str, ...]:
    """Return the DNS names and common names of a certificate, as `getpeercert` has it."""
    alternative = [value for kind, value in certificate.get("subjectAltName", ()) if kind == "DNS"]
    common = [value for part in certificate.get("subject", ()) for key, value in part if key == "commonName"]
    return tuple(dict.fromkeys((*alternative, *common)))
