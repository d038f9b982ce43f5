//! The rules of device-update-agent.md § 6, one by one.

use serde_json::json;

use super::world::{Ending, World, deploy, no_deployment, retry, simple};
use crate::agent::{Generation, Input, Phase, RestartKind};

fn world() -> World {
    World::connected(Generation::Three)
}

/// A world in which `a` is being deployed and `phase` runs.
fn during(phase: Phase) -> (World, u64) {
    let mut world = world();
    world.desire(deploy("a", &simple("a")));
    let job = world.until(phase);
    (world, job)
}

#[test]
fn without_a_deployment_no_state_is_reported() {
    let world = world();
    assert_eq!(world.story(), "");
    let expected = json!({
        "__t": "c",
        "agent": {
            "deviceProperties": {
                "manufacturer": "Fabrikam",
                "model": "Lathe",
                "contractModelId": "dtmi:azure:iot:deviceUpdateContractModel;3",
                "aduVer": "DU;agent/1.1.0",
            },
            "compatPropertyNames": "manufacturer,model",
        },
    });
    assert_eq!(world.reported, expected);
}

#[test]
fn a_deployment_is_reported_acknowledged_and_carried_out() {
    let mut world = world();
    world.desire(deploy("a", &simple("a")));
    world.settle();
    assert_eq!(world.story(), "6/1/a; ack 2/200; 0/700/a");
    assert_eq!(world.ran(), ["a download", "a backup", "a install", "a apply"]);
    let expected = json!({
        "state": 0,
        "workflow": { "action": 3, "id": "a" },
        "installedUpdateId": r#"{"provider":"Fabrikam","name":"a","version":"1.0"}"#,
        "lastInstallResult": {
            "resultCode": 700,
            "extendedResultCodes": "00000000,A0000FFF",
            "resultDetails": "",
            "stepResults": { "step_0": {
                "resultCode": 700, "extendedResultCodes": "00000000", "resultDetails": "",
            } },
        },
    });
    assert_eq!(world.reports[2]["agent"], expected);
}

#[test]
fn generation_2_reports_code_400_and_signed_numbers() {
    let mut world = World::connected(Generation::Two);
    world.desire(deploy("a", &simple("a")));
    let job = *world.jobs.keys().next().unwrap();
    world.end(job, Ending::Badly);
    world.desire(deploy("b", &simple("b")));
    world.settle();
    assert_eq!(world.story(), "255/0/a; ack 2/406; 6/400/b; ack 3/200; 0/700/b");
    let result = &world.reports[0]["agent"]["lastInstallResult"];
    assert_eq!(result["extendedResultCode"], json!(-2_144_337_919));
    assert_eq!(world.reports[4]["agent"]["lastInstallResult"]["extendedResultCode"], json!(0));
}

#[test]
fn an_installed_update_is_neither_fetched_nor_run() {
    let mut world = world();
    world.installed.insert("a".to_owned());
    world.desire(deploy("a", &simple("a")));
    world.settle();
    assert_eq!(world.story(), "6/1/a; ack 2/200; 0/700/a");
    assert_eq!(world.ran(), [""; 0]);
    let steps = &world.reports[2]["agent"]["lastInstallResult"]["stepResults"];
    assert_eq!(steps["step_0"]["resultCode"], 603);
}

#[test]
fn a_failure_in_any_phase_ends_in_255_with_its_codes() {
    for (phase, ran) in [
        (Phase::Download, &["a download"][..]),
        (Phase::Backup, &["a download", "a backup"]),
        (Phase::Install, &["a download", "a backup", "a install", "a restore"]),
        (Phase::Apply, &["a download", "a backup", "a install", "a apply", "a restore"]),
    ] {
        let (mut world, job) = during(phase);
        world.end(job, Ending::Badly);
        world.settle();
        assert_eq!(world.story(), "6/1/a; ack 2/200; 255/0/a", "{phase:?}");
        assert_eq!(world.ran(), ran, "{phase:?}");
        let result = &world.reports[2]["agent"]["lastInstallResult"];
        assert_eq!(result["extendedResultCodes"], "30500001,A0000FFF");
        assert_eq!(result["stepResults"]["step_0"]["extendedResultCodes"], "30500001");
        assert_eq!(result["resultDetails"], "no");
        assert!(world.reports[2]["agent"].get("installedUpdateId").is_none());
    }
}

