//! Hubs that are not ours: busy ones, dying ones, and ones that were never there.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use twinspec::bench::Leftovers;
use twinspec::case::{self, Need};
use twinspec::known::KnownFailures;
use twinspec::preflight;
use twinspec::profile::{DeviceAuthorityFiles, Profile};
use twinspec::report::{Conformance, Report};
use twinspec::run::{self, Selected};
use twinspec::select::Filter;
use twinspec::target::{Parts, Target};
use twinspec::verdict::{Outcome, Verdict};
use twinspec_harness::clock::Clock;
use twinspec_harness::hub::{Faithful, Listen, Overlay, ReferenceHub};
use twinspec_harness::operator::Operator;
use twinspec_harness::tls::Trust;
use twinspec_model::hub::{HubConfig, Input, Output, Throttles};
use twinspec_model::identity::Identity;
use twinspec_model::throttle::ThrottleRule;

mod ports;

use ports::taken_port;

/// A reference hub on loopback ports that trusts the authority in `data`.
async fn hub(throttles: Throttles) -> ReferenceHub {
    hub_under(Box::new(Faithful), throttles).await
}

async fn hub_under(overlay: Box<dyn Overlay>, throttles: Throttles) -> ReferenceHub {
    let free = Some("127.0.0.1:0".parse().unwrap());
    let device_authorities = std::fs::read_to_string(data("device-ca.pem")).unwrap();
    let device_authorities = Some(device_authorities);
    let listen =
        Listen { mqtt: free, mqtts: free, http: free, device_authorities, ..Listen::default() };
    let config = HubConfig { throttles, ..HubConfig::new("localhost", [7; 32]) };
    ReferenceHub::start_under(overlay, config, &listen, Clock::default()).await.unwrap()
}

/// What the suite knows of `hub` when it is given the key of `policy`.
fn target(hub: &ReferenceHub, policy: &str, profile: Profile) -> Target {
    let key = hub.policy_key(policy).unwrap();
    let string = format!("HostName=localhost;SharedAccessKeyName={policy};SharedAccessKey={key}");
    let url = |scheme: &str, address: Option<std::net::SocketAddr>| {
        format!("{scheme}://{}", address.unwrap()).parse().unwrap()
    };
    let parts = Parts {
        mqtt: Some(url("mqtt", hub.addresses().mqtt)),
        http: Some(url("http", hub.addresses().http)),
        credentials: string.parse().unwrap(),
        control: None,
        trust: Trust::authorities(hub.ca_pem().as_bytes()).unwrap(),
    };
    Target::foreign(parts, profile)
}

/// A file beside the tests. The key there signs certificates for these tests and nothing else.
fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

fn select(expression: &str) -> Vec<Selected> {
    let filter = Filter::parse(expression);
    case::all().filter(|(group, case)| filter.selects(group, case)).collect()
}

/// The cases that came to `verdict`, with what was seen.
fn with(outcomes: &[(Selected, Outcome)], verdict: Verdict) -> Vec<String> {
    let these = outcomes.iter().filter(|(_, outcome)| outcome.verdict == verdict);
    let tell = |((_, case), outcome): &(Selected, Outcome)| {
        let seen = outcome.findings.first().map_or("", |finding| finding.seen.as_str());
        format!("{}: {seen}", case.id)
    };
    these.map(tell).collect()
}

#[tokio::test]
async fn a_busy_hub_is_asked_again_over_mqtt_too() {
    let rule = Some(ThrottleRule { operations_per_second: 5, burst: 2 });
    let throttles = Throttles { twin_reads: rule, twin_updates: rule, ..Throttles::default() };
    let hub = hub(throttles).await;
    let target = target(&hub, "iothubowner", Profile::default());
    let cases = select("HUB-TWIN-00*,!twin-rids-in-flight");
    assert!(cases.len() >= 3, "{} cases", cases.len());
    let target = Arc::new(target);
    let outcomes = run::run(&target, &cases, 8, &Leftovers::default(), |_, _| {}).await;
    let throttled = |(_, outcome): &(Selected, Outcome)| {
        let text = serde_json::to_string(&outcome.trace).unwrap();
        text.contains("$iothub/twin/res/429/")
    };
    assert!(outcomes.iter().any(throttled), "the hub never throttled");
    assert_eq!(with(&outcomes, Verdict::Fail), Vec::<String>::new());
    let unknown = with(&outcomes, Verdict::Inconclusive);
    assert!(unknown.iter().all(|case| case.contains("throttles")), "{unknown:?}");
    assert!(with(&outcomes, Verdict::Pass).len() >= 12, "without a verdict: {unknown:?}");
}

