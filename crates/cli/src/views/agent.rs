//! Lists of agents.

use tickmesh_client::{views::agent::AgentsView, when};
use tickmesh_core::quantity::{bytes, cores};

use super::{Detail, Style, Table, Tone, View, cell};

impl View for AgentsView {
    fn text(&self, style: &Style) -> String {
        let mut headings = vec!["NAME", "STATE", "SLOTS", "CPU", "MEMORY", "ENGINE", "HOST", "BUILD", "HEARTBEAT"];
        if style.detail == Detail::Wide {
            headings.extend(["GPUS", "LABELS", "ENGINE TROUBLE"]);
        }
        let mut table = Table::new(headings);
        for agent in &self.0 {
            let (state, tone) = agent.state.text();
            let mut cells = vec![
                cell(&agent.name, Tone::Plain),
                cell(state, tone),
                cell(format!("{}/{}", agent.slots_used, agent.slots), Tone::Plain),
                cell(format!("{}/{}", cores(agent.cpu_millis_reserved), cores(agent.cpu_millis)), Tone::Plain),
                cell(format!("{}/{}", bytes(agent.memory_bytes_reserved), bytes(agent.memory_bytes)), Tone::Plain),
                cell(&agent.engine, Tone::Plain),
                cell(&agent.host, Tone::Plain),
                cell(&agent.build, Tone::Plain),
                cell(when::relative(agent.heartbeat_at, style.now), Tone::Plain),
            ];
            if style.detail == Detail::Wide {
                cells.push(cell(agent.gpus_text().unwrap_or_else(|| "-".to_owned()), Tone::Plain));
                cells.push(cell(agent.labels_text(), Tone::Plain));
                cells.push(cell(agent.trouble_text(style.now).unwrap_or_else(|| "-".to_owned()), Tone::Plain));
            }
            table.row(cells);
        }
        table.into_text()
    }

    fn names(&self) -> Vec<String> {
        self.0.iter().map(|agent| agent.name.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use tickmesh_testkit::records as fixture;

    use super::*;

    #[test]
    fn the_table_says_what_is_reserved_of_what_there_is() {
        let mut view = AgentsView::new(&[fixture::heartbeat(std::iter::empty())], &[], fixture::now()).0.remove(0);
        (view.slots_used, view.cpu_millis_reserved, view.memory_bytes_reserved) = (1, 500, 64 << 20);
        (view.slots, view.cpu_millis, view.memory_bytes) = (8, 4_000, 1 << 30);
        let text = AgentsView(vec![view]).text(&Style { detail: Detail::Normal, now: fixture::now() });
        for shown in ["1/8", "0.5/4", "64.0MiB/1.0GiB"] {
            assert!(text.contains(shown), "{text}");
        }
    }
}
