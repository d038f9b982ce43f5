//! Device jobs of 2016 on the hub: the service API, and the devices over LWM2M
//! (firmware-patterns.md § a).

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use serde_json::Value;

use super::service::Reply;
use super::{ConnectionId, Hub, Output};
use crate::auth::SasToken;
use crate::error::{ErrorCode, Refusal};
use crate::firmware::device_job::history::HistoryQuery;
use crate::firmware::device_job::job::{DeviceJob, Status};
use crate::firmware::device_job::lwm2m::{
    FIRMWARE_VERSION, Operation, Path, Request, STATE, UPDATE_RESULT,
};
use crate::firmware::device_job::request::DeviceJobRequest;
use crate::identity::Identity;
use crate::json;
use crate::time::Time;
use crate::wire::coap::{Code, Message};
use crate::wire::route::DeviceJobCall;

/// What the hub observes on every device that registers, in the order in which devices tell of it.
const OBSERVED: [Path; 3] = [UPDATE_RESULT, STATE, FIRMWARE_VERSION];

/// All device jobs, and all LWM2M connections.
#[derive(Debug, Default)]
pub(super) struct DeviceJobs {
    by_id: BTreeMap<String, DeviceJob>,
    /// Job and place of a child by its id.
    children: BTreeMap<String, Place>,
    /// Children by device: the first one runs, the others wait for it.
    queues: BTreeMap<String, VecDeque<Place>>,
    connections: BTreeMap<ConnectionId, Connection>,
    by_device: BTreeMap<String, ConnectionId>,
    /// When to look at something; entries may be early, never late.
    due: BTreeSet<(Time, Due)>,
}

/// A child of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    job: String,
    child: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Connection(ConnectionId),
    Job(String),
}

/// One open LWM2M connection.
#[derive(Debug)]
struct Connection {
    /// Who registered.
    device: Option<String>,
    /// When the hub ends it: without a registration soon, else with the credentials.
    until: Time,
    /// What was asked, by token.
    asked: BTreeMap<u64, Asked>,
}

#[derive(Clone, Debug)]
enum Asked {
    Operation(Place),
    Observation(Path),
}

impl DeviceJobs {
    pub(super) fn next_due(&self) -> Option<Time> {
        self.due.first().map(|(time, _)| *time)
    }

    /// A connection has ended.
    pub(super) fn forget(&mut self, id: ConnectionId) {
        let device = self.connections.remove(&id).and_then(|connection| connection.device);
        if let Some(device) = device
            && self.by_device.get(&device) == Some(&id)
        {
            self.by_device.remove(&device);
        }
    }

    /// Ends the connection of a device that has one.
    pub(super) fn disconnect(&mut self, device: &str, outputs: &mut Vec<Output>) {
        if let Some(id) = self.by_device.get(device).copied() {
            self.forget(id);
            outputs.push(Output::Close(id));
        }
    }

    fn take_due(&mut self, now: Time) -> Option<Due> {
        let is_due = self.due.first().is_some_and(|(due, _)| *due <= now);
        if is_due { self.due.pop_first().map(|(_, due)| due) } else { None }
    }

    /// All jobs and children as GET shows them, by id.
    fn rows(&self) -> BTreeMap<String, Value> {
        let rows = self.by_id.values().flat_map(|job| {
            let children = job.children().iter();
            let children = children.map(|child| (child.id.clone(), job.child_json(child)));
            children.chain([(job.request.id.clone(), job.json())])
        });
        rows.collect()
    }

    fn find(&self, id: &str) -> Option<Value> {
        if let Some(job) = self.by_id.get(id) {
            return Some(job.json());
        }
        let place = self.children.get(id)?;
        let job = self.by_id.get(&place.job)?;
        job.children().get(place.child).map(|child| job.child_json(child))
    }

