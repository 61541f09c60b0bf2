//! An API server for tests, on a port of this host: it lists, page by page, and lets watch, and fails as told. It
//! stands in for a cluster, which these tests do not have; what it does not know of is answered with 404.

use std::{
    collections::BTreeSet,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch::{Receiver, Sender, channel},
    task::JoinHandle,
};

/// The server; dropped, it is down.
pub struct Server {
    pub address: SocketAddr,
    world: Arc<Mutex<World>>,
    /// Tells of changes to the world.
    news: Sender<()>,
    listening: JoinHandle<()>,
}

/// What it has and how it behaves.
#[derive(Default)]
struct World {
    version: u64,
    /// Resource and object.
    objects: Vec<(&'static str, Value)>,
    /// Resource, version and event of all changes.
    events: Vec<(&'static str, u64, Value)>,
    /// Changes up to this version cannot be told any more.
    expired: u64,
    /// Verbs and resources that are answered with this status; the verb `any` is all, the status 200 is a page
    /// that is no JSON.
    answers: Vec<(&'static str, &'static str, u16)>,
    /// Watches end before they tell anything.
    is_hasty: bool,
    /// The token that is asked for; empty: none.
    token: String,
    /// Connections made before it are to be broken.
    age: u64,
    /// `VERB RESOURCE`, and the query.
    requests: Vec<(String, String)>,
}

const RESOURCES: [(&str, &str); 5] = [
    ("/api/v1/pods", "pods"),
    ("/api/v1/services", "services"),
    ("/api/v1/nodes", "nodes"),
    ("/apis/discovery.k8s.io/v1/endpointslices", "endpointslices"),
    ("/apis/batch/v1/namespaces/shop/jobs/", "jobs"),
];

/// What stands in a page that is no answer of an API server.
pub const PAGE: &str = "<html>please log in, hush</html>";

impl Server {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let world = Arc::new(Mutex::new(World { version: 1, ..World::default() }));
        let news = channel(()).0;
        let listening = tokio::spawn(listen(listener, Arc::clone(&world), news.clone()));
        Self { address, world, news, listening }
    }

    fn change<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        let changed = change(&mut lock(&self.world));
        self.news.send_replace(());
        changed
    }

    /// Adds an object, or changes the one with its UID.
    pub fn put(&self, resource: &'static str, object: Value) {
        self.change(|world| world.put(resource, object));
    }

    /// Deletes the object with this UID; `last` is what watches are told of it, if not what it was.
    pub fn delete(&self, resource: &'static str, uid: &str, last: Option<Value>) {
        self.change(|world| world.delete(resource, uid, last));
    }

    /// Tells all watches of a resource at which version it is.
    pub fn bookmark(&self, resource: &'static str) {
        self.change(|world| {
            world.version += 1;
            let metadata = json!({"resourceVersion": world.version.to_string()});
            let object = json!({"kind": "Any", "apiVersion": "v1", "metadata": metadata});
            world.events.push((resource, world.version, json!({"type": "BOOKMARK", "object": object})));
        });
    }

    /// Forgets what has changed, and breaks the connections of those who watch for it.
    pub fn expire(&self) {
        self.change(|world| {
            world.version += 1;
            world.expired = world.version;
            world.age += 1;
        });
    }

    /// Breaks all connections.
    pub fn cut(&self) {
        self.change(|world| world.age += 1);
    }

    /// Answers a verb on a resource with a status from now on.
    pub fn answer(&self, verb: &'static str, resource: &'static str, status: u16) {
        self.change(|world| world.answers.push((verb, resource, status)));
    }

    /// Ends every watch at once from now on.
    pub fn hurry(&self) {
        self.change(|world| {
            world.is_hasty = true;
            world.age += 1;
        });
    }

    /// Answers everything as it should, from now on.
    pub fn behave(&self) {
        self.change(|world| world.answers.clear());
    }

