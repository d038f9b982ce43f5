"""Client certificates instead of keys (hub-auth.md § 5, § 6)."""

import contextlib
import tempfile
from pathlib import Path

from azure.iot.device.exceptions import CredentialError

import device
from certificates import Authority, self_signed
from runner import run

TRUSTED = Authority("interop device root")
UNKNOWN = Authority("interop device root")
FOLDER = tempfile.TemporaryDirectory(prefix="twinspec-x509-")
MODULE = "vision"


def primary_thumbprint(hub):
    """A self-signed certificate registered as primary thumbprint (SHA-256) opens the connection."""
    me, certificate = hub.new_device(), _own("any name at all")
    _register_thumbprints(hub, me.id, primary=certificate.thumbprints["sha256"])
    with _connected(hub, certificate, me.id) as client:
        _twin_works(hub, me, client)


def secondary_thumbprint(hub):
    """With two thumbprints registered, either certificate opens the connection."""
    me, first, second = hub.new_device(), _own("first"), _own("second")
    prints = (each.thumbprints["sha256"] for each in (first, second))
    _register_thumbprints(hub, me.id, *prints)
    for certificate in (first, second):
        with _connected(hub, certificate, me.id) as client:
            device.equal("twin", client.get_twin()["desired"], {"$version": 1})


def sha1_thumbprint(hub):
    """A thumbprint may be the SHA-1 fingerprint as well."""
    me, certificate = hub.new_device(), _own("any name at all")
    _register_thumbprints(hub, me.id, primary=certificate.thumbprints["sha1"])
    with _connected(hub, certificate, me.id) as client:
        _twin_works(hub, me, client)


def unregistered_certificate(hub):
    """A certificate that is not registered, or for another device only, is refused."""
    me, other = hub.new_device(), hub.new_device()
    mine, others, nobodys = _own(me.id), _own(other.id), _own(me.id)
    _register_thumbprints(hub, me.id, primary=mine.thumbprints["sha256"])
    _register_thumbprints(hub, other.id, primary=others.thumbprints["sha256"])
    with _connected(hub, mine, me.id):
        pass
    _refused(hub, nobodys, me.id)
    _refused(hub, others, me.id)


def replaced_thumbprint(hub):
    """After the thumbprint is replaced, the old certificate is refused and the new one taken."""
    me, old, new = hub.new_device(), _own("old"), _own("new")
    _register_thumbprints(hub, me.id, primary=old.thumbprints["sha256"])
    with _connected(hub, old, me.id):
        pass
    _register_thumbprints(hub, me.id, primary=new.thumbprints["sha256"])
    _refused(hub, old, me.id)
    with _connected(hub, new, me.id):
        pass


def kinds_do_not_mix(hub):
    """A key does not open a device of thumbprints, nor a certificate a device of keys."""
    me, certificate = hub.new_device(), _own("any name at all")
    with device.connected(hub, me.connection_string):
        pass
    _refused(hub, certificate, me.id)
    _register_thumbprints(hub, me.id, primary=certificate.thumbprints["sha256"])
    with device.shut_down_at_end(device.create(hub, me.connection_string)) as client:
        device.raised(CredentialError, client.connect)
    with _connected(hub, certificate, me.id):
        pass


def signed_by_authority(hub):
    """A certificate of a trusted authority whose common name is the device opens the connection."""
    me = hub.new_device()
    hub.backend.set_authentication(me.id, {"type": "certificateAuthority"})
    with _connected(hub, TRUSTED.certify(FOLDER.name, me.id), me.id) as client:
        _twin_works(hub, me, client)


def signed_by_intermediate(hub):
    """So does one whose chain, which the SDK sends, leads through an intermediate authority."""
    me = hub.new_device()
    hub.backend.set_authentication(me.id, {"type": "certificateAuthority"})
    factory = Authority("interop factory", above=TRUSTED)
    with _connected(hub, factory.certify(FOLDER.name, me.id), me.id) as client:
        device.equal("twin", client.get_twin()["desired"], {"$version": 1})


def name_of_another_device(hub):
    """A trusted certificate with the name of another device is refused."""
    me, other = hub.new_device(), hub.new_device()
    for each in (me, other):
        hub.backend.set_authentication(each.id, {"type": "certificateAuthority"})
    certificate = TRUSTED.certify(FOLDER.name, other.id)
    with _connected(hub, certificate, other.id):
        pass
    _refused(hub, certificate, me.id)