    /// Lets `change` change a child; what to ask of its device next.
    fn change(
        &mut self,
        place: &Place,
        change: impl FnOnce(&mut DeviceJob, usize) -> Option<Request>,
    ) -> Option<Request> {
        change(self.by_id.get_mut(&place.job)?, place.child)
    }

    fn status(&self, place: &Place) -> Option<Status> {
        let job = self.by_id.get(&place.job)?;
        job.children().get(place.child).map(|child| child.status())
    }

    fn device(&self, place: &Place) -> Option<String> {
        let job = self.by_id.get(&place.job)?;
        job.children().get(place.child).map(|child| child.device.clone())
    }
}

impl Hub {
    pub(super) fn device_job_call(
        &mut self,
        now: Time,
        call: DeviceJobCall,
        body: &[u8],
    ) -> Result<Reply, Refusal> {
        self.take_job_call(now)?;
        match call {
            DeviceJobCall::Create(id) => self.create_device_job(now, &id, body),
            DeviceJobCall::List => {
                Ok(Reply::ok(self.device_jobs.rows().into_values().collect::<Value>()))
            }
            DeviceJobCall::Query => {
                let query = HistoryQuery::parse(&json::parse(body)?)?;
                Ok(Reply::ok(query.run(self.device_jobs.rows().into_values())))
            }
            DeviceJobCall::Read(id) => self.device_jobs.find(&id).map(Reply::ok).ok_or_else(|| {
                Refusal::new(ErrorCode::JobNotFound, format!("There is no device job {id:?}"))
            }),
        }
    }

    fn create_device_job(&mut self, now: Time, id: &str, body: &[u8]) -> Result<Reply, Refusal> {
        let request = DeviceJobRequest::parse(id, body)?;
        let is_used = self.device_jobs.find(id).is_some() || self.has_job(id);
        if is_used {
            let message = format!("The job id {id:?} is in use");
            return Err(Refusal::new(ErrorCode::JobAlreadyExists, message));
        }
        let job = DeviceJob::new(request, now, || self.entropy.guid());
        let jobs = &mut self.device_jobs;
        for (child, row) in job.children().iter().enumerate() {
            let place = Place { job: id.to_owned(), child };
            jobs.children.insert(row.id.clone(), place.clone());
            jobs.queues.entry(row.device.clone()).or_default().push_back(place);
        }
        let reply = Reply::ok(job.json());
        jobs.due.insert((now, Due::Job(id.to_owned())));
        jobs.by_id.insert(id.to_owned(), job);
        Ok(reply)
    }

    /// Takes up what may begin, gives up what has lasted too long.
    pub(super) fn run_device_jobs(&mut self, now: Time, outputs: &mut Vec<Output>) {
        while let Some(due) = self.device_jobs.take_due(now) {
            match due {
                Due::Job(id) => self.run_device_job(now, &id, outputs),
                Due::Connection(id) => self.check_connection(now, id, outputs),
            }
        }
    }

    fn run_device_job(&mut self, now: Time, id: &str, outputs: &mut Vec<Output>) {
        let Some(job) = self.device_jobs.by_id.get_mut(id) else { return };
        let devices = job.request.devices.clone();
        for child in 0..devices.len() {
            if let Some((_, child)) = job.child_mut(child) {
                child.expire(now);
            }
        }
        for device in devices {
            self.next_child(now, &device, outputs);
        }
    }

    /// Begins the first child that waits for a device, once those before it have ended.
    fn next_child(&mut self, now: Time, device: &str, outputs: &mut Vec<Output>) {
        loop {
            let first = self.device_jobs.queues.get(device).and_then(VecDeque::front).cloned();
            let Some(place) = first else {
                self.device_jobs.queues.remove(device);
                return;
            };
            match self.device_jobs.status(&place) {
                Some(Status::Running) => return,
                Some(Status::Enqueued | Status::Unknown) => {
                    self.begin_child(now, &place, device, outputs);
                }
                Some(Status::Completed | Status::Failed | Status::Cancelled) | None => {
                    self.device_jobs.queues.get_mut(device).and_then(VecDeque::pop_front);
                }
            }
        }
    }