    /// Asks for this token.
    pub fn demand(&self, token: &str) {
        self.change(|world| world.token = token.to_owned());
    }

    /// Nobody listens any more.
    pub async fn stop(&mut self) {
        self.listening.abort();
        let _ = (&mut self.listening).await;
        self.cut();
    }

    /// Somebody listens again.
    pub async fn start_again(&mut self) {
        let listener = TcpListener::bind(self.address).await.expect("the port is free");
        self.listening = tokio::spawn(listen(listener, Arc::clone(&self.world), self.news.clone()));
    }

    /// How often it was asked with `VERB RESOURCE`.
    pub fn asked(&self, what: &str) -> usize {
        lock(&self.world).requests.iter().filter(|(request, _)| request == what).count()
    }

    /// What it was asked, each once.
    pub fn requests(&self) -> BTreeSet<String> {
        lock(&self.world).requests.iter().map(|(request, _)| request.clone()).collect()
    }

    /// The queries of all requests with `VERB RESOURCE`.
    pub fn queries(&self, what: &str) -> Vec<String> {
        lock(&self.world)
            .requests
            .iter()
            .filter(|(request, _)| request == what)
            .map(|(_, query)| query.clone())
            .collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.listening.abort();
        self.cut();
    }
}

fn lock(world: &Mutex<World>) -> MutexGuard<'_, World> {
    world.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn listen(listener: TcpListener, world: Arc<Mutex<World>>, news: Sender<()>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { return };
        let age = lock(&world).age;
        tokio::spawn(serve(stream, age, Arc::clone(&world), news.subscribe()));
    }
}

/// Serves one request. It ends with the connection; what it comes to is the client's to see.
async fn serve(
    mut stream: TcpStream,
    age: u64,
    world: Arc<Mutex<World>>,
    mut news: Receiver<()>,
) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let target = head.split(' ').nth(1).unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let (verb, resource, name) = request(path, query);
    let (status, body) = {
        let mut world = lock(&world);
        world.requests.push((format!("{verb} {resource}"), query.to_owned()));
        world.respond(verb, resource, name, query, &head)
    };
    let Some(body) = body else {
        return watch(&mut stream, resource, parameter(query, "resourceVersion"), age, &world, &mut news).await;
    };
    let head = format!("HTTP/1.1 {status} Test\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
    stream.write_all(&[head.as_bytes(), body.as_bytes()].concat()).await?;
    stream.shutdown().await
}

async fn watch(
    stream: &mut TcpStream,
    resource: &str,
    since: u64,
    age: u64,
    world: &Mutex<World>,
    news: &mut Receiver<()>,
) -> io::Result<()> {
    stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await?;
    if lock(world).is_hasty {
        return stream.write_all(b"0\r\n\r\n").await;
    }
    let mut since = since;
    loop {
        news.borrow_and_update();
        let events = {
            let world = lock(world);
            if world.age > age {
                // Dropped in the midst of a chunk, as connections are.
                return Ok(());
            }
            if since < world.expired {
                vec![json!({"type": "ERROR", "object": failure(410)})]
            } else {
                let later = world.events.iter().filter(|(of, version, _)| *of == resource && *version > since);
                later.map(|(.., event)| event.clone()).collect()
            }
        };
        since = since.max(lock(world).version);
        for event in events {
            let line = format!("{event}\n");
            stream.write_all(format!("{:x}\r\n{line}\r\n", line.len()).as_bytes()).await?;
        }
        if news.changed().await.is_err() {
            return Ok(());
        }
    }
}

/// Verb, resource and name.
fn request<'a>(path: &'a str, query: &str) -> (&'static str, &'static str, &'a str) {
    let known = RESOURCES.iter().find_map(|(prefix, resource)| Some((*resource, path.strip_prefix(prefix)?)));
    let (resource, name) = known.unwrap_or(("unknown", ""));
    let verb = match (query.contains("watch=true"), name) {
        (true, _) => "watch",
        (false, "") => "list",
        (false, _) => "get",
    };
    (verb, resource, name)
}

