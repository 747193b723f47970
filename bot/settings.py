"""Every setting once: name, type, default and help. Read once at start, then passed in."""

import hashlib
import tempfile
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from bot.setting_values import (
    Address,
    Network,
    Networks,
    Secrets,
    absolute,
    bound,
    folder_url,
    mail_url,
    reached,
    registry_list,
    safe_url,
    split,
)

MIB = 1024 * 1024
# A socket's path must fit into 108 bytes (unix(7)), its final zero included; before it has its name, a
# socket may have one that is ten bytes longer.
_LONGEST_SOCKET = 95


class Settings(BaseSettings):
    """The settings of one Slipway instance, from environment variables with the prefix `SLIPWAY_`."""

    model_config = SettingsConfigDict(env_prefix="SLIPWAY_", extra="ignore", frozen=True)

    home: Annotated[Path, AfterValidator(absolute)] = Field(
        default=Path(".slipway"), description="Folder of all state: database, artifacts, logs, caches, keys."
    )
    database_url: str | None = Field(
        default=None, description="SQLAlchemy URL of the store. Default: SQLite at `$HOME/slipway.db`."
    )
    redis_url: str | None = Field(
        default=None,
        description="Redis or Valkey, 6.2 or newer. Default: an embedded Valkey on a socket in the home.",
    )
    artifacts_url: Annotated[str | None, AfterValidator(folder_url)] = Field(
        default=None, description="Where releases are kept. Default: `file://$HOME/artifacts`."
    )
    web_address: Address = Field(default="127.0.0.1:8000", description="Where the web process listens.")
    edge_address: Address = Field(default=":8080", description="Where the edge serves sites.")
    metrics_token: SecretStr | None = Field(default=None, description="Bearer token for `GET /metrics`.")
    edge_tls: str = Field(
        default="off",
        description="`off`, `on-demand`, `files`, or `dns:<provider>` for a wildcard certificate by DNS-01.",
    )
    edge_tls_certificate: Path | None = Field(
        default=None, description="With `EDGE_TLS=files`: the certificate chain, PEM."
    )
    edge_tls_key: Path | None = Field(
        default=None, description="With `EDGE_TLS=files`: its private key, PEM."
    )
    edge_dns_token: SecretStr | None = Field(
        default=None, description="With `EDGE_TLS=dns:<provider>`: the provider's API token."
    )
    edge_caddy: Path | None = Field(
        default=None, description="Another Caddy binary, such as one with a DNS provider's module."
    )
    public_url: str = Field(
        default="",
        description="This instance as GitHub and people reach it. Default: localhost, port of `WEB_ADDRESS`.",
    )
    preview_domain: str = Field(default="localhost", description="Sites are one label below this domain.")
    dns_servers: Annotated[list[str], NoDecode, BeforeValidator(split)] = Field(
        default_factory=list[str],
        description="Name servers asked about custom domains, comma-separated. Default: the machine's.",
    )
    fork_domain: str | None = Field(
        default=None,
        description="Previews of forks are served one label below this domain. Needed beside a real one.",
    )
    github_api_url: str = Field(default="https://api.github.com", description="GitHub's REST API.")
    github_url: str = Field(default="https://github.com", description="GitHub's pages and git repositories.")
    github_app_id: str | None = Field(default=None, description="The GitHub App's id or client id.")
    github_private_key: SecretStr | None = Field(default=None, description="The App's private key, PEM.")
    github_private_key_file: Path | None = Field(default=None, description="The same, as a file.")
    github_webhook_secret: Secrets = Field(
        default_factory=list[SecretStr],
        description="Webhook secrets, comma-separated while rotating. Default: one made in the home by `up`.",
    )
    github_token: SecretStr | None = Field(default=None, description="A token, instead of a GitHub App.")
    github_writes_per_minute: int = Field(
        default=80, ge=1, description="Content writes to GitHub, per installation."
    )
    github_writes_per_hour: int = Field(
        default=500, ge=1, description="Content writes to GitHub, per installation."
    )
    intake: Literal["webhook", "poll"] = Field(
        default="webhook",
        description="How pushes are heard of: `webhook`, or `poll` where GitHub can't reach.",
    )
    poll_seconds: float = Field(
        default=60.0, gt=0, description="With `INTAKE=poll`: how often each repository is asked."
    )
    outgoing_networks: Networks = Field(
        default_factory=list[Network],
        description="Private networks that webhooks, notices and git may reach, with commas: `10.1.0.0/16`.",
    )
    outgoing_failing_days: int = Field(
        default=5, ge=1, description="Days of failures after which a webhook or a channel is switched off."
    )
    encryption_key: Secrets = Field(
        default_factory=list[SecretStr],
        description="Keys of secrets at rest (32 bytes, URL-safe base64), newest first. Default: in home.",
    )
    oidc_issuer: Annotated[str | None, AfterValidator(safe_url)] = Field(
        default=None,
        description="An OpenID Connect issuer whose ID tokens count, and that people sign in by.",
    )
    oidc_audience: Annotated[list[str], NoDecode, BeforeValidator(split)] = Field(
        default_factory=list[str],
        description="Client ids that ID tokens may be for, comma-separated; the console uses the first.",
    )
    oidc_client_secret: SecretStr | None = Field(
        default=None, description="The console's client secret, where the issuer gave one."
    )
    oidc_unverified_email: bool = Field(
        default=False, description="Believe e-mail addresses that the issuer does not call verified."
    )
    smtp_url: Annotated[SecretStr | None, AfterValidator(mail_url)] = Field(
        default=None,
        description="Mail server: `smtp://user:password@host:587` (STARTTLS), or `smtps://` with port 465.",
    )
    smtp_from: str = Field(default="", description="Sender of mail. Default: `slipway@` and our own host.")
    build_concurrency: int = Field(
        default=2, ge=1, le=64, description="Deployments that this worker runs at once."
    )
    build_timeout: int = Field(default=1800, ge=1, description="Seconds that a build may take.")
    build_memory: int = Field(
        default=2048, ge=64, description="MiB of memory that a build may use, where limits work."
    )
    build_processes: int = Field(default=512, ge=16, description="Processes that a build may have at once.")
    build_output: int = Field(
        default=1024, ge=1, description="MiB that one file written by a build may have."
    )
    fork_concurrency: int = Field(
        default=1, ge=1, le=64, description="Builds of strangers' code that run at once, at most."
    )
    fork_timeout: int = Field(default=600, ge=1, description="Seconds that a build of a stranger may take.")
    fork_memory: int = Field(
        default=1024, ge=64, description="MiB of memory that a build of a stranger may use."
    )
    fork_processes: int = Field(
        default=192, ge=16, description="Processes that a build of a stranger may have at once."
    )
    fork_disk: int = Field(
        default=1024, ge=1, description="MiB of disk that a stranger's commit, or its build, may take."
    )
    registries: Annotated[list[str], NoDecode, BeforeValidator(split), AfterValidator(registry_list)] = Field(
        default_factory=list[str],
        description="Hosts that builds of strangers reach besides the usual registries; `only` drops those.",
    )
    sandbox: Literal["auto", "bubblewrap", "none"] = Field(
        default="auto", description="The box that builds run in: `auto`, `bubblewrap`, `none`."
    )
    drain_seconds: int = Field(
        default=60,
        ge=0,
        description="How long a stopping worker lets builds finish before it hands them back.",
    )
    max_file_bytes: int = Field(default=25 * MIB, ge=1, description="Largest file of a release, in bytes.")
    max_files: int = Field(default=20_000, ge=1, description="Most files of a release.")
    keep_releases: int = Field(default=10, ge=1, description="Releases kept per app besides the live ones.")
    keep_deployments_days: int = Field(
        default=365,
        ge=1,
        description="Days that deployments are remembered; of each environment 100 stay.",
    )
    keep_audit_days: int = Field(
        default=365, ge=1, description="Days that the audit log is kept; the newest row stays."
    )
    keep_messages_days: int = Field(
        default=30,
        ge=1,
        description="Days that messages to webhooks and channels are kept, with the answers.",
    )
    keep_deliveries_days: int = Field(
        default=30,
        ge=4,
        description="Days that deliveries and their decisions are kept.",
    )
    keep_bodies_days: int = Field(
        default=7, ge=1, description="Days that the bodies of decided deliveries are kept."
    )
    keep_logs_days: int = Field(default=90, ge=1, description="Days that the logs of deployments are kept.")
    keep_logs_mib: int = Field(
        default=4096, ge=1, description="MiB of disk that logs may take; beyond, the oldest go."
    )
    keep_caches_days: int = Field(
        default=30, ge=1, description="Days without use that work trees, dependencies and downloads are kept."
    )
    keep_downloads_mib: int = Field(
        default=2048, ge=1, description="MiB that one cache of downloads may have; beyond, it begins anew."
    )
    log_bytes: int = Field(default=64 * MIB, ge=1024, description="Bytes kept of one deployment's log.")
    drift_seconds: float = Field(
        default=3600.0,
        ge=0,
        description="How often what GitHub shows is compared with what is true; 0: never.",
    )
    sweep_seconds: float = Field(default=5.0, gt=0, description="Pause between two sweeps.")

    @cached_property
    def instance(self) -> str:
        """A name of this instance that no other of the same machine has: 16 hexadecimal digits."""
        return hashlib.sha256(str(self.home).encode()).hexdigest()[:16]

    @cached_property
    def database(self) -> str:
        """The store's SQLAlchemy URL."""
        return self.database_url or f"sqlite:///{self.home / 'slipway.db'}"

    @cached_property
    def redis(self) -> str:
        """The queue's Redis URL."""
        return self.redis_url or f"unix://{self.valkey_socket}"

    @cached_property
    def valkey_socket(self) -> Path:
        """Where the embedded Valkey listens: in the home, or elsewhere when that path is too long."""
        return self._socket("valkey.sock")

    @cached_property
    def rules_socket(self) -> Path:
        """Where the edge asks for sites' rules: in the home, or elsewhere when that path is too long."""
        return self._socket("rules.sock")

    def _socket(self, name: str) -> Path:
        path = self.home / "run" / name
        if len(str(path).encode()) <= _LONGEST_SOCKET:
            return path
        return Path(tempfile.gettempdir()) / f"slipway-{self.instance}" / name

    @cached_property
    def artifacts(self) -> Path:
        """Folder of the content-addressed artifacts."""
        url = self.artifacts_url or f"file://{self.home / 'artifacts'}"
        return Path(url.removeprefix("file://"))

    @cached_property
    def domain_of_forks(self) -> str | None:
        """Domain of the previews of forks; None where nobody has chosen one.

        Pages of one domain share cookies, so that a stranger's must not stand beside other sites by default.
        On localhost there is nothing to share.
        """
        is_local = f".{self.preview_domain}".endswith(".localhost")
        return self.fork_domain or (self.preview_domain if is_local else None)

    @cached_property
    def url(self) -> str:
        """Address of this instance for GitHub and people, without a slash at its end."""
        return self.public_url.rstrip("/") or f"http://localhost:{bound(self.web_address)[1]}"

    @cached_property
    def mail_sender(self) -> str:
        """Who mail is from."""
        return self.smtp_from or f"Slipway <slipway@{urlsplit(self.url).hostname or 'localhost'}>"

    @cached_property
    def edge_home(self) -> Path:
        """Folder of what the edge serves; the file system below it is the routing table."""
        return self.home / "edge"

    @cached_property
    def web_url(self) -> str:
        """The web process as this machine reaches it."""
        return reached("http", self.web_address)

    @cached_property
    def edge_url(self) -> str:
        """The edge as this machine reaches it; the site is named by the header `Host`."""
        return reached("http" if self.edge_tls == "off" else "https", self.edge_address)

    @cached_property
    def edge_port(self) -> int:
        """Port that the edge listens on."""
        return bound(self.edge_address)[1]

    def site_url(self, hostname: str) -> str:
        """Address of a site as a visitor writes it."""
        scheme, usual = ("http", 80) if self.edge_tls == "off" else ("https", 443)
        return f"{scheme}://{hostname}" + ("" if self.edge_port == usual else f":{self.edge_port}")