    fn begin_child(&mut self, now: Time, place: &Place, device: &str, outputs: &mut Vec<Output>) {
        let is_known = self.entities.contains_key(&Identity::device(device));
        let is_connected = self.device_jobs.by_device.contains_key(device);
        let jobs = &mut self.device_jobs;
        let mut deadline = None;
        let request = jobs.change(place, |job, child| {
            let timeout = job.request.timeout;
            let (work, child) = job.child_mut(child)?;
            if !is_known {
                child.fail(now, format!("there is no device {:?}", child.device));
                return None;
            }
            child.start(now, timeout);
            deadline = child.deadline();
            if is_connected { child.connected(now, work) } else { None }
        });
        jobs.due.extend(deadline.map(|deadline| (deadline, Due::Job(place.job.clone()))));
        self.ask(place, request, outputs);
    }

    /// Sends a request to the device of a child.
    fn ask(&mut self, place: &Place, request: Option<Request>, outputs: &mut Vec<Output>) {
        let device = self.device_jobs.device(place);
        let id = device.and_then(|device| self.device_jobs.by_device.get(&device).copied());
        if let (Some(request), Some(id)) = (request, id) {
            let (code, payload) = match request.operation {
                Operation::Read => (Code::GET, String::new()),
                Operation::Write(value) => (Code::PUT, value),
                Operation::Execute => (Code::POST, String::new()),
            };
            let mut message =
                self.request_to(id, code, request.path, Asked::Operation(place.clone()));
            message.payload = Bytes::from(payload);
            outputs.push(Output::Lwm2m(id, message));
        }
    }

    fn request_to(&mut self, id: ConnectionId, code: Code, path: Path, asked: Asked) -> Message {
        let token = self.entropy.serial();
        if let Some(connection) = self.device_jobs.connections.get_mut(&id) {
            connection.asked.insert(token, asked);
        }
        let mut message = Message::new(code, &token.to_be_bytes());
        message.path = path.levels();
        message
    }

    pub(super) fn lwm2m_opened(&mut self, now: Time, id: ConnectionId) {
        let until = now.after(self.config.limits.connect_wait);
        let connection = Connection { device: None, until, asked: BTreeMap::new() };
        self.device_jobs.connections.insert(id, connection);
        self.device_jobs.due.insert((until, Due::Connection(id)));
    }

    fn check_connection(&mut self, now: Time, id: ConnectionId, outputs: &mut Vec<Output>) {
        let until = self.device_jobs.connections.get(&id).map(|connection| connection.until);
        match until {
            None => {}
            Some(until) if until > now => {
                self.device_jobs.due.insert((until, Due::Connection(id)));
            }
            Some(_) => {
                self.device_jobs.forget(id);
                outputs.push(Output::Close(id));
            }
        }
    }

    pub(super) fn lwm2m_message(
        &mut self,
        now: Time,
        id: ConnectionId,
        message: &Message,
        outputs: &mut Vec<Output>,
    ) {
        if !message.code.is_request() {
            return self.lwm2m_answer(now, id, message, outputs);
        }
        let registered = match (message.code, message.path.as_slice()) {
            (Code::POST, [rd]) if rd == "rd" => self.register_lwm2m(now, id, message, outputs),
            (_, [rd]) if rd == "rd" => Err(Code::METHOD_NOT_ALLOWED),
            _ => Err(Code::NOT_FOUND),
        };
        match registered {
            Err(code) => outputs.push(Output::Lwm2m(id, Message::new(code, &message.token))),
            Ok(device) => self.greet(now, id, &device, message, outputs),
        }
    }

