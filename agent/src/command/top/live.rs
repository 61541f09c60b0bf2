//! The live view: a thread that asks, and this one, which draws and listens to keys.

use std::{
    io::{self, IsTerminal},
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread,
    time::Duration,
};

use ratatui::{
    DefaultTerminal,
    crossterm::event::{self, Event},
};
use tokio::{
    runtime::Runtime,
    signal::unix::{SignalKind, signal},
    time::sleep,
};

use super::{Arguments, Error, fetch::fetch, render, state::State};
use crate::{command::ask::Endpoint, export::graph::services::Services};

/// How long a key is waited for before looking whether the agent has answered.
const TICK: Duration = Duration::from_millis(50);

/// What the asking thread tells.
enum Told {
    Answer(Result<Services, String>),
    Terminated,
}

/// Runs until a person ends it, or SIGTERM does.
pub fn run(arguments: &Arguments, endpoint: Endpoint, runtime: Runtime) -> Result<(), Error> {
    if !io::stdout().is_terminal() {
        let what = io::Error::other("standard output is no terminal; --once prints a table");
        return Err(Error::Io("draw", what));
    }
    let mut state = State::new(endpoint.text(), arguments.sort, arguments.filter.clone());
    // An agent that was never there is no reason to take the screen.
    state.looked(Ok(runtime.block_on(fetch(&endpoint))?));
    let (sender, told) = sync_channel(1);
    let interval = arguments.interval;
    thread::Builder::new()
        .name("redtap-ask".to_owned())
        .spawn(move || ask(&runtime, &endpoint, interval, &sender))
        .map_err(|error| Error::Io("start a thread", error))?;
    let shown = ratatui::try_init().and_then(|mut terminal| show(&mut state, &told, &mut terminal));
    let restored = ratatui::try_restore();
    shown.and(restored).map_err(|error| Error::Io("use the terminal", error))
}

fn show(state: &mut State, told: &Receiver<Told>, terminal: &mut DefaultTerminal) -> io::Result<()> {
    while !state.ended {
        terminal.draw(|frame| render::draw(state, frame))?;
        let mut changed = false;
        while !changed {
            if event::poll(TICK)? {
                if let Event::Key(key) = event::read()? {
                    state.key(key);
                }
                changed = true;
            }
            for told in told.try_iter() {
                match told {
                    Told::Answer(answer) => state.looked(answer),
                    Told::Terminated => state.ended = true,
                }
                changed = true;
            }
        }
    }
    Ok(())
}

/// Asks again and again. Ends with the view.
fn ask(runtime: &Runtime, endpoint: &Endpoint, interval: Duration, told: &SyncSender<Told>) {
    runtime.block_on(async {
        // Without the signal's handler the process ends the hard way, as it would without this.
        let mut terminate = signal(SignalKind::terminate()).ok();
        loop {
            let answer = async {
                sleep(interval).await;
                fetch(endpoint).await.map_err(|error| error.to_string())
            };
            let message = tokio::select! {
                answer = answer => Told::Answer(answer),
                () = terminated(terminate.as_mut()) => Told::Terminated,
            };
            if told.send(message).is_err() {
                return;
            }
        }
    });
}

async fn terminated(signal: Option<&mut tokio::signal::unix::Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}
