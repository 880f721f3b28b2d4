//! The counters of a ringlog broker, from its admin port.

use std::time::Duration;

use crate::driver::Counters;

/// Longest wait for an answer.
const TIMEOUT: Duration = Duration::from_secs(2);

/// The counters of the broker at `bootstrap`; nothing when its admin port does not answer.
pub(crate) async fn counters(bootstrap: &str, admin: Option<&str>) -> Counters {
    let Some(address) = admin.map(str::to_owned).or_else(|| usual_admin(bootstrap)) else {
        return Counters::new();
    };
    let text = get(format!("http://{address}/metrics")).await;
    parse(&text.unwrap_or_default())
}

/// What a server on this machine answers over HTTP; none when it does not.
pub(crate) async fn get(url: String) -> Option<String> {
    let fetched = tokio::task::spawn_blocking(move || {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .timeout_global(Some(TIMEOUT))
            .build()
            .into();
        agent.get(url).call().ok()?.body_mut().read_to_string().ok()
    });
    fetched.await.ok().flatten()
}

/// The admin port of a broker that was started without a word about it: the one behind that of its clients.
fn usual_admin(bootstrap: &str) -> Option<String> {
    let (host, port) = bootstrap.split(',').next()?.rsplit_once(':')?;
    let port = port.parse::<u16>().ok()?.checked_add(1)?;
    Some(format!("{host}:{port}"))
}

/// Name with labels and value of each line of the Prometheus text format.
fn parse(text: &str) -> Counters {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let values = lines.filter_map(|line| {
        let (name, value) = line.rsplit_once(' ')?;
        let value: f64 = value.parse().ok()?;
        value.is_finite().then(|| (name.to_owned(), value))
    });
    values.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_text_format_become_counters() {
        let text = "# HELP a b\n# TYPE a counter\na{shard=\"0\"} 12\nb 0.5\nbroken\nc NaN\n";
        let counters = parse(text);
        assert_eq!(counters.len(), 2);
        assert!((counters["a{shard=\"0\"}"] - 12.0).abs() < 1e-9);
    }

    #[test]
    fn the_admin_port_lies_behind_that_of_the_clients() {
        let of = |bootstrap| usual_admin(bootstrap);
        assert_eq!(of("127.0.0.1:9400").as_deref(), Some("127.0.0.1:9401"));
        assert_eq!(of("127.0.0.1:65535"), None);
        assert_eq!(of("nonsense"), None);
    }
}
