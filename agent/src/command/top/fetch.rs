//! The agent's numbers.

use std::time::Duration;

use super::Error;
use crate::{
    command::ask::{Endpoint, Question},
    export::graph::services::Services,
};

const SERVICES: Question = Question {
    path: "/api/v1/services",
    accept: "application/json",
    patience: Duration::from_secs(8),
    // Of a service there are a few hundred bytes.
    most: 64 << 20,
};

/// The agent's numbers now.
pub async fn fetch(endpoint: &Endpoint) -> Result<Services, Error> {
    let body = endpoint.ask(&SERVICES).await?;
    let foreign =
        |error| Error::Foreign(endpoint.text(), format!("{} is not understood ({error})", SERVICES.path));
    serde_json::from_slice(&body).map_err(foreign)
}

#[cfg(test)]
mod tests {
    use std::{net::TcpListener, thread};

    use super::*;
    use crate::command::ask::testing::{answer, block_on};

    #[test]
    fn answers() {
        for (body, expected) in [
            (r#"{"time":1.5,"version":"1","bounds":[0.1],"services":[],"new":{}}"#, Ok(1.5)),
            (
                "<html>",
                Err(" is no redtap, or not of a version that knows this: /api/v1/services is not understood \
                     (expected value at line 1 column 1)"),
            ),
        ] {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let url = format!("http://{}", listener.local_addr().unwrap());
            let text = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            let server = thread::spawn(move || answer(listener.accept().unwrap().0, &text));
            let services = block_on(fetch(&Endpoint::parse(&url).unwrap()));
            let told = services.map(|services| services.time).map_err(|error| error.to_string());
            assert_eq!(told, expected.map_err(|error| format!("{url}{error}")));
            assert!(server.join().unwrap().starts_with("GET /api/v1/services HTTP/1.1\r\n"));
        }
    }
}
