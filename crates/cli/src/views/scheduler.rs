//! Lists of schedulers.

use tickmesh_client::{views::scheduler::SchedulersView, when};

use super::{Detail, Style, Table, Tone, View, cell};
use crate::escape;

impl View for SchedulersView {
    fn text(&self, style: &Style) -> String {
        let mut headings = vec!["STATE", "HOST", "SINCE", "BUILD", "ID"];
        if style.detail == Detail::Wide {
            headings.push("EPOCH");
        }
        let mut table = Table::new(headings);
        for scheduler in &self.0 {
            let (state, tone) = scheduler.state.text();
            let mut cells = vec![
                cell(state, tone),
                cell(&scheduler.host, Tone::Plain),
                cell(when::relative(scheduler.since, style.now), Tone::Plain),
                cell(scheduler.build.as_deref().unwrap_or("-"), Tone::Plain),
                cell(&scheduler.id, Tone::Plain),
            ];
            if style.detail == Detail::Wide {
                let epoch = scheduler.epoch.map_or_else(|| "-".to_owned(), |epoch| epoch.to_string());
                cells.push(cell(epoch, Tone::Plain));
            }
            table.row(cells);
        }
        let mut text = table.into_text();
        for (scheduler, reason) in self.0.iter().filter_map(|it| Some((it, it.reason.as_ref()?))) {
            let why = format!("{} on {}: {reason}", scheduler.id, scheduler.host);
            text.push_str(&format!("{}\n", escape::text(&why)));
        }
        text
    }

    fn names(&self) -> Vec<String> {
        self.0.iter().map(|scheduler| scheduler.id.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use tickmesh_client::views::scheduler::SchedulerView;
    use tickmesh_core::{build::Build, id::Epoch, message::SCHEMA};
    use tickmesh_messaging::{SchedulerCard, SchedulerRole, StoreLost};

    use tickmesh_testkit::records as fixture;

    use super::*;

    fn card(role: SchedulerRole) -> SchedulerCard {
        let (id, host, version) = ("p1".to_owned(), "h1".to_owned(), "1.2".to_owned());
        SchedulerCard {
            schema: SCHEMA,
            id,
            host,
            version,
            build: Build::new("1.2+c0ffee"),
            role,
            since: fixture::now(),
        }
    }

    #[track_caller]
    fn check(role: SchedulerRole, shown: &[&str]) {
        let style = Style { detail: Detail::Wide, now: fixture::now() };
        let text = SchedulersView(vec![SchedulerView::of(&card(role))]).text(&style);
        for part in shown {
            assert!(text.contains(part), "{part:?} is missing in {text}");
        }
    }

    #[test]
    fn each_scheduler_says_what_it_does_and_why() {
        check(SchedulerRole::StandingBy { doubt: None }, &["standing by", "h1", "p1", "1.2+c0ffee"]);
        check(SchedulerRole::Leading { epoch: Epoch(7), doubt: None }, &["leading ", "7"]);
        let doubt = Some("the clock is wrong".to_owned());
        check(SchedulerRole::Leading { epoch: Epoch(7), doubt }, &["decides no ticks", "p1 on h1: the clock is wrong"]);
        let reason = "data was lost".to_owned();
        let refusing =
            |store| SchedulerRole::Refusing { reason: reason.clone(), data_lost: true, acceptance: 0, store };
        check(refusing(None), &["refusing to lead", "p1 on h1: data was lost"]);
        let store = StoreLost { mesh: None, missing: Vec::new() };
        check(refusing(Some(store)), &["store lost ", "p1 on h1: data was lost"]);
    }
}
