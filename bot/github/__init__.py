"""GitHub as Slipway sees it: the only place that loads githubkit. No process but the worker imports it."""
