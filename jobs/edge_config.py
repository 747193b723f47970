"""The edge's one Caddyfile, made from the settings at start."""

import ipaddress
import re
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from bot.setting_values import bound
from bot.settings import Settings

TEMPLATES = Path(__file__).parent.parent / "templates"

_PROVIDER = re.compile(r"dns:([a-z0-9_]+)")
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOSTNAME = rf"^(?:{_LABEL}\.)*{_LABEL}$"
_ODD = re.compile(r"[\x00-\x1f{}*?\[\]\\\"`]")


def caddyfile(settings: Settings, rules_socket: Path, ask_port: int | None = None) -> str:
    """The Caddyfile. `ask_port` is where on-demand TLS asks for leave, on 127.0.0.1.

    Raises `ValueError` with a sentence for the operator, for settings that make no sense together.
    """
    tls, provider = _tls(settings)
    home = settings.edge_home
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES / "edge"),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - a Caddyfile is not HTML; `plain` refuses what it could not hold
    )
    environment.filters["plain"] = plain
    return environment.get_template("Caddyfile.j2").render(
        tls=tls,
        provider=provider,
        names=_names(settings, tls),
        port=settings.edge_port,
        scheme="http" if tls == "off" else "https",
        port_suffix="" if settings.edge_port == (80 if tls == "off" else 443) else f":{settings.edge_port}",
        bind=_bind(settings),
        certificate=settings.edge_tls_certificate,
        key=settings.edge_tls_key,
        ask=f"http://127.0.0.1:{ask_port}/tls-allowed",
        hostname=_HOSTNAME,
        hosts=home / "hosts",
        older=home / "older",
        releases=home / "releases",
        state=settings.home / "caddy",
        pages=TEMPLATES / "page",
        rules_upstream=f"unix/{plain(rules_socket)}",
    )


def plain(path: Path) -> str:
    """A path as the Caddyfile and its globs take it literally; `ValueError` for one that they can't."""
    text = str(path)
    if _ODD.search(text):
        raise ValueError(f"The edge can't work in '{text}': choose a path without {{}}*?[]\\\" and `.")
    return text


def _tls(settings: Settings) -> tuple[str, str | None]:
    match settings.edge_tls:
        case "off" | "on-demand" as tls:
            return tls, None
        case "files":
            if settings.edge_tls_certificate is None or settings.edge_tls_key is None:
                raise ValueError(
                    "SLIPWAY_EDGE_TLS=files needs SLIPWAY_EDGE_TLS_CERTIFICATE and SLIPWAY_EDGE_TLS_KEY."
                )
            return "files", None
        case other:
            match = _PROVIDER.fullmatch(other)
            if match is None:
                raise ValueError(
                    f"SLIPWAY_EDGE_TLS is '{other}'; it can be off, on-demand, files or dns:<provider>, "
                    "such as dns:cloudflare."
                )
            return "dns", match[1]


def _names(settings: Settings, tls: str) -> str:
    port = settings.edge_port
    if tls != "dns":
        return f"https://:{port}"
    asked = {"PREVIEW_DOMAIN": settings.preview_domain, "FORK_DOMAIN": settings.fork_domain}
    for name, domain in asked.items():
        if domain is not None and re.fullmatch(_HOSTNAME, domain) is None:
            raise ValueError(f"SLIPWAY_{name} is '{domain}', which is not a domain.")
    domains = dict.fromkeys(domain for domain in asked.values() if domain is not None)
    return ", ".join(f"https://{domain}:{port}, https://*.{domain}:{port}" for domain in domains)


def _bind(settings: Settings) -> str:
    host, _ = bound(settings.edge_address)
    match host:
        case "":
            return "# on every address"
        case "localhost":
            return "bind 127.0.0.1 ::1"
        case _:
            return f"bind {ipaddress.ip_address(host)}"
