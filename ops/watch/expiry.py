"""When certificates and keys end. A certificate says so itself; of a key only whoever made it knows."""

from __future__ import annotations

import asyncio
import ssl
from datetime import UTC, datetime, time

from cryptography import x509

from ops.watch import metrics
from ops.watch.settings import WatchSettings

CONNECT_S_MAX = 10.0


async def look(settings: WatchSettings) -> None:
    """Sets the gauges."""
    for name, day in settings.keys_end.items():
        metrics.ENDS_AT.labels("key", name).set(datetime.combine(day, time(), UTC).timestamp())
    for server in settings.certificates:
        try:
            ends_at = await certificate_end(server)
        except (OSError, ValueError):
            metrics.CERTIFICATE_ERRORS.labels(server).set(1)
        else:
            metrics.CERTIFICATE_ERRORS.labels(server).set(0)
            metrics.ENDS_AT.labels("certificate", server).set(ends_at.timestamp())


async def certificate_end(server: str) -> datetime:
    """Of the certificate that `host:port` shows. Raises OSError, ValueError."""
    host, _, port = server.rpartition(":")
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # one that has ended is looked at, too; nothing is sent to the server
    async with asyncio.timeout(CONNECT_S_MAX):
        _, writer = await asyncio.open_connection(host, int(port), ssl=context, server_hostname=host)
    try:
        shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    finally:
        writer.close()
    return x509.load_der_x509_certificate(shown).not_valid_after_utc