#[test]
fn root_keys_that_do_not_come_end_the_deployment_before_it_began() {
    let mut world = world();
    world.desire(deploy("a", &simple("a")));
    let job = *world.jobs.keys().next().unwrap();
    world.end(job, Ending::Badly);
    assert_eq!(world.story(), "255/0/a; ack 2/406");
    assert!(world.phases.is_empty());
}

#[test]
fn the_same_object_again_is_acknowledged_and_nothing_else() {
    let mut world = world();
    world.desire(deploy("a", &simple("a")));
    world.settle();
    world.reports.clear();
    world.desire(deploy("a", &simple("a")));
    world.settle();
    assert_eq!(world.story(), "ack 3/200");
    world.disconnect();
    world.connect();
    assert_eq!(world.story(), "ack 3/200");
    world.kill(false);
    world.connect();
    assert_eq!(world.story(), "ack 3/200");
    assert_eq!(world.reported["agent"]["state"], 0);
}

#[test]
fn a_failed_deployment_runs_again_only_with_another_time_stamp() {
    let (mut world, job) = during(Phase::Install);
    world.end(job, Ending::Badly);
    world.settle();
    world.phases.clear();
    world.desire(deploy("a", &simple("a")));
    world.settle();
    assert_eq!(world.ran(), [""; 0]);
    // Older or newer makes no difference.
    for stamp in ["2031-01-02T00:00:00Z", "2030-01-01T00:00:00Z"] {
        world.installed.clear();
        world.reports.clear();
        world.desire(retry("a", &simple("a"), stamp));
        let job = world.until(Phase::Install);
        world.end(job, Ending::Badly);
        world.settle();
        let version = world.version;
        assert_eq!(world.story(), format!("6/1/a; ack {version}/200; 255/0/a"));
        assert_eq!(world.reported["agent"]["workflow"]["retryTimestamp"], stamp);
    }
}

#[test]
fn a_retry_of_a_success_reports_it_again_and_runs_nothing() {
    let mut world = world();
    world.desire(deploy("a", &simple("a")));
    world.settle();
    world.phases.clear();
    world.reports.clear();
    world.desire(retry("a", &simple("a"), "2031-01-01T00:00:00Z"));
    world.settle();
    assert_eq!(world.story(), "0/700/a; ack 3/200");
    assert!(world.phases.is_empty());
    let workflow = &world.reported["agent"]["workflow"];
    assert_eq!(workflow["retryTimestamp"], "2031-01-01T00:00:00Z");
}

#[test]
fn a_deployment_without_time_stamp_clears_the_one_in_the_twin() {
    let mut world = world();
    world.desire(retry("a", &simple("a"), "2031-01-01T00:00:00Z"));
    world.settle();
    world.desire(deploy("b", &simple("b")));
    world.settle();
    assert_eq!(world.reported["agent"]["workflow"], json!({ "action": 3, "id": "b" }));
}

#[test]
fn a_retry_during_the_work_stops_it_and_begins_anew() {
    let (mut world, job) = during(Phase::Install);
    world.desire(retry("a", &simple("a"), "2031-01-01T00:00:00Z"));
    let validation = *world.jobs.keys().find(|other| **other != job).unwrap();
    world.end(validation, Ending::Well);
    let validation = *world.jobs.keys().find(|other| **other != job).unwrap();
    world.end(validation, Ending::Well);
    assert_eq!(world.cancels, 1);
    world.settle();
    assert_eq!(world.story(), "6/1/a; ack 2/200; ack 3/200; 6/1/a; 0/700/a");
    assert_eq!(world.ran()[..4], ["a download", "a backup", "a install", "a restore"]);
    assert_eq!(world.ran()[4..], ["a download", "a backup", "a install", "a apply"]);
}

