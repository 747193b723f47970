from ipaddress import ip_network

import pytest

from jobs.public import address, is_public
from jobs.reach import may_reach

NOT_PUBLIC = (
    "127.0.0.1 10.1.2.3 192.168.1.1 172.16.0.1 169.254.169.254 100.64.0.1 100.100.100.200 0.0.0.0 224.0.0.1 "
    "255.255.255.255 240.0.0.1 ::1 :: fe80::1%eth0 fec0::1 fc00::1 fd00:ec2::254 ff02::1 4000::1 "
    "::10.0.0.1 ::ffff:127.0.0.1 64:ff9b::10.0.0.1 64:ff9b:1::10.0.0.1 2002:7f00:1:: "
    "2001:0:4136:e378:8000:63bf:3fff:fdd2"
)
PUBLIC = "93.184.216.34 2606:2800:220:1:248:1893:25c8:1946 64:ff9b::8.8.8.8 2002:808:808:: ::ffff:8.8.8.8"


@pytest.mark.parametrize("text", NOT_PUBLIC.split())
def test_addresses_of_private_networks_are_reached_by_nobody(text: str):
    assert not is_public(address(text))
    assert not may_reach(text, [])


@pytest.mark.parametrize("text", PUBLIC.split())
def test_public_addresses_are_reached(text: str):
    assert is_public(address(text))
    assert may_reach(text, [])


@pytest.mark.parametrize("text", ["10.1.2.3", "::ffff:10.1.2.3", "64:ff9b::10.1.2.3", "2002:a01:203::"])
def test_networks_that_are_allowed_are_reached_by_whatever_way(text: str):
    assert may_reach(text, [ip_network("10.0.0.0/8")])
    assert not may_reach(text, [ip_network("10.2.0.0/16"), ip_network("fd00::/8")])


@pytest.mark.parametrize("text", ["", "localhost", "1.2.3", "::1::", "10.0.0.1/8"])
def test_what_is_no_address_is_an_error(text: str):
    with pytest.raises(ValueError, match=r"."):
        address(text)
