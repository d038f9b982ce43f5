//! Cases that judge a Device Update agent.

pub mod startup;