#[test]
fn another_deployment_takes_the_place_of_the_one_under_way() {
    let (mut world, job) = during(Phase::Download);
    world.desire(deploy("b", &simple("b")));
    while world.jobs.len() > 1 {
        let other = *world.jobs.keys().find(|other| **other != job).unwrap();
        world.end(other, Ending::Well);
    }
    assert_eq!(world.cancels, 1);
    world.settle();
    assert_eq!(world.story(), "6/1/a; ack 2/200; ack 3/200; 6/1/b; 0/700/b");
    assert_eq!(world.ran()[1..], ["b download", "b backup", "b install", "b apply"]);
    assert_eq!(world.installed.iter().collect::<Vec<_>>(), ["b"]);
}

#[test]
fn a_refused_object_leaves_the_work_alone() {
    let (mut world, job) = during(Phase::Install);
    world.desire(deploy("b", &simple("b")));
    let other = *world.jobs.keys().find(|other| **other != job).unwrap();
    world.end(other, Ending::Badly);
    assert_eq!(world.cancels, 0);
    world.settle();
    assert_eq!(world.story(), "6/1/a; ack 2/200; ack 3/406; 0/700/a; 255/0/b");
}

#[test]
fn a_refused_id_is_free_for_an_object_that_holds() {
    let mut world = world();
    world.desire(deploy("a", &simple("a")));
    let job = *world.jobs.keys().next().unwrap();
    world.end(job, Ending::Badly);
    let mut good = deploy("a", &simple("a"));
    good["updateManifestSignature"] = json!("d.e.f");
    world.desire(good);
    world.settle();
    assert_eq!(world.story(), "255/0/a; ack 2/406; 6/1/a; ack 3/200; 0/700/a");
}

#[test]
fn a_cancel_ends_the_work_in_every_phase() {
    let endings = [
        (Phase::IsInstalled, &[][..]),
        (Phase::Download, &["a download"]),
        (Phase::Backup, &["a download", "a backup"]),
        (Phase::Install, &["a download", "a backup", "a install", "a restore"]),
    ];
    for (phase, ran) in endings {
        for ending in [Ending::Well, Ending::Badly] {
            let (mut world, job) = during(phase);
            world.desire(no_deployment());
            world.desire(no_deployment());
            assert_eq!(world.cancels, 1);
            world.end(job, ending);
            world.settle();
            assert_eq!(world.story(), "6/1/a; ack 2/200; ack 3/200; ack 4/200; 0/-1/a");
            assert_eq!(world.ran(), ran, "{phase:?}");
            assert!(world.reported["agent"].get("installedUpdateId").is_none());
        }
    }
}

#[test]
fn a_cancel_during_a_download_ends_it_at_once() {
    let mut world = world();
    world.desire(deploy("a", &simple("a")));
    for _ in 0..3 {
        let job = *world.jobs.keys().next().unwrap();
        world.end(job, Ending::Well);
    }
    world.desire(json!({ "workflow": { "action": 255, "id": "a" } }));
    assert_eq!(world.story(), "6/1/a; ack 2/200; ack 3/200; 0/-1/a");
    assert!(world.jobs.is_empty());
}

#[test]
fn a_cancel_that_comes_too_late_is_answered_with_the_truth() {
    let (mut world, job) = during(Phase::Apply);
    world.desire(no_deployment());
    world.end(job, Ending::Well);
    assert_eq!(world.story(), "6/1/a; ack 2/200; ack 3/200; 0/700/a");
}

#[test]
fn a_cancel_before_the_work_began_is_reported_too() {
    let mut world = world();
    world.desire(deploy("a", &simple("a")));
    world.desire(no_deployment());
    assert!(world.jobs.is_empty());
    assert_eq!(world.story(), "ack 2/200; ack 3/200; 0/-1/a");
}