/// A hub that does what it is asked and says something else where `is_unwell` takes the request's
/// method, path and number, and the status that the hub would answer.
struct Unwell {
    is_unwell: fn(&str, &str, usize, u16) -> bool,
    says: u16,
    count: usize,
    last: (String, String),
}

impl Unwell {
    fn new(says: u16, is_unwell: fn(&str, &str, usize, u16) -> bool) -> Box<Self> {
        Box::new(Self { is_unwell, says, count: 0, last: (String::new(), String::new()) })
    }
}

impl Overlay for Unwell {
    fn input(&mut self, input: Input) -> Vec<Input> {
        if let Input::Request(_, request) = &input {
            self.count += 1;
            self.last = (request.method().to_string(), request.uri().path().to_owned());
        }
        vec![input]
    }

    fn output(&mut self, mut output: Output) -> Vec<Output> {
        if let Output::Respond(_, answer) = &mut output {
            let (method, path) = &self.last;
            if (self.is_unwell)(method, path, self.count, answer.status().as_u16()) {
                *answer = http::Response::new("{}".into());
                *answer.status_mut() = http::StatusCode::from_u16(self.says).unwrap();
            }
        }
        vec![output]
    }
}

async fn judge(target: Target, cases: &[Selected]) -> (Vec<(Selected, Outcome)>, Arc<Target>) {
    let target = Arc::new(target);
    let outcomes = run::run(&target, cases, 8, &Leftovers::default(), |_, _| {}).await;
    (outcomes, target)
}

fn conformance(outcomes: &[(Selected, Outcome)]) -> Conformance {
    Report::new("", 0, &KnownFailures::default(), outcomes.to_vec()).conformance()
}

#[tokio::test]
async fn a_hub_that_is_not_well_at_times_is_asked_again() {
    let at_times = Unwell::new(503, |_, path, count, _| path != "/devices" && count % 6 == 0);
    let hub = hub_under(at_times, Throttles::default()).await;
    let cases = select("HUB-NOTI-00*");
    assert!(cases.len() > 5, "{} cases", cases.len());
    let target = target(&hub, "iothubowner", Profile::default());
    let (outcomes, target) = judge(target, &cases).await;
    assert_eq!(with(&outcomes, Verdict::Fail), Vec::<String>::new());
    assert_eq!(with(&outcomes, Verdict::Error), Vec::<String>::new());
    let passed = with(&outcomes, Verdict::Pass).len();
    assert!(passed * 2 > cases.len(), "{passed}: {:?}", with(&outcomes, Verdict::Inconclusive));
    assert!(target.bears.take_unwell() > 0);
}

#[tokio::test]
async fn a_hub_that_never_registers_is_blamed_for_that_alone_and_never_conformant() {
    let never =
        Unwell::new(500, |method, path, _, _| method == "PUT" && path.starts_with("/devices/"));
    let hub = hub_under(never, Throttles::default()).await;
    let cases = select("HUB-TWIN-001");
    let (outcomes, _) = judge(target(&hub, "iothubowner", Profile::default()), &cases).await;
    let unknown = with(&outcomes, Verdict::Inconclusive);
    assert_eq!(unknown.len(), cases.len(), "{:?}", with(&outcomes, Verdict::Fail));
    assert!(unknown.concat().contains("the hub answers HTTP 500 to PUT /devices/"), "{unknown:?}");
    assert_eq!(conformance(&outcomes), Conformance::Unknown);
    let cases = select("HUB-REG-001");
    let (outcomes, _) = judge(target(&hub, "iothubowner", Profile::default()), &cases).await;
    assert_eq!(with(&outcomes, Verdict::Fail).len(), cases.len());
    assert_eq!(conformance(&outcomes), Conformance::NotConformant);
}

