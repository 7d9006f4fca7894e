//! What somebody may want, key by key: a machine of states without a terminal or a server.
//!
//! ```text
//! Table -- Enter --> Details -- Esc --> Table       ? --> Help -- any --> where it was
//! Table -- / --> Filter -- Enter, Esc --> Table
//! Table, Details -- f --> Question -- y: the wish, any other key: none --> where it was
//! ```
//!
//! What is chosen is a tenant, not a row: it stays chosen when rows move.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::known::{Known, Tenant};
use super::rows::{Wanted, rows};

/// Most characters of a filter.
const FILTER_MAX: usize = 64;
/// Rows that a page moves by where nothing was drawn yet.
const PAGE_ROWS: usize = 10;

/// What is to be done by others.
#[derive(Clone, Debug, PartialEq)]
pub enum Wish {
    /// To end.
    Quit,
    /// To freeze a tenant, or to thaw it.
    Hold(Question),
    /// To see a tenant in detail, by its address; none: no more.
    Look(Option<String>),
}

/// What is asked before a tenant is frozen or thawed. It is of the tenant that was chosen when it
/// was asked, whatever moves meanwhile.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    pub address: String,
    pub name: String,
    pub freeze: bool,
}

/// What fills the screen.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Page {
    #[default]
    Table,
    /// One tenant, from a line on.
    Details { n: u32, from: usize },
}

/// All that keys change.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct View {
    pub page: Page,
    pub wanted: Wanted,
    pub chosen: Option<u32>,
    /// Whether what is typed goes to the filter.
    pub typing: bool,
    pub question: Option<Question>,
    pub help: bool,
    /// What came of the last key, until the next one.
    pub note: Option<String>,
    /// The first row that is drawn, and how many there were: written by who draws.
    pub top: usize,
    pub height: usize,
}

impl View {
    /// What a key does; what others have to do for it.
    pub fn press(&mut self, key: KeyEvent, known: &Known) -> Option<Wish> {
        if key.kind == KeyEventKind::Release {
            return None;
        }
        self.note = None;
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            return matches!(key.code, KeyCode::Char('c')).then_some(Wish::Quit);
        }
        if self.help {
            self.help = false;
            return None;
        }
        if let Some(question) = self.question.take() {
            let yes = matches!(key.code, KeyCode::Char('y' | 'Y'));
            return yes.then_some(Wish::Hold(question));
        }
        if self.typing {
            self.type_filter(key.code);
            return None;
        }
        match key.code {
            KeyCode::Char('q') => return Some(Wish::Quit),
            KeyCode::Char('?' | 'h') => self.help = true,
            KeyCode::Char('f') => self.ask(known),
            _ => return self.press_on_page(key.code, known),
        }
        None
    }

    fn press_on_page(&mut self, code: KeyCode, known: &Known) -> Option<Wish> {
        let page_rows = (if self.height > 0 { self.height } else { PAGE_ROWS }) as isize;
        let step = match code {
            KeyCode::Down | KeyCode::Char('j') => 1,
            KeyCode::Up | KeyCode::Char('k') => -1,
            KeyCode::PageDown => page_rows,
            KeyCode::PageUp => -page_rows,
            KeyCode::Home => isize::MIN,
            KeyCode::End => isize::MAX,
            _ => 0,
        };
        match &mut self.page {
            Page::Details { from, .. } => match code {
                KeyCode::Esc | KeyCode::Enter | KeyCode::Backspace => {
                    self.page = Page::Table;
                    return Some(Wish::Look(None));
                }
                _ => *from = from.saturating_add_signed(step),
            },
            Page::Table if step != 0 => self.step(step, known),
            Page::Table => return self.press_on_table(code, known),
        }
        None
    }

    fn press_on_table(&mut self, code: KeyCode, known: &Known) -> Option<Wish> {
        match code {
            KeyCode::Right | KeyCode::Char('>') => self.sort_beside(1),
            KeyCode::Left | KeyCode::Char('<') => self.sort_beside(-1),
            KeyCode::Char('r') => self.wanted.rising = !self.wanted.rising,
            KeyCode::Char('t') => self.wanted.tree = !self.wanted.tree,
            KeyCode::Char('/') => self.typing = true,
            KeyCode::Esc => self.wanted.filter.clear(),
            KeyCode::Enter => {
                let tenant = self.chosen_or_say(known)?;
                let address = tenant.address().to_string();
                self.page = Page::Details { n: tenant.n, from: 0 };
                return Some(Wish::Look(Some(address)));
            }
            _ => {}
        }
        None
    }

    /// Names rise by themselves, figures fall.
    fn sort_beside(&mut self, places: isize) {
        self.wanted.by = self.wanted.by.beside(places);
        self.wanted.rising = self.wanted.by == super::rows::Column::Tenant;
    }

    fn type_filter(&mut self, code: KeyCode) {
        let filter = &mut self.wanted.filter;
        match code {
            KeyCode::Enter | KeyCode::Down | KeyCode::Up => self.typing = false,
            KeyCode::Esc => {
                filter.clear();
                self.typing = false;
            }
            KeyCode::Backspace => {
                filter.pop();
            }
            KeyCode::Char(character) if filter.chars().count() < FILTER_MAX => {
                filter.push(character);
            }
            _ => {}
        }
    }

    /// Chooses the tenant so many rows further; the first one where none of them was.
    fn step(&mut self, step: isize, known: &Known) {
        let shown = rows(known, &self.wanted);
        let shown: Vec<u32> =
            shown.iter().filter_map(|row| row.tenant().map(|tenant| tenant.n)).collect();
        let Some(last) = shown.len().checked_sub(1) else { return };
        let at = shown.iter().position(|n| Some(*n) == self.chosen);
        let to = match at {
            Some(at) => at.saturating_add_signed(step).min(last),
            None if step == isize::MAX => last,
            None => 0,
        };
        self.chosen = Some(shown[to]);
    }

    /// The tenant that a key is about, as far as it is still there.
    pub fn subject<'a>(&self, known: &'a Known) -> Option<&'a Tenant> {
        let n = match self.page {
            Page::Details { n, .. } => n,
            Page::Table => self.chosen?,
        };
        known.tenants.get(&n)
    }

    fn chosen_or_say<'a>(&mut self, known: &'a Known) -> Option<&'a Tenant> {
        let tenant = self.subject(known);
        if tenant.is_none() {
            self.note = Some("choose a tenant first: up and down".to_string());
        }
        tenant
    }

    fn ask(&mut self, known: &Known) {
        let Some(tenant) = self.chosen_or_say(known) else { return };
        self.question = Some(Question {
            address: tenant.address().to_string(),
            name: tenant.name.clone(),
            freeze: !tenant.is_held(),
        });
    }

    /// Another run of the server has other numbers: nothing of the one before is chosen. Whether
    /// somebody looked at a tenant.
    pub fn begin_anew(&mut self) -> bool {
        self.chosen = None;
        self.question = None;
        std::mem::take(&mut self.page) != Page::Table
    }
}

