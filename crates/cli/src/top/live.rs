//! The terminal, and the threads beside it: one reads the stream, one makes calls. They tell what
//! they heard over one channel with few places; only this thread draws.

use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event};

use super::details::Details;
use super::draw::{Link, Scene, draw};
use super::keys::{Page, View, Wish};
use super::known::{Known, Told};
use super::palette::Palette;
use super::server::{Server, Trouble, away};
use super::stream::Stream;
use crate::failure::CliError;

/// Between two attempts to reach a server, after so many failures.
const PAUSES_MS: [u64; 5] = [500, 1000, 2000, 3000, 5000];
/// How often a server that was known may refuse the token: a new one may be writing its own.
const UNKNOWN_MAX: u32 = 5;
/// Between two questions for a tenant that somebody looks at.
const AGAIN: Duration = Duration::from_secs(2);
const HOUR: Duration = Duration::from_secs(3600);
/// Longest between a key or something heard, and its drawing.
const TURN: Duration = Duration::from_millis(50);
/// Places in the channels.
const NEWS_MAX: usize = 16;
const WISHES_MAX: usize = 16;

/// What the threads tell.
enum News {
    Told(Told),
    /// The server is gone, and why.
    Gone(String),
    /// It makes no sense to go on.
    Over(String),
    /// A tenant in detail.
    Details(String, Result<Box<Details>, String>),
    /// What came of a wish.
    Done(String),
    /// A signal has come.
    End,
}

/// Shows a server until somebody quits.
///
/// # Errors
///
/// What the terminal answers, or that the server does not let this token in.
pub fn run(server: Server) -> Result<(), CliError> {
    if !io::stdout().is_terminal() {
        return Err(CliError::new("standard output is no terminal; use --once"));
    }
    let of_terminal = |error: io::Error| CliError::new(format!("the terminal: {error}"));
    let server = Arc::new(server);
    let (tell, news) = sync_channel(NEWS_MAX);
    let (ask, wishes) = sync_channel(WISHES_MAX);
    let mut screen = Screen {
        address: server.address.clone(),
        link: Link::Coming,
        known: Known::default(),
        view: View::default(),
        details: None,
        palette: Palette::of_environment(),
    };
    {
        let (server, tell) = (Arc::clone(&server), tell.clone());
        thread::spawn(move || watch(&server, &tell));
    }
    end_by_signals(tell.clone()).map_err(of_terminal)?;
    thread::spawn(move || make_calls(&server, &wishes, &tell));
    let mut terminal = ratatui::try_init().map_err(of_terminal)?;
    let ended = screen.show(&mut terminal, &news, &ask);
    ratatui::restore();
    ended
}

/// How long whoever draws may take to hear of a signal: with its terminal gone it hears of nothing.
#[cfg(unix)]
const END_WITHIN: Duration = Duration::from_millis(500);

/// Ends the program when it is told to, after the terminal was put right.
#[cfg(unix)]
fn end_by_signals(tell: SyncSender<News>) -> io::Result<()> {
    use signal_hook::consts::{SIGHUP, SIGTERM};
    let mut signals = signal_hook::iterator::Signals::new([SIGHUP, SIGTERM])?;
    thread::spawn(move || {
        if signals.forever().next().is_none() {
            return;
        }
        let _ = tell.try_send(News::End);
        thread::sleep(END_WITHIN);
        ratatui::restore();
        std::process::exit(0);
    });
    Ok(())
}

#[cfg(not(unix))]
fn end_by_signals(_: SyncSender<News>) -> io::Result<()> {
    Ok(())
}

