use super::*;

fn paused() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
}

fn names(web: &Web) -> Vec<String> {
    web.current().headers.iter().map(|(name, _)| name.to_string()).collect()
}

#[test]
fn files_are_looked_at_once_a_second_and_a_broken_one_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("web.yml");
    let header = |name: &str| {
        fs::write(&path, format!("http_server_config:\n  headers:\n    {name}: x\n")).unwrap();
    };
    paused().block_on(async {
        header("X-XSS-Protection");
        let web = Web::new(Some(&path)).unwrap();
        assert_eq!(names(&web), ["x-xss-protection"]);
        header("Content-Security-Policy");
        assert_eq!(names(&web), ["x-xss-protection"]);
        tokio::time::advance(LOOK).await;
        assert_eq!(names(&web), ["content-security-policy"]);
        let same = web.current();
        tokio::time::advance(LOOK).await;
        assert!(Arc::ptr_eq(&same, &web.current()), "an unchanged file is not read again");
        fs::remove_file(&path).unwrap();
        tokio::time::advance(LOOK).await;
        assert_eq!(names(&web), ["content-security-policy"]);
        header("Cache-Control");
        tokio::time::advance(LOOK).await;
        assert_eq!(names(&web), ["content-security-policy"]);
        header("Strict-Transport-Security");
        tokio::time::advance(LOOK).await;
        assert_eq!(names(&web), ["strict-transport-security"]);
    });
}

#[test]
fn a_file_that_is_not_there_is_an_error_at_the_beginning() {
    let error = Web::new(Some(Path::new("/nonexistent/web.yml"))).unwrap_err().to_string();
    assert!(error.starts_with("cannot read the web configuration file /nonexistent/web.yml: "), "{error}");
}

#[test]
fn answers_keep_their_own_fields() {
    let settings = Settings {
        headers: vec![
            (HeaderName::from_static("x-frame-options"), HeaderValue::from_static("deny")),
            (HeaderName::from_static("content-security-policy"), HeaderValue::from_static("configured")),
        ],
        ..Settings::default()
    };
    let mut headers = HeaderMap::new();
    headers.insert("content-security-policy", HeaderValue::from_static("own"));
    settings.complete(&mut headers);
    assert_eq!(
        (&headers["x-frame-options"], &headers["content-security-policy"]),
        (&HeaderValue::from_static("deny"), &HeaderValue::from_static("own"))
    );
}