#[test]
fn a_cancel_when_nothing_runs_is_acknowledged_only() {
    let mut world = world();
    world.desire(no_deployment());
    assert_eq!(world.story(), "ack 2/200");
    let echo = &world.reports[0]["service"]["value"];
    assert_eq!(echo["workflow"], json!({ "action": 255, "id": "nodeployment" }));
    world.desire(deploy("a", &simple("a")));
    world.settle();
    world.desire(no_deployment());
    assert_eq!(world.reported["agent"]["state"], 0);
    assert!(world.story().ends_with("0/700/a; ack 4/200"));
}

#[test]
fn a_deployment_after_a_cancelled_one_runs_its_own_payload() {
    let (mut world, job) = during(Phase::Install);
    world.desire(no_deployment());
    world.end(job, Ending::Well);
    world.settle();
    world.desire(deploy("b", &simple("b")));
    world.settle();
    assert!(world.story().ends_with("0/-1/a; 6/1/b; ack 4/200; 0/700/b"));
    assert_eq!(world.ran()[4..], ["b download", "b backup", "b install", "b apply"]);
}

#[test]
fn a_restart_keeps_state_6_and_ends_in_success() {
    for (phase, kind) in [(Phase::Apply, RestartKind::Reboot), (Phase::Apply, RestartKind::Agent)] {
        let (mut world, job) = during(phase);
        world.end(job, Ending::Asking(kind));
        assert_eq!(world.restarts, [kind]);
        assert_eq!(world.reported["agent"]["state"], 6);
        world.settle();
        assert_eq!(world.story(), "6/1/a; ack 2/200; 6/1/a; 0/700/a");
        assert_eq!(world.ran(), ["a download", "a backup", "a install", "a apply"]);
        let steps = &world.reports[3]["agent"]["lastInstallResult"]["stepResults"];
        assert_eq!(steps["step_0"]["resultCode"], 900);
    }
}

#[test]
fn a_restart_without_the_update_runs_it_from_the_start() {
    let (mut world, job) = during(Phase::Install);
    world.end(job, Ending::Asking(RestartKind::Agent));
    world.settle();
    let once = ["a download", "a backup", "a install"];
    assert_eq!(world.ran()[..3], once);
    assert_eq!(world.ran()[3..], [&once[..], &["a apply"]].concat());
    assert_eq!(world.reported["agent"]["state"], 0);
}

#[test]
fn a_restart_that_fails_is_a_failure() {
    let (mut world, job) = during(Phase::Apply);
    world.end(job, Ending::Asking(RestartKind::Reboot));
    world.handle(Input::RestartFailed("not permitted".to_owned()));
    assert_eq!(world.story(), "6/1/a; ack 2/200; 255/0/a");
}

#[test]
fn objects_that_cannot_be_processed_are_acknowledged_and_run_nothing() {
    let good = deploy("a", &simple("a"));
    for (member, value, status) in [
        ("/workflow/action", json!(0), 406),
        ("/workflow/action", json!(1), 406),
        ("/workflow/action", json!(7), 406),
        ("/workflow/action", json!("3"), 400),
        ("/workflow/action", json!(null), 400),
        ("/workflow/id", json!(""), 400),
        ("/workflow/id", json!(5), 400),
        ("/workflow/retryTimestamp", json!(5), 400),
        ("/workflow", json!("x"), 400),
        ("/fileUrls", json!(["x"]), 400),
    ] {
        let mut world = world();
        let mut bad = good.clone();
        if member == "/workflow/retryTimestamp" {
            bad["workflow"]["retryTimestamp"] = json!(null);
        }
        *bad.pointer_mut(member).unwrap() = value;
        world.desire(bad);
        assert_eq!(world.story(), format!("ack 2/{status}"), "{member}");
        assert!(world.jobs.is_empty());
        world.desire(good.clone());
        world.settle();
        assert!(world.story().ends_with("6/1/a; ack 3/200; 0/700/a"));
    }
}

