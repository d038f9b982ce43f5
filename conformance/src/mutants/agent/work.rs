//! Defects of steps, handlers, restarts and of the reports' way to the hub.

use std::collections::{BTreeMap, BTreeSet};

use twinspec_harness::agent::{Effect, Limits, Overlay};
use twinspec_model::agent::{Fetched, Input, Outcome, Output, RestartKind, Settings};

use super::Defect;
use super::rewrite::{Inputs, Outputs};

pub(super) const DEFECTS: &[Defect] = &[
    Defect {
        id: "agent-work-any-size",
        title: "The size of a file is not checked.",
        requirements: &["ADU-AGENT-050"],
        overlay: || Box::new(AnySize::default()),
    },
    Defect {
        id: "agent-work-trusts-old-files",
        title: "A file that was there once is not looked at again.",
        requirements: &["ADU-AGENT-054"],
        overlay: || Box::new(OldFiles::default()),
    },
    Defect {
        id: "agent-work-idle-before-restart",
        title: "A restart that a handler asks for is taken as the end.",
        requirements: &["ADU-AGENT-069"],
        overlay: || {
            Box::new(Inputs(|input| match input {
                Input::Ran { job, outcome } if RestartKind::asked_by(outcome.code).is_some() => {
                    vec![Input::Ran { job, outcome: Outcome::of(700) }]
                }
                input => vec![input],
            }))
        },
    },
    Defect {
        id: "agent-work-tells-no-handler",
        title: "A running handler is not told of a cancel.",
        requirements: &["ADU-AGENT-091"],
        overlay: || {
            Box::new(Outputs(|output| match output {
                Output::Cancel { .. } => Vec::new(),
                output => vec![Effect::Do(output)],
            }))
        },
    },
    Defect {
        id: "agent-work-steps-backwards",
        title: "Steps run from the last to the first.",
        requirements: &["ADU-AGENT-110"],
        overlay: || {
            Box::new(Inputs(|mut input| {
                if let Input::Validated { validation, .. } = &mut input
                    && let Ok(plan) = &mut validation.plan
                {
                    plan.steps.reverse();
                }
                vec![input]
            }))
        },
    },
    Defect {
        id: "agent-work-one-component",
        title: "A child update runs for the first component only.",
        requirements: &["ADU-AGENT-115"],
        overlay: || {
            Box::new(Changed(|settings| {
                if let Some(components) = &mut settings.components {
                    components.truncate(1);
                }
            }))
        },
    },
    Defect {
        id: "agent-work-ignores-components",
        title: "Child updates run on the host although there are components.",
        requirements: &["ADU-AGENT-115", "ADU-AGENT-116"],
        overlay: || Box::new(Changed(|settings| settings.components = None)),
    },
    Defect {
        id: "agent-work-gives-up-when-throttled",
        title: "A report that is put off by the hub is dropped.",
        requirements: &["ADU-AGENT-122"],
        overlay: || {
            Box::new(Inputs(|input| match input {
                Input::Answered { report, status: 429 | 500..=599 } => {
                    vec![Input::Answered { report, status: 204 }]
                }
                input => vec![input],
            }))
        },
    },
    Defect {
        id: "agent-work-stops-when-refused",
        title: "After a report was refused nothing is reported any more.",
        requirements: &["ADU-AGENT-123"],
        overlay: || Box::new(Offended::default()),
    },
    Defect {
        id: "agent-work-gives-up-when-refused",
        title: "A report that the hub refuses is dropped.",
        requirements: &["ADU-AGENT-124"],
        overlay: || {
            Box::new(Inputs(|input| match input {
                Input::Answered { report, status: 400 | 413 } => {
                    vec![Input::Answered { report, status: 204 }]
                }
                input => vec![input],
            }))
        },
    },
    Defect {
        id: "agent-work-takes-older-package",
        title: "A root key package of a lower version takes the place of the stored one.",
        requirements: &["ADU-SIG-021"],
        overlay: || {
            Box::new(Outputs(|mut output| {
                if let Output::Validate { stored, .. } = &mut output {
                    *stored = None;
                }
                vec![Effect::Do(output)]
            }))
        },
    },
    Defect {
        id: "agent-work-fetches-package-once",
        title: "The root key package is fetched for the first deployment only.",
        requirements: &["ADU-SIG-026"],
        overlay: || Box::new(OnePackage::default()),
    },
    Defect {
        id: "agent-work-hammers",
        title: "Connections are tried again without a pause.",
        requirements: &["DEV-NET-002"],
        overlay: || {
            Box::new(Hurried(|limits| {
                limits.back_off_min = std::time::Duration::ZERO;
                limits.back_off_max = std::time::Duration::ZERO;
            }))
        },
    },
    Defect {
        id: "agent-work-waits-for-ever",
        title: "A report without an answer is never sent again.",
        requirements: &["DEV-NET-005"],
        overlay: || {
            Box::new(Hurried(|limits| limits.answer = std::time::Duration::from_secs(86_400)))
        },
    },
    Defect {
        id: "agent-work-no-keep-alive",
        title: "The keep-alive is off.",
        requirements: &["DEV-NET-010"],
        overlay: || Box::new(Hurried(|limits| limits.keep_alive = std::time::Duration::ZERO)),
    },
];

