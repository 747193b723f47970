import pytest

from bot.domain.permission import Level, level_of


@pytest.mark.parametrize(
    ("permission", "role", "level"),
    [
        ("admin", "admin", Level.ADMIN),
        ("write", "maintain", Level.MAINTAIN),
        ("write", "write", Level.WRITE),
        ("write", "a role of our own", Level.WRITE),
        ("read", "triage", Level.READ),
        ("read", "admin", Level.READ),
        ("none", "", Level.NONE),
        ("something new", "admin", Level.NONE),
    ],
)
def test_the_permission_counts_and_not_what_people_call_it(permission: str, role: str, level: Level):
    assert level_of(permission, role) is level
