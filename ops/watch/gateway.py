"""Asks the gateway for something that it answers by itself: nginx shows no metrics, and a buyer comes no other way."""

from __future__ import annotations

import httpx2

from ops.watch import metrics

PATH = "/config.json"
"""A few bytes that no service is asked for (deploy/gateway/nginx.conf.template)."""


async def look(address: str, http: httpx2.AsyncClient) -> None:
    """Sets the gauge of the gateway at `address`."""
    try:
        answer = await http.get(f"{address.rstrip('/')}{PATH}", timeout=5)
    except httpx2.TransportError:
        is_well = False
    else:
        is_well = answer.is_success
    metrics.GATEWAY_ANSWERS.labels(address).set(is_well)
