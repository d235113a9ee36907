"""Which network addresses may be dialled for an address that a stranger wrote. Dialling itself lives in http.py."""

import ipaddress
from collections.abc import Collection

from integrations.errors import Refused

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
# Python calls addresses of these ranges global although they carry an inner, possibly private, IPv4 address or were
# withdrawn: local NAT64, IPv4-compatible, site-local, Teredo, 6to4.
_CARRIERS = tuple(map(ipaddress.IPv6Network, ("64:ff9b:1::/48", "::/96", "fec0::/10", "2001::/32", "2002::/16")))


def networks(written: Collection[str]) -> tuple[IPNetwork, ...]:
    """Networks that a setting allows besides the public ones. Raises Refused for one that is not like "10.0.0.0/8"."""
    try:
        return tuple(ipaddress.ip_network(net) for net in written)
    except ValueError as exc:
        raise Refused(f"http: {exc}; a network is written like 10.0.0.0/8") from exc


def may_be_dialled(address: str, allowed: Collection[IPNetwork] = ()) -> bool:
    """True for a public unicast address, and for one inside an `allowed` network."""
    try:
        ip: IPAddress = ipaddress.ip_address(address.split("%")[0])
    except ValueError:
        return False
    inner = _inner(ip)
    if any(inner in net for net in allowed):
        return True
    if inner.version == 6 and any(inner in net for net in _CARRIERS):
        return False
    return inner.is_global and not inner.is_multicast and not inner.is_reserved


def _inner(ip: IPAddress) -> IPAddress:
    """The IPv4 address that packets to `ip` really reach, where IPv6 only wraps one."""
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped:
            return ip.ipv4_mapped
        if ip in _NAT64:
            return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip
