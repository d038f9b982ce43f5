//! Tests of the agent: its rules one by one, and its laws over all orders of events.

mod delivery;
mod explore;
mod laws;
mod logs;
mod preview;
mod rules;
mod steps;
mod world;