#[test]
fn without_a_root_key_url_generation_3_refuses_and_generation_2_does_not_ask() {
    let mut service = deploy("a", &simple("a"));
    service.as_object_mut().unwrap().remove("rootKeyPackageUrl");
    let mut world = world();
    world.desire(service.clone());
    assert_eq!(world.story(), "255/0/a; ack 2/406");
    let codes = &world.reports[0]["agent"]["lastInstallResult"]["extendedResultCodes"];
    assert_eq!(codes, "80300011");
    let mut world = World::connected(Generation::Two);
    world.desire(service);
    world.settle();
    assert_eq!(world.story(), "6/400/a; ack 2/200; 0/700/a");
}

#[test]
fn what_comes_late_or_twice_is_passed_over() {
    let mut world = world();
    let (a, b) = (deploy("a", &simple("a")), deploy("b", &simple("b")));
    world.desire(a.clone());
    world.settle();
    world.desire(b.clone());
    world.patch(&b, 3);
    world.patch(&a, 2);
    world.settle();
    assert_eq!(world.ran().len(), 8);
    assert!(world.story().ends_with("6/1/b; ack 3/200; 0/700/b"));
}

#[test]
fn a_gap_in_the_versions_makes_it_read_the_twin() {
    let mut world = world();
    world.version = 4;
    world.desired = Some(deploy("a", &simple("a")));
    // The twin has the version of the notification: it is looked at all the same.
    world.handle(Input::Patch(json!({ "other": 1, "$version": 4 })));
    world.settle();
    assert_eq!(world.story(), "6/1/a; ack 4/200; 0/700/a");
}

#[test]
fn a_notification_before_the_first_twin_hides_nothing() {
    let mut world = World::new(Generation::Three);
    world.version = 6;
    world.desired = Some(deploy("a", &simple("a")));
    // The deployment came before it, when nobody listened.
    world.handle(Input::Patch(json!({ "other": 1, "$version": 6 })));
    world.connect();
    world.settle();
    assert_eq!(world.story(), "6/1/a; ack 6/200; 0/700/a");
}

#[test]
fn an_answer_that_a_notification_overtook_does_not_close_a_gap() {
    let mut world = world();
    world.disconnect();
    world.handle(Input::Patch(json!({ "other": 1, "$version": 6 })));
    world.handle(Input::Twin(json!({ "desired": { "$version": 5 }, "reported": {} })));
    world.version = 6;
    world.desired = Some(deploy("a", &simple("a")));
    world.connect();
    world.settle();
    assert_eq!(world.story(), "6/1/a; ack 6/200; 0/700/a");
}

#[test]
fn unknown_components_and_properties_are_left_alone() {
    let mut world = world();
    world.handle(Input::Patch(json!({ "$version": 2, "lamp": { "service": { "x": 1 } } })));
    let unknown = json!({ "$version": 3, "deviceUpdate": { "__t": "c", "colour": "red" } });
    world.handle(Input::Patch(unknown));
    world.handle(Input::Patch(json!({ "deviceUpdate": { "service": { "x": 1 } } })));
    assert_eq!(world.story(), "");
}

#[test]
fn an_object_set_while_offline_is_found_in_the_twin() {
    let mut world = world();
    world.disconnect();
    world.desire(deploy("a", &simple("a")));
    world.connect();
    world.settle();
    assert_eq!(world.story(), "6/1/a; ack 2/200; 0/700/a");
}

#[test]
fn work_goes_on_without_a_connection_and_is_reported_later() {
    let (mut world, job) = during(Phase::Install);
    world.disconnect();
    world.end(job, Ending::Well);
    let job = world.until(Phase::Apply);
    world.end(job, Ending::Well);
    assert_eq!(world.reported["agent"]["state"], 6);
    world.connect();
    assert_eq!(world.story(), "6/1/a; ack 2/200; 0/700/a");
}

#[test]
fn an_end_that_was_not_reported_is_reported_after_a_kill() {
    let (mut world, job) = during(Phase::Apply);
    world.disconnect();
    world.end(job, Ending::Well);
    world.kill(false);
    world.connect();
    world.settle();
    assert_eq!(world.story(), "6/1/a; ack 2/200; 0/700/a");
    assert_eq!(world.ran().len(), 4);
}
