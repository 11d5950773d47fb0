//! The view in a terminal: a table of servers, and the history of the selected one.

use std::io;
use std::time::Duration;

use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyModifiers};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Block, Borders, Row, Sparkline, Table, TableState};
use ratatui::{DefaultTerminal, Frame};

use super::board::{Board, Watched};
use super::columns::{COLUMNS, cells, short};
use super::hot_keys::{HotKey, SHOWN_MAX};
use super::latency::{CommandLatency, time};
use super::order::ViewOrder;
use super::poll::{Reading, Readings};

/// How long a reading may wait to be shown.
const REDRAW_EVERY: Duration = Duration::from_millis(100);
/// Columns of the latencies: five of 7, and the gaps between them.
const LATENCY_WIDTH: u16 = 39;

/// Shows the servers until a key ends it. The terminal is restored in any case.
pub(crate) fn run(order: &ViewOrder, readings: &Readings) -> io::Result<()> {
    let mut terminal = ratatui::try_init()?;
    let shown = show(&mut terminal, Board::new(&order.servers), readings);
    ratatui::try_restore()?;
    shown
}

fn show(terminal: &mut DefaultTerminal, mut board: Board, readings: &Readings) -> io::Result<()> {
    loop {
        readings.try_iter().for_each(|(server, reading)| board.note(server, reading));
        terminal.draw(|frame| draw(frame, &board))?;
        if !event::poll(REDRAW_EVERY)? {
            continue;
        }
        let Event::Key(KeyEvent { code, modifiers, .. }) = event::read()? else { continue };
        match code {
            KeyCode::Char('q') | KeyCode::Esc => return Ok(()),
            KeyCode::Char('c') if modifiers.contains(KeyModifiers::CONTROL) => return Ok(()),
            KeyCode::Down | KeyCode::Char('j') => board.select(1),
            KeyCode::Up | KeyCode::Char('k') => board.select(-1),
            _ => {}
        }
    }
}

/// Draws everything.
fn draw(frame: &mut Frame<'_>, board: &Board) {
    let rows = u16::try_from(board.servers.len()).unwrap_or(u16::MAX).saturating_add(1);
    let reading = board.servers.get(board.selected).and_then(|server| server.reading.as_ref());
    let has_details = reading.is_some_and(|reading| !reading.hot_keys.is_empty() || !reading.latencies.is_empty());
    let detail_rows = if has_details { SHOWN_MAX + 1 } else { 0 };
    let [table, requests, hits, details, keys] = Layout::vertical([
        Constraint::Max(rows),
        Constraint::Min(4),
        Constraint::Min(4),
        Constraint::Max(detail_rows),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    let mut state = TableState::default().with_selected(Some(board.selected));
    frame.render_stateful_widget(server_table(board), table, &mut state);
    if let Some(server) = board.servers.get(board.selected) {
        let newest = server.requests.back().copied().unwrap_or(0);
        #[expect(clippy::cast_precision_loss, reason = "for people")]
        let load = format!("{}: requests per second, {}", server.name, short(newest as f64));
        let title = server.failure.clone().unwrap_or(load);
        let width = usize::from(frame.area().width);
        let last = |history: &std::collections::VecDeque<u64>| {
            history.iter().skip(history.len().saturating_sub(width)).copied().collect::<Vec<u64>>()
        };
        let graph = |title: String, values: Vec<u64>| {
            Sparkline::default().block(Block::new().borders(Borders::TOP).title(title)).data(values)
        };
        frame.render_widget(graph(title, last(&server.requests)), requests);
        frame.render_widget(graph(hit_title(server), last(&server.hits)).max(1000), hits);
    }
    if let Some(reading) = reading {
        draw_details(frame, reading, details);
    }
    frame.render_widget(Line::from("q quit   ↑ ↓ select"), keys);
}

/// Draws what only larder tells of the selected server: its hot keys, and how long requests take.
fn draw_details(frame: &mut Frame<'_>, reading: &Reading, area: Rect) {
    let latency_width = if reading.latencies.is_empty() { 0 } else { LATENCY_WIDTH };
    let [hot, gap, latency] =
        Layout::horizontal([Constraint::Min(0), Constraint::Length(1), Constraint::Max(latency_width)]).areas(area);
    let hot = if latency_width == 0 { hot.union(gap) } else { hot };
    if !reading.hot_keys.is_empty() {
        frame.render_widget(hot_key_table(&reading.hot_keys), hot);
    }
    if !reading.latencies.is_empty() {
        frame.render_widget(latency_table(&reading.latencies), latency);
    }
}

/// How long requests take.
fn latency_table(latencies: &[CommandLatency]) -> Table<'static> {
    let right = |cell: String| Line::from(cell).right_aligned();
    let row = |latency: &CommandLatency| {
        let times = latency.quantiles_us.map(|us| right(time(us)));
        Row::new(std::iter::once(Line::from(latency.command)).chain(times))
    };
    let heads = ["p50", "p99", "p99.9", "max"].map(|head| right(head.into()));
    let widths = [7; 5].map(Constraint::Length);
    let block = Block::new().borders(Borders::TOP).title("latency since start or reset");
    Table::new(latencies.iter().map(row), widths)
        .header(Row::new(std::iter::once(Line::from("")).chain(heads)))
        .block(block)
}

/// The most requested keys of the selected server.
fn hot_key_table(hottest: &[HotKey]) -> Table<'static> {
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    let row = |hot: &HotKey| {
        let count = |count: u64| Line::from(short(count as f64)).right_aligned();
        Row::new([count(hot.requests), count(hot.writes), Line::from(hot.key.clone())])
    };
    let widths = [Constraint::Length(8), Constraint::Length(8), Constraint::Min(1)];
    let block = Block::new().borders(Borders::TOP).title("hot keys: requests, writes and key, in the last minutes");
    Table::new(hottest.iter().map(row), widths).block(block)
}

