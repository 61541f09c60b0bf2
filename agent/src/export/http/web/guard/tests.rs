use std::fs;

use super::*;

const COST: u32 = 4;

fn guard(users: &[(&str, &str)]) -> Guard {
    let users = users.iter().map(|(name, password)| {
        let hash = bcrypt::hash(password, COST).unwrap();
        ((*name).to_owned(), hash)
    });
    Guard::new(&users.collect(), None).unwrap().unwrap()
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
}

#[test]
fn without_users_and_token_there_is_no_guard() {
    assert!(Guard::new(&BTreeMap::new(), None).unwrap().is_none());
}

#[test]
fn what_was_tried_is_remembered_and_guesses_do_not_push_out_what_is_right() {
    let guard = guard(&[("alice", "right"), ("bob", "other")]);
    block_on(async {
        assert!(guard.is_right("alice", b"right").await);
        for guess in 0..REMEMBERED + 1 {
            assert!(!guard.is_right("alice", guess.to_string().as_bytes()).await);
        }
        assert!(!guard.is_right("alice", b"other").await);
        // An unknown user's password is compared with another one's, and is wrong whatever comes of it.
        assert!(!guard.is_right("carol", b"right").await);
        let remembered = guard.remembered();
        assert_eq!((remembered.right.len(), remembered.wrong.len()), (1, REMEMBERED));
        assert_eq!(remembered.find(&guard.mark(&[b"alice", b"right"])), Some(true));
        assert_eq!(remembered.find(&guard.mark(&[b"carol", b"right"])), Some(false));
        assert_eq!(remembered.find(&guard.mark(&[b"bob", b"other"])), None);
        assert_eq!(remembered.find(&guard.mark(&[b"alice", b"0"])), None);
    });
}

#[test]
fn one_password_is_tried_at_a_time_even_if_those_who_asked_are_gone() {
    let guard = guard(&[("alice", "right")]);
    block_on(async {
        let turn = Arc::clone(&guard.turn).try_acquire_owned().unwrap();
        {
            let waits = guard.is_right("alice", b"right");
            tokio::select! {
                biased;
                _ = waits => panic!("tried while it is another one's turn"),
                () = tokio::task::yield_now() => {}
            }
        }
        drop(turn);
        {
            // Gone as soon as it is tried: the turn is taken until that is over.
            let tries = guard.is_right("alice", b"right");
            tokio::select! {
                biased;
                _ = tries => {}
                () = tokio::task::yield_now() => {}
            }
        }
        assert!(guard.is_right("alice", b"right").await);
        assert_eq!(guard.turn.available_permits(), 1);
    });
}

#[test]
fn marks_tell_their_parts_apart_and_differ_from_process_to_process() {
    let guard = [guard(&[("a", "b")]), guard(&[("a", "b")])];
    assert_ne!(guard[0].mark(&[b"ab", b"c"]), guard[0].mark(&[b"a", b"bc"]));
    assert_ne!(guard[0].mark(&[b"a"]), guard[1].mark(&[b"a"]));
}

#[test]
fn tokens_that_cannot_be_meant() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("token");
    for (text, expected) in [
        ("", ": there is no token in it"),
        (" \n", ": there is no token in it"),
        ("se cret", ": a token has neither spaces nor other than ASCII characters"),
        ("s\u{e9}cret", ": a token has neither spaces nor other than ASCII characters"),
        ("one\ntwo", ": a token has neither spaces nor other than ASCII characters"),
    ] {
        fs::write(&path, text).unwrap();
        let error = Guard::new(&BTreeMap::new(), Some(&path)).unwrap_err().to_string();
        assert_eq!(error, format!("{}{expected}", path.display()));
    }
    fs::remove_file(&path).unwrap();
    let error = Guard::new(&BTreeMap::new(), Some(&path)).unwrap_err().to_string();
    assert!(error.starts_with("cannot read the bearer token file "), "{error}");
}

#[test]
fn it_shows_no_secret() {
    assert_eq!(format!("{:?}", guard(&[("alice", "right")])), "Guard { users: 1, .. }");
}
