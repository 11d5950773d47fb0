// Node's memcached package. Arguments: host:port of each server.
'use strict';

const { promisify } = require('util');
const Memcached = require('memcached');
const { equal, rejects, run, waitUntil } = require('./check');

const servers = process.argv.slice(2);
const client = new Memcached(servers, { timeout: 10000, retries: 1 });
const call = (method, ...args) => promisify(client[method]).apply(client, args);

const checks = {
  async 'set, get, missing, delete'() {
    equal(await call('set', 'colour', 'blue', 100), true);
    equal(await call('get', 'colour'), 'blue');
    equal(await call('get', 'nothing'), undefined);
    equal(await call('del', 'colour'), true);
    equal(await call('del', 'colour'), false);
    equal(await call('get', 'colour'), undefined);
  },
  async 'add, replace, append, prepend'() {
    equal(await call('add', 'once', 'a', 100), true);
    await rejects(call('add', 'once', 'b', 100));
    equal(await call('replace', 'once', '-', 100), true);
    await rejects(call('replace', 'nothing', 'c', 100));
    equal(await call('append', 'once', 'right'), true);
    equal(await call('prepend', 'once', 'left'), true);
    equal(await call('get', 'once'), 'left-right');
  },
  async 'gets and cas: stored, then stale'() {
    await call('set', 'token', 'one', 100);
    const { token, cas } = await call('gets', 'token');
    equal(token, 'one');
    equal(await call('cas', 'token', 'two', cas, 100), true);
    equal(await call('cas', 'token', 'three', cas, 100), false);
    equal(await call('get', 'token'), 'two');
  },
  async 'incr and decr'() {
    await call('set', 'n', 10, 100);
    equal(await call('incr', 'n', 5), 15);
    equal(await call('decr', 'n', 3), 12);
    equal(await call('get', 'n'), 12);
    equal(await call('incr', 'nothing', 1), false);
  },
  async 'flags: number, object, buffer and text keep their type'() {
    for (const value of [42, { a: [1, null] }, 'text']) {
      equal(await call('set', 'typed', value, 100), true);
      equal(await call('get', 'typed'), value);
    }
    const bytes = Buffer.from([0, 13, 10, 255, 69, 78, 68]);
    equal(await call('set', 'bytes', bytes, 100), true);
    equal((await call('get', 'bytes')).equals(bytes), true);
  },
  async 'getMulti of 600 keys over all servers'() {
    const keys = Array.from({ length: 600 }, (_, i) => `many${i}`);
    await Promise.all(keys.filter((_, i) => i % 2).map((key) => call('set', key, `value of ${key}`, 100)));
    const found = {};
    for (let at = 0; at < keys.length; at += 100) {
      Object.assign(found, await call('getMulti', keys.slice(at, at + 100)));
    }
    equal(Object.keys(found).length, 300);
    for (const key of Object.keys(found)) equal(found[key], `value of ${key}`);
  },
  async 'a value of 1,000,000 bytes'() {
    const large = 'x'.repeat(999999) + 'y';
    equal(await call('set', 'large', large, 100), true);
    equal((await call('get', 'large')) === large, true);
  },
  async 'exptime passes, touch prolongs'() {
    await call('set', 'brief', 'x', 1);
    await call('set', 'prolonged', 'x', 1);
    equal(await call('touch', 'prolonged', 1000), true);
    await waitUntil(async () => (await call('get', 'brief')) === undefined);
    equal(await call('get', 'prolonged'), 'x');
  },
  async 'version, stats, settings, slabs, items'() {
    const versions = await call('version');
    equal(versions.length, servers.length);
    equal(versions.every((row) => row.version === '1.6.45'), true);
    const stats = await call('stats');
    equal(stats.length, servers.length);
    equal(stats.every((row) => row.curr_connections >= 1), true);
    equal((await call('settings')).length, servers.length);
    equal((await call('slabs')).length, servers.length);
    equal((await call('items')).length, servers.length);
  },
  async 'flush empties every server'() {
    await call('flush');
    await waitUntil(async () => (await call('get', 'once')) === undefined);
  },
};

run(checks, () => client.end());
