"""After a reconnect (hub-mqtt.md § 2.7, § 3, § 6.4; sdk-wire-facts.md, fact 1).

The SDK subscribes once and never again, so everything here rests on the hub's memory.
Each check makes sure that the SDK sent no SUBSCRIBE; else it would prove nothing.
"""

import contextlib

import device
from backend import parse, sas_token
from runner import run

ANSWERS = "$iothub/twin/res/#"
DESIRED = "$iothub/twin/PATCH/properties/desired/#"


def change_during_an_outage(hub):
    """A desired change made while the link is down is handed over after the SDK has reconnected."""
    me = hub.new_device()
    hub.backend.patch_desired(me.id, {"kept": True})
    with _watching_behind_relay(hub, me) as (client, desired, relay):
        with relay.outage():
            device.eventually("the drop is noticed", lambda: not client.connected)
            hub.backend.patch_desired(me.id, {"rpm": 7})
        # The SDK reads the twin and makes a patch of the whole section.
        wanted = {"kept": True, "on": 1, "rpm": 7, "$version": 4}
        device.equal("synthetic patch", desired.take(), wanted)
        _still_served(hub, me, client, desired, version=5)


def outage_without_a_change(hub):
    """After an outage in which nothing changed, nothing is repeated and the next PATCH arrives."""
    me = hub.new_device()
    with _watching_behind_relay(hub, me) as (client, desired, relay):
        with relay.outage():
            device.eventually("the drop is noticed", lambda: not client.connected)
        device.eventually("the SDK is back", lambda: client.connected)
        _still_served(hub, me, client, desired, version=3)
        assert desired.is_empty(), "a change was announced twice"


def take_over(hub):
    """A second connection ends the first, which takes its place back and is still subscribed."""
    me = hub.new_device()
    changes = device.Inbox()
    with _watching(hub, me) as (client, desired):
        client.on_connection_state_change = changes
        # The second must not fight back, or the two would evict each other for ever.
        with device.connected(hub, me.connection_string, connection_retry=False) as second:
            changes.take()
            device.eventually("the first is back", lambda: client.connected)
            device.eventually("the second is dropped", lambda: not second.connected)
        _still_served(hub, me, client, desired, version=3)


def token_renewal(hub):
    """Renewing the token, a DISCONNECT and a CONNECT, leaves the subscriptions alone."""
    me = hub.new_device()
    key = parse(me.connection_string)["SharedAccessKey"]
    resource = f"{hub.hostname}/devices/{me.id}"
    changes = device.Inbox()
    with device.connected_with_token(hub, sas_token(resource, key)) as client:
        desired = _watch(hub, me, client)
        client.on_connection_state_change = changes
        with _no_subscribe():
            client.update_sastoken(sas_token(resource, key, life_seconds=7200))
            changes.take(), changes.take()
            device.eventually("the SDK is back", lambda: client.connected)
            _still_served(hub, me, client, desired, version=3)


def orderly_return(hub):
    """After disconnect and connect the change made meanwhile is handed over, and later ones."""
    me = hub.new_device()
    with _watching(hub, me) as (client, desired):
        client.disconnect()
        hub.backend.patch_desired(me.id, {"rpm": 7})
        client.connect()
        device.equal("synthetic patch", desired.take(), {"on": 1, "rpm": 7, "$version": 3})
        _still_served(hub, me, client, desired, version=4)


@contextlib.contextmanager
def _watching(hub, me):
    """A client with a desired handler that has proved itself; it subscribes no more from here."""
    with device.connected(hub, me.connection_string) as client:
        desired = _watch(hub, me, client)
        with _no_subscribe():
            yield client, desired


@contextlib.contextmanager
def _watching_behind_relay(hub, me):
    with hub.behind_relay() as relay, _watching(hub, me) as (client, desired):
        yield client, desired, relay


def _watch(hub, me, client):
    """Subscribes to twin answers and desired notifications, each tried once."""
    with device.Subscriptions() as subscriptions:
        desired = device.watch_desired(client)
        version = client.get_twin()["desired"]["$version"]
    device.equal("topics the SDK subscribed to", subscriptions.topics, [DESIRED, ANSWERS])
    hub.backend.patch_desired(me.id, {"on": 1})
    device.equal("positive control", desired.take(), {"on": 1, "$version": version + 1})
    return desired


@contextlib.contextmanager
def _no_subscribe():
    with device.Subscriptions() as subscriptions:
        yield
    device.equal("topics the SDK subscribed to again", subscriptions.topics, [])


def _still_served(hub, me, client, desired, version):
    """Notifications and twin answers both arrive on the new connection."""
    hub.backend.patch_desired(me.id, {"later": True})
    device.equal("notification", desired.take(), {"later": True, "$version": version})
    client.patch_twin_reported_properties({"seen": version})
    reported = hub.backend.twin(me.id)["properties"]["reported"]
    device.equal("reported", reported["seen"], version)


if __name__ == "__main__":
    run()