fn parameter(query: &str, name: &str) -> u64 {
    let pair = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    pair.and_then(|value| value.parse().ok()).unwrap_or_default()
}

fn failure(status: u16) -> Value {
    json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": status, "reason": "Test",
        "message": "hush",
    })
}

impl World {
    fn put(&mut self, resource: &'static str, mut object: Value) {
        self.version += 1;
        object["metadata"]["resourceVersion"] = self.version.to_string().into();
        let known = |(of, known): &&mut (&'static str, Value)| *of == resource && uid(known) == uid(&object);
        let what = match self.objects.iter_mut().find(known) {
            Some((_, known)) => {
                known.clone_from(&object);
                "MODIFIED"
            }
            None => {
                self.objects.push((resource, object.clone()));
                "ADDED"
            }
        };
        self.events.push((resource, self.version, json!({"type": what, "object": object})));
    }

    fn delete(&mut self, resource: &'static str, of: &str, last: Option<Value>) {
        self.version += 1;
        let index = self.objects.iter().position(|(kind, object)| *kind == resource && uid(object) == of);
        let (_, was) = self.objects.remove(index.expect("there is such an object"));
        let mut object = last.unwrap_or(was);
        object["metadata"]["resourceVersion"] = self.version.to_string().into();
        self.events.push((resource, self.version, json!({"type": "DELETED", "object": object})));
    }

    /// Status and body; `None`: a watch.
    fn respond(&self, verb: &str, resource: &str, name: &str, query: &str, head: &str) -> (u16, Option<String>) {
        let told = self.answers.iter().find(|(of_verb, of, _)| ["any", verb].contains(of_verb) && *of == resource);
        let demanded = format!("authorization: bearer {}\r\n", self.token);
        let is_known = self.token.is_empty() || head.to_ascii_lowercase().contains(&demanded);
        match told.map(|(.., status)| *status) {
            _ if !is_known => (401, Some(failure(401).to_string())),
            Some(200) => (200, Some(PAGE.to_owned())),
            Some(status) => (status, Some(failure(status).to_string())),
            None if verb == "watch" => (200, None),
            None if verb == "list" => (200, Some(self.list(resource, query))),
            None => match self
                .objects
                .iter()
                .find(|(of, object)| *of == resource && object["metadata"]["name"] == *name)
            {
                Some((_, object)) => (200, Some(json!({"metadata": object["metadata"]}).to_string())),
                None => (404, Some(failure(404).to_string())),
            },
        }
    }

    /// A page. As real ones do, it heeds no limit where anything that it remembers will do.
    fn list(&self, resource: &str, query: &str) -> String {
        let node = query.split('&').find_map(|pair| pair.strip_prefix("fieldSelector=spec.nodeName%3D"));
        let is_asked = |(of, object): &&(&'static str, Value)| {
            *of == resource && node.is_none_or(|node| object["spec"]["nodeName"] == *node)
        };
        let all: Vec<&Value> = self.objects.iter().filter(is_asked).map(|(_, object)| object).collect();
        let from = usize::try_from(parameter(query, "continue")).unwrap_or(usize::MAX);
        let limit = usize::try_from(parameter(query, "limit")).unwrap_or(usize::MAX);
        let limit = if limit == 0 || query.contains("resourceVersion=0") { usize::MAX } else { limit };
        let items: Vec<&Value> = all.iter().skip(from).take(limit).copied().collect();
        let next = from + items.len();
        let token = if next < all.len() { next.to_string() } else { String::new() };
        let metadata = json!({"resourceVersion": self.version.to_string(), "continue": token});
        json!({"kind": "List", "apiVersion": "v1", "metadata": metadata, "items": items}).to_string()
    }
}

fn uid(object: &Value) -> &str {
    object["metadata"]["uid"].as_str().expect("a uid")
}
