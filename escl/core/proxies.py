"""What the environment says about connections (proxies, certificates), where no HTTP client can be made of it.

Owns the words for that. They name variables only: the address of a proxy may hold a password. Opens no connection.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Final

from escl.errors import UsageError

_PROXIES: Final = ("http_proxy", "https_proxy", "all_proxy")
_CERTIFICATES: Final = ("SSL_CERT_FILE", "SSL_CERT_DIR")


@contextlib.contextmanager
def environment_explained() -> Iterator[None]:
    """Turn what httpx2 raises while it makes a client into a UsageError that names the variable, and nothing of it.

    Wrap the making of the client only: a ValueError from anywhere else would be blamed on the environment.

    Raises:
        UsageError: A proxy's address, or a file of certificates, that cannot be used.
    """
    # Imported here, as wherever a connection may be wanted: `escl --help` must not load it.
    import httpx2

    try:
        yield
    except (httpx2.InvalidURL, ImportError, ValueError):
        names = ", ".join(f"${name}" for name in unusable_proxies()) or "the system's proxy settings"
        raise UsageError(
            f"{names}: no proxy that escl can use",
            hint="write http://HOST:PORT, with %23 for a # in a password; a SOCKS proxy needs the package socksio; "
            "$NO_PROXY names the machines that are asked without one",
        ) from None
    except OSError as error:
        names = ", ".join(f"${name}" for name in _CERTIFICATES if os.environ.get(name))
        raise UsageError(
            f"{names or 'the certificates of this machine'}: cannot be read: {error.strerror or type(error).__name__}",
            hint="name a file or folder of certificates (PEM), or unset the variable",
        ) from None


def proxy_variables() -> list[str]:
    """Return the names of the environment's variables that name a proxy, sorted."""
    return sorted(name for name, value in os.environ.items() if name.lower() in _PROXIES and value)


def unusable_proxies() -> list[str]:
    """Return those of `proxy_variables` that no client can be made with."""
    import httpx2

    bad = []
    for name in proxy_variables():
        address = os.environ[name]
        try:
            httpx2.Client(proxy=address if "://" in address else f"http://{address}", trust_env=False).close()
        except (httpx2.InvalidURL, ImportError, ValueError):
            bad.append(name)
    return bad
