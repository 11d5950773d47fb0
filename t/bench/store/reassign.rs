//! `slabs reassign <class> 0`, order by order, until the server has no page to give: pages freed, and items lost for
//! them.

use std::io;

use crate::fill::{Session, items_of};
use crate::items::ValueLen;
use crate::options::Options;
use crate::verdict::{Verdict, plain};
use larder_bench::figures::{Table, grouped};
use larder_bench::server::{Control, ServerCommand};

const MEGABYTES: u64 = 16;
const ITEMS: u64 = 20_000;
const VALUE_LEN: u64 = 1_000;
/// Far more orders than there are pages.
const ORDERS_MAX: u64 = 100;

struct Found {
    orders: u64,
    last_reply: String,
    pages_before: u64,
    pages_after: u64,
    pool: u64,
    items_before: u64,
    items_after: u64,
    chunks_per_page: u64,
}

impl Found {
    fn lost(&self) -> u64 {
        self.items_before.saturating_sub(self.items_after)
    }

    /// Lost items that did not leave with a page.
    fn lost_in_vain(&self) -> u64 {
        let pages_freed = self.pages_before.saturating_sub(self.pages_after);
        self.lost().saturating_sub(pages_freed * self.chunks_per_page)
    }
}

pub(crate) fn run(options: &Options) -> io::Result<Vec<Verdict>> {
    let found = options.both(0, |command| measure(options, command))?;
    let header = ["server", "orders", "last reply", "pages of the class", "pages free", "items before", "items after"];
    let mut table = Table::new(header.map(str::to_string));
    for (command, found) in options.comparison.servers.iter().zip(&found) {
        table.row([
            command.name.clone(),
            found.orders.to_string(),
            found.last_reply.clone(),
            format!("{} → {}", found.pages_before, found.pages_after),
            found.pool.to_string(),
            grouped(found.items_before),
            grouped(found.items_after),
        ]);
    }
    let items = grouped(ITEMS);
    println!("slabs reassign to the pool, -m {MEGABYTES}, {items} items of {VALUE_LEN} B.\n\n{table}");
    let [ours, theirs] = &found;
    let [pool, lost] = ["pages free at the end", "items lost beyond those of the pages"]
        .map(|what| format!("reassign to the pool, -m {MEGABYTES}: {what}"));
    Ok(vec![
        Verdict::at_least(pool, theirs.pool.to_string(), ours.pool as f64, theirs.pool as f64, ""),
        Verdict::at_most(lost, plain(theirs.lost_in_vain() as f64), ours.lost_in_vain() as f64, 0.0, ""),
    ])
}

fn measure(options: &Options, command: &ServerCommand) -> io::Result<Found> {
    let server = options.start(command, MEGABYTES)?;
    Session::new(&server, items_of(ValueLen::Fixed(VALUE_LEN)))?.fill(ITEMS)?;
    let mut control = server.control()?;
    let class = fullest_class(&mut control)?;
    let pages_before = class_row(&mut control, class, "total_pages")?;
    let items_before = control.stat("curr_items")?;
    let mut orders = 0;
    let mut last_reply = String::new();
    while orders < ORDERS_MAX {
        last_reply = control.ask(&format!("slabs reassign {class} 0"))?;
        // One page moves at a time; an order that comes meanwhile is not counted.
        control.wait_until("the page has moved", |control| Ok(control.stat("slab_reassign_running")? == 0))?;
        if last_reply.starts_with("BUSY") {
            continue;
        }
        orders += 1;
        if last_reply != "OK" {
            break;
        }
    }
    let found = Found {
        orders,
        last_reply,
        pages_before,
        pages_after: class_row(&mut control, class, "total_pages")?,
        pool: control.stat("slab_global_page_pool")?,
        items_before,
        items_after: control.stat("curr_items")?,
        chunks_per_page: class_row(&mut control, class, "chunks_per_page")?,
    };
    server.stop()?;
    Ok(found)
}

/// The class with most pages.
fn fullest_class(control: &mut Control) -> io::Result<u64> {
    let rows = control.answer_to("stats slabs")?;
    let pages = rows.iter().filter_map(|(name, value)| {
        let class = name.strip_suffix(":total_pages")?.parse::<u64>().ok()?;
        Some((value.parse::<u64>().ok()?, class))
    });
    pages.max().map(|(_, class)| class).ok_or_else(|| io::Error::other("stats slabs names no class"))
}

fn class_row(control: &mut Control, class: u64, name: &str) -> io::Result<u64> {
    let rows = control.answer_to("stats slabs")?;
    // A class that has given its last page may have no rows.
    Ok(rows.get(&format!("{class}:{name}")).and_then(|value| value.parse().ok()).unwrap_or(0))
}
