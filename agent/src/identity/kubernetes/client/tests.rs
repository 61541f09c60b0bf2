use super::*;

#[test]
fn requests_are_told_apart_by_their_paths() {
    for (path, resource) in [
        ("/api/v1/pods", Resource::Pods),
        ("/api/v1/services", Resource::Services),
        ("/apis/discovery.k8s.io/v1/endpointslices", Resource::EndpointSlices),
        ("/api/v1/nodes", Resource::Nodes),
        ("/apis/batch/v1/namespaces/pods/jobs/services", Resource::Jobs),
        ("/k8s/clusters/nodes/api/v1/services", Resource::Services),
        ("/version", Resource::Pods),
    ] {
        assert_eq!(asked_for(path), resource, "{path}");
    }
}

#[tokio::test]
async fn a_client_speaks_tls_with_the_providers_that_there_are() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("config");
    let text = r#"{"current-context": "a", "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
        "clusters": [{"name": "a", "cluster": {"server": "https://127.0.0.1:1", "insecure-skip-tls-verify": true}}],
        "users": [{"name": "a", "user": {"token": "hush"}}]}"#;
    std::fs::write(&file, text).expect("a file");
    let client = connect(&Access::Kubeconfig(vec![file]), &Arc::default(), Pace::default()).await;
    assert!(client.is_ok(), "{:?}", client.err());
}