def unknown_authority(hub):
    """The right name proves nothing when signed by another authority or by itself."""
    me = hub.new_device()
    hub.backend.set_authentication(me.id, {"type": "certificateAuthority"})
    _refused(hub, UNKNOWN.certify(FOLDER.name, me.id), me.id)
    _refused(hub, _own(me.id), me.id)
    with _connected(hub, TRUSTED.certify(FOLDER.name, me.id), me.id):
        pass


def module_by_thumbprint(hub):
    """A module connects with its own self-signed certificate; its device's does not open it."""
    me, of_device, of_module = hub.new_device(), _own("device"), _own("module")
    _register_thumbprints(hub, me.id, primary=of_device.thumbprints["sha256"])
    hub.backend.create_module(me.id, MODULE)
    _register_thumbprints(hub, me.id, of_module.thumbprints["sha256"], module_id=MODULE)
    with _connected(hub, of_module, me.id, MODULE) as client:
        device.equal("twin", client.get_twin()["reported"], {"$version": 1})
    _refused(hub, of_device, me.id, MODULE)


def module_by_authority(hub):
    """A module of an authority needs the name `device/module`; that of its device is refused."""
    me = hub.new_device()
    hub.backend.create_module(me.id, MODULE)
    hub.backend.set_authentication(me.id, {"type": "certificateAuthority"}, MODULE)
    of_module = TRUSTED.certify(FOLDER.name, f"{me.id}/{MODULE}")
    with _connected(hub, of_module, me.id, MODULE) as client:
        device.equal("twin", client.get_twin()["reported"], {"$version": 1})
    _refused(hub, TRUSTED.certify(FOLDER.name, me.id), me.id, MODULE)


def after_an_outage(hub):
    """Without a token too, the SDK comes back after an outage and is still subscribed."""
    me, certificate = hub.new_device(), _own("any name at all")
    _register_thumbprints(hub, me.id, primary=certificate.thumbprints["sha256"])
    with hub.behind_relay() as relay, _connected(hub, certificate, me.id) as client:
        desired = device.watch_desired(client)
        hub.backend.patch_desired(me.id, {"on": 1})
        device.equal("positive control", desired.take(), {"on": 1, "$version": 2})
        with relay.outage():
            device.eventually("the drop is noticed", lambda: not client.connected)
        device.eventually("the SDK is back", lambda: client.connected)
        hub.backend.patch_desired(me.id, {"on": 2})
        device.equal("notification", desired.take(), {"on": 2, "$version": 3})


def _own(name):
    return self_signed(FOLDER.name, name)


def _register_thumbprints(hub, device_id, primary, secondary=None, module_id=None):
    prints = {"primaryThumbprint": primary, "secondaryThumbprint": secondary}
    authentication = {"type": "selfSigned", "x509Thumbprint": prints}
    hub.backend.set_authentication(device_id, authentication, module_id)


@contextlib.contextmanager
def _connected(hub, certificate, device_id, module_id=None):
    client = device.create_with_certificate(hub, certificate, device_id, module_id)
    with device.shut_down_at_end(client):
        client.connect()
        assert client.connected, "the SDK says that it is not connected"
        yield client


def _refused(hub, certificate, device_id, module_id=None):
    client = device.create_with_certificate(hub, certificate, device_id, module_id)
    with device.shut_down_at_end(client):
        device.raised(CredentialError, client.connect)
        assert not client.connected, "the SDK says that it is connected"


def _twin_works(hub, me, client):
    """The connection is that of the device and no other."""
    hub.backend.patch_desired(me.id, {"for": me.id})
    wanted = {"for": me.id, "$version": 2}
    device.equal("desired", client.get_twin()["desired"], wanted)
    client.patch_twin_reported_properties({"seen": True})
    device.equal("seen", hub.backend.twin(me.id)["properties"]["reported"]["seen"], True)


if __name__ == "__main__":
    with FOLDER:
        trusted_file = Path(FOLDER.name, "trusted.pem")
        trusted_file.write_text(TRUSTED.pem())
        run(device_ca=trusted_file)
