// Opens the live page of a loaded server in headless Chromium: no error on its console, numbers equal to `stats`, and
// pictures in light, dark and on a phone.
//
//   node t/page/run.mjs LARDER LARDER_BENCH DIRECTORY_FOR_PICTURES
//
// Needs the npm package playwright-core beside NODE_PATH, and /usr/bin/chromium. `make test-page` installs both.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const { chromium } = createRequire(join(process.env.NODE_PATH ?? '.', 'x'))('playwright-core');
const [, , larder, bench, pictures] = process.argv;
const failures = [];
const check = (holds, what) => { console.log(`${holds ? 'ok  ' : 'FAIL'} ${what}`); if (!holds) failures.push(what); };

const ports = join(mkdtempSync(join(tmpdir(), 'larder-page-')), 'ports');
const account = process.getuid() === 0 ? ['-u', 'root'] : [];
const server = spawn(larder, [...account, '-p', '-1', '-l', '127.0.0.1', '-m', '64', '--http=0'],
  { stdio: 'inherit', env: { ...process.env, MEMCACHED_PORT_FILENAME: ports } });
const children = [server];
try {
  const port = await until(() => portOf('TCP INET'), 'the server names its port');
  const http = await until(() => portOf('HTTP INET'), 'and that of HTTP');
  const load = spawn(bench, ['-p', port, '-n', '200000', '-v', '300', '--zipf', '0.99', '-x', 'get=10,set=1', '--rate', '20000', '--sleep', '-d', '60'], { stdio: 'ignore' });
  children.push(load);

  const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] });
  const page = await browser.newPage({ viewport: { width: 1280, height: 1000 }, colorScheme: 'light' });
  const problems = [], foreign = [];
  let received = 0;
  page.on('console', message => { if (['error', 'warning'].includes(message.type())) problems.push(message.text()); });
  page.on('pageerror', error => problems.push(String(error)));
  page.on('request', request => { if (!request.url().startsWith(`http://127.0.0.1:${http}/`) && !request.url().startsWith('data:')) foreign.push(request.url()); });
  page.on('response', async reply => { received += (await reply.body().catch(() => Buffer.alloc(0))).length; });

  const began = Date.now();
  await page.goto(`http://127.0.0.1:${http}/`);
  await page.locator('#charts svg').first().waitFor();
  const firstPicture = Date.now() - began, firstBytes = received;
  check(firstPicture <= 1000, `the first picture comes within 1 s: ${firstPicture} ms`);
  check(firstBytes <= 150 * 1024, `it needs at most 150 KiB: ${firstBytes} bytes`);

  await page.waitForTimeout(20_000);
  const rows = await stats(port);
  const shown = Object.fromEntries(await page.locator('.tile').evaluateAll(tiles =>
    tiles.map(tile => [tile.querySelector('span').textContent, tile.querySelector('b').textContent])));
  check(near(number(shown.Items), rows.curr_items, .05), `items: ${shown.Items}, stats ${rows.curr_items}`);
  check(shown.Connections === `${rows.curr_connections - 1}`, `connections: ${shown.Connections}, stats ${rows.curr_connections} with this client`);
  const memory = ['slab_bytes', 'hash_bytes', 'ghost_bytes', 'ring_bytes'].reduce((sum, row) => sum + Number(rows[row]), 0);
  check(near(parseFloat(shown.Memory) * 2 ** 20, memory, .05), `memory: ${shown.Memory}, stats ${memory}`);
  const later = await rateOf(port, 5);
  const requests = number(await page.locator('.tile b').first().textContent());
  check(near(requests, later, .25), `requests per second: ${requests}, stats ${later}`);

  await page.screenshot({ path: join(pictures, 'live-light.png'), fullPage: true });
  await page.emulateMedia({ colorScheme: 'dark' });
  await page.screenshot({ path: join(pictures, 'live-dark.png'), fullPage: true });
  await page.setViewportSize({ width: 390, height: 844 });
  await page.waitForTimeout(1500);
  const width = await page.evaluate(() => document.documentElement.scrollWidth);
  check(width <= 390, `it fits a phone: ${width} of 390 pixels`);
  await page.screenshot({ path: join(pictures, 'live-phone.png'), fullPage: true });

  await page.setViewportSize({ width: 1280, height: 1000 });
  const reached = new Set();
  for (let press = 0; press < 12; press++) {
    await page.keyboard.press('Tab');
    reached.add(await page.evaluate(() => document.activeElement.textContent));
  }
  check(['5 min', '1 h', '24 h', 'Pause', 'Count prefixes'].every(button => reached.has(button)), 'the keyboard reaches each button');
  for (const span of ['1 h', '24 h']) {
    await page.getByRole('button', { name: span, exact: true }).press('Enter');
    await page.waitForTimeout(500);
  }
  await page.getByRole('button', { name: 'Count prefixes' }).press('Enter');
  await page.waitForTimeout(1000);
  const prefix = (await tableOf(page, 'Prefixes')).find(([name]) => name === 'bench');
  const counted = await stats(port, 'prefixes');
  check(prefix !== undefined && near(number(prefix[1]), counted['bench:items'], .05), `items by prefix: ${prefix}; stats ${counted['bench:items']}`);
  // Without load, the numbers no longer change.
  const ended = once(load, 'exit');
  load.kill();
  await ended;
  await until(async () => await rateOf(port, .1) === 0, 'the load has ended');
  await page.reload();
  const quantiles = await stats(port, 'latency');
  const latency = new Map((await tableOf(page, 'Latency')).map(([command, ...cells]) => [command, cells]));
  for (const command of ['get', 'set']) {
    const expected = ['count', 'p50', 'p99', 'p999', 'max'].map(row => Number(quantiles[`${command}:${row}`]));
    const cells = latency.get(command) ?? [];
    const equal = cells.length === expected.length && near(number(cells[0]), expected[0], .01)
      && expected.slice(1).every((us, at) => near(microseconds(cells[at + 1]), us, .05));
    check(equal, `latency of ${command}: ${cells.join(', ')}; stats ${expected.join(', ')}`);
  }
  check(latency.size === Object.keys(quantiles).filter(name => name.endsWith(':p50')).length, 'each kind of `stats latency` has its row');
  check(problems.length === 0, `no error on the console: ${problems.join('; ') || 'none'}`);
  check(foreign.length === 0, `no request leaves the server: ${foreign.join(' ') || 'none'}`);
  await browser.close();
} finally {
  children.forEach(child => child.kill());
}
if (failures.length > 0) { console.log(`${failures.length} failed`); process.exit(1); }

