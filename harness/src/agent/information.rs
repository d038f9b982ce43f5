//! What `deviceInformation` says of the machine (device-update-agent.md § 10.1).

use std::fs;

use twinspec_model::agent::DeviceInformation;

/// Reads what the machine tells about itself; what it does not tell stays empty.
pub(super) fn read(manufacturer: &str, model: &str) -> DeviceInformation {
    let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let release = text("/etc/os-release");
    let field = |source: &str, name: &str, separator: char| {
        let line = source.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        line.trim_start().trim_start_matches(separator).trim().trim_matches('"').to_owned()
    };
    let memory = field(&text("/proc/meminfo"), "MemTotal", ':');
    DeviceInformation {
        manufacturer: manufacturer.to_owned(),
        model: model.to_owned(),
        sw_version: field(&release, "VERSION_ID", '='),
        os_name: field(&release, "NAME", '='),
        processor_architecture: std::env::consts::ARCH.to_owned(),
        processor_manufacturer: field(&text("/proc/cpuinfo"), "vendor_id", ':'),
        total_storage: storage_kilobytes(),
        total_memory: memory.split(' ').next().and_then(|n| n.parse().ok()).unwrap_or_default(),
    }
}

/// The largest disk of the machine; 0 when it tells none.
fn storage_kilobytes() -> u64 {
    let Ok(partitions) = fs::read_to_string("/proc/partitions") else {
        return 0;
    };
    let blocks = |line: &str| line.split_whitespace().nth(2)?.parse::<u64>().ok();
    partitions.lines().filter_map(blocks).max().unwrap_or_default()
}
