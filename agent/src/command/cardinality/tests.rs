use super::*;

/// As redtap writes it, shortened.
const PAGE: &str = r#"# HELP redtap_build What this agent was built from.
# TYPE redtap_build info
redtap_build_info{version="0.1.0"} 1
# HELP http_server_request_duration_seconds Duration of HTTP server requests.
# TYPE http_server_request_duration_seconds histogram
# UNIT http_server_request_duration_seconds seconds
http_server_request_duration_seconds_bucket{service_name="cart",url_scheme="http",http_response_status_code="200",le="0.1"} 3 # {trace_id="4bf9}2f"} 0.07 1.5
http_server_request_duration_seconds_bucket{service_name="cart",url_scheme="http",http_response_status_code="200",le="+Inf"} 4
http_server_request_duration_seconds_count{service_name="cart",url_scheme="http",http_response_status_code="200"} 4
http_server_request_duration_seconds_sum{service_name="cart",url_scheme="http",http_response_status_code="200"} 0.5
http_server_request_duration_seconds_bucket{service_name="cart",url_scheme="http",http_response_status_code="500",error_type="500",le="0.1"} 0
http_server_request_duration_seconds_bucket{service_name="cart",url_scheme="http",http_response_status_code="500",error_type="500",le="+Inf"} 1
http_server_request_duration_seconds_count{service_name="cart",url_scheme="http",http_response_status_code="500",error_type="500"} 1
http_server_request_duration_seconds_sum{service_name="cart",url_scheme="http",http_response_status_code="500",error_type="500"} 1.5
http_server_request_duration_seconds_bucket{service_name="web \"<a>\" & co",url_scheme="http",http_response_status_code="200",le="0.1"} 1
http_server_request_duration_seconds_bucket{service_name="web \"<a>\" & co",url_scheme="http",http_response_status_code="200",le="+Inf"} 1
http_server_request_duration_seconds_count{service_name="web \"<a>\" & co",url_scheme="http",http_response_status_code="200"} 1
http_server_request_duration_seconds_sum{service_name="web \"<a>\" & co",url_scheme="http",http_response_status_code="200"} 0.05
# TYPE redtap_tcp_bytes counter
redtap_tcp_bytes_total{service_name="cart",peer="db",server_port="5432",direction="sent"} 10
redtap_tcp_bytes_total{service_name="cart",peer="db",server_port="5432",direction="received"} 10
redtap_tcp_bytes_total{service_name="cart",peer="cache",server_port="6379",direction="sent"} 10
redtap_tcp_bytes_total{service_name="cart",peer="cache",server_port="6379",direction="received"} 10
# TYPE redtap_segments_pending gauge
redtap_segments_pending 0
# EOF
"#;

fn shown(text: &str, rows: usize) -> String {
    let mut report = Report::new(&Page::parse(text).unwrap());
    report.truncate(rows);
    text::tables(&report, rows)
}