    /// Lets a device in that proves who it is; its id.
    fn register_lwm2m(
        &mut self,
        now: Time,
        id: ConnectionId,
        message: &Message,
        outputs: &mut Vec<Output>,
    ) -> Result<String, Code> {
        let (Some(device), Some("T"), Some(token)) =
            (message.parameter("ep"), message.parameter("b"), token(message))
        else {
            return Err(Code::BAD_REQUEST);
        };
        let token = SasToken::parse(&token).map_err(|_| Code::UNAUTHORIZED)?;
        let identity = Identity::device(device);
        let entity = self.entities.get(&identity).ok_or(Code::UNAUTHORIZED)?;
        let keys = entity.record.settings.authentication.keys();
        let resource = format!("{}/{}", self.config.hostname, identity.resource_path());
        let is_own = token.verify(&keys, &resource, now).is_ok();
        if !is_own || !entity.record.settings.enabled {
            return Err(Code::UNAUTHORIZED);
        }
        if self.device_jobs.by_device.get(device) != Some(&id) {
            self.device_jobs.disconnect(device, outputs);
        }
        self.device_jobs.forget(id);
        let until = token.expiry.after(self.config.limits.token_grace);
        let device = device.to_owned();
        let connection = Connection { device: Some(device.clone()), until, asked: BTreeMap::new() };
        self.device_jobs.connections.insert(id, connection);
        self.device_jobs.by_device.insert(device.clone(), id);
        self.device_jobs.due.insert((until, Due::Connection(id)));
        Ok(device)
    }

    /// Answers a registration, goes on with the device's job, and observes the device.
    fn greet(
        &mut self,
        now: Time,
        id: ConnectionId,
        device: &str,
        message: &Message,
        outputs: &mut Vec<Output>,
    ) {
        let mut created = Message::new(Code::CREATED, &message.token);
        created.location = vec!["rd".to_owned(), device.to_owned()];
        outputs.push(Output::Lwm2m(id, created));
        let first = self.device_jobs.queues.get(device).and_then(VecDeque::front).cloned();
        if let Some(place) = first {
            let request = self.device_jobs.change(&place, |job, child| {
                let (work, child) = job.child_mut(child)?;
                child.connected(now, work)
            });
            self.ask(&place, request, outputs);
            self.next_child(now, device, outputs);
        }
        for path in OBSERVED {
            let mut observe = self.request_to(id, Code::GET, path, Asked::Observation(path));
            observe.observe = Some(0);
            outputs.push(Output::Lwm2m(id, observe));
        }
    }

    /// An answer or a notification.
    fn lwm2m_answer(
        &mut self,
        now: Time,
        id: ConnectionId,
        message: &Message,
        outputs: &mut Vec<Output>,
    ) {
        let token = <[u8; 8]>::try_from(message.token.as_slice()).map(u64::from_be_bytes);
        let connection = self.device_jobs.connections.get_mut(&id);
        let (Ok(token), Some(connection)) = (token, connection) else { return };
        let Some(device) = connection.device.clone() else { return };
        let first = self.device_jobs.queues.get(&device).and_then(VecDeque::front).cloned();
        let (place, request) = match (connection.asked.get(&token).cloned(), first) {
            (Some(Asked::Operation(place)), _) => {
                connection.asked.remove(&token);
                let request = self.device_jobs.change(&place, |job, child| {
                    let (work, child) = job.child_mut(child)?;
                    child.answered(now, work, message.code, message.text())
                });
                (place, request)
            }
            (Some(Asked::Observation(path)), Some(place)) if message.code.is_success() => {
                let request = self.device_jobs.change(&place, |job, child| {
                    let (work, child) = job.child_mut(child)?;
                    child.told(now, work, path, message.text())
                });
                (place, request)
            }
            _ => return,
        };
        self.ask(&place, request, outputs);
        self.next_child(now, &device, outputs);
    }
}

/// The shared access signature of a registration: it is the last part of the query, and has parts
/// of its own.
fn token(message: &Message) -> Option<String> {
    let begin = message.query.iter().position(|part| part.starts_with("tk="))?;
    let token = message.query.get(begin..)?.join("&");
    token.strip_prefix("tk=").map(str::to_owned)
}
