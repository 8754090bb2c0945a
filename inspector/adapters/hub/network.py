"""The way to the Hub: the environment's proxy and certificates, and what is wrong with them."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from huggingface_hub import constants, get_session

from inspector.common.text import plain

# OpenSSL's X509_V_ERR_…: the chain ends at a certificate that nobody here vouches for.
_UNKNOWN_CA = {18, 19, 20, 21}


def broken() -> str:
    """Why huggingface_hub's client cannot be made here, and what to do; empty where it can.

    What the library says is not repeated: parts of a proxy's password may be in it.
    """
    try:
        get_session()
    except ImportError:
        names = " and ".join(name for name, address in _proxies().items() if address.startswith("socks"))
        return f"{names} is a SOCKS proxy, which needs the package socksio. Install it: pip install socksio."
    except OSError as error:
        name = next((name for name in ("SSL_CERT_FILE", "SSL_CERT_DIR") if os.environ.get(name)), "SSL_CERT_FILE")
        words = "no certificate is in it" if isinstance(error, ssl.SSLError) else plain(error.strerror or error)
        return f"{name} is {plain(os.environ.get(name, ''))!r} ({words}). Name a file with the CA's certificate (PEM)."
    except Exception:  # noqa: BLE001 - whatever httpx makes of an address that is none
        odd = [name for name, address in _proxies().items() if not _is_address(address)]
        names = " and ".join(odd) or " or ".join([*_proxies(), "NO_PROXY"])
        return f"{names} is not an address of a proxy. Write http://host:port, or http://user:password@host:port."
    return ""


def fault(error: BaseException) -> str:
    """Why no request gets through, and what to do, where that lies in a proxy or in certificates; else empty."""
    if wrong := broken():
        return wrong
    response = getattr(error, "response", None)
    if getattr(response, "status_code", 0) == 407:  # of a proxy that forwards; one that tunnels has a ProxyError
        return _refused("407")
    for cause in _causes(error):
        if type(cause).__name__ == "ProxyError":
            return _refused(plain(cause))
        if isinstance(cause, ssl.SSLCertVerificationError):
            return _untrusted(cause)
        if isinstance(cause, ssl.SSLError):
            advice = f"check {_variable()}: the address of most proxies is http://" if proxy() else "check HF_ENDPOINT"
            return f"TLS fails{through()} ({plain(cause.reason or cause)}). Please {advice}."
    return ""


def proxy() -> str:
    """The proxy that requests to the Hub take, as `http://host:port` without user and password; empty for none."""
    scheme, _, rest = _proxy().rpartition("://")
    return plain(f"{scheme or 'http'}://{rest.rpartition('@')[2]}") if rest else ""


def through() -> str:
    """` through the proxy http://host:port`, for a sentence; empty where there is none."""
    return f" through the proxy {proxy()}" if proxy() else ""


def advice() -> str:
    """What to look at where nothing answers."""
    return f"check the connection and {_variable()}, or try again" if proxy() else "check the connection, or try again"


def _proxy() -> str:
    return "" if proxy_bypass(urlsplit(constants.ENDPOINT).netloc) else _proxies().get(_variable(), "")


def _variable() -> str:
    own = f"{urlsplit(constants.ENDPOINT).scheme.upper()}_PROXY"
    return own if own in _proxies() else "ALL_PROXY"


def _proxies() -> dict[str, str]:
    """The variables httpx reads (it reads all, whatever the endpoint's scheme), in capitals."""
    return {
        f"{scheme.upper()}_PROXY": url for scheme, url in getproxies().items() if scheme in {"http", "https", "all"}
    }


def _is_address(proxy: str) -> bool:
    try:
        parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        return parts.scheme in {"http", "https", "socks5", "socks5h"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is not a number
        return False


def _refused(status: str) -> str:
    if not status.startswith("407"):
        return f"the proxy {proxy()} does not let it through ({status}). Ask who runs it, or name the host in NO_PROXY."
    if "@" in _proxy():
        return f"the proxy {proxy()} does not take the user and password (407). Check them in {_variable()}."
    scheme, _, host = proxy().partition("://")
    return (
        f"the proxy {proxy()} wants a user and a password (407). "
        f"Write them into {_variable()}, as {scheme}://user:password@{host}."
    )


def _untrusted(error: ssl.SSLCertVerificationError) -> str:
    why = f"its certificate is not trusted ({plain(error.verify_message)})"
    if error.verify_code not in _UNKNOWN_CA:
        return f"{why}. Check HF_ENDPOINT, and the clock of this machine."
    other = "REQUESTS_CA_BUNDLE"
    unread = f" ({other} is not read)" if os.environ.get(other) and not os.environ.get("SSL_CERT_FILE") else ""
    return f"{why}. Name the file of the CA that signed it in SSL_CERT_FILE{unread}."


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
