//! The tables.

use super::crowd::{Figures, Load};
use super::{Contestant, Visit};

/// Prints medians over the rounds, and the median of the ratios to the first contestant within each round.
pub(crate) fn print(visits: &[Visit], contestants: &[Contestant], loads: &[Load], rounds: usize) {
    println!("medians of {rounds} rounds, ratios to the first");
    println!(
        "| subscribers | load | server | CPU, µs a delivery | deliveries/s | p50, ms | p99, ms |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    let mut counts: Vec<usize> = visits.iter().map(|visit| visit.subscribers).collect();
    counts.sort_unstable();
    counts.dedup();
    for count in counts {
        let of = |contestant: Contestant| -> Vec<&Visit> {
            let all = visits.iter();
            all.filter(|visit| visit.contestant == contestant && visit.subscribers == count)
                .collect()
        };
        let base = of(contestants[0]);
        for (nth, load) in loads.iter().enumerate() {
            for &contestant in contestants {
                let these = of(contestant);
                let cell = |figure: fn(&Figures) -> f64| {
                    let each = |visits: &[&Visit]| -> Vec<f64> {
                        visits
                            .iter()
                            .map(|visit| figure(&visit.figures[nth]))
                            .collect()
                    };
                    let (values, base) = (each(&these), each(&base));
                    let ratios = values.iter().zip(&base).map(|(one, other)| one / other);
                    format!(
                        "{} ×{:.2}",
                        short(median(values.clone())),
                        median(ratios.collect())
                    )
                };
                println!(
                    "| {count} | {load} | {contestant:?} | {} | {} | {} | {} |",
                    cell(|figures| figures.cpu_micros),
                    cell(|figures| figures.deliveries_per_second),
                    cell(|figures| figures.p50_ms),
                    cell(|figures| figures.p99_ms),
                );
            }
        }
        for &contestant in contestants {
            let these = of(contestant);
            let memory = |figure: fn(&Visit) -> f64| {
                median(these.iter().map(|visit| figure(visit)).collect())
            };
            println!(
                "{count} subscribers, {contestant:?}: {:.2} KiB an idle connection, {:.2} KiB after a burst of 1 MiB; \
                 p99 of a GET meanwhile {:.2} ms",
                memory(|visit| visit.idle_kib),
                memory(|visit| visit.after_burst_kib),
                memory(|visit| visit.guest_ms),
            );
        }
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn short(value: f64) -> String {
    match value {
        value if value >= 1e6 => format!("{:.2} M", value / 1e6),
        value if value >= 1e3 => format!("{:.0} k", value / 1e3),
        value => format!("{value:.2}"),
    }
}
