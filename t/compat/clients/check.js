// What the Node client tests share: named checks, each with its own line.
'use strict';

function equal(found, wanted) {
  const [left, right] = [found, wanted].map((value) => JSON.stringify(value) ?? 'undefined');
  if (left !== right) throw new Error(`found ${left.slice(0, 200)}, wanted ${right.slice(0, 200)}`);
}

async function rejects(promise) {
  const found = await promise.catch(() => 'refused');
  equal(found, 'refused');
}

// Polls, because only the server's clock knows when a second is over.
async function waitUntil(fact) {
  for (let i = 0; i < 160; i++) {
    if (await fact()) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error('not within 8 s');
}

/** Runs every check, then `end`. */
async function run(checks, end) {
  let failures = 0;
  for (const [name, body] of Object.entries(checks)) {
    try {
      await body();
      console.log(`ok ${name}`);
    } catch (error) {
      failures++;
      console.log(`not ok ${name}: ${error instanceof Error ? error.message : JSON.stringify(error)}`);
    }
  }
  end();
  process.exitCode = failures ? 1 : 0;
}

module.exports = { equal, rejects, waitUntil, run };
