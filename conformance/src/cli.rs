//! stub
use std::process::ExitCode;
use std::sync::Arc;
/// stub
pub fn main() -> ExitCode {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        if std::env::args().nth(1).as_deref() == Some("mutants") {
            let only = std::env::args().nth(2).unwrap_or_default();
            for mutant in crate::mutants::all().filter(|m| m.id.contains(&only) || m.requirements.iter().any(|r| r.contains(&only))) {
                println!("{}", serde_json::to_string(&crate::mutants::try_out(mutant).await.unwrap()).unwrap());
            }
            return;
        }
        let target = Arc::new(crate::target::Target::embedded(Default::default()).await.unwrap());
        let filter = crate::select::Filter::parse(&std::env::args().nth(1).unwrap_or_default());
        let cases: Vec<_> = crate::case::all().filter(|(g, c)| filter.selects(g, c)).collect();
        let all = crate::run::run(&target, &cases, 8, &Default::default(), |case, outcome| {
            println!("{} {} {:?}", case.id, outcome.verdict, outcome.duration);
            for f in &outcome.findings {
                println!("   {:?} allowed {} seen {}", f.requirement, f.allowed, f.seen);
            }
            if outcome.verdict != crate::verdict::Verdict::Pass && std::env::var("TRACE").is_ok() {
                for r in &outcome.trace { println!("      {}", serde_json::to_string(r).unwrap()); }
            }
        }).await;
        println!("{} cases", all.len());
    });
    ExitCode::SUCCESS
}
