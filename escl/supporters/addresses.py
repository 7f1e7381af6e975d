"""What kind of machine an endpoint's address names, and which keys it may have.

Owns the addresses that no supporter may have, and the keys that belong to somebody. Reads addresses as they are
written, in every spelling that a resolver takes; looks no name up.
"""

from __future__ import annotations

import ipaddress
import socket
from typing import Final
from urllib.parse import urlsplit

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_METADATA_NAMES: Final = frozenset(
    {"metadata", "metadata.google.internal", "metadata.goog", "instance-data", "instance-data.ec2.internal"}
)
_METADATA: Final = frozenset(
    map(
        ipaddress.ip_address,
        (
            "fd00:ec2::254",  # AWS
            "fd20:ce::254",  # Google
            "100.100.100.200",  # Alibaba
            "168.63.129.16",  # Azure
        ),
    )
)
"""Where clouds answer a machine's questions about itself, secrets included; beside all that is link-local."""

_PRIVATE: Final = tuple(
    map(ipaddress.ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"))
)  # RFC 1918 and RFC 4193.
_HOLDING_IPV4: Final = tuple(map(ipaddress.ip_network, ("::/96", "64:ff9b::/96")))
"""Where the last 32 bits are an IPv4 address (RFC 4291, RFC 6052), beside those that `ipaddress` knows."""

OWNERS: Final[dict[str, tuple[str, ...]]] = {
    "ANTHROPIC_API_KEY": ("api.anthropic.com",),
    "AZURE_OPENAI_API_KEY": (".openai.azure.com",),
    "COHERE_API_KEY": ("api.cohere.com", "api.cohere.ai"),
    "DASHSCOPE_API_KEY": ("dashscope.aliyuncs.com", "dashscope-intl.aliyuncs.com"),
    "DEEPSEEK_API_KEY": ("api.deepseek.com",),
    "FIREWORKS_API_KEY": ("api.fireworks.ai",),
    "GEMINI_API_KEY": ("generativelanguage.googleapis.com",),
    "GOOGLE_API_KEY": ("generativelanguage.googleapis.com",),
    "GROQ_API_KEY": ("api.groq.com",),
    "MISTRAL_API_KEY": ("api.mistral.ai",),
    "MOONSHOT_API_KEY": ("api.moonshot.ai", "api.moonshot.cn"),
    "NVIDIA_API_KEY": ("integrate.api.nvidia.com",),
    "OPENAI_API_KEY": ("api.openai.com",),
    "OPENROUTER_API_KEY": ("openrouter.ai",),
    "TOGETHER_API_KEY": ("api.together.xyz", "api.together.ai"),
    "XAI_API_KEY": ("api.x.ai",),
    "ZHIPUAI_API_KEY": ("open.bigmodel.cn",),
}
"""Whose a well-known key is; a name that begins with a dot stands for everything below it.

A manifest from elsewhere names a variable and an address. These are the variables that people have set for others.
"""


def is_loopback(url: str) -> bool:
    """Return whether an address stays on this machine."""
    host = _host(url)
    address = _address_of(host)
    return host == "localhost" if address is None else address.is_loopback or address.is_unspecified


def keeps_a_key(url: str) -> bool:
    """Return whether a key can be sent there without strangers reading it on the way.

    By https; or to this machine; or to a private network's address, where whoever runs the network could read it, and
    nobody else. A name is no such address: it may lead anywhere.
    """
    address = _address_of(_host(url))
    is_private = address is not None and any(address in network for network in _PRIVATE)
    return urlsplit(url).scheme == "https" or is_loopback(url) or is_private


def is_forbidden(url: str) -> bool:
    """Return whether an address is one that machines of a cloud keep for their own secrets, or no single machine's."""
    host = _host(url)
    address = _address_of(host)
    if address is None:
        return host in _METADATA_NAMES
    return address.is_link_local or address.is_multicast or address in _METADATA


def belongs_elsewhere(variable: str, url: str) -> tuple[str, ...]:
    """Return whose the key in a well-known variable is; empty where it may be sent to `url`."""
    # Windows does not tell upper from lower case in a variable's name.
    owners, host = OWNERS.get(variable.upper(), ()), _host(url)
    is_theirs = any(host.endswith(owner) if owner.startswith(".") else host == owner for owner in owners)
    return () if is_theirs else owners


def _host(url: str) -> str:
    return (urlsplit(url).hostname or "").rstrip(".").lower()


def _address_of(host: str) -> _Address | None:
    """Return the address that `host` is in any spelling (2852039166, 0xa9fea9fe, 127.1); None for a name."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        try:
            return ipaddress.IPv4Address(socket.inet_aton(host))
        except OSError:
            return None
    if isinstance(address, ipaddress.IPv6Address):
        if any(address in network for network in _HOLDING_IPV4) and int(address) > 1:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        return address.ipv4_mapped or address.sixtofour or address
    return address