function portOf(kind) {
  const line = readFileSync(ports, 'utf8').split('\n').find(line => line.startsWith(kind + ': '));
  return line?.split(' ').pop();
}

async function until(look, what) {
  for (let round = 0; round < 200; round++) {
    try { const found = await look(); if (found) return found; } catch { /* not yet */ }
    await new Promise(wake => setTimeout(wake, 50));
  }
  throw new Error(`not so: ${what}`);
}

// The cells of a table of the page, row by row.
async function tableOf(page, title) {
  const body = page.locator(`[aria-label="${title}"] tbody`);
  await body.waitFor();
  return body.evaluate(body => [...body.rows].map(row => [...row.cells].map(cell => cell.textContent)));
}

function stats(port, group = '') {
  return new Promise((resolve, reject) => {
    const socket = createConnection(Number(port), '127.0.0.1', () => socket.write(`stats ${group}`.trim() + '\r\n'));
    let text = '';
    socket.on('error', reject);
    socket.on('data', data => {
      text += data;
      if (!text.endsWith('END\r\n')) return;
      socket.end();
      resolve(Object.fromEntries([...text.matchAll(/STAT (\S+) (.*)\r\n/g)].map(row => [row[1], row[2]])));
    });
  });
}

async function rateOf(port, seconds) {
  const total = rows => Number(rows.cmd_get) + Number(rows.cmd_set);
  const before = total(await stats(port));
  await new Promise(wake => setTimeout(wake, seconds * 1000));
  return (total(await stats(port)) - before) / seconds;
}

function number(text) {
  const [, digits, unit] = /^([\d.]+)\s*([kMGT]?)/.exec(text);
  return Number(digits) * 1000 ** ['', 'k', 'M', 'G', 'T'].indexOf(unit);
}

function microseconds(text) {
  const [digits, unit] = text.split(' ');
  return Number(digits) * { 'µs': 1, ms: 1e3, s: 1e6, min: 6e7 }[unit];
}

function near(shown, expected, part) {
  return Math.abs(shown - expected) <= part * Math.max(1, Number(expected));
}
