"""Two stacks on one machine never share a port."""

from __future__ import annotations

import socket

from sandbox.launcher import ports


def test_two_blocks_have_no_port_in_common() -> None:
    one, other = ports.reserve(), ports.reserve()
    try:
        assert not {one[name] for name in ports.NAMES} & {other[name] for name in ports.NAMES}
    finally:
        one.lock.close()
        other.lock.close()


def test_a_stack_gets_its_ports_of_the_last_time_when_they_are_free() -> None:
    first = ports.reserve()
    other = ports.reserve(first.base)
    assert other.base != first.base
    first.lock.close()
    again = ports.reserve(first.base)
    assert again.base == first.base
    again.lock.close()
    other.lock.close()


def test_a_block_with_a_port_in_use_is_passed_over() -> None:
    block = ports.reserve()
    block.lock.close()
    with socket.create_server(("127.0.0.1", block["amqp"])):
        assert not ports.is_free(block["amqp"])
        other = ports.reserve(block.base)
        assert other.base != block.base
        other.lock.close()


def test_a_well_known_port_is_claimed_once() -> None:
    block = ports.reserve()
    port = block["gateway"]
    claimed = ports.claim(port)
    assert claimed is not None
    assert ports.claim(port) is None
    claimed.close()
    with socket.create_server(("127.0.0.1", port)):
        assert ports.claim(port) is None
    block.lock.close()
