"""The whole examination: what can be looked at side by side, then what needs a token; at most 15 calls and 20 s."""

from __future__ import annotations

import time

from media_pipeline.connection import endpoints_of, media_hosts_of
from media_pipeline.doctor import rate
from media_pipeline.doctor.clients import Client, GuideClient, PlatformClient, without_token
from media_pipeline.doctor.findings import GENESYS, GROUPS, STORAGE, Finding, Report
from media_pipeline.doctor.machine import look_at_machine
from media_pipeline.doctor.network import CONNECT_SECONDS, READ_SECONDS, clock, reached, visit
from media_pipeline.doctor.places import ROOT, SPOOL, Transcribed, look_at_root, look_at_spool, look_at_transcripts
from media_pipeline.doctor.together import together
from media_pipeline.genesys.budget import Budget, budget_file
from media_pipeline.genesys.connect import CREDENTIAL_STYLES
from media_pipeline.genesys.endpoints import Endpoints
from media_pipeline.genesys.guide import GuideSource
from media_pipeline.genesys.pacing import CallStats, Patience
from media_pipeline.genesys.permissions import Feature, features_of
from media_pipeline.genesys.platform import PlatformSource
from media_pipeline.genesys.platform_account import Account
from media_pipeline.genesys.platform_voice import CONTENT_PROFILE
from media_pipeline.genesys.transport import Transport
from media_pipeline.settings import Settings
from media_pipeline.tables.paths import newest_finished_day

LOOK_SECONDS = 9.0
"""For hosts, token and storage; 10 s more are for the API."""
CONNECTIONS = 8
AT_ONCE = Patience(retries=0)
"""A screen shows what is, not what comes after two minutes of patience."""


def examine(settings: Settings) -> Report:
    """Look at everything once; raises ConfigurationError when the variables do not even name an org and a client."""
    began = time.monotonic()
    endpoints, stats = endpoints_of(settings), CallStats()
    witness = rate.Witness(_budget(settings, endpoints))
    used = witness.used_before()
    transport = _transport(settings, endpoints, witness, stats)
    try:
        found = together(
            {
                "api": lambda: visit(endpoints.api),
                "login": lambda: visit(endpoints.login),
                "token": transport.token_lifetime_seconds,
                "root": lambda: look_at_root(settings),
                "spool": lambda: look_at_spool(settings),
                "transcripts": lambda: look_at_transcripts(settings),
            },
            LOOK_SECONDS,
        )
        transcripts = found["transcripts"]
        transcribed = transcripts if isinstance(transcripts, Transcribed) else None
        features = features_of(
            settings.dialect, writes_back=settings.allow_write_back, deletes=settings.allow_remote_delete
        )
        client = _client(settings, transport, stats, features)
        if isinstance(found["token"], float):
            asked = client.findings(transcribed)
        else:
            asked = without_token(features, "there is no token")
    finally:
        transport.close()
    findings = [
        reached("API host", endpoints.api, found["api"], "GENESYS_REGION, GENESYS_BASE_URL"),
        reached("login host", endpoints.login, found["login"], "GENESYS_REGION, GENESYS_LOGIN_URL"),
        clock([found["api"], found["login"]]),
        _credentials(found["token"]),
        *asked,
        *_outbound_audio(settings),
        rate.rate(settings.requests_per_minute, used, witness, client.published_rate),
        _placed(ROOT, found["root"]),
        _placed(SPOOL, found["spool"]),
        *look_at_machine(settings),
    ]
    findings.sort(key=lambda finding: GROUPS.index(finding.group))
    return Report(tuple(findings), stats.api_calls(), time.monotonic() - began)


def _outbound_audio(settings: Settings) -> list[Finding]:
    """Where voice messages are sent in the published API: what no call tells beforehand."""
    if settings.dialect != "platform" or not settings.allow_write_back or settings.inbox_folder is None:
        return []
    seen = "cannot be asked: by default an org lets only jpg, png and gif out, and refuses voice messages"
    return [Finding(GENESYS, "outbound audio", "warn", seen, CONTENT_PROFILE)]


def _transport(settings: Settings, endpoints: Endpoints, witness: rate.Witness, stats: CallStats) -> Transport:
    return Transport(
        endpoints,
        client_id=settings.client_id,
        client_secret=settings.client_secret.get_secret_value(),
        credential_style=CREDENTIAL_STYLES[settings.dialect],
        pacer=witness,
        stats=stats,
        patience=AT_ONCE,
        connections=CONNECTIONS,
        timeouts=(CONNECT_SECONDS, READ_SECONDS),
    )


def _client(settings: Settings, transport: Transport, stats: CallStats, features: tuple[Feature, ...]) -> Client:
    newest = newest_finished_day()
    if settings.dialect == "guide":
        return GuideClient(GuideSource(transport), newest, settings.min_available_mb, features)
    source = PlatformSource(transport, media_hosts_of(settings), stats, AT_ONCE, connections=CONNECTIONS)
    account = Account(transport, settings.client_id)
    return PlatformClient(account, source, newest, settings.min_available_mb, features)


def _budget(settings: Settings, endpoints: Endpoints) -> Budget | None:
    if not settings.requests_per_minute:
        return None
    try:
        file = budget_file(settings.spool / "rate", settings.client_id, endpoints.api)
    except OSError:
        return None  # the spool's own line says so
    return Budget(file, settings.requests_per_minute)


def _credentials(found: object) -> Finding:
    if isinstance(found, float):
        return Finding(GENESYS, "credentials", "ok", f"valid, a token lives {_life(found)}")
    seen, _, todo = str(found).partition(". ")
    return Finding(GENESYS, "credentials", "fail", seen, todo or "Run doctor again when the login host answers.")


def _life(seconds: float) -> str:
    return f"{seconds / 3600:,.0f} h" if seconds >= 7200 else f"{seconds / 60:,.0f} min"


def _placed(name: str, found: object) -> Finding:
    if isinstance(found, Finding):
        return found
    seen, _, todo = str(found).partition(": ")
    return Finding(STORAGE, name, "fail", seen, todo[:1].upper() + todo[1:] or "Mend it, then run doctor again.")
