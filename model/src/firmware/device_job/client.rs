//! A device on its connection: it registers, answers, and tells what is observed
//! (firmware-patterns.md § a.5).

use std::collections::BTreeMap;

use bytes::Bytes;

use super::device::{Device, Input, Output, Work};
use super::lwm2m::{OBJECTS, Operation, Path, Request, check};
use crate::wire::coap::{Code, Message};

/// What the client must do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send a message to the hub.
    Send(Message),
    /// Begin work that takes time.
    Begin(Work),
}

/// A device and its connection to the hub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    device: Device,
    is_registered: bool,
    /// Who observes a resource, and how often it was told.
    observers: BTreeMap<Path, (Vec<u8>, u32)>,
}

/// The token of the registration.
const REGISTRATION: &[u8] = &[0, 0, 0, 1];

impl Client {
    /// A client that has yet to register.
    #[must_use]
    pub fn new(device: Device) -> Self {
        Self { device, is_registered: false, observers: BTreeMap::new() }
    }

    /// The device.
    #[must_use]
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Whether the hub has accepted the registration.
    #[must_use]
    pub fn is_registered(&self) -> bool {
        self.is_registered
    }

    /// The resource that is observed with `token`.
    #[must_use]
    pub fn observed(&self, token: &[u8]) -> Option<Path> {
        let mut observers = self.observers.iter();
        observers.find(|(_, (other, _))| other == token).map(|(path, _)| *path)
    }

    /// The first message of a new connection; `token` is a shared access signature of `device_id`.
    pub fn register(&mut self, device_id: &str, token: &str) -> Message {
        self.is_registered = false;
        self.observers.clear();
        let mut message = Message::new(Code::POST, REGISTRATION);
        message.path = vec!["rd".to_owned()];
        // A token has parts of its own, which the client library of the preview sends apart too.
        let query = format!("ep={device_id}&b=T&tk={token}");
        message.query = query.split('&').map(str::to_owned).collect();
        let objects = OBJECTS.iter().map(|object| format!(",</{object}/0>")).collect::<String>();
        message.payload = Bytes::from(format!("</>;rt=\"oma.lwm2m\"{objects}"));
        message
    }

    /// Takes a message of the hub.
    pub fn receive(&mut self, message: &Message) -> Vec<Action> {
        if !message.code.is_request() {
            if message.token == REGISTRATION && message.code == Code::CREATED {
                self.is_registered = true;
                return self.happen(Input::Started);
            }
            return Vec::new();
        }
        let answer = |code| vec![Action::Send(Message::new(code, &message.token))];
        let Some(path) = Path::parse(message.path.iter().map(String::as_str)) else {
            return answer(Code::NOT_FOUND);
        };
        let operation = match (message.code, std::str::from_utf8(&message.payload)) {
            (Code::GET, _) => Operation::Read,
            (Code::POST, _) => Operation::Execute,
            (Code::PUT, Ok(value)) => Operation::Write(value.to_owned()),
            (Code::PUT, Err(_)) => return answer(Code::BAD_REQUEST),
            _ => return answer(Code::METHOD_NOT_ALLOWED),
        };
        let request = Request { path, operation };
        let observes = message.observe == Some(0) && message.code == Code::GET;
        if observes && check(&request).is_ok() {
            self.observers.insert(path, (message.token.clone(), 0));
        }
        self.answer(&message.token, request, observes)
    }

    /// Work of the device has ended.
    pub fn happen(&mut self, input: Input) -> Vec<Action> {
        let outputs = self.device.handle(input);
        outputs.into_iter().filter_map(|output| self.act(output, None)).collect()
    }

    fn answer(&mut self, token: &[u8], request: Request, observes: bool) -> Vec<Action> {
        let outputs = self.device.handle(Input::Asked(request));
        let answer = Some((token, observes));
        outputs.into_iter().filter_map(|output| self.act(output, answer)).collect()
    }

    fn act(&mut self, output: Output, answer: Option<(&[u8], bool)>) -> Option<Action> {
        match output {
            Output::Answer(code, value) => {
                let (token, observes) = answer?;
                let mut message = Message::new(code, token);
                message.payload = Bytes::from(value.unwrap_or_default());
                message.observe = (observes && code.is_success()).then_some(0);
                Some(Action::Send(message))
            }
            Output::Notify(path, value) => {
                let (token, told) = self.observers.get_mut(&path)?;
                // 24 bits count notifications.
                *told = told.saturating_add(1) & 0x00ff_ffff;
                let mut message = Message::new(Code::CONTENT, token);
                message.observe = Some(*told);
                message.payload = Bytes::from(value);
                Some(Action::Send(message))
            }
            Output::Begin(work) => Some(Action::Begin(work)),
        }
    }
}
