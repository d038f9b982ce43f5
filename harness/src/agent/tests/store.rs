use super::Folder;
use crate::agent::store::Store;
use twinspec_model::agent::{Held, Persisted, Status, Workflow};

fn running() -> Persisted {
    let workflow = Workflow { id: "w".to_owned(), retry: None };
    let held = Some(Held { workflow, status: Status::Running });
    Persisted { held, acknowledged: Some(7), ..Persisted::default() }
}

#[test]
fn what_was_saved_is_loaded_by_the_next_agent() {
    let folder = Folder::new();
    let store = Store::open(folder.path()).unwrap();
    assert_eq!(store.load().unwrap(), Persisted::default());
    store.save(&running()).unwrap();
    drop(store);
    assert_eq!(Store::open(folder.path()).unwrap().load().unwrap(), running());
}

#[test]
fn a_second_agent_is_kept_out() {
    let folder = Folder::new();
    let first = Store::open(folder.path()).unwrap();
    let Err(error) = Store::open(folder.path()) else {
        panic!("two agents share a folder");
    };
    assert!(error.to_string().contains("another agent uses this work folder"), "{error}");
    drop(first);
    Store::open(folder.path()).unwrap();
}

#[test]
fn a_state_that_cannot_be_read_is_no_fresh_start() {
    let folder = Folder::new();
    let store = Store::open(folder.path()).unwrap();
    for (text, why) in [
        ("{", "state.json"),
        (r#"{"format":9,"state":{}}"#, "missing field"),
        (r#"{"format":1,"state":{},"more":1}"#, "missing field"),
    ] {
        std::fs::write(folder.path().join("state.json"), text).unwrap();
        let error = store.load().unwrap_err().to_string();
        assert!(error.contains("cannot read") && error.contains(why), "{error}");
    }
}

#[test]
fn old_downloads_go_and_the_new_ones_stay() {
    let folder = Folder::new();
    let store = Store::open(folder.path()).unwrap();
    store.tidy("none yet").unwrap();
    for workflow in ["a", "b"] {
        std::fs::create_dir_all(store.workflow(workflow).join("0")).unwrap();
    }
    store.tidy("b").unwrap();
    assert!(!store.workflow("a").exists());
    assert!(store.workflow("b").join("0").exists());
}
