//! MQTT connections: CONNECT, subscriptions, publishes, and every way a connection ends.

use std::time::Duration;

use super::method::MethodAnswer;
use super::{Connection, ConnectionId, Entity, Hub, Output};
use crate::auth::{Certificate, Permission, SasError, SasToken, same_host};
use crate::identity::Identity;
use crate::message::TELEMETRY_BYTES_MAX;
use crate::session::Session;
use crate::time::Time;
use crate::wire::mqtt::{
    ConnAck, Connect, ConnectCode, Delivery, Malformed, Packet, Publish, Qos, SubAck, Subscribe,
    Will,
};
use crate::wire::topic::{DeviceTopic, Filter};
use crate::wire::username::UserName;

impl Hub {
    pub(super) fn opened(&mut self, now: Time, id: ConnectionId, certificate: Option<Certificate>) {
        let idle_max = self.config.limits.connect_wait;
        let connection = Connection {
            peer: None,
            clean_session: true,
            idle_max,
            last_packet: now,
            credentials_end: None,
            cut_at: None,
            will: None,
            certificate,
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
                let filters = unsubscribe.filters.iter().filter_map(|text| Filter::parse(text));
                if let Some(session) = self.session(&peer) {
                    filters.for_each(|filter| session.unsubscribe(&filter));
                }
                outputs.push(Output::Send(id, Packet::UnsubAck(unsubscribe.id)));
            }
            (Some(peer), Packet::PubAck(packet_id)) => {
                if let Some(entity) = self.entities.get_mut(&peer) {
                    entity.mailbox.acknowledge(packet_id);
                }
            }
            (Some(_), Packet::Disconnect) => {
                connection.will = None;
                self.close(now, id, outputs);
            }
            // A first packet other than CONNECT, a second CONNECT (HUB-CONN-018), and packets
            // that only a server sends or that belong to QoS 2.
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
        let Some(Admission { user_name, credentials_end }) = self.admit(now, id, connect) else {
            return self.refuse(now, id, ConnectCode::NotAuthorized, outputs);
        };
        let peer = user_name.identity;
        self.take_over(now, &peer, outputs);
        let idle_max = self.config.limits.idle_max;
        let idle_max = match connect.keep_alive {
            0 => idle_max,
            seconds => Duration::from_millis(u64::from(seconds) * 1500).min(idle_max),
        };
        let (Some(entity), Some(connection)) =
            (self.entities.get_mut(&peer), self.connections.get_mut(&id))
        else {
            return;
        };
        connection.peer = Some(peer.clone());
        connection.clean_session = connect.clean_session;
        connection.idle_max = idle_max;
        connection.credentials_end = credentials_end;
        connection.will.clone_from(&connect.will);
        self.deadlines.insert((connection.deadline(), id));
        let session_present = entity.begin_session(connect.clean_session);
        entity.model_id = user_name.model_id.unwrap_or_default();
        entity.connection = Some(id);
        entity.record.connected = true;
        entity.record.connection_updated = Some(now);
        entity.record.last_activity = Some(now);
        let answer = ConnAck { session_present, code: ConnectCode::Accepted };
        outputs.push(Output::Send(id, Packet::ConnAck(answer)));
        entity.resend(outputs);
        entity.deliver(now, outputs);
        self.deliver_calls(now, &peer, outputs);
        self.tell_connection_state(now, &peer, true, outputs);
    }

    /// Decides whether a CONNECT is let in, and until when.
    fn admit(&self, now: Time, id: ConnectionId, connect: &Connect) -> Option<Admission> {
        let user_name = UserName::parse(connect.user_name.as_deref()?)?;
        let peer = &user_name.identity;
        let device = Identity::device(&peer.device);
        let enabled = self.entities.get(&device).is_some_and(|e| e.record.settings.enabled);
        let entity = self.entities.get(peer)?;
        let kept_out = entity.refused_until.is_some_and(|until| now < until);
        let will_is_own = connect.will.as_ref().is_none_or(|will| is_own_telemetry(peer, will));
        if connect.client_id != peer.to_string()
            || !same_host(&user_name.host, &self.config.hostname)
            || !enabled
            || kept_out
            || !will_is_own
        {
            return None;
        }
        let password = connect.password.as_deref().unwrap_or_default();
        if password.is_empty() {
            let certificate = self.connections.get(&id)?.certificate.as_ref()?;
            let opens = entity.record.settings.authentication.is_proved_by(peer, certificate);
            return opens.then_some(Admission { user_name, credentials_end: None });
        }
        let token = SasToken::parse(std::str::from_utf8(password).ok()?).ok()?;
        self.check_device_token(now, peer, &token).ok()?;
        let credentials_end = Some(token.expiry.after(self.config.limits.token_grace));
        Some(Admission { user_name, credentials_end })
    }

