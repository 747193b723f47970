"""Every page that shows what operations of the API answer, and nothing else."""

from bot.console.sight import PAGED, Read, Sight, all_of
from bot.domain.environment import PRODUCTION
from bot.domain.outgoing import DESCRIBED, Event
from bot.domain.roles import APP_VERBS, Role, Verb

_APP = "/apps/{app}"
_ENVIRONMENT = f"{_APP}/environments/{{environment}}"
_ORG = "/orgs/{org}"
_KINDS = {
    "production": "production",
    "preview": "previews",
    "branch": "other branches",
    "all": "everywhere",
}
_EVENTS = {event.value: text for event, text in DESCRIBED.items() if event is not Event.TEST}
_APP_READ = Read("getApp")

SIGHTS = (
    Sight("/queue", "queue.html", {"queue": Read("listQueue", {"pageSize": 50}, PAGED)}),
    Sight("/activity", "activity.html", {"feed": Read("getActivity", {"limit": 50}, ("before",))}),
    Sight(
        "/audit",
        "audit.html",
        {"changes": Read("listAudit", {"pageSize": 50}, (*PAGED, "search"))},
    ),
    Sight("/orgs", "orgs.html", {"orgs": all_of("listOrgs")}),
    Sight(
        _ORG,
        "members.html",
        {
            "org": Read("getOrg"),
            "members": all_of("listMembers"),
            "invitations": all_of("listInvitations", Verb.MANAGE),
        },
        {"roles": list(Role)},
    ),
    Sight(
        f"{_ORG}/variables",
        "org_variables.html",
        {"org": Read("getOrg"), "variables": Read("listOrgVariables")},
        {"kinds": _KINDS},
    ),
    Sight(
        f"{_ORG}/webhooks",
        "webhooks.html",
        {"org": Read("getOrg"), "webhooks": all_of("listWebhooks")},
        {"events": _EVENTS},
    ),
    Sight(
        f"{_ORG}/webhooks/{{webhook}}",
        "webhook.html",
        {
            "org": Read("getOrg"),
            "webhook": Read("getWebhook"),
            "messages": Read("listWebhookDeliveries", {"pageSize": 20}, (*PAGED, "status")),
        },
        {"events": _EVENTS},
    ),
    Sight(
        f"{_ORG}/channels",
        "channels.html",
        {"org": Read("getOrg"), "channels": all_of("listChannels")},
        {"events": _EVENTS},
    ),
    Sight(
        f"{_ORG}/channels/{{channel}}",
        "channel.html",
        {
            "org": Read("getOrg"),
            "channel": Read("getChannel"),
            "messages": Read("listChannelNotices", {"pageSize": 20}, (*PAGED, "status")),
        },
        {"events": _EVENTS},
    ),
    Sight(
        _ENVIRONMENT,
        "environment.html",
        {
            "app": _APP_READ,
            "environment": Read("getEnvironment"),
            "domains": all_of("listDomains"),
            "releases": all_of("listReleases"),
            "own": Read("listEnvironmentVariables"),
            "effective": Read("listEffectiveVariables"),
            "links": all_of("listShareLinks"),
        },
        {"kinds": _KINDS, "production": PRODUCTION},
    ),
    Sight(
        f"{_APP}/previews",
        "previews.html",
        {"app": _APP_READ, "previews": Read("listPreviews", {"pageSize": 50}, (*PAGED, "status"))},
    ),
    Sight(
        f"{_APP}/variables",
        "app_variables.html",
        {"app": _APP_READ, "variables": Read("listAppVariables"), "environments": all_of("listEnvironments")},
        {"kinds": _KINDS},
    ),
    Sight(
        f"{_APP}/access",
        "access.html",
        {
            "app": _APP_READ,
            "tokens": all_of("listAppTokens"),
            "hooks": all_of("listDeployHooks"),
            "environments": all_of("listEnvironments"),
        },
        {"scopes": sorted(APP_VERBS)},
    ),
    Sight(
        f"{_APP}/activity",
        "app_activity.html",
        {"app": _APP_READ, "feed": Read("getAppActivity", {"limit": 50}, ("before",))},
    ),
)