/// Reads the stream as long as anybody hears, and tries again when it ends.
fn watch(server: &Server, tell: &SyncSender<News>) {
    let (mut failures, mut unknown, mut was_there) = (0_usize, 0, false);
    loop {
        let trouble = match server.watch() {
            Ok(reader) => {
                let mut stream = Stream::new(reader);
                loop {
                    match stream.next() {
                        Ok(told) => {
                            (failures, unknown, was_there) = (0, 0, true);
                            if tell.send(News::Told(told)).is_err() {
                                return;
                            }
                        }
                        Err(error) => break Trouble::Away(away(&error)),
                    }
                }
            }
            Err(trouble) => trouble,
        };
        let text = trouble.text().to_string();
        unknown += u32::from(matches!(trouble, Trouble::Unknown(_)));
        let is_over = match trouble {
            Trouble::Away(_) => false,
            Trouble::Unknown(_) => !was_there || unknown >= UNKNOWN_MAX,
            Trouble::Refused(_) => true,
        };
        let news = if is_over { News::Over(text) } else { News::Gone(text) };
        if tell.send(news).is_err() || is_over {
            return;
        }
        let pause_ms = PAUSES_MS[failures.min(PAUSES_MS.len() - 1)];
        failures += 1;
        thread::sleep(Duration::from_millis(pause_ms));
    }
}

/// Does what keys wish for, and asks again and again for the tenant that somebody looks at.
fn make_calls(server: &Server, wishes: &Receiver<Wish>, tell: &SyncSender<News>) {
    let mut looked_at: Option<String> = None;
    let mut due = Instant::now();
    loop {
        let wait = match looked_at {
            Some(_) => due.saturating_duration_since(Instant::now()),
            None => HOUR,
        };
        let heard = match wishes.recv_timeout(wait) {
            Ok(Wish::Look(tenant)) => {
                looked_at = tenant;
                due = Instant::now();
                Ok(())
            }
            Ok(Wish::Hold(question)) => {
                let name = &question.name;
                let done = server.hold(&question.address, question.freeze);
                tell.send(News::Done(match (done, question.freeze) {
                    (Ok(()), true) => format!("{name} is frozen: it gets nothing more"),
                    (Ok(()), false) => format!("{name} is thawed"),
                    (Err(trouble), _) => format!("{name}: {}", trouble.text()),
                }))
            }
            Ok(Wish::Quit) | Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) => Ok(()),
        };
        if heard.is_err() {
            return;
        }
        if let Some(tenant) = &looked_at
            && due <= Instant::now()
        {
            let details = server.details(tenant).map_err(|trouble| trouble.text().to_string());
            let details = details.and_then(|text| {
                let read = Details::new(&text).map(Box::new);
                read.map_err(|error| format!("the server speaks another language: {error}"))
            });
            if tell.send(News::Details(tenant.clone(), details)).is_err() {
                return;
            }
            due = Instant::now() + AGAIN;
        }
    }
}

/// What is drawn, and what keys have made of it.
struct Screen {
    address: String,
    link: Link,
    known: Known,
    view: View,
    details: Option<Box<Details>>,
    palette: Palette,
}

impl Screen {
    fn show(
        &mut self,
        terminal: &mut DefaultTerminal,
        news: &Receiver<News>,
        ask: &SyncSender<Wish>,
    ) -> Result<(), CliError> {
        let of_terminal = |error: io::Error| CliError::new(format!("the terminal: {error}"));
        let mut is_drawn = false;
        loop {
            if !is_drawn {
                terminal.draw(|frame| self.draw(frame)).map_err(of_terminal)?;
                is_drawn = true;
            }
            while event::poll(if is_drawn { TURN } else { Duration::ZERO }).map_err(of_terminal)? {
                is_drawn = false;
                let Event::Key(key) = event::read().map_err(of_terminal)? else { continue };
                match self.view.press(key, &self.known) {
                    Some(Wish::Quit) => return Ok(()),
                    Some(wish) => self.wish(wish, ask),
                    None => {}
                }
            }
            for one in news.try_iter() {
                is_drawn = false;
                match self.hear(one)? {
                    Some(Wish::Quit) => return Ok(()),
                    Some(wish) => self.wish(wish, ask),
                    None => {}
                }
            }
        }
    }

    fn draw(&mut self, frame: &mut ratatui::Frame<'_>) {
        let scene = Scene {
            address: &self.address,
            link: &self.link,
            known: &self.known,
            details: self.details.as_deref(),
            palette: self.palette,
        };
        draw(frame, &scene, &mut self.view);
    }

    fn wish(&mut self, wish: Wish, ask: &SyncSender<Wish>) {
        if matches!(wish, Wish::Look(_)) {
            self.details = None;
        }
        if ask.try_send(wish).is_err() {
            self.view.note = Some("the server has not answered yet; try again".to_string());
        }
    }

