from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.intake.commands import (
    MAX_COMMANDS,
    USAGE,
    Approve,
    Cancel,
    Command,
    Deploy,
    Help,
    Lock,
    Misused,
    Promote,
    Redeploy,
    Rollback,
    Ttl,
    Unknown,
    Unlock,
    Verb,
    commands_in,
)


@pytest.mark.parametrize(
    ("line", "verb"),
    [
        ("/deploy", Deploy()),
        ("/deploy staging", Deploy("staging")),
        ("/redeploy  ", Redeploy()),
        ("/cancel", Cancel()),
        ("/promote", Promote()),
        ("/rollback brave-fox-7", Rollback("brave-fox-7")),
        ("/approve A1B2C3D", Approve("a1b2c3d")),
        ("/approve --with-secrets a1b2c3d4", Approve("a1b2c3d4", with_secrets=True)),
        ("/lock we're releasing", Lock("we're releasing")),
        ("/unlock", Unlock()),
        ("/ttl 3d", Ttl(timedelta(days=3))),
        ("/help", Help()),
        ("/lgtm", Unknown()),
    ],
)
def test_a_command_is_a_line_of_its_own(line: str, verb: Verb):
    assert commands_in(f"Looks fine.\r\n\r\n{line}\r\nThanks!") == [
        Command(line.split(maxsplit=1)[0][1:], verb)
    ]


@pytest.mark.parametrize(
    "line",
    [
        "/approve",
        "/approve a1b2c3",
        "/approve a1b2c3d e1e1e1e",
        "/approve zzzzzzz",
        "/ttl",
        "/ttl 0d",
        "/ttl soon",
        "/redeploy now",
        "/deploy a b",
        "/help me",
        "/cancel 'x",
    ],
)
def test_what_is_written_wrongly_is_told_how_it_is_right(line: str):
    (command,) = commands_in(line)
    assert isinstance(command.verb, Misused)
    assert USAGE[command.word] in command.verb.problem


@pytest.mark.parametrize(
    "body",
    [
        "> /deploy",
        "    /deploy",
        "please /deploy",
        "```\n/deploy\n```",
        "~~~sh\n/deploy\n~~~",
        "````\n```\n/deploy\n````",
        "```\n/deploy",
        "<!--\n/deploy\n-->",
        "/etc/passwd",
        "/Deploy",
        "//deploy",
        "`/deploy`",
        "",
    ],
)
def test_nobody_means_what_is_quoted_hidden_or_code(body: str):
    assert commands_in(body) == []


def test_several_commands_come_in_their_order_each_once_and_for_one_app_where_it_is_named():
    body = "/cancel\n```\n/help\n```\n/redeploy --app docs\n/cancel\n/deploy staging --app shop"
    assert commands_in(body) == [
        Command("cancel", Cancel()),
        Command("redeploy", Redeploy(), "docs"),
        Command("deploy", Deploy("staging"), "shop"),
    ]


def test_a_flood_of_commands_is_cut():
    assert len(commands_in("\n".join(f"/deploy e{number}" for number in range(50)))) == MAX_COMMANDS


_PIECES = st.sampled_from(
    ["/deploy", "/approve ", "a1b2c3d", "\n", "\r\n", "> ", "```", "~~~", "<!--", "-->", "'", '"']
)


@given(st.lists(st.one_of(_PIECES, st.text(max_size=5))).map("".join))
def test_whatever_is_said_nothing_is_raised(body: str):
    for command in commands_in(body):
        assert f"/{command.word}" in body