#[test]
fn tables() {
    insta::assert_snapshot!(shown(PAGE, 10), @r#"
    18 series of 9 sets of attributes

    metrics that cost the most
      SERIES     %  SETS  METRIC
          12  66.7     3  http_server_request_duration_seconds
           4  22.2     4  redtap_tcp_bytes
           1   5.6     1  redtap_build
           1   5.6     1  redtap_segments_pending

    what leaving a label out of all metrics saves
      SAVES     %  VALUES  METRICS  LABEL         EXCLUDE_ATTRIBUTES
          4  22.2       2        2  service_name  *:service_name
          3  16.7       2        1  le            *:le
          2  11.1       2        1  direction     *:direction

    what leaving a label out of one metric saves
      SAVES     %  VALUES  LABEL         EXCLUDE_ATTRIBUTES
          4  22.2       2  service_name  http_server_request_duration_seconds:service_name
          3  16.7       2  le            http_server_request_duration_seconds:le
          2  11.1       2  direction     redtap_tcp_bytes:direction

    labels that never change (they cost bytes, no series)
      url_scheme="http" in 1 metric

    labels that follow from others (leaving out the right one alone saves nothing)
      peer <-> server_port in 1 metric; without both 2 series fewer
      http_response_status_code -> error_type in 1 metric; without both 4 series fewer
    "#);
    insta::assert_snapshot!(shown(PAGE, 1), @r#"
    18 series of 9 sets of attributes

    metrics that cost the most
      SERIES     %  SETS  METRIC
          12  66.7     3  http_server_request_duration_seconds

    what leaving a label out of all metrics saves
      SAVES     %  VALUES  METRICS  LABEL         EXCLUDE_ATTRIBUTES
          4  22.2       2        2  service_name  *:service_name

    what leaving a label out of one metric saves
      SAVES     %  VALUES  LABEL         EXCLUDE_ATTRIBUTES
          4  22.2       2  service_name  http_server_request_duration_seconds:service_name

    labels that never change (they cost bytes, no series)
      url_scheme="http" in 1 metric

    labels that follow from others (leaving out the right one alone saves nothing)
      peer <-> server_port in 1 metric; without both 2 series fewer
    "#);
    insta::assert_snapshot!(shown("# EOF\n", 10), @"0 series of 0 sets of attributes");
}

#[test]
fn a_document() {
    let mut report = Report::new(&Page::parse(PAGE).unwrap());
    report.truncate(1);
    insta::assert_snapshot!(serde_json::to_string_pretty(&report).unwrap(), @r#"
    {
      "series": 18,
      "sets": 9,
      "metrics": [
        {
          "name": "http_server_request_duration_seconds",
          "kind": "histogram",
          "series": 12,
          "sets": 3,
          "labels": [
            {
              "label": "service_name",
              "metrics": 1,
              "values": 2,
              "saves": 4,
              "exclude": "http_server_request_duration_seconds:service_name"
            }
          ]
        }
      ],
      "labels": [
        {
          "label": "service_name",
          "metrics": 2,
          "values": 2,
          "saves": 4,
          "exclude": "*:service_name"
        }
      ],
      "constant": [
        {
          "label": "url_scheme",
          "value": "http",
          "metrics": 1
        }
      ],
      "redundant": [
        {
          "label": "peer",
          "follows": "server_port",
          "identical": true,
          "metrics": 1,
          "saves_both": 2
        }
      ]
    }
    "#);
}

#[test]
fn a_picture() {
    let page = "# TYPE redtap_tcp_bytes counter\n\
                redtap_tcp_bytes_total{service_name=\"a\",peer=\"<&\\\"\",direction=\"sent\"} 1\n\
                redtap_tcp_bytes_total{service_name=\"a\",peer=\"b\",direction=\"sent\"} 1\n";
    let picture = svg::flame_graph(&Page::parse(page).unwrap());
    insta::assert_snapshot!(picture, @r##"
    <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1200 125" width="1200" height="125" font-family="monospace" font-size="11">
    <title>series by service, metric and attribute</title>
    <style>rect{stroke:#fff;stroke-width:0.5}g:hover rect{stroke:#000}</style>
    <rect width="100%" height="100%" fill="#fff"/>
    <text x="4" y="17">2 series by service, metric and attribute</text>
    <g><title>all services: 2 series (100.0 %)</title><rect x="0.0" y="26" width="1200.0" height="18" fill="#d8d8d8"/><text x="3.0" y="39">all services</text></g>
    <g><title>a: 2 series (100.0 %)</title><rect x="0.0" y="44" width="1200.0" height="18" fill="#9ecae1"/><text x="3.0" y="57">a</text></g>
    <g><title>redtap_tcp_bytes: 2 series (100.0 %)</title><rect x="0.0" y="62" width="1200.0" height="18" fill="#a1d99b"/><text x="3.0" y="75">redtap_tcp_bytes</text></g>
    <g><title>direction=sent: 2 series (100.0 %)</title><rect x="0.0" y="80" width="1200.0" height="18" fill="hsl(18,76%,72%)"/><text x="3.0" y="93">direction=sent</text></g>
    <g><title>peer=&lt;&amp;&quot;: 1 series (50.0 %)</title><rect x="0.0" y="98" width="600.0" height="18" fill="hsl(49,85%,72%)"/><text x="3.0" y="111">peer=&lt;&amp;&quot;</text></g>
    <g><title>peer=b: 1 series (50.0 %)</title><rect x="600.0" y="98" width="600.0" height="18" fill="hsl(49,85%,72%)"/><text x="603.0" y="111">peer=b</text></g>
    </svg>
    "##);
    // Each series is in the picture once: the services' frames are as wide together as all.
    let picture = svg::flame_graph(&Page::parse(PAGE).unwrap());
    let services = picture.lines().filter(|line| line.contains("#9ecae1"));
    let series = services.map(|line| {
        let words = line.split(" series (").next().unwrap();
        words.rsplit(' ').next().unwrap().parse::<usize>().unwrap()
    });
    assert_eq!(series.collect::<Vec<_>>(), [12, 4, 2]);
    assert!(svg::flame_graph(&Page::default()).ends_with("</svg>\n"));
}

/// What the table promises is what is left once the label is not on the page.
#[test]
fn savings_are_exact() {
    let report = Report::new(&Page::parse(PAGE).unwrap());
    for cost in &report.labels {
        let pattern = regex::Regex::new(&format!(r#"\b{}="(\\.|[^"\\])*",?"#, cost.label)).unwrap();
        let lines = PAGE.lines().filter(|line| !line.starts_with('#'));
        let left: std::collections::HashSet<_> = lines
            .map(|line| {
                let line = line.split(" # ").next().unwrap().rsplit_once(' ').unwrap().0;
                pattern.replace(line, "").replace(",}", "}")
            })
            .collect();
        assert_eq!(report.series - left.len(), cost.saves, "{}", cost.label);
    }
    assert_eq!(report.series, 18);
}

#[test]
fn what_is_redtaps_can_be_excluded() {
    let page = "# TYPE up gauge\nup{job=\"a\"} 1\nup{job=\"b\"} 1\n# TYPE redtap_tcp_bytes counter\n\
                redtap_tcp_bytes_total{peer=\"a\",otel_metric_overflow=\"true\"} 1\nredtap_tcp_bytes_total{peer=\"b\"} 1\n";
    let report = Report::new(&Page::parse(page).unwrap());
    let costs = report.metrics.iter().flat_map(|metric| &metric.labels).chain(&report.labels);
    let mut exclusions: Vec<_> = costs.map(|cost| (cost.label.as_str(), cost.exclude.as_deref())).collect();
    exclusions.sort_unstable();
    assert_eq!(
        exclusions,
        [
            ("job", None),
            ("job", None),
            ("otel_metric_overflow", None),
            ("otel_metric_overflow", None),
            ("peer", Some("*:peer")),
            ("peer", Some("redtap_tcp_bytes:peer")),
        ]
    );
}

#[test]
fn pages_of_others() {
    for (text, expected) in [
        ("a 1\na{b=\"c\"} 2 1700000000000\n", Ok("a unknown 2")),
        ("# TYPE a counter\na_total{} +Inf\n\n# a comment\nb NaN\n", Ok("a counter 1, b unknown 1")),
        ("# TYPE \"a.b\" gauge\n{\"a.b\", \"c.d\"=\"e\\\\\\n\\\"\"} 1\n", Ok("a.b gauge 1")),
        ("a{b=\"}\", c=\"{\"} 1", Ok("a unknown 1")),
        ("a\n", Err("line 1 is not of a page of metrics: a sample has a name and a value")),
        ("a 1\na b\n", Err("line 2 is not of a page of metrics: a sample has a name and a number")),
        ("a{b=\"c} 1\n", Err("line 1 is not of a page of metrics: a label's value has no end")),
        ("a{b=c} 1\n", Err("line 1 is not of a page of metrics: a label's value stands in quotation marks")),
        ("a{b\n", Err("line 1 is not of a page of metrics: the labels have no end")),
        ("a{b} 1\n", Err("line 1 is not of a page of metrics: a label has a value")),
        ("a{=\"b\"} 1\n", Err("line 1 is not of a page of metrics: a label has a name")),
        ("a{}\n", Err("line 1 is not of a page of metrics: a sample has a value")),
        ("<html>\n", Err("line 1 is not of a page of metrics: a sample has a name and a value")),
    ] {
        let page = Page::parse(text);
        let families = page.as_ref().map_err(ToString::to_string).map(|page| {
            let families = page.families.iter();
            let families =
                families.map(|family| format!("{} {} {}", family.name, family.kind, family.series.len()));
            families.collect::<Vec<_>>().join(", ")
        });
        assert_eq!(families, expected.map(str::to_owned).map_err(str::to_owned), "{text}");
    }
}

#[test]
fn a_file_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("page.txt");
    std::fs::write(&path, PAGE).unwrap();
    assert_eq!(read(&path).unwrap(), PAGE);
    let error = read(&folder.path().join("missing")).unwrap_err().to_string();
    assert!(error.starts_with("cannot read ") && error.contains("missing: No such file"), "{error}");
}

proptest::proptest! {
    #![proptest_config(crate::testing::deterministic(256))]

    #[test]
    fn any_text_is_read_or_refused(text in "[a-c{}=\",\\\\ \n#1T]{0,60}") {
        if let Ok(page) = Page::parse(&text) {
            let report = Report::new(&page);
            proptest::prop_assert!(report.labels.iter().all(|cost| cost.saves <= report.series));
            proptest::prop_assert!(svg::flame_graph(&page).ends_with("</svg>\n"));
        }
    }
}