#[tokio::test]
async fn a_hub_that_breaks_down_on_bad_input_is_not_excused() {
    let breaks_down = Unwell::new(500, |_, _, _, status| status == 400);
    let hub = hub_under(breaks_down, Throttles::default()).await;
    let cases = select("HUB-VALI-00*");
    let (outcomes, _) = judge(target(&hub, "iothubowner", Profile::default()), &cases).await;
    assert_eq!(with(&outcomes, Verdict::Inconclusive), Vec::<String>::new());
    // The others are about what devices send over MQTT.
    let failed = with(&outcomes, Verdict::Fail).len();
    assert!(failed >= 8, "{failed} of {}", cases.len());
}

#[tokio::test]
async fn a_hub_that_is_being_started_is_waited_for() {
    let hub = hub(Throttles::default()).await;
    let mut target = target(&hub, "iothubowner", Profile::default());
    let behind = target.http.authority();
    let (socket, port) = taken_port();
    target.http.port = port;
    target.operator = Operator::new(target.http.clone(), &target.trust);
    let late = tokio::spawn(async move {
        tokio::time::sleep(std::time::Duration::from_millis(700)).await;
        let listener = socket.listen(64).unwrap();
        loop {
            let (mut near, _) = listener.accept().await.unwrap();
            let behind = behind.clone();
            tokio::spawn(async move {
                let mut far = tokio::net::TcpStream::connect(behind).await.unwrap();
                let _until_one_ends = tokio::io::copy_bidirectional(&mut near, &mut far).await;
            });
        }
    });
    let (outcomes, _) = judge(target, &select("twin-get-echoes-rid")).await;
    late.abort();
    assert_eq!(
        with(&outcomes, Verdict::Pass).len(),
        1,
        "{:?}",
        with(&outcomes, Verdict::Inconclusive)
    );
}

#[tokio::test]
async fn a_run_that_is_broken_off_has_the_outcomes_reached_so_far() {
    let hub = hub(Throttles::default()).await;
    let target = Arc::new(target(&hub, "iothubowner", Profile::default()));
    let (cases, leftovers) = (select("twin"), Leftovers::default());
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let (mut stop, mut ended) = (Some(stop), 0);
    let progress = |_: &case::Case, _: &Outcome| {
        ended += 1;
        if ended == 10 {
            drop(stop.take());
        }
    };
    let stopped = async { drop(stopped.await) };
    let outcomes = run::run_until(&target, &cases, 8, &leftovers, progress, stopped).await;
    assert_eq!(outcomes.len(), ended);
    assert!((10..cases.len()).contains(&ended), "{ended} of {}", cases.len());
    run::clean_up(&target, &leftovers).await;
    assert_eq!(leftovers.all(), Vec::new());
}

#[tokio::test]
async fn a_hub_that_dies_is_not_blamed() {
    let hub = hub(Throttles::default()).await;
    let target = Arc::new(target(&hub, "iothubowner", Profile::default()));
    let (cases, leftovers) = (select("connection,session,twin"), Leftovers::default());
    let (mut hub, mut passed) = (Some(hub), 0);
    let outcomes = run::run(&target, &cases, 16, &leftovers, |_, outcome| {
        passed += usize::from(outcome.verdict == Verdict::Pass);
        if passed == 40 {
            drop(hub.take());
        }
    });
    let outcomes = outcomes.await;
    assert_eq!(with(&outcomes, Verdict::Fail), Vec::<String>::new());
    assert_eq!(with(&outcomes, Verdict::Warn), Vec::<String>::new());
    assert_eq!(with(&outcomes, Verdict::Error), Vec::<String>::new());
    let passed = with(&outcomes, Verdict::Pass).len();
    let unknown = with(&outcomes, Verdict::Inconclusive).len();
    assert!(passed >= 40 && unknown > 50, "{passed} passed, {unknown} without a verdict");
    run::clean_up(&target, &leftovers).await;
    let left: Vec<String> = leftovers.all().iter().map(ToString::to_string).collect();
    assert!(!left.is_empty() && left.iter().all(|name| name.contains(&target.prefix)), "{left:?}");
}

