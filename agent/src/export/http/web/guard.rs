//! Who is let in: users with passwords (RFC 7617), and whoever has the token (RFC 6750).

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use rustls::crypto::ring;
use sha2::{Digest, Sha256};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::spawn_blocking,
};

use super::{WebError, text};

/// Passwords of which it is known whether they are right, and as many of which it is known that they are not. Those
/// who guess can push out each other, but not those who know.
const REMEMBERED: usize = 100;

/// Digest of a secret with a salt of this process.
type Mark = [u8; 32];

/// Lets in or refuses.
pub struct Guard {
    users: BTreeMap<String, Arc<str>>,
    token: Option<Mark>,
    salt: [u8; 16],
    remembered: Mutex<Remembered>,
    /// One password is tried at a time: trying takes tens of milliseconds of a processor by design, and nobody outside
    /// is to have more than one of them.
    turn: Arc<Semaphore>,
}

#[derive(Default)]
struct Remembered {
    right: VecDeque<Mark>,
    wrong: VecDeque<Mark>,
}

impl Guard {
    /// Of users with the bcrypt hashes of their passwords, and of a file with a token; `None` without both.
    ///
    /// # Errors
    /// If the file is unusable.
    pub fn new(users: &BTreeMap<String, String>, token: Option<&Path>) -> Result<Option<Self>, WebError> {
        if users.is_empty() && token.is_none() {
            return Ok(None);
        }
        let mut salt = [0; 16];
        ring::default_provider().secure_random.fill(&mut salt).map_err(|_| WebError::Random)?;
        let mut guard = Self {
            users: users.iter().map(|(name, hash)| (name.clone(), Arc::from(hash.as_str()))).collect(),
            token: None,
            salt,
            remembered: Mutex::default(),
            turn: Arc::new(Semaphore::new(1)),
        };
        if let Some(path) = token {
            let what = "the bearer token file";
            let text = text(what, path)?;
            let token = text.trim();
            let refused = |message: &str| WebError::Invalid { path: path.to_owned(), message: message.to_owned() };
            if token.is_empty() {
                return Err(refused("there is no token in it"));
            }
            if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(refused("a token has neither spaces nor other than ASCII characters"));
            }
            guard.token = Some(guard.mark(&[token.as_bytes()]));
        }
        Ok(Some(guard))
    }

    /// The answer to whoever is not let in; `None` for whoever is.
    pub async fn refusal(&self, headers: &HeaderMap) -> Option<Response> {
        let mut fields = headers.get_all(header::AUTHORIZATION).iter();
        let given = match (fields.next(), fields.next()) {
            (Some(field), None) => self.admits(field.as_bytes()).await,
            _ => false,
        };
        (!given).then(|| self.challenge())
    }

    async fn admits(&self, field: &[u8]) -> bool {
        let mut words = field.splitn(2, |byte| *byte == b' ');
        let (Some(scheme), Some(credentials)) = (words.next(), words.next()) else { return false };
        let credentials = credentials.trim_ascii();
        if scheme.eq_ignore_ascii_case(b"bearer") {
            return self.token.is_some_and(|token| token == self.mark(&[credentials]));
        }
        if !scheme.eq_ignore_ascii_case(b"basic") {
            return false;
        }
        let Ok(decoded) = BASE64_STANDARD.decode(credentials) else { return false };
        let mut parts = decoded.splitn(2, |byte| *byte == b':');
        let (Some(Ok(user)), Some(password)) = (parts.next().map(str::from_utf8), parts.next()) else {
            return false;
        };
        self.is_right(user, password).await
    }

    /// Whether the user is known and the password is his. An unknown user's is tried against another one's, so that it
    /// takes as long.
    async fn is_right(&self, user: &str, password: &[u8]) -> bool {
        let known = self.users.get(user);
        let Some(hash) = known.or_else(|| self.users.values().next()) else { return false };
        let mark = self.mark(&[user.as_bytes(), password]);
        if let Some(right) = self.remembered().find(&mark) {
            return right;
        }
        let Ok(turn) = Arc::clone(&self.turn).acquire_owned().await else { return false };
        // The one before may have tried the same.
        if let Some(right) = self.remembered().find(&mark) {
            return right;
        }
        let right = matches(turn, password.to_vec(), Arc::clone(hash)).await && known.is_some();
        self.remembered().keep(mark, right);
        right
    }

    fn challenge(&self) -> Response {
        let mut response = (StatusCode::UNAUTHORIZED, Body::from("Unauthorized\n")).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        if !self.users.is_empty() {
            let basic = HeaderValue::from_static("Basic realm=\"redtap\", charset=\"UTF-8\"");
            headers.append(header::WWW_AUTHENTICATE, basic);
        }
        if self.token.is_some() {
            let bearer = HeaderValue::from_static("Bearer realm=\"redtap\"");
            headers.append(header::WWW_AUTHENTICATE, bearer);
        }
        response
    }

    /// Comparing two of them tells nothing of what they are of, however long it takes.
    fn mark(&self, parts: &[&[u8]]) -> Mark {
        let mut digest = Sha256::new_with_prefix(self.salt);
        for part in parts {
            digest.update(part.len().to_le_bytes());
            digest.update(part);
        }
        digest.finalize().into()
    }

    fn remembered(&self) -> std::sync::MutexGuard<'_, Remembered> {
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the password has this hash. The turn lasts as long as the trying, even if nobody waits for it any more.
async fn matches(turn: OwnedSemaphorePermit, password: Vec<u8>, hash: Arc<str>) -> bool {
    let tried = spawn_blocking(move || {
        let right = bcrypt::verify(password, &hash);
        drop(turn);
        right
    });
    matches!(tried.await, Ok(Ok(true)))
}

impl Remembered {
    fn find(&self, mark: &Mark) -> Option<bool> {
        if self.right.contains(mark) {
            return Some(true);
        }
        self.wrong.contains(mark).then_some(false)
    }

    fn keep(&mut self, mark: Mark, right: bool) {
        let list = if right { &mut self.right } else { &mut self.wrong };
        if list.len() == REMEMBERED {
            list.pop_front();
        }
        list.push_back(mark);
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Guard").field("users", &self.users.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