/// An agent with other settings.
struct Changed(fn(&mut Settings));

impl Overlay for Changed {
    fn settings(&mut self, settings: &mut Settings) {
        (self.0)(settings);
    }
}

/// An agent with other limits.
struct Hurried(fn(&mut Limits));

impl Overlay for Hurried {
    fn limits(&mut self, limits: &mut Limits) {
        (self.0)(limits);
    }
}

/// Hears the size that the manifest names.
#[derive(Default)]
struct AnySize(BTreeMap<u64, u64>);

impl Overlay for AnySize {
    fn input(&mut self, mut input: Input) -> Vec<Input> {
        if let Input::Fetched { job, outcome: Fetched::Complete { size, .. } } = &mut input
            && let Some(wanted) = self.0.remove(job)
        {
            *size = wanted;
        }
        vec![input]
    }

    fn output(&mut self, output: Output) -> Vec<Effect> {
        if let Output::Fetch { job, order } = &output {
            self.0.insert(*job, order.size);
        }
        vec![Effect::Do(output)]
    }
}

/// Fetches every file once and never looks at it again.
#[derive(Default)]
struct OldFiles(BTreeSet<(String, String, String)>);

impl Overlay for OldFiles {
    fn output(&mut self, output: Output) -> Vec<Effect> {
        let Output::Fetch { job, order } = output else {
            return vec![Effect::Do(output)];
        };
        let key = (order.workflow.clone(), order.folder.clone(), order.name.clone());
        if self.0.insert(key) {
            return vec![Effect::Do(Output::Fetch { job, order })];
        }
        let (size, hash) = (order.size, order.hash);
        let outcome = Fetched::Complete { size, hash, text: None };
        vec![Effect::Feed(Input::Fetched { job, outcome })]
    }
}

/// Reports nothing after a refusal.
#[derive(Default)]
struct Offended {
    refused: bool,
}

impl Overlay for Offended {
    fn input(&mut self, input: Input) -> Vec<Input> {
        if let Input::Answered { status: 400 | 413, .. } = &input {
            self.refused = true;
        }
        vec![input]
    }

    fn output(&mut self, output: Output) -> Vec<Effect> {
        match output {
            Output::Send { .. } if self.refused => Vec::new(),
            output => vec![Effect::Do(output)],
        }
    }
}

/// Remembers the first root key package.
#[derive(Default)]
struct OnePackage(Option<String>);

impl Overlay for OnePackage {
    fn input(&mut self, input: Input) -> Vec<Input> {
        if let Input::RootKeys { outcome: Ok(text), .. } = &input {
            self.0.get_or_insert_with(|| text.clone());
        }
        vec![input]
    }

    fn output(&mut self, output: Output) -> Vec<Effect> {
        match (output, &self.0) {
            (Output::FetchRootKeys { job, .. }, Some(text)) => {
                vec![Effect::Feed(Input::RootKeys { job, outcome: Ok(text.clone()) })]
            }
            (output, _) => vec![Effect::Do(output)],
        }
    }
}