    /// Whether `token` opens the device-facing endpoints of `peer`: signed with its own key, or
    /// with that of a policy that may act for devices.
    pub(super) fn check_device_token(
        &self,
        now: Time,
        peer: &Identity,
        token: &SasToken,
    ) -> Result<(), SasError> {
        let resource = format!("{}/{}", self.config.hostname, peer.resource_path());
        match &token.policy {
            Some(name) => {
                let keys = self.policy_keys(name, Permission::DeviceConnect);
                token.verify(&keys.ok_or(SasError::Signature)?, &resource, now)
            }
            None => {
                let entity = self.entities.get(peer).ok_or(SasError::Signature)?;
                let keys = entity.record.settings.authentication.keys();
                token.verify_own(&keys, &resource, now)
            }
        }
    }

    /// The keys of the policy `name` when it grants `permission`.
    pub(super) fn policy_keys(&self, name: &str, permission: Permission) -> Option<Vec<&str>> {
        let policy = self.policies.iter().find(|policy| policy.name == name)?;
        let granted = policy.permissions.contains(&permission);
        granted.then(|| vec![policy.primary_key.as_str(), policy.secondary_key.as_str()])
    }

    /// Ends a connection that sent no legal packet; a refused CONNECT may be told why first.
    pub(super) fn malformed(
        &mut self,
        now: Time,
        id: ConnectionId,
        malformed: &Malformed,
        outputs: &mut Vec<Output>,
    ) {
        let is_new = self.connections.get(&id).is_some_and(|connection| connection.peer.is_none());
        match malformed.answer().filter(|_| is_new) {
            Some(code) => self.refuse(now, id, code, outputs),
            None => self.close(now, id, outputs),
        }
    }

    fn refuse(
        &mut self,
        now: Time,
        id: ConnectionId,
        code: ConnectCode,
        outputs: &mut Vec<Output>,
    ) {
        let answer = ConnAck { session_present: false, code };
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
        outputs.push(Output::Send(id, Packet::SubAck(SubAck { id: subscribe.id, granted })));
        if let Some(entity) = self.entities.get_mut(peer) {
            entity.deliver(now, outputs);
        }
        self.deliver_calls(now, peer, outputs);
    }

    fn session(&mut self, peer: &Identity) -> Option<&mut Session> {
        self.entities.get_mut(peer).and_then(|entity| entity.session.as_mut())
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
        let too_large = publish.payload.len() > TELEMETRY_BYTES_MAX;
        // Nothing that is refused is acknowledged before.
        if matches!(&topic, DeviceTopic::Telemetry { identity, .. } if identity != peer || too_large)
        {
            return self.close(now, id, outputs);
        }
        if let Some(packet_id) = publish.delivery.id() {
            outputs.push(Output::Send(id, Packet::PubAck(packet_id)));
        }
        if let Some(entity) = self.entities.get_mut(peer) {
            entity.record.last_activity = Some(now);
        }
        match topic {
            DeviceTopic::Telemetry { properties, .. } => {
                self.take_telemetry(now, id, peer, properties, publish, outputs);
            }
            DeviceTopic::MethodResponse { status, rid } => {
                let answer = MethodAnswer { rid: &rid, status, body: &publish.payload };
                self.method_answered(now, peer, &answer, outputs);
            }
            DeviceTopic::TwinGet { rid } => self.device_reads_twin(now, id, peer, rid, outputs),
            DeviceTopic::TwinPatch { rid, version } => {
                let patch = super::twin::ReportedPatch { rid, version, body: &publish.payload };
                self.device_patches_twin(now, id, peer, patch, outputs);
            }
        }
    }

    /// Closes a connection from the hub's side: MQTT 3.1.1 has no word for it.
    pub(super) fn close(&mut self, now: Time, id: ConnectionId, outputs: &mut Vec<Output>) {
        self.forget(now, id, outputs);
        outputs.push(Output::Close(id));
    }

    /// Forgets a connection that has ended, and emits its will unless it said goodbye.
    pub(super) fn forget(&mut self, now: Time, id: ConnectionId, outputs: &mut Vec<Output>) {
        let Some(connection) = self.connections.remove(&id) else { return };
        let Some(peer) = connection.peer else { return };
        self.fail_calls_on(now, &peer, id, outputs);
        if let Some(will) = &connection.will {
            Self::emit_will(now, &peer, will, outputs);
        }
        let Some(entity) = self.entities.get_mut(&peer) else { return };
        if entity.connection == Some(id) {
            entity.connection = None;
            entity.record.connected = false;
            entity.record.connection_updated = Some(now);
            if connection.clean_session {
                entity.session = None;
            }
            self.tell_connection_state(now, &peer, false, outputs);
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
        let ends = [self.credentials_end, self.cut_at].into_iter().flatten();
        ends.fold(idle, Time::min)
    }
}

impl Entity {
    /// Resumes the session or begins a clean one, which drops what waits for the device too;
    /// `true` when there was one to resume.
    fn begin_session(&mut self, clean: bool) -> bool {
        if clean {
            self.session = None;
            self.mailbox.purge();
        }
        let present = self.session.is_some();
        self.session.get_or_insert_default();
        present
    }
}

/// A will may go to the sender's own telemetry topic only (hub-mqtt.md § 2.6).
fn is_own_telemetry(peer: &Identity, will: &Will) -> bool {
    will.qos != Qos::ExactlyOnce
        && matches!(
            DeviceTopic::parse(&will.topic),
            Some(DeviceTopic::Telemetry { identity, .. }) if identity == *peer
        )
}