#[tokio::test]
async fn a_port_that_closes_at_once_is_no_hub() {
    let hub = hub(Throttles::default()).await;
    let closing = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut target = target(&hub, "iothubowner", Profile::default());
    target.mqtt.port = closing.local_addr().unwrap().port();
    let accepting = tokio::spawn(async move {
        loop {
            drop(closing.accept().await);
        }
    });
    let why = preflight::check(&Arc::new(target)).await.unwrap_err();
    accepting.abort();
    assert!(why.contains("closes them without an answer to a CONNECT"), "{why}");
}

#[tokio::test]
async fn a_hub_that_only_closes_on_strangers_is_one() {
    let hub = hub(Throttles::default()).await;
    let mut target = target(&hub, "iothubowner", Profile::default());
    let at = target.mqtt.authority();
    let mute = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = mute.local_addr().unwrap().port();
    let relaying = tokio::spawn(async move {
        let (first, _) = mute.accept().await.unwrap();
        drop(first);
        let (mut next, _) = mute.accept().await.unwrap();
        let mut behind = tokio::net::TcpStream::connect(at).await.unwrap();
        tokio::io::copy_bidirectional(&mut next, &mut behind).await
    });
    target.mqtt.port = port;
    let looked = preflight::check(&Arc::new(target)).await;
    relaying.abort();
    assert_eq!(looked, Ok(()));
}

#[tokio::test]
async fn time_passes_by_itself_where_no_clock_can_be_moved() {
    let hub = hub(Throttles::default()).await;
    let judge = async |takes_time| {
        let mut target = target(&hub, "iothubowner", Profile::default());
        target.takes_time = takes_time;
        let cases = select("method-timeout-then-call,connection-idle-limit,twin-get-echoes-rid");
        let leftovers = Leftovers::default();
        // One job: who waits must not take its place.
        run::run(&Arc::new(target), &cases, 1, &leftovers, |_, _| {}).await
    };
    let began = std::time::Instant::now();
    let outcomes = judge(true).await;
    assert_eq!(with(&outcomes, Verdict::Pass).len(), 2, "{:?}", with(&outcomes, Verdict::Fail));
    let unsupported = with(&outcomes, Verdict::Unsupported).concat();
    assert!(unsupported.contains("takes more than 10 minutes of real time"), "{unsupported}");
    assert!(began.elapsed() >= std::time::Duration::from_secs(6));
    let left_out = with(&judge(false).await, Verdict::Unsupported);
    assert_eq!(left_out.len(), 2, "{left_out:?}");
    assert!(left_out.concat().contains("--no-slow leaves that out"));
}

#[tokio::test]
async fn an_authority_of_the_profile_signs_device_certificates() {
    let hub = hub(Throttles::default()).await;
    let profile = Profile::read(&data("device-authority.toml")).unwrap();
    let cases: Vec<Selected> =
        case::all().filter(|(_, case)| case.needs.contains(&Need::DeviceAuthority)).collect();
    assert!(!cases.is_empty());
    for (profile, expected) in
        [(profile, Verdict::Pass), (Profile::default(), Verdict::Unsupported)]
    {
        let mut target = target(&hub, "iothubowner", profile);
        let port = hub.addresses().mqtts.unwrap().port();
        target.mqtt = format!("mqtts://localhost:{port}").parse().unwrap();
        let leftovers = Leftovers::default();
        let outcomes = run::run(&Arc::new(target), &cases, 4, &leftovers, |_, _| {}).await;
        assert_eq!(
            with(&outcomes, expected).len(),
            cases.len(),
            "{:?}",
            with(&outcomes, Verdict::Fail)
        );
    }
}

#[test]
fn an_authority_that_does_not_fit_is_refused_by_name() {
    let swapped =
        DeviceAuthorityFiles { certificate: data("device-ca.pem"), key: data("other-key.pem") };
    let why = swapped.read().err().unwrap();
    assert!(why.contains("other-key.pem: the key is not that of the certificate"), "{why}");
    let missing = DeviceAuthorityFiles { key: data("none.pem"), ..swapped };
    let why = missing.read().err().unwrap();
    assert!(why.contains("none.pem"), "{why}");
}

