//! Histograms that are put together when somebody asks for them. The metrics library only has those that it counts itself.

/// Bounds of the buckets of lateness, in seconds.
pub const LATENESS_BOUNDS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 15.0, 60.0];

/// Counts of values below bounds, and their sum.
#[derive(Debug, Clone)]
pub struct Histogram {
    bounds: &'static [f64],
    /// Values in each bucket; the last one has those above all bounds.
    counts: Vec<u64>,
    sum: f64,
}

impl Histogram {
    /// An empty histogram with buckets up to these bounds, in rising order.
    pub fn new(bounds: &'static [f64]) -> Self {
        Self { bounds, counts: vec![0; bounds.len() + 1], sum: 0.0 }
    }

    /// Counts a value in. One below zero counts as zero: clocks differ.
    pub fn observe(&mut self, value: f64) {
        let value = value.max(0.0);
        let bucket = self.bounds.iter().position(|bound| value <= *bound).unwrap_or(self.bounds.len());
        self.counts[bucket] += 1;
        self.sum += value;
    }

    /// The lines of the samples, in the text format of Prometheus. `labels` stand in front of `le`, each with a comma behind it.
    pub fn samples(&self, name: &str, labels: &str) -> String {
        let mut text = String::new();
        let mut below = 0;
        let bounds = self.bounds.iter().map(ToString::to_string).chain(["+Inf".to_owned()]);
        for (bound, count) in bounds.zip(&self.counts) {
            below += count;
            text += &format!("{name}_bucket{{{labels}le=\"{bound}\"}} {below}\n");
        }
        let labels = labels.trim_end_matches(',');
        let labels = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
        text + &format!("{name}_sum{labels} {}\n{name}_count{labels} {below}\n", self.sum)
    }
}

/// What comes in front of the samples of a histogram.
pub fn head(name: &str, help: &str) -> String {
    format!("# HELP {name} {help}\n# TYPE {name} histogram\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_hold_all_that_is_below_their_bound() {
        let mut histogram = Histogram::new(&[0.5, 2.0]);
        for value in [-1.0, 0.5, 1.0, 3.0] {
            histogram.observe(value);
        }
        let samples = "a_bucket{le=\"0.5\"} 2\na_bucket{le=\"2\"} 3\na_bucket{le=\"+Inf\"} 4\na_sum 4.5\na_count 4\n";
        assert_eq!(histogram.samples("a", ""), samples);
        let labelled = histogram.samples("a", "app=\"x\",");
        assert!(labelled.starts_with("a_bucket{app=\"x\",le=\"0.5\"} 2\n"), "{labelled}");
        assert!(labelled.ends_with("a_sum{app=\"x\"} 4.5\na_count{app=\"x\"} 4\n"), "{labelled}");
    }
}
