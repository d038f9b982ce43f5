//! The reference agent is killed at two hundred random moments of updates and started again each
//! time. It always ends in the documented state, never installs twice, and never reports a success
//! of what is not installed (device-update-agent.md §§ 4.3, 6.3, 6.9).
//!
//! Several devices work at once, each through deployments of every kind. Payloads write a line
//! where a phase begins and where it ends, with the life of the agent that called them, so that
//! what really ran is known. `TWINSPEC_KILLS_SEED` repeats the deployments and moments of a run,
//! as far as a busy machine repeats anything.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on fails")]

mod deployment;
mod device;
mod judge;
mod judge_tests;
mod world;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use deployment::Kind;
use device::{Device, Quota};
use libtest_mimic::{Arguments, Failed, Trial};
use tokio::task::JoinSet;
use world::World;

/// Kills during updates, when `TWINSPEC_KILLS` asks for no other number.
const KILLS: usize = 200;

/// Agents at a time.
const DEVICES: usize = 4;

fn main() -> ExitCode {
    let mut trials = judge_tests::trials();
    trials.push(Trial::test("an_agent_survives_200_kills_in_updates", kills));
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn kills() -> Result<(), Failed> {
    let seed = number("TWINSPEC_KILLS_SEED")?.unwrap_or_else(|| fastrand::u64(..));
    let wanted = number("TWINSPEC_KILLS")?.unwrap_or(KILLS);
    println!("kills: TWINSPEC_KILLS_SEED={seed}");
    let runtime = tokio::runtime::Runtime::new()?;
    let (flaws, moments) = runtime.block_on(run(seed, wanted))?;
    let in_phases = moments.iter().filter(|(moment, _)| moment.starts_with("in "));
    let in_phases: usize = in_phases.map(|(_, count)| count).sum();
    if flaws.is_empty() && in_phases < wanted / 20 {
        return Err(format!("seed {seed}: too few kills while something ran: {moments:?}").into());
    }
    if flaws.is_empty() { Ok(()) } else { Err(format!("seed {seed}\n{}", flaws.join("\n")).into()) }
}

/// The number that the environment variable `name` holds.
fn number<T: FromStr>(name: &str) -> Result<Option<T>, String> {
    let Ok(text) = std::env::var(name) else { return Ok(None) };
    text.parse().map(Some).map_err(|_| format!("{name} is {text:?}, expected a number"))
}

type Moments = BTreeMap<String, usize>;

async fn run(seed: u64, kills: usize) -> Result<(Vec<String>, Moments), Failed> {
    let began = Instant::now();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("agent-kills");
    let world = Arc::new(World::start(&folder).await);
    let (done, late, next_kind) = Default::default();
    let quota = Arc::new(Quota { kills, done, late, next_kind });
    let mut working = JoinSet::new();
    for number in 0..DEVICES {
        let (world, quota) = (Arc::clone(&world), Arc::clone(&quota));
        let seed = seed.wrapping_add(u64::try_from(number).unwrap_or_default());
        working.spawn(async move {
            let mut device = Device::new(world, number, seed).await;
            let flaws = device.work(&quota).await;
            (flaws, device.count(), std::mem::take(&mut device.moments))
        });
    }
    let (mut flaws, mut moments, mut deployments) = (Vec::new(), Moments::new(), 0);
    while let Some(ended) = working.join_next().await {
        let (device_flaws, count, kills) = ended?;
        flaws.extend(device_flaws);
        deployments += count;
        for moment in kills {
            *moments.entry(moment).or_default() += 1;
        }
    }
    let load = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
    let (during, after, seconds) = (load(&quota.done), load(&quota.late), began.elapsed());
    println!(
        "kills: {during} in updates, {after} after their end; {deployments} deployments, {seconds:.1?}"
    );
    println!("kills: {moments:?}");
    if flaws.is_empty() {
        if load(&quota.next_kind) < Kind::ALL.len() {
            return Err(format!("seed {seed}: not every kind of deployment was reached").into());
        }
        std::fs::remove_dir_all(&folder)?;
    }
    Ok((flaws, moments))
}
