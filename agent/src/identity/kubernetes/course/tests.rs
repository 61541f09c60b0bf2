use kube::core::Status as ApiStatus;

use super::*;

/// What the watch reports: `list 403`, `start 410` (a watch does not begin), `watch 500` (an event of it says so),
/// `list broken`, `start broken`, `watch broken`, `list garbled`, `watch garbled`.
fn error(text: &str) -> watcher::Error {
    let (verb, what) = text.split_once(' ').expect("a verb and a failure");
    let garbled = || serde_json::from_str::<u8>("x").expect_err("no number");
    let error = match what {
        "broken" => kube::Error::Service("no connection".into()),
        "garbled" => kube::Error::SerdeError(garbled()),
        code => {
            let answer = ApiStatus::failure("hush", "Test").with_code(code.parse().expect("a status"));
            if verb == "watch" {
                return watcher::Error::WatchError(answer.boxed());
            }
            kube::Error::Api(answer.boxed())
        }
    };
    match verb {
        "list" => watcher::Error::InitialListFailed(error),
        "start" => watcher::Error::WatchStartFailed(error),
        _ => watcher::Error::WatchFailed(error),
    }
}

/// The steps of a course: what is done, and for how many seconds it is waited before it, chance apart.
fn steps(history: &str) -> (Vec<String>, Arc<Status>) {
    let status = Arc::new(Status::default());
    let mut course = Course::new(Resource::Pods, "nothing is known", Arc::clone(&status), Pace::default());
    let mut told = Vec::new();
    for word in history.split(',').map(str::trim) {
        match word {
            "listed" => course.works(Verb::List),
            "changed" => course.works(Verb::Watch),
            _ => {
                let (what, wait) = match course.failed(&error(word)) {
                    Step::GoOn(wait) => ("go on", wait),
                    Step::Anew(wait) => ("anew", wait),
                    Step::Lost(wait) => ("lost", wait),
                    Step::End => ("end", Duration::ZERO),
                };
                let waits = [0.0, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 300.0];
                let near = |of: &&f64| (0.74 * **of..=1.26 * **of).contains(&wait.as_secs_f64());
                let wait = waits.iter().find(near).unwrap_or_else(|| panic!("{wait:?} in {history}"));
                told.push(format!("{what} {wait}"));
            }
        }
    }
    (told, status)
}

#[tokio::test]
async fn every_failure_has_its_step() {
    for (what, history, expected) in [
        ("an absent server", "list broken, list broken, start broken", "go on 0.8, go on 1.6, go on 3.2"),
        (
            "a server that is back",
            "list broken, list broken, listed, watch broken",
            "go on 0.8, go on 1.6, go on 0.8",
        ),
        ("a version that is too old", "watch 410", "go on 0.8"),
        ("a version that is too old to begin with", "start 410", "anew 0.8"),
        ("and ever again", "start 410, listed, start 410, listed, start 410", "anew 0.8, anew 1.6, anew 3.2"),
        ("a change that cannot be read", "watch garbled, watch garbled", "go on 0, go on 0"),
        ("a list that cannot be read", "list garbled, list garbled", "go on 0.8, go on 1.6"),
        ("a server in trouble", "list 500, list 429, list 503", "go on 0.8, go on 1.6, go on 3.2"),
        (
            "a version that there is not",
            "start 504, start 504, start 504, listed, start 504",
            "go on 0.8, go on 1.6, anew 3.2, go on 6.4",
        ),
        ("an API that there is not", "list 404", "anew 300"),
        ("credentials that are no more", "list 401, list 401, list 401", "go on 0.8, go on 1.6, end 0"),
        (
            "a role without the verb",
            "list 403, list 403, list 403, list 403, list 403, list 403",
            "go on 0.8, go on 1.6, go on 3.2, go on 6.4, lost 300, lost 300",
        ),
        (
            "a server that reads its roles yet",
            "list 403, list 403, listed, list 403",
            "go on 0.8, go on 1.6, go on 0.8",
        ),
        (
            "a role without watch, listed meanwhile",
            "start 403, start 403, start 403, start 403, start 403, listed, start 403",
            "go on 0.8, go on 1.6, go on 3.2, go on 6.4, lost 300, lost 300",
        ),
    ] {
        assert_eq!(steps(history).0.join(", "), expected, "{what}");
    }
}

#[tokio::test]
async fn what_is_forbidden_is_so_until_that_verb_works() {
    let refused = |verb: &str| vec![format!("{verb} 403"); 5].join(", ");
    for (history, forbidden) in [
        ("list 403, list 403".to_owned(), false),
        (refused("list"), true),
        (format!("{}, listed", refused("list")), false),
        (refused("start"), true),
        (format!("{}, listed", refused("start")), true),
        (format!("{}, listed, changed", refused("start")), false),
    ] {
        let (_, status) = steps(&history);
        assert_eq!(status.snapshot()[0].forbidden, forbidden, "{history}");
    }
}

#[tokio::test]
async fn every_failure_is_counted_by_its_kind() {
    for (failed, kind) in [
        ("list 403", Failure::Forbidden),
        ("list 401", Failure::Unauthorized),
        ("watch 410", Failure::Expired),
        ("start 410", Failure::Expired),
        ("list 500", Failure::Refused),
        ("list garbled", Failure::Decode),
        ("watch broken", Failure::Unreachable),
    ] {
        let (_, status) = steps(failed);
        let counts = status.snapshot()[0].failures;
        assert!(
            counts.iter().all(|(failure, count)| *count == u64::from(*failure == kind)),
            "{failed}: {counts:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn failures_far_apart_are_no_series() {
    let mut course = Course::new(Resource::Pods, "", Arc::default(), Pace::default());
    for _ in 0..9 {
        let Step::GoOn(wait) = course.failed(&error("start broken")) else { panic!("it goes on") };
        assert!(wait < Duration::from_millis(1100), "{wait:?}");
        tokio::time::advance(Duration::from_secs(500)).await;
    }
}
