"""Every form that asks for an operation of the API, but those of organisations and accounts."""

from collections.abc import Mapping
from typing import Any

from bot.console.deed import Deed
from bot.console.forms import Form

APP = "/apps/{app}"
ENVIRONMENT = f"{APP}/environments/{{environment}}"
DEPLOYMENT = "/deployments/{deployment}"


def given(form: Form, *names: str) -> dict[str, Any]:
    """Those fields that are not empty."""
    return {name: text for name in names if (text := form.text(name)) is not None}


def _approval(form: Form) -> Mapping[str, Any]:
    # The very commit that the page showed: another one that came meanwhile is refused.
    return {"commit": form.get("commit", ""), "withSecrets": form.get("secrets") == "with"}


def _deployment(form: Form) -> Mapping[str, Any]:
    pull = form.get("pull", "")
    rebuild = {"rebuild": True} if "rebuild" in form else {}
    if pull.isascii() and pull.isdigit() and len(pull) <= 9:
        return {"pullRequest": int(pull), **rebuild}
    return {**given(form, "environment", "branch", "note"), **rebuild}


def _domain(form: Form) -> Mapping[str, Any]:
    return {"hostname": form.text("hostname") or "", "pair": "pair" in form}


def variables_set(form: Form) -> Mapping[str, Any]:
    """One variable, as `ChangeVariables` has it."""
    # Browsers send line breaks as CRLF, whatever was typed.
    setting: dict[str, Any] = {"value": form.get("value", "").replace("\r\n", "\n")}
    setting |= given(form, "appliesTo")
    if (kind := form.get("secret")) in ("yes", "no"):
        setting["secret"] = kind == "yes"
    return {"variables": {form.text("name") or "": [setting]}}


def variables_unset(form: Form) -> Mapping[str, Any]:
    """One variable less."""
    return {"variables": {form.get("name", ""): [{"value": None, **given(form, "appliesTo")}]}}


def variables_text(form: Form) -> Mapping[str, Any]:
    """The text of a file."""
    return {"text": form.get("text", "").replace("\r\n", "\n"), **given(form, "appliesTo")}


def variable_deeds(scope: str, back: str, *, at: str) -> tuple[Deed, ...]:
    """The forms for variables of one scope."""
    merge, take = f"update{scope}Variables", f"import{scope}Variables"
    return (
        Deed(f"{at}/set", merge, back, "variables", variables_set),
        Deed(f"{at}/unset", merge, back, "variables", variables_unset),
        Deed(f"{at}/import", take, back, "variables", variables_text),
    )


def token(form: Form) -> Mapping[str, Any]:
    """A new token. Without a box that is ticked it may what is usual."""
    days = form.get("days", "")
    scopes = list(form.every.get("scopes", []))
    made: dict[str, Any] = {"name": form.text("name") or ""}
    if scopes:
        made["scopes"] = scopes
    return {**made, "expiresInDays": int(days)} if days.isascii() and days.isdigit() else made


OF_DEPLOYMENTS = (
    Deed(f"{DEPLOYMENT}/approve", "approveDeployment", DEPLOYMENT, "approved", _approval),
    Deed(
        f"{DEPLOYMENT}/reject", "rejectDeployment", DEPLOYMENT, "rejected", lambda form: given(form, "reason")
    ),
    Deed(f"{DEPLOYMENT}/cancel", "cancelDeployment", DEPLOYMENT, "cancelled"),
    Deed(f"{DEPLOYMENT}/retry", "retryDeployment", DEPLOYMENT, "asked", to="/deployments/{reference}"),
)
OF_ENVIRONMENTS = (
    Deed(
        f"{ENVIRONMENT}/lock",
        "lockEnvironment",
        ENVIRONMENT,
        "locked",
        lambda form: given(form, "reason", "length"),
    ),
    Deed(f"{ENVIRONMENT}/unlock", "unlockEnvironment", ENVIRONMENT, "unlocked"),
    Deed(
        f"{ENVIRONMENT}/rollback",
        "rollBack",
        ENVIRONMENT,
        "asked",
        lambda form: given(form, "release", "reason"),
        to="/deployments/{reference}",
    ),
    Deed(f"{ENVIRONMENT}/pushes", "updateEnvironment", ENVIRONMENT, "changed", lambda f: given(f, "deploys")),
    Deed(f"{ENVIRONMENT}/take-down", "deleteEnvironment", ENVIRONMENT, "removed"),
    Deed(f"{ENVIRONMENT}/resume", "resume", ENVIRONMENT, "resumed"),
    Deed(
        f"{ENVIRONMENT}/deploy",
        "createDeployment",
        ENVIRONMENT,
        "asked",
        _deployment,
        to="/deployments/{reference}",
    ),
    Deed(f"{ENVIRONMENT}/share-links/{{link}}/revoke", "revokeShareLink", ENVIRONMENT, "revoked"),
    Deed(f"{ENVIRONMENT}/domains", "addDomain", ENVIRONMENT, "made", _domain),
    Deed(f"{ENVIRONMENT}/domains/{{domain}}/verify", "verifyDomain", ENVIRONMENT, "checking"),
    Deed(f"{ENVIRONMENT}/domains/{{domain}}/remove", "removeDomain", ENVIRONMENT, "removed"),
    *variable_deeds("Environment", ENVIRONMENT, at=f"{ENVIRONMENT}/variables"),
)
_PREVIEWS = f"{APP}/previews"
_PREVIEW = f"{_PREVIEWS}/{{number}}"
_ACCESS = f"{APP}/access"
OF_APPS = (
    Deed(
        f"{APP}/switch", "updateApp", APP, "changed", lambda form: {"enabled": form.get("enabled") == "yes"}
    ),
    Deed(
        f"{APP}/environments",
        "createEnvironment",
        APP,
        "made",
        lambda form: {"name": form.text("name") or "", "branch": form.text("branch") or ""},
        to=f"{APP}/environments/{{id}}",
    ),
    *variable_deeds("App", f"{APP}/variables", at=f"{APP}/variables"),
    Deed(f"{_PREVIEW}/close", "closePreview", _PREVIEWS, "closed"),
    Deed(f"{_PREVIEW}/wake", "wakePreview", _PREVIEWS, "waking"),
    Deed(f"{_PREVIEW}/extend", "extendPreview", _PREVIEWS, "extended", lambda form: given(form, "ttl")),
    Deed(
        f"{_PREVIEW}/{{environment}}/share",
        "createShareLink",
        _PREVIEWS,
        "made",
        lambda form: given(form, "ttl", "note"),
        reveals="url",
    ),
    Deed(f"{_ACCESS}/tokens", "createAppToken", _ACCESS, "made", token, reveals="token"),
    Deed(f"{_ACCESS}/tokens/{{token}}/revoke", "revokeAppToken", _ACCESS, "revoked"),
    Deed(
        f"{_ACCESS}/hooks",
        "createDeployHook",
        _ACCESS,
        "made",
        lambda form: given(form, "name", "environment", "branch"),
        reveals="url",
    ),
    Deed(f"{_ACCESS}/hooks/{{hook}}/revoke", "revokeDeployHook", _ACCESS, "revoked"),
)
