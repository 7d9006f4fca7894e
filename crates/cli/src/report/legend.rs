//! What the columns of the waits count, in words, for the terminal and for the page.
//!
//! `requests = at once + later + gave up + denied`, and
//! `estimates >= unknown + judged`, of which the judged are all served later.

use super::{RunReport, human};
use crate::trace::BASE_MODELS;

/// The words under the tables of waits.
#[derive(Debug, PartialEq, Eq)]
pub struct Legend {
    /// How long requests wait, and what each of them is counted as.
    pub sentence: String,
    /// A column or two, and what they count.
    pub entries: Vec<(&'static str, String)>,
}

/// The legend of all tables of waits; `None` where no request could wait.
pub fn waits(runs: &[RunReport]) -> Option<Legend> {
    let run = runs.iter().find(|run| run.waits.is_some())?;
    let limit = human::limit(run.wait_max_s?);
    let sentence = format!(
        "Requests wait for up to {limit}. At once, Later, Gave up and Denied count requests of the \
         trace, each once: the four add up to all of them."
    );
    let mut entries = vec![
        ("At once", "served at the instant they were made".to_string()),
        (
            "Later",
            "served after a wait; p50, p90, p99 and Longest are their waits alone".to_string(),
        ),
        (
            "Gave up",
            format!("waited the whole {limit} in vain, which is not among the waits of Later"),
        ),
        (
            "Denied",
            "refused, since waiting could not help or no place in line was left".to_string(),
        ),
        (
            "Estimates",
            "asked for by all who entered the line, also by those served there at once; Unknown \
             is the part of them that could name no time"
                .to_string(),
        ),
        (
            "Estimate / real",
            "median (p10 to p90) over the Judged: those served later who had been told a time"
                .to_string(),
        ),
        ("Elsewhere", elsewhere(run)),
    ];
    if run.slots.is_some() {
        entries.push((BASE_MODELS, models()));
    }
    Some(Legend { sentence, entries })
}

/// What stands beside the waits counts the governor's answers, not the requests of the trace.
fn elsewhere(run: &RunReport) -> String {
    let (more, denied) = if run.slots.is_some() {
        ("each load of a model", "each request that gave up or was denied")
    } else {
        (
            "each block that it leaves in the cache",
            "each request that gave up or was denied and each block that found no room",
        )
    };
    format!(
        "Granted and Denied count grants of the governor, and so differ from the requests: one \
         Granted for each request that runs and for {more}, one Denied for {denied}"
    )
}

/// The tenant that makes no request, yet is granted or denied what all of them wait for.
fn models() -> String {
    "owns the models: in the table of tenants its Granted are all loads, and its Denied all \
     requests that gave up or were denied; the waits name the tenants that made these requests"
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::super::WaitReport;
    use super::*;

    #[test]
    fn the_limit_and_every_column_of_the_waits_are_explained() {
        assert_eq!(waits(&[RunReport::default()]), None);
        let one = Some(1.0);
        let figures = WaitReport {
            wait_mean_s: one,
            wait_p50_s: one,
            wait_p90_s: one,
            wait_p99_s: one,
            wait_longest_s: one,
            estimate_ratio_p10: one,
            estimate_ratio_p50: one,
            estimate_ratio_p90: one,
            ..WaitReport::default()
        };
        let run =
            RunReport { wait_max_s: Some(90.0), waits: Some(figures), ..RunReport::default() };
        let legend = waits(&[RunReport::default(), run.clone()]).unwrap();
        let all = format!("{legend:?}");
        assert!(legend.sentence.starts_with("Requests wait for up to 90 s."), "{all}");
        let grid = super::super::columns::waits(std::slice::from_ref(&run)).unwrap();
        assert_eq!(grid.headers.len(), 13);
        for (column, _) in &grid.headers[1..] {
            assert!(all.contains(column), "{column} in {all}");
        }
        assert!(all.contains("block") && !all.contains(BASE_MODELS), "{all}");
        let models = waits(&[RunReport { slots: Some(3), ..run }]).unwrap();
        assert_eq!(models.entries.last().unwrap().0, BASE_MODELS);
    }
}
