//! The status page: what a person wants to know first.

use std::fmt::{self, Write};

use crate::export::{agent::AgentSnapshot, page::Page};

const HEAD: &str = "\
<!doctype html>
<html lang=\"en\">
<meta charset=\"utf-8\">
<title>redtap</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; max-width: 44em; margin: 2em auto; padding: 0 1em }
table { border-collapse: collapse } th, td { text-align: left; padding: .1em 1.5em .1em 0; vertical-align: top }
td.number { text-align: right; font-variant-numeric: tabular-nums }
</style>
";

const LINKS: &str = "\
<p><a href=\"/metrics\">Metrics</a> · <a href=\"/api/v1/services\">services</a> · \
<a href=\"/api/v1/graph\">graph</a> · <a href=\"/nodegraph/connections\">connections</a> · \
<a href=\"/tlsparser/api/data\">TLS handshakes</a> · <a href=\"/healthz\">healthz</a> · \
<a href=\"/readyz\">readyz</a></p>
";

/// The page as HTML.
pub fn html(page: &Page) -> String {
    let mut text = String::from(HEAD);
    // Writing to a `String` cannot fail.
    let _ = write(page, &mut text);
    text
}

fn write(page: &Page, out: &mut String) -> fmt::Result {
    let agent = &page.agent;
    writeln!(out, "<h1>redtap {}</h1>", env!("CARGO_PKG_VERSION"))?;
    if let Some(process) = agent.process {
        let seconds = process.uptime.as_secs();
        let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
        write!(out, "<p>Up for {days}d {hours:02}h {minutes:02}m {:02}s; ", seconds % 60)?;
        let cpu = process.cpu.as_secs_f64();
        writeln!(out, "{cpu:.2}s of CPU time, {} KiB resident.</p>", process.resident_bytes / 1024)?;
    }
    out.push_str(LINKS);
    programs(agent, out)?;
    let flows = agent.flows.by_state();
    table("Connections followed", flows.into_iter().map(|(state, count)| (state.to_owned(), count)), out)?;
    let exchanges = page.red.exchanges.iter().filter(|(.., count)| *count > 0);
    let exchanges =
        exchanges.map(|(role, outcome, count)| (format!("{} {}", role.as_str(), outcome.as_str()), count));
    table("Exchanges", exchanges, out)?;
    let dropped = agent.all_dropped().into_iter().filter(|dropped| dropped.count > 0);
    let dropped = dropped.map(|dropped| (format!("{} {}", dropped.unit.as_str(), dropped.reason), dropped.count));
    table("Dropped", dropped, out)
}

fn programs(agent: &AgentSnapshot, out: &mut String) -> fmt::Result {
    out.push_str("<h2>Programs</h2>\n<table>\n");
    for program in &agent.programs {
        let state = if program.attached { "attached" } else { "not attached" };
        writeln!(out, "<tr><th>{}<td>{state}", Escaped(&program.name))?;
    }
    out.push_str("</table>\n");
    Ok(())
}

fn table(title: &str, rows: impl Iterator<Item = (String, u64)>, out: &mut String) -> fmt::Result {
    let mut rows = rows.peekable();
    writeln!(out, "<h2>{title}</h2>")?;
    if rows.peek().is_none() {
        out.push_str("<p>None.</p>\n");
        return Ok(());
    }
    out.push_str("<table>\n");
    for (name, count) in rows {
        writeln!(out, "<tr><th>{}<td class=\"number\">{count}", Escaped(&name))?;
    }
    out.push_str("</table>\n");
    Ok(())
}

/// Text inside an element.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|character| match character {
            '&' => formatter.write_str("&amp;"),
            '<' => formatter.write_str("&lt;"),
            other => formatter.write_char(other),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        exchange::{Outcome, Role},
        export::{
            agent::{Flows, Program},
            process::ProcessStats,
        },
        red,
    };

    #[test]
    fn what_a_person_sees() {
        let mut exchanges = red::ExchangeCounts::default();
        exchanges.add(Role::Server, Outcome::Ok);
        let program = |name: &'static str, attached| Program { name: name.into(), attached, run: None };
        let page = Page {
            red: red::Snapshot { exchanges, ..red::Snapshot::default() },
            agent: AgentSnapshot {
                programs: vec![program("ingress", true), program("a<b&c", false)],
                flows: Flows { http: 3, ..Flows::default() },
                process: Some(ProcessStats {
                    cpu: std::time::Duration::from_millis(1_230),
                    resident_bytes: 20 << 20,
                    uptime: std::time::Duration::from_secs(90_061),
                    ..ProcessStats::default()
                }),
                ..AgentSnapshot::default()
            },
            ..Page::default()
        };
        let text = html(&page).replace(HEAD, "").replace(env!("CARGO_PKG_VERSION"), "VERSION");
        insta::assert_snapshot!(text, @r#"
        <h1>redtap VERSION</h1>
        <p>Up for 1d 01h 01m 01s; 1.23s of CPU time, 20480 KiB resident.</p>
        <p><a href="/metrics">Metrics</a> · <a href="/api/v1/services">services</a> · <a href="/api/v1/graph">graph</a> · <a href="/nodegraph/connections">connections</a> · <a href="/tlsparser/api/data">TLS handshakes</a> · <a href="/healthz">healthz</a> · <a href="/readyz">readyz</a></p>
        <h2>Programs</h2>
        <table>
        <tr><th>ingress<td>attached
        <tr><th>a&lt;b&amp;c<td>not attached
        </table>
        <h2>Connections followed</h2>
        <table>
        <tr><th>http<td class="number">3
        <tr><th>undecided<td class="number">0
        <tr><th>opaque<td class="number">0
        <tr><th>stream<td class="number">0
        <tr><th>tls<td class="number">0
        <tr><th>dns<td class="number">0
        </table>
        <h2>Exchanges</h2>
        <table>
        <tr><th>server ok<td class="number">1
        </table>
        <h2>Dropped</h2>
        <p>None.</p>
        "#);
    }
}