#[cfg(test)]
mod tests {
    use super::super::known::tests::{changed, known};
    use super::super::rows::Column;
    use super::*;

    fn key(code: KeyCode) -> KeyEvent {
        KeyEvent::new(code, KeyModifiers::NONE)
    }

    fn press(view: &mut View, known: &Known, codes: &[KeyCode]) -> Vec<Wish> {
        codes.iter().filter_map(|code| view.press(key(*code), known)).collect()
    }

    fn typed(text: &str) -> Vec<KeyCode> {
        text.chars().map(KeyCode::Char).collect()
    }

    fn chosen(view: &View, known: &Known) -> String {
        view.subject(known).map_or("nobody", |tenant| &*tenant.name).to_string()
    }

    #[test]
    fn q_and_control_c_end_it_wherever_somebody_is() {
        let known = known();
        assert_eq!(press(&mut View::default(), &known, &typed("q")), [Wish::Quit]);
        let control_c = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        let places = ["", "/", "?"].map(typed);
        for place in places.iter().chain([&vec![KeyCode::Down, KeyCode::Char('f')]]) {
            let mut view = View::default();
            assert!(press(&mut view, &known, place).is_empty());
            assert_eq!(view.press(control_c, &known), Some(Wish::Quit));
        }
        // A q that is typed is a letter.
        let mut view = View::default();
        assert!(press(&mut view, &known, &typed("/q")).is_empty());
        assert_eq!(view.wanted.filter, "q");
    }

    #[test]
    fn the_chosen_tenant_stays_chosen_when_rows_move() {
        let (known, changed) = (known(), changed());
        let mut view = View::default();
        press(&mut view, &known, &[KeyCode::Down, KeyCode::Down]);
        assert_eq!(chosen(&view, &known), "chat");
        // Others come and go, and the order differs.
        assert_eq!(chosen(&view, &changed), "chat");
        press(&mut view, &known, &[KeyCode::End]);
        assert_eq!(chosen(&view, &known), "index");
        press(&mut view, &known, &[KeyCode::Home, KeyCode::Up]);
        assert_eq!(chosen(&view, &known), "batch");
        // Who has left is not chosen any more.
        assert_eq!(chosen(&view, &changed), "nobody");
        press(&mut view, &changed, &[KeyCode::PageDown]);
        assert_eq!(chosen(&view, &changed), "chat");
        press(&mut view, &changed, &[KeyCode::PageDown, KeyCode::PageUp]);
        assert_eq!(chosen(&view, &changed), "chat");
        let mut view = View::default();
        press(&mut view, &Known::default(), &[KeyCode::Down, KeyCode::End]);
        assert_eq!(view.chosen, None);
    }