    /// Takes in what was told; what others have to do for it.
    fn hear(&mut self, news: News) -> Result<Option<Wish>, CliError> {
        match news {
            News::Told(Told::Change(change)) => {
                self.link = Link::Live;
                self.known.change(*change);
            }
            News::Told(Told::Snapshot(known)) => {
                self.link = Link::Live;
                let is_another = !self.known.boot.is_empty() && self.known.boot != known.boot;
                self.known = *known;
                if is_another {
                    self.view.note = Some("this is another server: the one before is gone".into());
                    return Ok(self.view.begin_anew().then_some(Wish::Look(None)));
                }
            }
            News::Gone(why) => self.link = Link::Gone(why),
            News::Over(why) => {
                return Err(CliError::new(format!("{}: {why}", self.address)));
            }
            News::End => return Ok(Some(Wish::Quit)),
            News::Done(text) => self.view.note = Some(text),
            News::Details(tenant, details) => {
                let is_looked_at = self.view.page != Page::Table
                    && self.view.subject(&self.known).is_some_and(|of| of.address() == tenant);
                match details {
                    Ok(details) if is_looked_at => self.details = Some(details),
                    Err(why) if is_looked_at => self.view.note = Some(why),
                    _ => {}
                }
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::super::details::tests::DETAILS;
    use super::super::known::tests::known;
    use super::*;

    fn screen() -> Screen {
        Screen {
            address: "http://127.0.0.1:7180".to_string(),
            link: Link::Coming,
            known: Known::default(),
            view: View::default(),
            details: None,
            palette: Palette::new(false),
        }
    }

    fn snapshot(boot: &str) -> News {
        let mut known = known();
        known.boot = boot.to_string();
        News::Told(Told::Snapshot(Box::new(known)))
    }

    #[test]
    fn a_server_that_comes_back_is_live_and_another_one_is_told() {
        let mut screen = screen();
        assert_eq!(screen.hear(snapshot("a")).unwrap(), None);
        screen.view.chosen = Some(1);
        screen.hear(News::Gone("nobody listens".to_string())).unwrap();
        assert_eq!(screen.link, Link::Gone("nobody listens".to_string()));
        // The same one: what was chosen still is.
        screen.hear(snapshot("a")).unwrap();
        assert_eq!((&screen.link, screen.view.chosen), (&Link::Live, Some(1)));
        screen.view.page = Page::Details { n: 1, from: 0 };
        assert_eq!(screen.hear(snapshot("b")).unwrap(), Some(Wish::Look(None)));
        assert_eq!((screen.view.chosen, &screen.view.page), (None, &Page::Table));
        assert!(screen.view.note.unwrap().contains("another server"));
    }

    #[test]
    fn what_makes_no_sense_to_go_on_with_is_an_error() {
        let error = screen().hear(News::Over("403: no scope".to_string())).err().unwrap();
        assert_eq!(error.to_string(), "http://127.0.0.1:7180: 403: no scope");
    }

    #[test]
    fn details_of_somebody_else_are_not_shown() {
        let mut screen = screen();
        screen.hear(snapshot("a")).unwrap();
        let details = |name: &str| {
            let details = Box::new(Details::new(DETAILS.as_bytes()).unwrap());
            News::Details(name.to_string(), Ok(details))
        };
        screen.hear(details("chat")).unwrap();
        assert!(screen.details.is_none());
        screen.view.page = Page::Details { n: 1, from: 0 };
        screen.hear(details("index")).unwrap();
        assert!(screen.details.is_none());
        screen.hear(details("chat")).unwrap();
        assert!(screen.details.is_some());
        screen.hear(News::Details("chat".to_string(), Err("404: gone".into()))).unwrap();
        assert_eq!(screen.view.note.as_deref(), Some("404: gone"));
    }

    #[test]
    fn a_server_that_is_slow_to_answer_is_not_buried_in_wishes() {
        let mut screen = screen();
        let (ask, wishes) = sync_channel(1);
        screen.wish(Wish::Look(None), &ask);
        assert!(screen.view.note.is_none());
        screen.wish(Wish::Look(None), &ask);
        assert!(screen.view.note.unwrap().contains("try again"));
        assert_eq!(wishes.try_iter().count(), 1);
    }
}
