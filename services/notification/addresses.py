"""Which addresses are public: what a stranger on the Internet could reach. Pure."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Network, ip_address

_GLOBAL_IPV6 = IPv6Network("2000::/3")
_REFUSED_NETWORKS = (
    IPv4Network("192.0.0.0/24"),  # IETF protocol assignments (RFC 6890)
    IPv4Network("192.88.99.0/24"),  # 6to4 relays, withdrawn (RFC 7526)
    IPv6Network("2002::/16"),  # 6to4 carries any IPv4 address inside (RFC 3056)
    IPv6Network("3fff::/20"),  # documentation (RFC 9637)
)


def is_public(address: str) -> bool:
    """Whether `address` is one that a stranger on the Internet could reach. What cannot be read is not public.

    IPv6 is public only in its global unicast range, which leaves out every form that carries an IPv4 address inside (mapped, NAT64).
    """
    try:
        found = ip_address(address)
    except ValueError:
        return False
    if not found.is_global or found.is_multicast or found.is_reserved:
        return False
    if any(found.version == network.version and found in network for network in _REFUSED_NETWORKS):
        return False
    return isinstance(found, IPv4Address) or found in _GLOBAL_IPV6
