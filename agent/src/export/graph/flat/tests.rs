use super::*;
use crate::{
    export::graph::testing::{edge, handshake, requests},
    net::{EdgeView, Snapshot},
    protocol::tls::Handshake,
};

fn net() -> Snapshot {
    let edges = vec![
        edge("web 10.0.0.1", "cart 10.0.0.2", 8080),
        EdgeView { active: 1, closed: 2, ..edge("web 10.0.0.9", "cart 10.0.0.2", 80) },
        edge("web 10.0.0.1", "example.org 192.0.2.7", 443),
        EdgeView { closed: 1, ..edge("cart 10.0.0.2", "cart 10.0.0.2", 80) },
    ];
    let handshakes = vec![handshake(1, Handshake::default()), handshake(2, Handshake::default())];
    let requests = vec![requests("web", "cart", 8, 2), requests("user", "web", 1, 0)];
    Snapshot { edges, handshakes, requests, ..Snapshot::default() }
}

fn shown(text: &str) -> Graph {
    graph(&net(), &Query::parse(Some(text)).unwrap())
}

#[test]
fn rows() {
    let graph = shown("");
    let row = |row: serde_json::Result<String>| row.unwrap() + "\n";
    let nodes: String = graph.nodes.iter().map(|node| row(serde_json::to_string(node))).collect();
    insta::assert_snapshot!(nodes, @r#"
    {"id":"cart","title":"cart","subtitle":"10.0.0.2","mainstat":"8 requests","secondarystat":"25.0% failed","arc__ok":0.75,"arc__failed":0.25,"arc__other":0.0,"detail__connections":14,"detail__active":1,"detail__bytes_in":25600,"detail__bytes_out":35840,"detail__requests":8,"detail__errors":2}
    {"id":"example.org","title":"example.org","subtitle":"192.0.2.7","mainstat":"10 connections","secondarystat":"20.00KB","arc__ok":0.0,"arc__failed":0.0,"arc__other":1.0,"detail__connections":10,"detail__active":0,"detail__bytes_in":5120,"detail__bytes_out":15360,"detail__requests":0,"detail__errors":0}
    {"id":"user","title":"user","subtitle":"","mainstat":"0 connections","secondarystat":"0.00B","arc__ok":0.0,"arc__failed":0.0,"arc__other":1.0,"detail__connections":0,"detail__active":0,"detail__bytes_in":0,"detail__bytes_out":0,"detail__requests":0,"detail__errors":0}
    {"id":"web","title":"web","subtitle":"2 addresses","mainstat":"1 request","secondarystat":"0.0% failed","arc__ok":1.0,"arc__failed":0.0,"arc__other":0.0,"detail__connections":23,"detail__active":1,"detail__bytes_in":46080,"detail__bytes_out":15360,"detail__requests":1,"detail__errors":0}
    "#);
    let edges: String = graph.edges.iter().map(|edge| row(serde_json::to_string(edge))).collect();
    insta::assert_snapshot!(edges, @r#"
    {"id":"cart -> cart","source":"cart","target":"cart","mainstat":"1 connection","secondarystat":"20.00KB","detail__ports":"80","detail__active":0,"detail__closed":1,"detail__bytes_sent":5120,"detail__bytes_received":15360,"detail__retransmits":2,"detail__http_requests":0,"detail__http_failed":0,"detail__http_mean_ms":null,"detail__tls_handshakes":0}
    {"id":"user -> web","source":"user","target":"web","mainstat":"1 request","secondarystat":"0.0% failed","detail__ports":"","detail__active":0,"detail__closed":0,"detail__bytes_sent":0,"detail__bytes_received":0,"detail__retransmits":0,"detail__http_requests":1,"detail__http_failed":0,"detail__http_mean_ms":20.0,"detail__tls_handshakes":0}
    {"id":"web -> cart","source":"web","target":"cart","mainstat":"8 requests","secondarystat":"25.0% failed","detail__ports":"80, 8080","detail__active":1,"detail__closed":12,"detail__bytes_sent":10240,"detail__bytes_received":30720,"detail__retransmits":4,"detail__http_requests":8,"detail__http_failed":2,"detail__http_mean_ms":20.0,"detail__tls_handshakes":0}
    {"id":"web -> example.org","source":"web","target":"example.org","mainstat":"10 connections","secondarystat":"20.00KB","detail__ports":"443","detail__active":0,"detail__closed":10,"detail__bytes_sent":5120,"detail__bytes_received":15360,"detail__retransmits":2,"detail__http_requests":0,"detail__http_failed":0,"detail__http_mean_ms":null,"detail__tls_handshakes":6}
    "#);
    assert_eq!(serde_json::to_string(&Graph::default()).unwrap(), r#"{"nodes":[],"edges":[]}"#);
}

#[test]
fn every_edge_has_its_nodes_whatever_is_asked_for() {
    for (text, expected) in [
        ("", 4),
        ("include=example", 1),
        ("exclude=^cart$", 2),
        ("include=^10.0.0.9$", 1),
        ("to=0", 1),
        ("include=user", 1),
        ("exclude=.", 0),
    ] {
        let graph = shown(text);
        let nodes: Vec<_> = graph.nodes.iter().map(|node| &node.id).collect();
        assert_eq!(graph.edges.len(), expected, "{text}: {nodes:?}");
        for edge in &graph.edges {
            assert!(nodes.contains(&&edge.source) && nodes.contains(&&edge.target), "{text}: {edge:?}");
        }
        assert!(nodes.is_sorted_by(|a, b| a < b));
    }
}
