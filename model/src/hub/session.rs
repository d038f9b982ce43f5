//! MQTT connections: CONNECT, subscriptions, publishes, and every way a connection ends.

use std::time::Duration;

use super::{Connection, ConnectionId, Hub, Output};
use crate::auth::{Permission, SasToken, same_host};
use crate::identity::Identity;
use crate::session::Session;
use crate::time::Time;
use crate::wire::mqtt::{
    ConnAck, Connect, ConnectCode, Delivery, Packet, Publish, SubAck, Subscribe, Will,
};
use crate::wire::topic::{DeviceTopic, Filter};
use crate::wire::username::UserName;

impl Hub {
    pub(super) fn opened(&mut self, now: Time, id: ConnectionId) {
        let idle_max = self.config.limits.connect_wait;
        let connection = Connection {
            peer: None,
            clean_session: true,
            idle_max,
            last_packet: now,
            credentials_end: None,
        };
        self.connections.insert(id, connection);
        self.deadlines.insert((now.after(idle_max), id));
    }

    pub(super) fn packet(
        &mut self,
        now: Time,
        id: ConnectionId,
        packet: Packet,
        outputs: &mut Vec<Output>,
    ) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        connection.last_packet = now;
        match (connection.peer.clone(), packet) {
            (None, Packet::Connect(connect)) => self.connect(now, id, &connect, outputs),
            (Some(_), Packet::PingReq) => outputs.push(Output::Send(id, Packet::PingResp)),
            (Some(peer), Packet::Publish(publish)) => {
                self.publish(now, id, &peer, &publish, outputs);
            }
            (Some(peer), Packet::Subscribe(subscribe)) => {
                self.subscribe(now, id, &peer, &subscribe, outputs);
            }
            (Some(peer), Packet::Unsubscribe(unsubscribe)) => {
                let filters = unsubscribe
                    .filters
                    .iter()
                    .filter_map(|text| Filter::parse(text));
                if let Some(session) = self.session(&peer) {
                    filters.for_each(|filter| session.unsubscribe(&filter));
                }
                outputs.push(Output::Send(id, Packet::UnsubAck(unsubscribe.id)));
            }
            (Some(_), Packet::PubAck(_)) => {}
            // A first packet other than CONNECT, a second CONNECT (HUB-CONN-018), DISCONNECT, and
            // packets that only a server sends or that belong to QoS 2.
            (None | Some(_), _) => self.close(now, id, outputs),
        }
    }

    fn connect(
        &mut self,
        now: Time,
        id: ConnectionId,
        connect: &Connect,
        outputs: &mut Vec<Output>,
    ) {
        if connect.level != 4 {
            return self.refuse(now, id, ConnectCode::UnacceptableProtocolVersion, outputs);
        }
        let Some(admission) = self.admit(now, connect) else {
            return self.refuse(now, id, ConnectCode::NotAuthorized, outputs);
        };
        let Admission {
            user_name,
            credentials_end,
        } = admission;
        let peer = user_name.identity;
        self.take_over(now, &peer, outputs);
        let idle_max = self.config.limits.idle_max;
        let idle_max = match connect.keep_alive {
            0 => idle_max,
            seconds => Duration::from_millis(u64::from(seconds) * 1500).min(idle_max),
        };
        let Some(entity) = self.entities.get_mut(&peer) else {
            return;
        };
        if connect.clean_session {
            entity.session = None;
        }
        let session_present = entity.session.is_some();
        entity.session.get_or_insert_default();
        entity.model_id = user_name.model_id.unwrap_or_default();
        entity.connection = Some(id);
        entity.record.connected = true;
        entity.record.connection_updated = Some(now);
        entity.record.last_activity = Some(now);
        let connection = Connection {
            peer: Some(peer),
            clean_session: connect.clean_session,
            idle_max,
            last_packet: now,
            credentials_end,
        };
        self.deadlines.insert((connection.deadline(), id));
        self.connections.insert(id, connection);
        let answer = ConnAck {
            session_present,
            code: ConnectCode::Accepted,
        };
        outputs.push(Output::Send(id, Packet::ConnAck(answer)));
    }

    /// Decides whether a CONNECT is let in, and until when.
    fn admit(&self, now: Time, connect: &Connect) -> Option<Admission> {
        let user_name = UserName::parse(connect.user_name.as_deref()?)?;
        let peer = &user_name.identity;
        let device = Identity::device(&peer.device);
        let enabled = self
            .entities
            .get(&device)
            .is_some_and(|e| e.record.settings.enabled);
        let will_is_own = connect
            .will
            .as_ref()
            .is_none_or(|will| is_own_telemetry(peer, will));
        if connect.client_id != peer.to_string()
            || !same_host(&user_name.host, &self.config.hostname)
            || !enabled
            || !will_is_own
        {
            return None;
        }
        let password = std::str::from_utf8(connect.password.as_deref()?).ok()?;
        let token = SasToken::parse(password).ok()?;
        let keys = match &token.policy {
            None => self
                .entities
                .get(peer)?
                .record
                .settings
                .authentication
                .keys(),
            Some(name) => {
                self.entities.get(peer)?;
                self.policy_keys(name, Permission::DeviceConnect)?
            }
        };
        let resource = format!("{}/{}", self.config.hostname, peer.resource_path());
        let own_scope = token.policy.is_some() || token.resource.ends_with(&peer.resource_path());
        token.verify(&keys, &resource, now).ok()?;
        let credentials_end = Some(token.expiry.after(self.config.limits.token_grace));
        own_scope.then_some(Admission {
            user_name,
            credentials_end,
        })
    }

    /// The keys of the policy `name` when it grants `permission`.
    pub(super) fn policy_keys(&self, name: &str, permission: Permission) -> Option<Vec<&str>> {
        let policy = self.policies.iter().find(|policy| policy.name == name)?;
        let granted = policy.permissions.contains(&permission);
        granted.then(|| vec![policy.primary_key.as_str(), policy.secondary_key.as_str()])
    }

    fn refuse(
        &mut self,
        now: Time,
        id: ConnectionId,
        code: ConnectCode,
        outputs: &mut Vec<Output>,
    ) {
        let answer = ConnAck {
            session_present: false,
            code,
        };
        outputs.push(Output::Send(id, Packet::ConnAck(answer)));
        self.close(now, id, outputs);
    }

    /// Drops the connection that `peer` already has (HUB-CONN-019).
    pub(super) fn take_over(&mut self, now: Time, peer: &Identity, outputs: &mut Vec<Output>) {
        let old = self.entities.get(peer).and_then(|entity| entity.connection);
        if let Some(old) = old {
            self.close(now, old, outputs);
        }
    }

    fn subscribe(
        &mut self,
        now: Time,
        id: ConnectionId,
        peer: &Identity,
        subscribe: &Subscribe,
        outputs: &mut Vec<Output>,
    ) {
        let subscriptions_max = self.config.limits.subscriptions_max;
        let own = |filter: &Filter| match filter {
            Filter::TwinResponse | Filter::Desired | Filter::Methods { .. } => true,
            Filter::DeviceBound { device } => *peer == Identity::device(device),
            Filter::Inputs { identity } => identity == peer,
        };
        let mut granted = Vec::with_capacity(subscribe.filters.len());
        for (text, qos) in &subscribe.filters {
            let filter = Filter::parse(text).filter(own);
            let session = self.session(peer);
            let (Some(filter), Some(session)) = (filter, session) else {
                return self.close(now, id, outputs);
            };
            if session.len() >= subscriptions_max && !session.has(&filter) {
                return self.close(now, id, outputs);
            }
            granted.push(Some(session.subscribe(filter, *qos)));
        }
        outputs.push(Output::Send(
            id,
            Packet::SubAck(SubAck {
                id: subscribe.id,
                granted,
            }),
        ));
    }

    fn session(&mut self, peer: &Identity) -> Option<&mut Session> {
        self.entities
            .get_mut(peer)
            .and_then(|entity| entity.session.as_mut())
    }

    fn publish(
        &mut self,
        now: Time,
        id: ConnectionId,
        peer: &Identity,
        publish: &Publish,
        outputs: &mut Vec<Output>,
    ) {
        let topic = DeviceTopic::parse(&publish.topic);
        let (Some(topic), false) = (topic, matches!(publish.delivery, Delivery::ExactlyOnce(_)))
        else {
            return self.close(now, id, outputs);
        };
        if matches!(&topic, DeviceTopic::Telemetry { identity, .. } if identity != peer) {
            return self.close(now, id, outputs);
        }
        if let Some(packet_id) = publish.delivery.id() {
            outputs.push(Output::Send(id, Packet::PubAck(packet_id)));
        }
        if let Some(entity) = self.entities.get_mut(peer) {
            entity.record.last_activity = Some(now);
        }
        match topic {
            DeviceTopic::Telemetry { .. } | DeviceTopic::MethodResponse { .. } => {}
            DeviceTopic::TwinGet { rid } => self.device_reads_twin(now, id, peer, rid, outputs),
            DeviceTopic::TwinPatch { rid, version } => {
                let patch = super::twin::ReportedPatch {
                    rid,
                    version,
                    body: &publish.payload,
                };
                self.device_patches_twin(now, id, peer, patch, outputs);
            }
        }
    }

    /// Closes a connection from the hub's side: MQTT 3.1.1 has no word for it.
    pub(super) fn close(&mut self, now: Time, id: ConnectionId, outputs: &mut Vec<Output>) {
        self.forget(now, id);
        outputs.push(Output::Close(id));
    }

    /// Forgets a connection that has ended.
    pub(super) fn forget(&mut self, now: Time, id: ConnectionId) {
        let Some(Connection {
            peer: Some(peer),
            clean_session,
            ..
        }) = self.connections.remove(&id)
        else {
            return;
        };
        let Some(entity) = self.entities.get_mut(&peer) else {
            return;
        };
        if entity.connection == Some(id) {
            entity.connection = None;
            entity.record.connected = false;
            entity.record.connection_updated = Some(now);
            if clean_session {
                entity.session = None;
            }
        }
    }

    /// Closes what has been silent or has outlived its credentials.
    pub(super) fn tick(&mut self, now: Time, outputs: &mut Vec<Output>) {
        while let Some((due, id)) = self.deadlines.first().copied() {
            if due > now {
                return;
            }
            self.deadlines.pop_first();
            match self.connections.get(&id).map(Connection::deadline) {
                None => {}
                Some(deadline) if deadline > now => drop(self.deadlines.insert((deadline, id))),
                Some(_) => self.close(now, id, outputs),
            }
        }
    }
}

/// A CONNECT that is let in.
struct Admission {
    user_name: UserName,
    credentials_end: Option<Time>,
}

impl Connection {
    fn deadline(&self) -> Time {
        let idle = self.last_packet.after(self.idle_max);
        self.credentials_end.map_or(idle, |end| end.min(idle))
    }
}

/// A will may go to the sender's own telemetry topic only (hub-mqtt.md § 2.6).
fn is_own_telemetry(peer: &Identity, will: &Will) -> bool {
    matches!(
        DeviceTopic::parse(&will.topic),
        Some(DeviceTopic::Telemetry { identity, .. }) if identity == *peer
    )
}
