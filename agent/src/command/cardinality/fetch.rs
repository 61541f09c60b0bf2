//! The page of a running agent.

use std::time::Duration;

use super::Error;
use crate::command::ask::{self, Endpoint, Question};

const METRICS: Question = Question {
    path: "/metrics",
    // The formats that are read, the richer one first.
    accept: "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5",
    // A page of the most series that can be takes its time.
    patience: Duration::from_secs(30),
    most: 512 << 20,
};

/// The page now.
pub async fn fetch(endpoint: &Endpoint) -> Result<String, Error> {
    let body = endpoint.ask(&METRICS).await?;
    let text = String::from_utf8(body.into());
    Ok(text.map_err(|error| ask::Error::Http(endpoint.text(), error.utf8_error().to_string()))?)
}

#[cfg(test)]
mod tests {
    use std::{net::TcpListener, thread};

    use super::*;
    use crate::command::ask::testing::{answer, block_on};

    #[test]
    fn answers() {
        for (text, expected) in [
            ("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n# EOF\n", Ok("# EOF\n")),
            ("HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n", Err("URL answered with status 401")),
            (
                "HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n\u{e9}",
                Err("URL did not answer: incomplete utf-8 byte sequence from index 0"),
            ),
        ] {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let url = format!("http://{}", listener.local_addr().unwrap());
            let server = thread::spawn(move || answer(listener.accept().unwrap().0, text));
            let page = block_on(fetch(&Endpoint::parse(&url).unwrap()));
            let told = page.map_err(|error| error.to_string().replace(&url, "URL"));
            assert_eq!(told, expected.map(str::to_owned).map_err(str::to_owned));
            let head = server.join().unwrap();
            assert!(head.starts_with("GET /metrics HTTP/1.1\r\n") && head.contains("openmetrics"), "{head}");
        }
    }
}
