// memjs, which speaks only the binary protocol. Arguments: host:port of each server.
'use strict';

const memjs = require('memjs');
const { equal, run, waitUntil } = require('./check');

const servers = process.argv.slice(2);
const client = memjs.Client.create(servers.join(','), { timeout: 10 });
const value = async (key) => (await client.get(key)).value;
const text = async (key) => (await value(key))?.toString() ?? null;

const checks = {
  async 'set, get, missing, delete'() {
    equal(await client.set('colour', 'blue', {}), true);
    equal(await text('colour'), 'blue');
    equal(await value('nothing'), null);
    equal(await client.delete('colour'), true);
    equal(await client.delete('colour'), false);
  },
  async 'add, replace, append'() {
    equal(await client.add('once', '-', {}), true);
    equal(await client.add('once', 'x', {}), false);
    equal(await client.replace('nothing', 'x', {}), false);
    equal(await client.append('once', 'right'), true);
    equal(await text('once'), '-right');
  },
  async 'increment and decrement with an initial value'() {
    equal((await client.increment('n', 5, { initial: 10 })).value, 10);
    equal((await client.increment('n', 5, {})).value, 15);
    equal((await client.decrement('n', 20, {})).value, 0);
  },
  async '300 keys over all servers, at once'() {
    const keys = Array.from({ length: 300 }, (_, i) => `many${i}`);
    await Promise.all(keys.map((key) => client.set(key, `value of ${key}`, {})));
    const found = await Promise.all(keys.map(text));
    equal(found, keys.map((key) => `value of ${key}`));
  },
  async 'flags come back, and a value of 1,000,000 bytes of any kind'() {
    const large = Buffer.from(Array.from({ length: 1000000 }, (_, i) => (i * 7919) & 255));
    equal(await client.set('large', large, {}), true);
    equal((await value('large')).equals(large), true);
  },
  async 'an expiry passes, touch prolongs'() {
    await client.set('brief', 'x', { expires: 1 });
    await client.set('prolonged', 'x', { expires: 1 });
    equal(await client.touch('prolonged', 1000), true);
    await waitUntil(async () => (await value('brief')) === null);
    equal(await text('prolonged'), 'x');
  },
  async 'stats, version and flush of every server'() {
    const stats = [];
    await new Promise((resolve) => {
      client.stats((error, server, rows) => {
        stats.push(rows);
        if (stats.length === servers.length) resolve();
      });
    });
    equal(stats.every((rows) => rows.version === '1.6.45'), true);
    await client.flush();
    await waitUntil(async () => (await value('once')) === null);
  },
};

run(checks, () => client.close());