    #[test]
    fn columns_are_chosen_by_arrows_and_turned_by_r() {
        let known = known();
        let mut view = View::default();
        press(&mut view, &known, &[KeyCode::Right]);
        assert_eq!((view.wanted.by, view.wanted.rising), (Column::Guarantee, false));
        press(&mut view, &known, &typed("<<"));
        assert_eq!((view.wanted.by, view.wanted.rising), (Column::Tenant, true));
        press(&mut view, &known, &typed("r"));
        assert!(!view.wanted.rising);
        press(&mut view, &known, &[KeyCode::Left]);
        assert_eq!((view.wanted.by, view.wanted.rising), (Column::Above, false));
    }

    #[test]
    fn a_filter_is_typed_kept_and_taken_away() {
        let known = known();
        let mut view = View::default();
        press(&mut view, &known, &typed("/chat?"));
        press(&mut view, &known, &[KeyCode::Backspace, KeyCode::Enter]);
        assert_eq!((&*view.wanted.filter, view.typing, view.help), ("chat", false, false));
        press(&mut view, &known, &[KeyCode::Down]);
        assert_eq!(chosen(&view, &known), "chat");
        press(&mut view, &known, &[KeyCode::Esc]);
        assert_eq!(view.wanted.filter, "");
        press(&mut view, &known, &typed(&format!("/{}", "x".repeat(FILTER_MAX + 9))));
        assert_eq!(view.wanted.filter.len(), FILTER_MAX);
        press(&mut view, &known, &[KeyCode::Esc]);
        assert_eq!((&*view.wanted.filter, view.typing), ("", false));
    }

    #[test]
    fn nothing_is_frozen_without_a_yes() {
        let known = known();
        let mut view = View::default();
        assert!(press(&mut view, &known, &typed("fy")).is_empty());
        assert!(view.question.is_none());
        assert!(press(&mut view, &known, &[KeyCode::Char('f')]).is_empty());
        assert!(view.note.as_deref().unwrap().contains("choose"));
        let first = [KeyCode::Down, KeyCode::Down, KeyCode::Char('f')];
        for no in [KeyCode::Esc, KeyCode::Enter, KeyCode::Char('n'), KeyCode::Char('q')] {
            assert!(press(&mut view, &known, &[first[2], no]).is_empty());
            press(&mut view, &known, &first[..2]);
        }
        let wishes = press(&mut view, &known, &[KeyCode::Home, KeyCode::Down]);
        assert!(wishes.is_empty());
        let wish = |name: &str, freeze| {
            let name = name.to_string();
            Wish::Hold(Question { address: name.clone(), name, freeze })
        };
        assert_eq!(press(&mut view, &known, &typed("fy")), [wish("chat", true)]);
        // One that is frozen is thawed.
        assert_eq!(
            press(&mut view, &known, &[KeyCode::Home, KeyCode::Char('f'), KeyCode::Char('Y')]),
            [wish("batch", false)]
        );
    }

    #[test]
    fn enter_opens_a_tenant_and_escape_leaves_it() {
        let known = known();
        let mut view = View::default();
        assert!(press(&mut view, &known, &[KeyCode::Enter]).is_empty());
        assert_eq!(view.page, Page::Table);
        let wishes = press(&mut view, &known, &[KeyCode::End, KeyCode::Enter]);
        assert_eq!(wishes, [Wish::Look(Some("index".to_string()))]);
        press(&mut view, &known, &[KeyCode::Down, KeyCode::Down, KeyCode::Up]);
        assert_eq!(view.page, Page::Details { n: 3, from: 1 });
        press(&mut view, &known, &[KeyCode::Home]);
        assert_eq!(view.page, Page::Details { n: 3, from: 0 });
        assert_eq!(press(&mut view, &known, &[KeyCode::Esc]), [Wish::Look(None)]);
        assert_eq!(view.page, Page::Table);
        press(&mut view, &known, &[KeyCode::Enter]);
        assert!(view.begin_anew() && !view.begin_anew());
        assert_eq!((view.page, view.chosen), (Page::Table, None));
    }

    #[test]
    fn help_goes_with_the_next_key_and_a_tree_comes_by_t() {
        let known = known();
        let mut view = View::default();
        press(&mut view, &known, &typed("?"));
        assert!(view.help);
        assert!(press(&mut view, &known, &typed("q")).is_empty());
        assert!(!view.help);
        press(&mut view, &known, &typed("t"));
        assert!(view.wanted.tree);
        // Groups are passed over.
        press(&mut view, &known, &[KeyCode::Down]);
        assert_eq!(chosen(&view, &known), "batch");
    }

    #[test]
    fn a_key_that_is_let_go_does_nothing() {
        let mut up = key(KeyCode::Char('q'));
        up.kind = KeyEventKind::Release;
        assert_eq!(View::default().press(up, &known()), None);
    }
}