#[tokio::test]
async fn a_pool_of_devices_needs_no_registry_to_begin() {
    let hub = hub(Throttles::default()).await;
    let key = hub.register(&Identity::device("pump-1")).await.unwrap();
    let device = format!("HostName=localhost;DeviceId=pump-1;SharedAccessKey={key}");
    let pool = Profile { devices: vec![device], ..Profile::default() };
    let look = async |profile| {
        // This policy may not read the registry.
        preflight::check(&Arc::new(target(&hub, "service", profile))).await
    };
    assert!(look(Profile::default()).await.unwrap_err().contains("policy or key"));
    assert_eq!(look(pool).await, Ok(()));
}

/// A hub with some devices, and a profile with these as its pool.
async fn hub_with_pool(size: usize) -> (ReferenceHub, Profile) {
    let hub = hub(Throttles::default()).await;
    let mut devices = Vec::new();
    for number in 0..size {
        let key = hub.register(&Identity::device(format!("pump-{number}"))).await.unwrap();
        devices.push(format!("HostName=localhost;DeviceId=pump-{number};SharedAccessKey={key}"));
    }
    (hub, Profile { devices, ..Profile::default() })
}

#[tokio::test]
async fn devices_of_a_pool_stay_what_they_are() {
    let (hub, pool) = hub_with_pool(1).await;
    let target = Arc::new(target(&hub, "iothubowner", pool));
    let changing = "auth-disabled,auth-replaced-key,registry-delete*";
    let judge = async |filter| {
        run::run(&target, &select(filter), 1, &Leftovers::default(), |_, _| {}).await
    };
    let outcomes = judge(changing).await;
    assert!(!outcomes.is_empty() && with(&outcomes, Verdict::Fail).is_empty());
    let why = with(&outcomes, Verdict::Unsupported).concat();
    assert!(why.contains("that is one of the profile's pool"), "{why}");
    let afterwards = judge("twin-get-echoes-rid").await;
    assert_eq!(with(&afterwards, Verdict::Pass).len(), 1, "{:?}", with(&afterwards, Verdict::Fail));
}

#[tokio::test]
async fn cases_that_need_two_devices_of_a_pool_do_not_block_each_other() {
    let (hub, pool) = hub_with_pool(2).await;
    let target = Arc::new(target(&hub, "iothubowner", pool));
    let cases = select("session-foreign*,session-others*,auth-other*,twin-get*");
    let outcomes = run::run(&target, &cases, 8, &Leftovers::default(), |_, _| {}).await;
    let late = with(&outcomes, Verdict::Inconclusive);
    assert!(late.is_empty(), "{late:?}");
    assert!(!with(&outcomes, Verdict::Pass).is_empty());
}

#[tokio::test]
async fn devices_do_not_wait_for_the_turn_of_their_case() {
    let hub = hub(Throttles::default()).await;
    let mut target = target(&hub, "iothubowner", Profile::default());
    // A case keeps its devices for 3 s.
    target.patience = 0.05;
    let target = Arc::new(target);
    let taken = Arc::clone(&target.job_turns).acquire_owned().await.unwrap();
    let long = std::time::Duration::from_secs(4);
    let (cases, leftovers) = (select("job-twin-notified"), Leftovers::default());
    let (outcomes, ()) = tokio::join!(run::run(&target, &cases, 1, &leftovers, |_, _| {}), async {
        tokio::time::sleep(long).await;
        drop(taken);
    });
    let late = with(&outcomes, Verdict::Inconclusive);
    assert_eq!(with(&outcomes, Verdict::Pass).len(), outcomes.len(), "{late:?}");
    let (_, first) = outcomes.first().unwrap();
    assert!(first.duration >= long, "it had its turn");
    let span = std::time::Duration::from_micros(first.trace.last().unwrap().at_us);
    assert!(span < long, "its devices were there for {span:?}");
}
