"""Where an org's API and login live, and which hosts may serve its media; no request is made here."""

from __future__ import annotations

import functools
import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from media_pipeline.genesys.errors import ConfigurationError

REGIONS = (
    "mypurecloud.com", "mypurecloud.ie", "mypurecloud.com.au", "mypurecloud.jp", "mypurecloud.de",
    "usw2.pure.cloud", "cac1.pure.cloud", "apne2.pure.cloud", "euw2.pure.cloud", "aps1.pure.cloud",
    "use2.us-gov-pure.cloud", "sae1.pure.cloud", "mec1.pure.cloud", "apne3.pure.cloud", "euc2.pure.cloud",
    "mxc1.pure.cloud", "apse1.pure.cloud", "edee1.eusc-pure.cloud",
)  # fmt: skip
"""The published regions (PureCloudRegionHosts of PureCloudPlatformClientV2 269.0.0)."""

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
PLAIN_ORIGIN = re.compile(r"https?://[a-z0-9.-]+(?::[0-9]+)?(?=/)")
"""The start of most links, which decides alone where they lead: a day's are on a few hosts, and need not be taken apart
one by one."""
_MEDIA_DOMAINS = (*REGIONS, "pure.cloud", "genesys.cloud", "amazonaws.com", "amazonaws.com.cn")


def is_loopback(host: str | None) -> bool:
    """Whether the host name or address is this machine's loopback."""
    if not host or host == "localhost":
        return host == "localhost"
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class Endpoints:
    """The API's and the login's base URL, without a trailing slash."""

    api: str
    login: str

    @classmethod
    def of(cls, *, region: str, base_url: str = "", login_url: str = "") -> Endpoints:
        """Derive both from the variables; raises ConfigurationError for an unknown region or an unsafe URL."""
        if not base_url:
            if region not in REGIONS:
                raise ConfigurationError(
                    f"GENESYS_REGION={region!r} is not a Genesys Cloud region; use one of {', '.join(REGIONS)}."
                )
            base_url = f"https://api.{region}"
        api = _checked("GENESYS_BASE_URL", base_url)
        return cls(api, _checked("GENESYS_LOGIN_URL", login_url or api.replace("//api.", "//login.", 1)))


def _checked(variable: str, url: str) -> str:
    try:
        parts = urlsplit(url.strip())
        port_is_fine = parts.port is None or parts.port > 0
    except ValueError:
        parts, port_is_fine = urlsplit(""), False
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_is_fine:
        raise ConfigurationError(f"{variable} is not a URL such as https://api.mypurecloud.com; correct or unset it.")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ConfigurationError(f"{variable} must not carry credentials, a query or a fragment; give the host alone.")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise ConfigurationError(
            f"{variable} uses http to {parts.hostname}: credentials would travel in clear text. Use https "
            "(http is accepted on loopback only)."
        )
    return url.strip().rstrip("/")


@dataclass(frozen=True, slots=True)
class MediaHosts:
    """Which download links are followed: Genesys' and AWS' hosts and those the operator adds, nothing inside."""

    base_url: str
    extra: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    """Of the operator's own, that hosts may have addresses in, as of private endpoints of a cloud."""

    def admits(self, host: str, address: str) -> bool:
        """Whether a host that may serve media may have this address: a public one, or one in `networks`.

        Loopback only where the base URL is on loopback; the base URL's own host is what the operator named.
        """
        found = _parsed(address)
        base_host = (urlsplit(self.base_url).hostname or "").lower()
        if host.rstrip(".").lower() == base_host:
            return True
        if found.is_loopback or found.is_unspecified:
            return found.is_loopback and is_loopback(base_host)
        own = any(found in ipaddress.ip_network(each) for each in self.networks)
        return _is_public(found) or (own and not found.is_link_local)

    def refusal(self, url: str) -> str | None:
        """Why a download link must not be followed, naming at most its host; None when it is fine."""
        plain = PLAIN_ORIGIN.match(url)
        return _known_refusal(self, plain[0]) if plain else _refusal(self, url)


def _parsed(address: str) -> _Address:
    """An address; of IPv6's forms that lead to IPv4 the latter."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        if found in _NAT64:
            return ipaddress.IPv4Address(int(found) & 0xFFFF_FFFF)
        return found.ipv4_mapped or found.sixtofour or found
    return found


def _is_public(address: _Address) -> bool:
    """Whether it is somebody's on the internet: not private, shared, link-local, multicast or reserved."""
    inside = address.is_multicast or address.is_reserved or getattr(address, "is_site_local", False)
    return address.is_global and not inside


def _refusal(hosts: MediaHosts, url: str) -> str | None:
    try:
        parts = urlsplit(url)
        scheme, host = parts.scheme, (parts.hostname or "").rstrip(".").lower()
        _ = parts.port
    except ValueError:
        return "the download link is not a URL"
    base_host = (urlsplit(hosts.base_url).hostname or "").lower()
    if is_loopback(host):
        allowed = is_loopback(base_host)
        schemes: tuple[str, ...] = ("http", "https")
    else:
        domains = (*_MEDIA_DOMAINS, *hosts.extra)
        allowed = host == base_host or any(host == domain or host.endswith("." + domain) for domain in domains)
        schemes = ("https",)
    if scheme not in schemes:
        return f"the download link uses {scheme or 'no scheme'} where https is required"
    if not allowed:
        return f"the download host {host!r} is neither Genesys' nor AWS'; if yours, add it to MEDIA_DOWNLOAD_HOSTS"
    return None


_known_refusal = functools.lru_cache(maxsize=64)(_refusal)
"""Given origins only: links are secrets."""
