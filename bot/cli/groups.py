"""Groups of commands that speak to the API, but for those few that must do without a web process.

These work on the store: the first app and the first token come before the first start; tokens of all people,
whom the API tells only of their own; and whether the audit log is whole, which is for whoever trusts the web
process least.
"""

from bot.cli.lazy import group

app = group(
    "Apps: what is deployed.",
    {
        "create": "bot.cli.apps:create",
        "list": "bot.cli.client.apps:list_apps",
        "show": "bot.cli.client.apps:show",
        "disable": "bot.cli.client.apps:disable",
        "enable": "bot.cli.client.apps:enable",
    },
    remote={"create": "bot.cli.client.apps:create"},
)
audit = group(
    "The audit log: who changed what, when, and from where.",
    {
        "list": "bot.cli.client.audit:list_rows",
        "export": "bot.cli.client.audit:export",
        "verify": "bot.cli.audit:verify",
    },
    here=["verify"],
)
token = group(
    "Tokens: who may use the API.",
    {
        "create": "bot.cli.tokens:create",
        "list": "bot.cli.tokens:list_tokens",
        "revoke": "bot.cli.tokens:revoke",
    },
    remote={
        "create": "bot.cli.client.tokens:create",
        "list": "bot.cli.client.tokens:list_tokens",
        "revoke": "bot.cli.client.tokens:revoke",
    },
)
