//! Figures beside their limits, and what is asked of the distance between them.

/// One line of the last table.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Target {
    /// What was measured.
    pub(crate) what: String,
    pub(crate) figure: f64,
    /// The limit that was measured beside it, or a fixed one.
    pub(crate) limit: f64,
    /// What the limit is.
    pub(crate) limit_is: &'static str,
    /// So many times the limit the figure may be; `None`: it is only reported.
    pub(crate) asked: Option<f64>,
}

impl Target {
    fn ratio(&self) -> f64 {
        self.figure / self.limit
    }

    fn verdict(&self) -> &'static str {
        match self.asked {
            None => "",
            Some(asked) if self.ratio() <= asked => "met",
            Some(_) => "NOT MET",
        }
    }
}

/// The table, in Markdown.
pub(crate) fn table(targets: &[Target]) -> String {
    let mut lines = vec![
        "| what | figure | limit | which limit | ratio | asked for | |".to_owned(),
        format!("|{}", "---|".repeat(7)),
    ];
    lines.extend(targets.iter().map(|target| {
        let Target { what, figure, limit, limit_is, asked } = target;
        let asked = asked.map_or_else(String::new, |asked| format!("{asked:.2}"));
        let (ratio, verdict) = (target.ratio(), target.verdict());
        format!("| {what} | {figure:.1} | {limit:.1} | {limit_is} | {ratio:.2} | {asked} | {verdict} |")
    }));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_may_be_as_many_times_its_limit_as_is_asked() {
        let target = |figure, asked| Target { what: "a".to_owned(), figure, limit: 10.0, limit_is: "b", asked };
        assert_eq!(target(20.0, Some(2.0)).verdict(), "met");
        assert_eq!(target(20.1, Some(2.0)).verdict(), "NOT MET");
        assert_eq!(target(20.1, None).verdict(), "");
    }
}