fn hit_title(server: &Watched) -> String {
    match server.rates.and_then(|rates| rates.hit_ratio) {
        Some(ratio) => format!("hits, {:.1} % of gets", ratio * 100.0),
        None => "hits: no gets".into(),
    }
}

fn server_table(board: &Board) -> Table<'static> {
    let aligned = |(at, cell): (usize, String)| {
        let line = Line::from(cell);
        if at == 0 { line } else { line.right_aligned() }
    };
    let heads = COLUMNS.iter().map(|(head, _)| (*head).to_string()).enumerate().map(aligned);
    let rows = board.servers.iter().map(|server| {
        let failure = server.failure.is_some();
        let cells = if failure { vec![server.name.clone(), "down".into()] } else { cells(server) };
        Row::new(cells.into_iter().enumerate().map(aligned).collect::<Vec<_>>()).style(if failure {
            Style::new().red()
        } else {
            Style::new()
        })
    });
    let widths = COLUMNS.map(|(_, width)| Constraint::Length(u16::try_from(width).unwrap_or(u16::MAX)));
    Table::new(rows, widths)
        .header(Row::new(heads.collect::<Vec<_>>()).style(Style::new().add_modifier(Modifier::BOLD)))
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED))
}

#[cfg(test)]
mod tests {
    use larder::tools::{RemoteServer, ServerAddress};
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::{Board, CommandLatency, HotKey, draw};
    use crate::poll::Reading;

    #[test]
    fn the_screen_shows_rates_and_failures_on_any_terminal() {
        let servers = ["cache1", "cache2:5"].map(|word| RemoteServer::from(ServerAddress::parse(word).unwrap()));
        let mut board = Board::new(&servers);
        for (at_us, gets) in [(0, "0"), (1_000_000, "12345")] {
            let rows = [("cmd_get", gets), ("get_hits", gets), ("curr_items", "7"), ("limit_maxbytes", "64000000")];
            let rows = rows.map(|(name, value)| (name.to_string(), value.to_string())).into();
            let hot_keys = vec![HotKey { key: "user:1".into(), requests: 54_321, writes: 3 }];
            let latencies = vec![CommandLatency { command: "get", quantiles_us: [15, 120, 1_500, 9_999] }];
            board.note(0, Ok(Reading { at_us, rows, hot_keys, latencies }));
        }
        board.note(1, Err("connect to cache2:5: Connection refused".into()));
        let screen = |width, height| {
            let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
            terminal.draw(|frame| draw(frame, &board)).unwrap();
            terminal.backend().to_string()
        };
        let text = screen(140, 20);
        for part in [
            "cache1:11211",
            "12.3k",
            "100.0",
            "0B of 64.0MB",
            "requests per second, 12.3k",
            "█",
            "down",
            "54.3k        3 user:1",
            "get        15us   120us   1.5ms  10.0ms",
        ] {
            assert!(text.contains(part), "{part} in\n{text}");
        }
        for (width, height) in [(1, 1), (20, 5), (500, 100)] {
            assert!(!screen(width, height).is_empty());
        }
        board.select(1);
        let mut terminal = Terminal::new(TestBackend::new(140, 20)).unwrap();
        terminal.draw(|frame| draw(frame, &board)).unwrap();
        assert!(!terminal.backend().to_string().contains("latency"), "a server without a reading has no panel");
    }
}
